// SPDX-License-Identifier: GPL-2.0
/*
 * The page table of the mirrored address space and the device's accesses through it; dmirror.h has the invariant.
 *
 * An access copies what the table has, a batch at a time with the lock held, and faults the rest in when something is
 * missing. The data passes through pages of our own, since user memory cannot be touched under the lock.
 */
#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "dmirror.h"

/* Pages looked at in one go. */
#define DMIRROR_LOOK	64ul

/* ---- entries ---- */

static void *dmirror_entry(unsigned long pfn, bool writable)
{
	return xa_mk_value(pfn << 1 | writable);
}

/* The page, if there is an entry that allows the access. */
static struct page *dmirror_lookup(struct dmirror *mirror, unsigned long page, bool write)
{
	void *entry = xa_load(&mirror->table, page);

	lockdep_assert_held(&mirror->lock);
	if (!entry || (write && !(xa_to_value(entry) & 1)))
		return NULL;
	return pfn_to_page(xa_to_value(entry) >> 1);
}

static int dmirror_enter(struct dmirror *mirror, unsigned long page, unsigned long hmm_pfn)
{
	/* No waiting for memory: reclaim calls our notifier, which takes the lock. */
	void *old = xa_store(&mirror->table, page,
			     dmirror_entry(hmm_pfn & ~HMM_PFN_FLAGS, hmm_pfn & HMM_PFN_WRITE),
			     GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);

	lockdep_assert_held(&mirror->lock);
	return xa_err(old);
}

static bool dmirror_invalidate(struct mmu_interval_notifier *notifier, const struct mmu_notifier_range *event,
			       unsigned long sequence)
{
	struct dmirror *mirror = container_of(notifier, struct dmirror, notifier);
	unsigned long page;
	void *entry;

	if (mmu_notifier_range_blockable(event))
		mutex_lock(&mirror->lock);
	else if (!mutex_trylock(&mirror->lock))
		return false;
	mmu_interval_set_seq(notifier, sequence);
	xa_for_each_range(&mirror->table, page, entry, event->start >> PAGE_SHIFT, (event->end - 1) >> PAGE_SHIFT)
		xa_erase(&mirror->table, page);
	mutex_unlock(&mirror->lock);
	return true;
}

const struct mmu_interval_notifier_ops dmirror_notifier_ops = {
	.invalidate = dmirror_invalidate,
};

/* ---- filling ---- */

int dmirror_look(struct dmirror *mirror, struct hmm_range *range)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(HMM_RANGE_DEFAULT_TIMEOUT);
	struct mm_struct *mm = mirror->notifier.mm;
	int ret;

	range->notifier = &mirror->notifier;
	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		range->notifier_seq = mmu_interval_read_begin(range->notifier);
		if (mmap_read_lock_killable(mm))
			return -EINTR;
		ret = hmm_range_fault(range);
		mmap_read_unlock(mm);
		if (!ret) {
			mutex_lock(&mirror->lock);
			if (!mmu_interval_read_retry(range->notifier, range->notifier_seq))
				return 0;
			mutex_unlock(&mirror->lock);
			ret = -EBUSY;
		}
	} while (ret == -EBUSY && time_before(jiffies, deadline));
	return ret;
}

typedef bool dmirror_wanted_fn(struct dmirror *mirror, unsigned long hmm_pfn);

static bool dmirror_any(struct dmirror *mirror, unsigned long hmm_pfn)
{
	return true;
}

static bool dmirror_local(struct dmirror *mirror, unsigned long hmm_pfn)
{
	return kfd_mirror_place(mirror->gpu, hmm_pfn_to_page(hmm_pfn)) == KFD_MIRROR_LOCAL;
}

