/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kfdlab_dmirror: devices /dev/hmm_dmirror<n> as the kernel's hmm-tests know them from its test_hmm module, on the
 * SVM and the evictable VRAM of kfdlab_amdgpu. What moves pages, owns their memory and copies them is the driver;
 * here is only what the tests mean by a device: a page table of one address space, kept right by an MMU interval
 * notifier and filled by hmm_range_fault().
 *
 *   dmirror_chardev    nodes, open and release, mmap     dmirror_ioctl      requests
 *   dmirror_table      the page table and accesses       dmirror_snapshot   what a page table entry says
 *
 * Invariant: a table entry is what the CPU's page table says, or a notifier of the change waits for dmirror.lock. So
 * the page behind an entry may be used for as long as the lock is held, without a reference.
 */
#ifndef DMIRROR_H
#define DMIRROR_H

#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

#include "kernel/amdkfd/kfd_mirror.h"
#include "uapi/kfdlab_dmirror.h"

struct hmm_range;

/* An open file: the mirror of one address space on one device. */
struct dmirror {
	struct kfd_mirror *gpu;
	struct mmu_interval_notifier notifier;	/* of the whole address space */
	/* Level 9 of docs/locking.md: taken by notifiers, so nothing waits for memory under it. */
	struct mutex lock;			/* table, gpu's copies */
	struct xarray table;			/* page number -> frame and whether it may be written */
	struct mutex access;			/* one request at a time that uses what is below; level 1 */
	void *bounce;				/* KFD_MIRROR_BATCH pages */
	struct page *bounce_pages[KFD_MIRROR_BATCH], *pages[KFD_MIRROR_BATCH];
};

/* dmirror_ioctl.c */
long dmirror_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/*
 * dmirror_table.c. [start, end) in bytes, whole pages of user space; the file is current's own. Locking: access for
 * those that copy.
 */
extern const struct mmu_interval_notifier_ops dmirror_notifier_ops;
/* Look at the CPU's page table and take @range's entries with lock held; on success it stays held. -EBUSY: too long. */
int dmirror_look(struct dmirror *mirror, struct hmm_range *range);
/* Enter those pages that are in the device's memory, fault nothing in. */
int dmirror_enter_local(struct dmirror *mirror, unsigned long start, unsigned long end);
/*
 * The device's accesses; what is missing is faulted in, and *faults counts how often. -EFAULT: not to be had. _peek()
 * reads what is in the table: -ENOENT: not all.
 */
int dmirror_read(struct dmirror *mirror, unsigned long start, unsigned long end, void __user *to, u64 *faults);
int dmirror_write(struct dmirror *mirror, unsigned long start, unsigned long end, const void __user *from, u64 *faults);
int dmirror_peek(struct dmirror *mirror, unsigned long start, unsigned long end, void __user *to);

/* dmirror_snapshot.c */
int dmirror_snapshot(struct dmirror *mirror, unsigned long start, unsigned long end, u8 __user *to);

#endif
