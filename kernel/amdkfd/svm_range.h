/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the svm_*.c files share. The contract towards the rest of the driver is kfd_svm.h.
 */
#ifndef SVM_RANGE_H
#define SVM_RANGE_H

#include <linux/mm.h>

#include "kfd_priv.h"
#include "kfd_process.h"
#include "pure/svm_split.h"

/*
 * A run of pages with one set of attributes. Its interval never changes: a split or a merge makes
 * new ranges. Where the pages are is not recorded here; that is between mm and the pages' blocks.
 */
struct svm_range {
	struct interval_tree_node it;		/* svms->tree; locking: svms->lock */
	struct svm_attrs attrs;			/* locking: svms->lock */
	struct svm_range_list *svms;
	struct mmu_interval_notifier notifier;

	/* Record of munmap, written by the notifier. Locking: svms->deferred_lock */
	struct list_head deferred;		/* on svms->deferred while any bit is set */
	unsigned long *unmapped;		/* bitmap, bit 0 is it.start */

	/*
	 * GPUs that may have a page-table entry for the range, and what of it is to be mapped again (svm_map.c).
	 * Locking: svms->deferred_lock
	 */
	u32 mapped_to_gpu;
	struct list_head lost;			/* on svms->lost while there is anything */
	unsigned long lost_first, lost_last;
};

/*
 * What one process may register, so that SET cannot take the machine's memory: 1 TiB of address
 * space, populated or not (32 MiB of bitmaps), in 65536 ranges (some 20 MiB). Holes that munmap
 * cuts may exceed the number: as mappings, they are limited by vm.max_map_count.
 */
#define SVM_PROCESS_MAX_PAGES	(1ul << 28)
#define SVM_PROCESS_MAX_RANGES	(1ul << 16)

static inline unsigned long svm_range_npages(const struct svm_range *range)
{
	return range->it.last - range->it.start + 1;
}

static inline struct kfd_process *svm_process(struct svm_range_list *svms)
{
	return container_of(svms, struct kfd_process, svms);
}

static inline struct mm_struct *svm_mm(struct svm_range_list *svms)
{
	return svm_process(svms)->notifier.mm;
}

/* svm_range.c */

/*
 * Make @ranges (in address order) be @pieces instead: a piece with the interval of an old range
 * changes that range's attributes in place, others get new ranges, and the old ones left over are
 * freed. On -ENOMEM or -EINTR nothing changed. Locking: mmap_lock held for writing, svms->lock.
 */
int svm_ranges_replace(struct svm_range_list *svms, struct svm_range **ranges,
		       unsigned long nranges, const struct svm_piece *pieces,
		       unsigned long npieces);
/* Preferred location of the range that covers @page, undefined without one. Locking: takes svms->lock. */
u32 svm_preferred_location(struct kfd_process *p, unsigned long page);
/* Attributes of pages that no range covers. */
void svm_attrs_default(struct svm_range_list *svms, struct svm_attrs *attrs);
/*
 * Take mmap_lock (for writing, or perhaps only for reading) and svms->lock, with every munmap()
 * that finished before the call taken out of the tree. -EINTR: a fatal signal came; -ENOMEM. Then
 * nothing is held.
 */
int svm_lock_write(struct svm_range_list *svms);
int svm_lock_read(struct svm_range_list *svms);
/* Drop svms->lock and mmap_lock, whichever way the latter is held. */
void svm_unlock_write(struct svm_range_list *svms);
void svm_unlock_read(struct svm_range_list *svms);

/* svm_notifier.c */

extern const struct mmu_interval_notifier_ops svm_notifier_ops;
void svm_deferred_work(struct work_struct *work);
/* Locking: mmap_lock held for writing, svms->lock. */
int svm_deferred_flush(struct svm_range_list *svms);
bool svm_deferred_pending(struct svm_range_list *svms);
/* Is a page of [start, last] within @range still mapped as far as the notifier knows? */
bool svm_range_covers(struct svm_range *range, unsigned long start, unsigned long last);

/* svm_map.c */

