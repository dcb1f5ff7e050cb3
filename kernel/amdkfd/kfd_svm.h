/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared virtual memory: ranges of a process's address space with attributes, kept in step with the
 * CPU by MMU interval notifiers, and migrated between RAM and device-coherent VRAM pages.
 *
 * Intervals are [start, last] in page numbers, inclusive, as in the interval tree. What only the
 * svm_*.c files share is in svm_range.h.
 *
 * Lock order (docs/locking.md): mmap_lock > svm_range_list.lock; SVM never takes kfd_process.lock.
 * svm_range_list.deferred_lock is a leaf, the only lock the MMU notifier takes.
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
struct klttm_block;
struct svm_account;	/* pages a process has in VRAM, by page_free; outlives the process */

/* All ranges of a process. Embedded in struct kfd_process. */
struct svm_range_list {
	struct mutex lock;		/* tree, count, npages and the attributes of every range */
	struct rb_root_cached tree;
	unsigned long count, npages;	/* ranges in the tree, and the pages they cover */
	struct work_struct deferred_work;	/* splits and removals that the notifier queued */
	/* deferred, dying, lost, the ranges' record of unmapped pages, what of them is mapped and lost */
	spinlock_t deferred_lock;
	struct list_head deferred;
	struct list_head lost;		/* svm_range.lost: to be mapped on a GPU again */
	bool dying;			/* fini began: the notifier queues nothing any more */
	struct svm_account *account;
};

/*
 * A VM has come, or XNACK went: map all ranges that are to be mapped. Context: the process itself; no lock held.
 */
void svm_map_everything(struct kfd_process *p);
/*
 * svm_map.c. Is any range on the list of what is to be mapped on a GPU again? Map all that is: 0: done, or left for
 * later; else why not. Locking: p->restore.run held.
 */
bool svm_any_lost(struct svm_range_list *svms);
int svm_restore(struct svm_range_list *svms);

int svm_range_list_init(struct kfd_process *p);
/*
 * Stop the notifiers and free every range. Called once, from process context, when no ioctl of the
 * process runs any more; the mm may be exiting but its struct is alive. Locking: not under
 * mmap_lock.
 */
void svm_range_list_fini(struct kfd_process *p);
/*
 * Is any SVM range registered in [start, last]? For ALLOC's EADDRINUSE. Locking: takes svms->lock.
 * SET asks kfd_process_va_has_buffer() with svms->lock held, so to lose no race, publish the
 * buffer's VA first, ask here, and take the buffer back on true.
 */
bool svm_range_overlaps(struct kfd_process *p, unsigned long start, unsigned long last);
/*
 * Finish the removals that earlier munmap() calls queued, so that svms->count is exact. Context:
 * may sleep, takes mmap_lock and svms->lock of the process.
 */
void svm_range_list_flush(struct kfd_process *p);

/*
 * AMDKFD_IOC_SVM. start and size in bytes, as user space gave them; attrs was copied in and is
 * copied out by the caller after a successful GET. Locking: none held. Context: the process itself
 * (current->mm is its mm).
 *
 * -EINVAL: unknown op, attribute type, location, GPU or SET_FLAGS bit; start or size zero-length,
 * misaligned or wrapping. -EFAULT: a page of the range is in no VMA or in a special one.
 * -EADDRINUSE: a buffer is mapped there. -ENOMEM: no memory, or more than a process may register
 * (svm_range.h). -EINTR: a fatal signal came. A call that fails changed nothing.
 */
int svm_ioctl(struct kfd_process *p, u32 op, u64 start, u64 size, u32 nattr,
	      struct kfd_ioctl_svm_attribute *attrs);

/*
 * Evict every SVM page of a GPU by page frame. Returns pages moved; *stayed counts those somebody
 * holds. Context: may sleep, no dma_resv held.
 */
unsigned long svm_evict_all(struct kfd_dev *dev, unsigned long *stayed);
/* klttm_ops.evict_block; owner is the struct kfd_dev */
int svm_evict_block(void *owner, struct klttm_block *block);
/* What evictions of a GPU need beforehand; before its TTM device is made, and after that is gone. */
int svm_evict_init(struct kfd_dev *dev);
void svm_evict_fini(struct kfd_dev *dev);

/*
 * For klttm_set_block_release(): a block created by SVM is gone, with the reference it held of its
 * account.
 */
void svm_account_block_release(void *owner, void *priv);
/* Pages the process brought to VRAM, of all GPUs or one, and that are there now. */
unsigned long svm_vram_pages(struct kfd_process *p);
unsigned long svm_vram_pages_on(struct kfd_process *p, const struct kfd_dev *dev);
/*
 * fn for every account: of live processes, and of ended ones as long as a block of theirs is left (closed).
 * Context: fn runs under a spinlock with interrupts off.
 */
void svm_accounts_for_each(const struct kfd_dev *dev,
			   void (*fn)(pid_t tgid, bool closed, unsigned long pages, void *arg), void *arg);

#endif
