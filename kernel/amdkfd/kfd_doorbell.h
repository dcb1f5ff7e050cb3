/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Doorbells of a process: one slice of 8 KiB of each GPU's BAR 2, 1024 doorbells of 8 bytes, its own alone from the
 * first use until the process is gone.
 *
 * They are memory, so the device has to look at them. It sleeps only when no CPU mapping of them exists, which is
 * then made again by a fault that wakes it (docs/device.md, "Doorbells of user queues").
 */
#ifndef KFD_DOORBELL_H
#define KFD_DOORBELL_H

#include "kfd_process.h"

/* The thunk's idea of a process's doorbells; upstream's for gfx9. */
#define KFD_DOORBELL_SLICE_BYTES	0x2000u

/*
 * Offsets for mmap() of /dev/kfd, which user space takes as they come: bits 63:62 what, 61:46 gpu_id, the rest 0
 * (reference: kfd_priv.h of amdkfd).
 */
#define KFD_MMAP_TYPE_SHIFT	62
#define KFD_MMAP_TYPE_DOORBELL	3ull
#define KFD_MMAP_TYPE_EVENTS	2ull
#define KFD_MMAP_GPU_ID_SHIFT	46
#define KFD_MMAP_GPU_ID_MASK	0xffffull
#define KFD_MMAP_REST_MASK	((1ull << KFD_MMAP_GPU_ID_SHIFT) - 1)

static inline u64 kfd_doorbell_mmap_offset(const struct kfd_dev *dev)
{
	return KFD_MMAP_TYPE_DOORBELL << KFD_MMAP_TYPE_SHIFT | (u64)dev->gpu_id << KFD_MMAP_GPU_ID_SHIFT;
}

/* The address space of all files of /dev/kfd, so that mappings of doorbells can be found. */
int kfd_doorbell_module_init(void);
void kfd_doorbell_module_fini(void);
void kfd_doorbell_open(struct file *filp);

void kfd_doorbell_init(struct kfd_dev *dev);
/* Context: its interrupts do not come any more, and dev->rings is there still. */
void kfd_doorbell_fini(struct kfd_dev *dev);
/* The device says that its queues are idle. Context: any. */
void kfd_doorbell_idle(struct kfd_dev *dev);

/* Make sure that the process has a slice, zeroed when it got it. -ENOMEM: all are taken. Context: any that may sleep. */
int kfd_doorbell_get(struct kfd_process *p, struct kfd_dev *dev);
/* Guest-physical address of the process's slice, which it has. */
phys_addr_t kfd_doorbell_phys(const struct kfd_process *p, const struct kfd_dev *dev);
/* Clear one of the process's doorbells for a new queue. Returns its offset from KFDLAB_BAR_DOORBELLS. */
u32 kfd_doorbell_reset(struct kfd_process *p, struct kfd_dev *dev, u32 number);
/* Map all of the slice. -EINVAL: another length, or a private mapping; -ENOMEM. Locking: mmap_lock for writing. */
int kfd_doorbell_mmap(struct kfd_process *p, struct kfd_dev *dev, struct vm_area_struct *vma);
/* Give the slices back. Context: teardown; no thread can reach a mapping, and no queue is left. */
void kfd_doorbell_put_all(struct kfd_process *p);

#endif