struct kfd_vm;
struct kfd_vm_work;
u64 svm_range_pte_flags(const struct svm_range *range);
/* Note [start, last] of the range, and what shares huge entries with it, as lost. Locking: svms->deferred_lock. */
void svm_range_lose(struct svm_range *range, unsigned long start, unsigned long last);
/* Clear entries and wait for the TLB. Context: notifiers too; allocates nothing. */
void svm_unmap_pages(struct svm_range_list *svms, u32 gpus, unsigned long start, unsigned long last);
/*
 * Map [start, last] of the range where the pages are now. Errors of kfd_vm_map_user(). Locking: mmap_lock for reading,
 * svms->lock.
 */
int svm_range_map(struct svm_range *range, struct kfd_vm *vm, unsigned long start, unsigned long last,
		  bool for_write, struct kfd_vm_work *work);
/* A range begins or ends at @page from now on: no huge entry crosses that. Locking: mmap_lock, svms->lock. */
void svm_map_split(struct svm_range_list *svms, unsigned long page);
/*
 * Who may access [start, last] and how has changed: entries go, and with XNACK off what is to be mapped is noted for
 * kfd_restore_now(). Locking: mmap_lock, svms->lock.
 */
void svm_map_changed(struct svm_range_list *svms, unsigned long start, unsigned long last);
/* @range takes over from @old, which mm still calls, what they share. Locking: svms->lock. */
void svm_range_inherit(struct svm_range *range, struct svm_range *old);

/* svm_migrate.c */

struct svm_mover;
/* Memory for one prefetch; NULL: none. */
struct svm_mover *svm_mover_create(void);
void svm_mover_destroy(struct svm_mover *mover);
/* How many pages really moved in the last migration with @mover. */
unsigned long svm_mover_moved(const struct svm_mover *mover);
/*
 * Move the pages of [start, end) (bytes) of the calling process to @location: 0 for RAM, else a
 * gpu_id that exists. Best effort, counted: pages that somebody holds, special mappings, full VRAM
 * or a fatal signal leave pages where they are. Locking: takes mmap_lock for reading, in pieces; no
 * other lock of the process may be held.
 */
void svm_migrate(struct kfd_process *p, struct svm_mover *mover, unsigned long start, unsigned long end,
		 u32 location, enum KFD_MIGRATE_TRIGGERS trigger);
/*
 * The same for pages that are at @from only, NULL: RAM; the two are not the same. For judges, which must know whence
 * a page came (kfd_mirror.c).
 */
void svm_migrate_from(struct kfd_process *p, struct svm_mover *mover, unsigned long start, unsigned long end,
		      struct kfd_dev *from, struct kfd_dev *to);

/* svm_evict.c */

/*
 * @page, a device page that the caller references, is wanted where it is: its block leaves VRAM last. *last is
 * the block of the call before, NULL at first, so that a walk touches each block once. @job: the prefetch, as
 * klttm_svm_block_create() knows it. Any process context.
 */
void svm_page_used(struct page *page, struct klttm_block **last, u64 job);

/* svm_memcg.c */

/*
 * How many of @npages fresh pages the memory cgroup of @mm takes without killing anybody. @pages collects what holds
 * the room until svm_charge_done(), right before the pages are charged. Context: the process itself; may sleep.
 */
unsigned long svm_charge_try(struct mm_struct *mm, unsigned long npages, struct list_head *pages);
void svm_charge_done(struct list_head *pages);

/* svm_account.c */

struct svm_account *svm_account_create(pid_t tgid);
struct svm_account *svm_account_get(struct svm_account *account);
/* Context: any. */
void svm_account_put(struct svm_account *account);
/* The process is torn down: its reference, and what is left are pages of somebody else. */
void svm_account_close(struct svm_account *account);
/* The process's mm with a reference to its address space (drop with mmput_async()), NULL if that is going. */
struct mm_struct *svm_account_mm_get(struct svm_account *account);
pid_t svm_account_tgid(const struct svm_account *account);
struct svm_account *svm_block_account(const struct klttm_block *block);
/*
 * The cookie of a block: its account, and whether its pages may be executed. The block owns a
 * reference.
 */
void *svm_block_cookie(struct svm_account *account, bool exec);
bool svm_block_exec(const struct klttm_block *block);

#endif
