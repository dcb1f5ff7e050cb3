/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kfdlab_amdgpu offers kfdlab_dmirror, the module behind which the kernel's own hmm-tests judge this driver's
 * memory: one GPU as a place where pages of the calling process can go, nothing more. The only symbols the driver
 * exports, in the namespace KFDLAB_MIRROR.
 *
 * A mirror is a user of the KFD as an open /dev/kfd is: it makes its process known to the driver, and as long as it is
 * open neither GPUs nor the module go. The pages it moves are those of SVM: of the same blocks, on the same accounts,
 * as evictable.
 */
#ifndef KFD_MIRROR_H
#define KFD_MIRROR_H

#include <linux/types.h>

struct kfd_mirror;
struct page;

/* Pages one kfd_mirror_copy() takes. */
#define KFD_MIRROR_BATCH	512u

enum kfd_mirror_place {
	KFD_MIRROR_ELSEWHERE,	/* RAM, or a device that is not ours */
	KFD_MIRROR_LOCAL,	/* VRAM of the mirror's GPU */
	KFD_MIRROR_REMOTE,	/* VRAM of another GPU of this driver */
};

/*
 * A mirror of current's mm on GPU number @gpu. ERR_PTR: -ENODEV no such GPU, or one comes or goes; -ENOMEM; -EINTR.
 * Context: process, no mmap lock held. _close(): any process.
 */
struct kfd_mirror *kfd_mirror_open(unsigned int gpu);
void kfd_mirror_close(struct kfd_mirror *mirror);
/* May current use the mirror? 0; -EBADF: it is another mm's; -ESRCH: the mm is going. */
int kfd_mirror_check(const struct kfd_mirror *mirror);

/*
 * Move the pages of [start, end) (bytes) that are in RAM to the GPU, or those that are on this GPU to RAM. Best effort
 * like a prefetch: pages of other places and kinds, pages that somebody holds and those for which there is no room
 * stay. Returns how many moved; -ENOMEM. Context: kfd_mirror_check() said 0; no lock of the process held.
 */
long kfd_mirror_to_vram(struct kfd_mirror *mirror, unsigned long start, unsigned long end);
long kfd_mirror_to_ram(struct kfd_mirror *mirror, unsigned long start, unsigned long end);

/*
 * TTM evicts all that can leave the GPU's VRAM, whosever it is. 0; -ENOMEM: RAM would get short; -EINTR: a signal;
 * -ENODEV. Context: may sleep, no lock held.
 */
int kfd_mirror_evict(struct kfd_mirror *mirror);

/* Where @page is. Context: any; the page stays meanwhile. */
enum kfd_mirror_place kfd_mirror_place(const struct kfd_mirror *mirror, struct page *page);

/*
 * The GPU copies @n (1..KFD_MIRROR_BATCH) pages, RAM or VRAM, or the CPU does if there is no device. All is in place on
 * return. Locking: calls for one mirror are serialised; allocates nothing and takes the locks of level 10 and below, so
 * a lock that MMU notifiers take may be held.
 */
void kfd_mirror_copy(struct kfd_mirror *mirror, struct page **to, struct page **from, unsigned int n);

#endif
