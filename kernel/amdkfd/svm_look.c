// SPDX-License-Identifier: GPL-2.0
/*
 * Looking at page tables from outside the process: hmm_range_fault() with nothing required is a look that faults
 * nothing in. (get_user_pages() either faults or works on current only.)
 */
#include <linux/hmm.h>
#include <linux/sched/signal.h>

#include "svm_look.h"

#define SVM_LOOK_TRIES	16

static void svm_count_entry(unsigned long entry, struct svm_residency *count)
{
	struct kfd_dev *dev;

	if (!(entry & HMM_PFN_VALID) || entry & HMM_PFN_ERROR) {
		count->none++;
		return;
	}
	/* By its number: no reference is held, and another driver's struct page may be going. */
	dev = kfd_frame_dev(entry & ~HMM_PFN_FLAGS);
	if (dev)
		count->vram[dev->index]++;
	else
		count->ram++;
}

int svm_range_look(struct svm_range *range, unsigned long *pfns, struct svm_residency *count)
{
	struct hmm_range look = { .notifier = &range->notifier, .hmm_pfns = pfns };
	unsigned long at, next, i;
	unsigned int tries;
	int ret;

	lockdep_assert_held(&range->svms->lock);
	memset(count, 0, sizeof(*count));
	for (at = range->it.start; at <= range->it.last; at = next) {
		next = min(at + SVM_LOOK_PAGES, range->it.last + 1);
		look.start = at << PAGE_SHIFT;
		look.end = next << PAGE_SHIFT;
		ret = -EBUSY;
		for (tries = 0; tries < SVM_LOOK_TRIES && ret == -EBUSY; tries++) {
			memset(pfns, 0, (next - at) * sizeof(*pfns));
			look.notifier_seq = mmu_interval_read_begin(&range->notifier);
			ret = hmm_range_fault(&look);
		}
		if (ret)
			return ret;
		for (i = 0; i < next - at; i++)
			svm_count_entry(pfns[i], count);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}
