/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared virtual memory: ranges of a process's address space with attributes, kept in step with the CPU by MMU
 * interval notifiers, and migrated between RAM and device-coherent VRAM pages.
 *
 * Intervals are [start, last] in page numbers, inclusive, as in the interval tree.
 */
#ifndef KFD_SVM_H
#define KFD_SVM_H

#include <linux/interval_tree.h>
#include <linux/kfd_ioctl.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct kfd_dev;
struct kfd_process;
struct svm_account;	/* pages a process has in VRAM, counted by page_free; outlives the process */

/* All ranges of a process. Embedded in struct kfd_process. */
struct svm_range_list {
	struct mutex lock;			/* tree and attributes; see docs/locking.md */
	struct rb_root_cached tree;
	struct list_head ranges;
	unsigned long count;
	struct work_struct deferred_work;	/* splits and removals that the notifier queued */
	spinlock_t deferred_lock;
	struct list_head deferred;
	struct svm_account *account;
};

int svm_range_list_init(struct kfd_process *p);
/*
 * Stop the notifiers and free every range. Called once, from process context, when no ioctl of the process
 * runs any more; the mm may be exiting but its struct is alive.
 */
void svm_range_list_fini(struct kfd_process *p);
/* Is any SVM range registered in [start, last]? For ALLOC's EADDRINUSE. Locking: takes svms->lock. */
bool svm_range_overlaps(struct kfd_process *p, unsigned long start, unsigned long last);

/*
 * AMDKFD_IOC_SVM. start and size in bytes, as user space gave them; attrs was copied in and is copied out by
 * the caller after a successful GET. Locking: none held.
 */
int svm_ioctl(struct kfd_process *p, u32 op, u64 start, u64 size, u32 nattr,
	      struct kfd_ioctl_svm_attribute *attrs);

/* Evict every SVM page of a GPU by page frame. Returns pages moved; *stayed counts those somebody holds. */
unsigned long svm_evict_all(struct kfd_dev *dev, unsigned long *stayed);
/* klttm_ops.evict_block */
void svm_evict_block(void *owner, struct klttm_block *block);

#endif
