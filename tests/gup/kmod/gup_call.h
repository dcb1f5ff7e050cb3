/* SPDX-License-Identifier: GPL-2.0 */
/* One GUP call of any flavour; see gup_call.c. */
#ifndef GUP_CALL_H
#define GUP_CALL_H

#include <linux/types.h>

struct page;

/* What to call, checked by gup_call_check(). */
struct gup_call {
	unsigned long addr;	/* page aligned */
	unsigned long npages;	/* 1..KFDLAB_GUP_MAX_PAGES */
	u32 path;		/* enum kfdlab_gup_path */
	u32 flags;		/* KFDLAB_GUP_* */
	pid_t pid;		/* REMOTE: 0 = the caller */
};

/*
 * Is this a flavour of this kernel, over a sane range? 0, -EINVAL or -EOPNOTSUPP. Only the shape is
 * checked: whether anything is mapped there is GUP's to say.
 */
int gup_call_check(const struct gup_call *call);
/*
 * Make the call. Returns what GUP returned: pages taken (perhaps fewer than asked for) or a
 * negative errno; -ESRCH when the remote process is gone. *ns gets the duration of the GUP function
 * itself. Context: may sleep.
 */
long gup_call_run(const struct gup_call *call, struct page **pages, u64 *ns);

#endif
