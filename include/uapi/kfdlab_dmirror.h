/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What the kernel's hmm-tests say to /dev/hmm_dmirror<n>: numbers and layouts, in our own words. The source of the
 * facts is lib/test_hmm_uapi.h of 6.1 and 6.12, which is the same file; it belongs to a test module, so it is not
 * among the installed headers.
 *
 * All requests name whole pages of the caller's address space. Errors, beside those named: -EINVAL a misaligned
 * address, no pages or too many; -EFAULT ptr; -EBADF the file is another address space's; -EINTR a fatal signal.
 */
#ifndef KFDLAB_DMIRROR_H
#define KFDLAB_DMIRROR_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct kfdlab_dmirror_cmd {
	__u64 addr;	/* in: what the device accesses */
	__u64 ptr;	/* in: where the caller has, or wants, the data */
	__u64 npages;	/* in */
	__u64 cpages;	/* out, on success: pages done */
	__u64 faults;	/* out, on success: how often the device had to fault pages in */
};

#define KFDLAB_DMIRROR_IOCTL(nr)	_IOWR('H', nr, struct kfdlab_dmirror_cmd)
/* The device reads [addr, +npages) to ptr, or writes there what is at ptr. -EFAULT: the CPU might not either. */
#define KFDLAB_DMIRROR_READ		KFDLAB_DMIRROR_IOCTL(0)
#define KFDLAB_DMIRROR_WRITE		KFDLAB_DMIRROR_IOCTL(1)
/*
 * RAM to the device, and what it then reads there to ptr. -EINVAL: no mapping, or one without read permission or of a
 * kind that does not migrate; -ENOENT: not all pages are on the device now.
 */
#define KFDLAB_DMIRROR_MIGRATE_TO_DEV	KFDLAB_DMIRROR_IOCTL(2)
/* Pages on this device to RAM; cpages: those that moved. -EINVAL as above. */
#define KFDLAB_DMIRROR_MIGRATE_TO_SYS	KFDLAB_DMIRROR_IOCTL(3)
/* One byte per page to ptr: what the device would find, without faulting anything in. */
#define KFDLAB_DMIRROR_SNAPSHOT		KFDLAB_DMIRROR_IOCTL(4)
/* Device-exclusive entries. -EOPNOTSUPP here: they need CONFIG_DEVICE_PRIVATE. */
#define KFDLAB_DMIRROR_EXCLUSIVE	KFDLAB_DMIRROR_IOCTL(5)
#define KFDLAB_DMIRROR_CHECK_EXCLUSIVE	KFDLAB_DMIRROR_IOCTL(6)
/* Everything leaves the device's memory, whosever it is. */
#define KFDLAB_DMIRROR_RELEASE		KFDLAB_DMIRROR_IOCTL(7)

/* SNAPSHOT's bytes: ERROR, or one of each group. */
#define KFDLAB_DMIRROR_ERROR		0xff	/* no mapping, or one the device may not read */
#define KFDLAB_DMIRROR_NONE		0x00	/* nothing there yet */
#define KFDLAB_DMIRROR_MAY_READ		0x01
#define KFDLAB_DMIRROR_MAY_WRITE	0x02
#define KFDLAB_DMIRROR_PMD		0x04	/* mapped by one large entry */
#define KFDLAB_DMIRROR_PUD		0x08
#define KFDLAB_DMIRROR_ZERO		0x10	/* the zero page */
#define KFDLAB_DMIRROR_COHERENT_LOCAL	0x40	/* in memory of the device asked */
#define KFDLAB_DMIRROR_COHERENT_REMOTE	0x50	/* in memory of another one */

#endif
