// SPDX-License-Identifier: GPL-2.0
/*
 * What the CPU side tells us about a range.
 *
 * The callback runs under locks of mm (the mmap lock for writing, rmap locks) and out of reclaim,
 * so it allocates nothing. It takes a leaf spinlock and, if a GPU maps the range, what stops queues
 * and clears entries (docs/locking.md). munmap takes attributes away: the callback
 * notes the pages in the range's bitmap and queues the range; the tree and the notifiers are edited
 * later, with mmap_lock held for writing, by svm_deferred_flush(). That is early enough, since
 * every SET and GET flushes before it looks; the work only makes memory come back without a further
 * call.
 *
 * Invariant: a page whose bit is set has no attributes, whoever still sees the range.
 */
#include <linux/bitmap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "kfd_restore.h"
#include "kfd_smi.h"
#include "svm_range.h"

/* munmap, or mremap away from here, of [start, last] inside the range. */
static void svm_note_unmap(struct svm_range *range, unsigned long start, unsigned long last)
{
	struct svm_range_list *svms = range->svms;

	lockdep_assert_held(&svms->deferred_lock);
	bitmap_set(range->unmapped, start - range->it.start, last - start + 1);
	if (svms->dying)
		return;
	if (list_empty(&range->deferred))
		list_add_tail(&range->deferred, &svms->deferred);
	queue_work(system_unbound_wq, &svms->deferred_work);
}

static void svm_tell_unmap(struct svm_range *range, const struct mmu_notifier_range *event, unsigned long gpus,
			   unsigned long start, unsigned long last)
{
	enum KFD_SVM_UNMAP_TRIGGERS why = KFD_SVM_UNMAP_TRIGGER_MMU_NOTIFY;
	unsigned int i;

	if (event->event == MMU_NOTIFY_UNMAP)
		why = KFD_SVM_UNMAP_TRIGGER_UNMAP_FROM_CPU;
	else if (event->event == MMU_NOTIFY_MIGRATE)
		why = KFD_SVM_UNMAP_TRIGGER_MMU_NOTIFY_MIGRATE;
	for_each_set_bit(i, &gpus, KFD_MAX_GPUS)
		kfd_smi_unmap_from_gpu(svm_process(range->svms)->tgid, kfd_dev_by_index(i), start, last - start + 1,
				       why);
}

/* GPU translations of the pages are gone before this returns. */
static bool svm_invalidate(struct mmu_interval_notifier *notifier,
			   const struct mmu_notifier_range *event, unsigned long sequence)
{
	struct svm_range *range = container_of(notifier, struct svm_range, notifier);
	struct kfd_process *p = svm_process(range->svms);
	unsigned long start = max(event->start >> PAGE_SHIFT, range->it.start);
	unsigned long last = min((event->end - 1) >> PAGE_SHIFT, range->it.last);
	u32 gpus;

	spin_lock(&range->svms->deferred_lock);
	gpus = range->mapped_to_gpu;
	/*
	 * The OOM reaper may not wait for a device. Nothing was touched yet, so it can ask again.
	 */
	if (gpus && !mmu_notifier_range_blockable(event)) {
		spin_unlock(&range->svms->deferred_lock);
		return false;
	}
	mmu_interval_set_seq(notifier, sequence);
	if (event->event == MMU_NOTIFY_UNMAP)
		svm_note_unmap(range, start, last);
	if (gpus && !p->xnack_enabled)
		svm_range_lose(range, start, last);
	spin_unlock(&range->svms->deferred_lock);

	if (!gpus)
		return true;
	svm_tell_unmap(range, event, gpus, start, last);
	if (!p->xnack_enabled)
		kfd_restore_stop(p, gpus, KFD_QUEUE_EVICTION_TRIGGER_SVM);
	svm_unmap_pages(range->svms, gpus, start, last);
	/* Not before: another event of these pages must wait for the GPU too. Nobody maps anything before this has ended. */
	if (start == range->it.start && last == range->it.last) {
		spin_lock(&range->svms->deferred_lock);
		range->mapped_to_gpu = 0;
		spin_unlock(&range->svms->deferred_lock);
	}
	return true;
}

