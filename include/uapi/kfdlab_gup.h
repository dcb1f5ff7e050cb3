/* SPDX-License-Identifier: MIT */
/*
 * ABI of the pin module kfdlab_gup: /dev/kfdlab_gup, root only. It takes and holds page references in every
 * flavour of get_user_pages(). Flags are its own, since raw FOLL_* values differ between kernels.
 *
 * A hold belongs to the open file that made it; close releases what is left.
 * Errors: EINVAL bad flavour, flag, alignment, zero, wrapping range or npages > KFDLAB_GUP_MAX_PAGES; ENOENT no
 * such hold; EOPNOTSUPP the flavour does not exist on this kernel (pin_user_pages_unlocked with LONGTERM on
 * 6.1); ESRCH no such pid; ENOSPC more than KFDLAB_GUP_MAX_PAGES over all holds of the file; EPERM writing or
 * dirtying through a hold without KFDLAB_GUP_WRITE, or open without CAP_SYS_ADMIN; EINTR a signal; anything else
 * is what GUP itself returned.
 */
#ifndef KFDLAB_GUP_H
#define KFDLAB_GUP_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KFDLAB_GUP_IOC		'g'
#define KFDLAB_GUP_MAX_PAGES	(1u << 18)

enum kfdlab_gup_path {
	KFDLAB_GUP_FAST = 1,		/* {get,pin}_user_pages_fast */
	KFDLAB_GUP_SLOW = 2,		/* {get,pin}_user_pages under the mmap lock */
	KFDLAB_GUP_UNLOCKED = 3,	/* {get,pin}_user_pages_unlocked */
	KFDLAB_GUP_REMOTE = 4,		/* {get,pin}_user_pages_remote on pid */
	KFDLAB_GUP_FAST_ONLY = 5,	/* get_user_pages_fast_only: never faults (GET only) */
};

#define KFDLAB_GUP_PIN		0x1u	/* FOLL_PIN; without it FOLL_GET */
#define KFDLAB_GUP_LONGTERM	0x2u	/* needs KFDLAB_GUP_PIN */
#define KFDLAB_GUP_WRITE	0x4u

/*
 * Take references to npages from addr and keep them. A short count is a success, as GUP says it: held tells
 * how many. With drop_longterm=1 (module parameter, test-only: the suite's negative control) LONGTERM is
 * silently left out.
 */
struct kfdlab_gup_hold {
	__u64 addr;		/* in, page aligned */
	__u64 npages;		/* in */
	__u32 path;		/* in, enum kfdlab_gup_path */
	__u32 flags;		/* in, KFDLAB_GUP_* */
	__s32 pid;		/* in, REMOTE only: 0 = the caller */
	__u32 id;		/* out: the hold, never 0 */
	__u64 held;		/* out: pages held */
	__u64 vram;		/* out: of those, device-coherent at the moment the call returned */
	__u64 ns;		/* out: duration of the GUP call */
};
#define KFDLAB_GUP_HOLD		_IOWR(KFDLAB_GUP_IOC, 1, struct kfdlab_gup_hold)

struct kfdlab_gup_release {
	__u32 id;		/* in */
	__u32 dirty;		/* in: 1 = unpin_user_pages_dirty_lock */
};
#define KFDLAB_GUP_RELEASE	_IOW(KFDLAB_GUP_IOC, 2, struct kfdlab_gup_release)

/* Read or write through the held pages by their kernel mapping, as a device would by DMA. */
struct kfdlab_gup_access {
	__u32 id;		/* in */
	__u32 write;		/* in: 0 held pages -> buf, 1 buf -> held pages */
	__u64 offset;		/* in, bytes from the first held page */
	__u64 size;		/* in, bytes */
	__u64 buf;		/* in, user pointer */
};
#define KFDLAB_GUP_ACCESS	_IOW(KFDLAB_GUP_IOC, 3, struct kfdlab_gup_access)

#endif
