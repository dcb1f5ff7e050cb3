// SPDX-License-Identifier: GPL-2.0
/*
 * Holds: who owns page references between a GUP call and their release. A reference is given back
 * exactly once and by the function that matches how it was taken (unpin for FOLL_PIN, put for
 * FOLL_GET).
 */
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/kfdlab_gup.h>

#include "gup_call.h"
#include "gup_hold.h"

/* So that a hold of a gigabyte does not keep a CPU for itself. */
#define PAGES_PER_TURN	512UL

static u64 count_coherent(struct page **pages, unsigned long npages)
{
	unsigned long i;
	u64 coherent = 0;

	for (i = 0; i < npages; i++) {
		coherent += is_device_coherent_page(pages[i]);
		if (i % PAGES_PER_TURN == 0)
			cond_resched();
	}
	return coherent;
}

struct gup_hold *gup_hold_create(const struct gup_call *call)
{
	struct gup_hold *hold;
	long got;
	int err;

	hold = kzalloc(sizeof(*hold), GFP_KERNEL_ACCOUNT);
	if (!hold)
		return ERR_PTR(-ENOMEM);
	hold->pages = kvcalloc(call->npages, sizeof(*hold->pages), GFP_KERNEL_ACCOUNT);
	if (!hold->pages) {
		err = -ENOMEM;
		goto err_free_hold;
	}

	got = gup_call_run(call, hold->pages, &hold->ns);
	if (got < 0) {
		err = got;
		goto err_free_pages;
	}
	hold->asked = call->npages;
	hold->npages = got;
	hold->flags = call->flags;
	hold->vram = count_coherent(hold->pages, hold->npages);
	return hold;

err_free_pages:
	kvfree(hold->pages);
err_free_hold:
	kfree(hold);
	return ERR_PTR(err);
}

static void put_run(struct gup_hold *hold, unsigned long first, unsigned long n, bool dirty)
{
	unsigned long i;

	if (hold->flags & KFDLAB_GUP_PIN) {
		unpin_user_pages_dirty_lock(hold->pages + first, n, dirty);
		return;
	}
	for (i = first; i < first + n; i++) {
		if (dirty)
			set_page_dirty_lock(hold->pages[i]);
		put_page(hold->pages[i]);
	}
}

void gup_hold_destroy(struct gup_hold *hold, bool dirty)
{
	unsigned long first;

	dirty |= hold->written;
	for (first = 0; first < hold->npages; first += PAGES_PER_TURN) {
		put_run(hold, first, min(PAGES_PER_TURN, hold->npages - first), dirty);
		cond_resched();
	}
	kvfree(hold->pages);
	kfree(hold);
}

/*
 * Writes go through @bounce: a failing copy_from_user() clears what it could not fill, and held
 * pages are the last place for that.
 */
static int copy_page_part(struct page *page, size_t in_page, size_t bytes, void __user *buf,
			  void *bounce)
{
	if (bounce) {
		if (copy_from_user(bounce, buf, bytes))
			return -EFAULT;
		memcpy_to_page(page, in_page, bounce, bytes);
	} else {
		char *mapped = kmap_local_page(page);
		unsigned long left = copy_to_user(buf, mapped + in_page, bytes);

		kunmap_local(mapped);
		if (left)
			return -EFAULT;
	}
	return 0;
}

int gup_hold_access(struct gup_hold *hold, u64 offset, u64 size, void __user *buf, bool write)
{
	u64 held = (u64)hold->npages << PAGE_SHIFT;
	void *bounce = NULL;
	int err = 0;

	if (!size || offset > held || size > held - offset)
		return -EINVAL;
	if (write) {
		if (!(hold->flags & KFDLAB_GUP_WRITE))
			return -EPERM;
		bounce = kmalloc(PAGE_SIZE, GFP_KERNEL);
		if (!bounce)
			return -ENOMEM;
		hold->written = true;
	}

	while (size) {
		size_t in_page = offset_in_page(offset);
		size_t bytes = min_t(u64, PAGE_SIZE - in_page, size);

		err = copy_page_part(hold->pages[offset >> PAGE_SHIFT], in_page, bytes, buf,
				     bounce);
		if (err)
			break;
		if (signal_pending(current)) {
			err = -EINTR;
			break;
		}
		cond_resched();
		offset += bytes;
		buf += bytes;
		size -= bytes;
	}
	kfree(bounce);
	return err;
}
