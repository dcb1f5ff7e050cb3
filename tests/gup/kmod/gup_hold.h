/* SPDX-License-Identifier: GPL-2.0 */
/* A hold: the references one GUP call took; see gup_hold.c. */
#ifndef GUP_HOLD_H
#define GUP_HOLD_H

#include <linux/types.h>

struct gup_call;
struct page;

struct gup_hold {
	struct page **pages;
	unsigned long asked;	/* pages the call asked for */
	unsigned long npages;	/* references held, 0..asked */
	u32 flags;		/* KFDLAB_GUP_* it was taken with */
	bool written;		/* by gup_hold_access(): the pages are dirty at release */
	u64 vram;		/* of npages, device-coherent when GUP returned */
	u64 ns;			/* duration of the GUP call */
};

/*
 * Run @call and keep what it returns. ERR_PTR: -ENOMEM or GUP's own error; nothing is held then. A
 * call that took no page at all gives a hold of 0 pages. Context: may sleep.
 */
struct gup_hold *gup_hold_create(const struct gup_call *call);
/* Give all references back. @dirty: mark the pages dirty first. Cannot fail. Context: may sleep. */
void gup_hold_destroy(struct gup_hold *hold, bool dirty);
/*
 * Copy between the held pages, through the kernel's mapping, and user memory at @buf. @offset and
 * @size in bytes from the first held page. -EINVAL beyond the held pages, -EPERM writing without
 * KFDLAB_GUP_WRITE, -EFAULT bad @buf, -ENOMEM, -EINTR on a signal; a failed copy may have been done
 * in part, by whole pages. Locking: the caller makes sure that the hold is not destroyed meanwhile.
 * Context: may sleep.
 */
int gup_hold_access(struct gup_hold *hold, u64 offset, u64 size, void __user *buf, bool write);

#endif