const struct mmu_interval_notifier_ops svm_notifier_ops = {
	.invalidate = svm_invalidate,
};

bool svm_deferred_pending(struct svm_range_list *svms)
{
	bool pending;

	spin_lock(&svms->deferred_lock);
	pending = !list_empty(&svms->deferred);
	spin_unlock(&svms->deferred_lock);
	return pending;
}

bool svm_range_covers(struct svm_range *range, unsigned long start, unsigned long last)
{
	unsigned long first = max(start, range->it.start) - range->it.start;
	unsigned long end = min(last, range->it.last) - range->it.start + 1;
	bool covers;

	spin_lock(&range->svms->deferred_lock);
	covers = find_next_zero_bit(range->unmapped, end, first) < end;
	spin_unlock(&range->svms->deferred_lock);
	return covers;
}

/* Runs of pages that are left: returns their number, the first @room of them in @pieces. */
static unsigned long svm_left_pieces(struct svm_range *range, struct svm_piece *pieces,
				     unsigned long room)
{
	unsigned long npages = svm_range_npages(range), n = 0, at = 0;

	lockdep_assert_held(&range->svms->deferred_lock);
	while ((at = find_next_zero_bit(range->unmapped, npages, at)) < npages) {
		unsigned long end = find_next_bit(range->unmapped, npages, at);

		if (n < room)
			pieces[n] = (struct svm_piece){ range->it.start + at,
							range->it.start + end - 1, range->attrs };
		n++;
		at = end;
	}
	return n;
}

/*
 * mmap_lock held for writing keeps munmap out, but not every event that looks like one: 6.1 sends
 * MMU_NOTIFY_UNMAP when pages are punched out of a hugetlb file, without mmap_lock. So the pieces
 * are one look at the bitmap, under its lock, repeated until they fit. What comes later is noted in
 * the new ranges or is lost with the old one; nothing was unmapped either way.
 */
static int svm_cut_unmapped(struct svm_range *range)
{
	struct svm_piece *pieces = NULL;
	unsigned long n, room = 0;
	int ret;

	for (;;) {
		spin_lock(&range->svms->deferred_lock);
		n = svm_left_pieces(range, pieces, room);
		spin_unlock(&range->svms->deferred_lock);
		if (n <= room)
			break;
		kvfree(pieces);
		room = n;
		pieces = kvmalloc_array(room, sizeof(*pieces), GFP_KERNEL_ACCOUNT);
		if (!pieces)
			return -ENOMEM;
	}
	ret = svm_ranges_replace(range->svms, &range, 1, pieces, n);
	kvfree(pieces);
	return ret;
}

static struct svm_range *svm_deferred_pop(struct svm_range_list *svms)
{
	struct svm_range *range;

	spin_lock(&svms->deferred_lock);
	range = list_first_entry_or_null(&svms->deferred, struct svm_range, deferred);
	if (range)
		list_del_init(&range->deferred);
	spin_unlock(&svms->deferred_lock);
	return range;
}

int svm_deferred_flush(struct svm_range_list *svms)
{
	struct svm_range *range;
	int ret;

	lockdep_assert_held_write(&svm_mm(svms)->mmap_lock);
	lockdep_assert_held(&svms->lock);
	while ((range = svm_deferred_pop(svms))) {
		ret = svm_cut_unmapped(range);
		if (ret) {
			spin_lock(&svms->deferred_lock);
			list_add(&range->deferred, &svms->deferred);
			spin_unlock(&svms->deferred_lock);
			return ret;
		}
		cond_resched();
	}
	return 0;
}

void svm_deferred_work(struct work_struct *work)
{
	struct svm_range_list *svms = container_of(work, struct svm_range_list, deferred_work);
	struct mm_struct *mm = svm_mm(svms);

	if (!mmget_not_zero(mm))
		return;		/* exiting: svm_range_list_fini() frees everything */
	mmap_write_lock(mm);
	mutex_lock(&svms->lock);
	/* Out of memory: the ranges stay queued for the next ioctl or munmap. */
	svm_deferred_flush(svms);
	mutex_unlock(&svms->lock);
	mmap_write_unlock(mm);
	/* The last user may be us, and the process's teardown waits for this work. */
	mmput_async(mm);
}