/* Enter what is there and @wanted; @flags as in hmm_range.default_flags. */
static int dmirror_fill(struct dmirror *mirror, unsigned long start, unsigned long end, unsigned long flags,
			dmirror_wanted_fn *wanted)
{
	unsigned long pfns[DMIRROR_LOOK];
	struct hmm_range range = { .hmm_pfns = pfns, .default_flags = flags };
	unsigned long i;
	int ret = 0;

	for (; start < end && !ret; start = range.end) {
		range.start = start;
		range.end = min(end, start + (DMIRROR_LOOK << PAGE_SHIFT));
		memset(pfns, 0, sizeof(pfns));
		ret = dmirror_look(mirror, &range);
		if (ret)
			return ret;
		for (i = 0; i < (range.end - start) >> PAGE_SHIFT && !ret; i++)
			if (pfns[i] & HMM_PFN_VALID && wanted(mirror, pfns[i]))
				ret = dmirror_enter(mirror, (start >> PAGE_SHIFT) + i, pfns[i]);
		mutex_unlock(&mirror->lock);
	}
	return ret;
}

int dmirror_enter_local(struct dmirror *mirror, unsigned long start, unsigned long end)
{
	return dmirror_fill(mirror, start, end, 0, dmirror_local);
}

/* ---- accesses ---- */

/* How many pages from @start on the table has, at most a batch; they are in mirror->pages. */
static unsigned int dmirror_collect(struct dmirror *mirror, unsigned long start, unsigned long end, bool write)
{
	unsigned long n = min_t(unsigned long, KFD_MIRROR_BATCH, (end - start) >> PAGE_SHIFT);
	unsigned int i;

	for (i = 0; i < n; i++) {
		mirror->pages[i] = dmirror_lookup(mirror, (start >> PAGE_SHIFT) + i, write);
		if (!mirror->pages[i])
			break;
	}
	return i;
}

static unsigned int dmirror_copy_out(struct dmirror *mirror, unsigned long start, unsigned long end)
{
	unsigned int n;

	mutex_lock(&mirror->lock);
	n = dmirror_collect(mirror, start, end, false);
	if (n)
		kfd_mirror_copy(mirror->gpu, mirror->bounce_pages, mirror->pages, n);
	mutex_unlock(&mirror->lock);
	return n;
}

static unsigned int dmirror_copy_in(struct dmirror *mirror, unsigned long start, unsigned long end)
{
	unsigned int i, n;

	mutex_lock(&mirror->lock);
	n = dmirror_collect(mirror, start, end, true);
	if (n)
		kfd_mirror_copy(mirror->gpu, mirror->pages, mirror->bounce_pages, n);
	/* HMM looks whether a page may be written, not whether it is known to have been. */
	for (i = 0; i < n; i++)
		folio_mark_dirty(page_folio(mirror->pages[i]));
	mutex_unlock(&mirror->lock);
	return n;
}

int dmirror_peek(struct dmirror *mirror, unsigned long start, unsigned long end, void __user *to)
{
	while (start < end) {
		unsigned long bytes = (unsigned long)dmirror_copy_out(mirror, start, end) << PAGE_SHIFT;

		if (!bytes)
			return -ENOENT;
		if (copy_to_user(to, mirror->bounce, bytes))
			return -EFAULT;
		to += bytes;
		start += bytes;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

int dmirror_read(struct dmirror *mirror, unsigned long start, unsigned long end, void __user *to, u64 *faults)
{
	while (start < end) {
		unsigned long bytes = (unsigned long)dmirror_copy_out(mirror, start, end) << PAGE_SHIFT;
		int ret;

		if (copy_to_user(to, mirror->bounce, bytes))
			return -EFAULT;
		to += bytes;
		start += bytes;
		if (bytes)
			continue;
		ret = dmirror_fill(mirror, start, end, HMM_PFN_REQ_FAULT, dmirror_any);
		if (ret)
			return ret;
		++*faults;
	}
	return 0;
}

int dmirror_write(struct dmirror *mirror, unsigned long start, unsigned long end, const void __user *from, u64 *faults)
{
	while (start < end) {
		unsigned long bytes = min(end - start, KFD_MIRROR_BATCH * PAGE_SIZE);
		int ret;

		if (copy_from_user(mirror->bounce, from, bytes))
			return -EFAULT;
		bytes = (unsigned long)dmirror_copy_in(mirror, start, end) << PAGE_SHIFT;
		from += bytes;
		start += bytes;
		if (bytes)
			continue;
		ret = dmirror_fill(mirror, start, end, HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE, dmirror_any);
		if (ret)
			return ret;
		++*faults;
	}
	return 0;
}
