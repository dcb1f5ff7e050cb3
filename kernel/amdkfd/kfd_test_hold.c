// SPDX-License-Identifier: GPL-2.0
/*
 * KFDLAB_TEST_HOLD: the caller holds its own mmap lock, the lock of one of its pages, or that of its KFD process,
 * until a word of its memory changes. Real programs hold these for as long as a slow file system takes to answer; a test needs the
 * same for as long as it looks.
 *
 * The word's page is pinned beforehand, since nothing can be faulted in under these locks. Any signal and a
 * time limit end the hold, so no caller can keep a lock that another process waits for.
 */
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "kfd_process.h"
#include "kfd_test.h"
#include "uapi/kfdlab_test.h"

#define HOLD_MAX_MS	60000u
#define WORD_HELD	1u

/* Say so in the word, and wait until user space writes something else there. */
static long wait_for_word(struct page *page, unsigned long offset, u32 timeout_ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(timeout_ms);
	u32 *word = kmap_local_page(page) + offset;
	long ret = 0;

	smp_store_release(word, WORD_HELD);
	while (READ_ONCE(*word) == WORD_HELD) {
		if (signal_pending(current))
			ret = -EINTR;
		else if (time_after(jiffies, end))
			ret = -ETIMEDOUT;
		if (ret)
			break;
		schedule_timeout_interruptible(1);
	}
	kunmap_local(word);
	return ret;
}

static long hold_mmap_lock(const struct kfdlab_test_hold *args, struct page *word)
{
	struct mm_struct *mm = current->mm;
	bool write = args->what == KFDLAB_HOLD_MMAP_WRITE;
	long ret;

	if (write ? mmap_write_lock_killable(mm) : mmap_read_lock_killable(mm))
		return -EINTR;
	ret = wait_for_word(word, offset_in_page(args->word), args->timeout_ms);
	if (write)
		mmap_write_unlock(mm);
	else
		mmap_read_unlock(mm);
	return ret;
}

static long hold_page_lock(const struct kfdlab_test_hold *args, struct page *word)
{
	struct page *page;
	long ret;

	ret = get_user_pages_fast(args->addr, 1, 0, &page);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	ret = -EINTR;
	if (!folio_lock_killable(page_folio(page))) {
		ret = wait_for_word(word, offset_in_page(args->word), args->timeout_ms);
		unlock_page(page);
	}
	put_page(page);
	return ret;
}

struct hold_process {
	const struct kfdlab_test_hold *args;
	struct page *word;
};

static int hold_process_lock(struct kfd_process *p, struct mm_struct *mm, void *arg)
{
	const struct hold_process *hold = arg;
	int ret;

	if (mm != current->mm)
		return 0;
	if (mutex_lock_killable(&p->lock))
		return -EINTR;
	ret = wait_for_word(hold->word, offset_in_page(hold->args->word), hold->args->timeout_ms);
	mutex_unlock(&p->lock);
	return ret ?: 1;
}

static long hold_own_process(const struct kfdlab_test_hold *args, struct page *word)
{
	struct hold_process hold = { .args = args, .word = word };
	int ret = kfd_process_for_each_mm(hold_process_lock, &hold);

	return ret == 1 ? 0 : ret ?: -ESRCH;
}

static long hold(const struct kfdlab_test_hold *args, struct page *word)
{
	switch (args->what) {
	case KFDLAB_HOLD_PAGE:
		return hold_page_lock(args, word);
	case KFDLAB_HOLD_PROCESS:
		return hold_own_process(args, word);
	default:
		return hold_mmap_lock(args, word);
	}
}

long kfd_test_hold(void __user *argp)
{
	struct kfdlab_test_hold args;
	struct page *word;
	long ret;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	if (args.what < KFDLAB_HOLD_MMAP_READ || args.what > KFDLAB_HOLD_PROCESS || !args.timeout_ms ||
	    args.timeout_ms > HOLD_MAX_MS || !IS_ALIGNED(args.word, sizeof(u32)))
		return -EINVAL;
	if (args.what == KFDLAB_HOLD_PAGE ? !PAGE_ALIGNED(args.addr) : args.addr)
		return -EINVAL;

	ret = pin_user_pages_fast(args.word & PAGE_MASK, 1, FOLL_WRITE, &word);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	ret = hold(&args, word);
	unpin_user_pages_dirty_lock(&word, 1, true);
	return ret;
}
