/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page of registers that ALLOC with MMIO_REMAP gives out: on AMD's GPUs the two that flush the HDP cache
 * (KFD_MMIO_REMAP_HDP_*), written by CPUs and shaders after they wrote VRAM. VRAM is coherent memory here, so there is
 * nothing to flush, and the page is RAM of the process's own that remembers what was written.
 */
#ifndef KFD_MMIO_H
#define KFD_MMIO_H

#include "kfd_process.h"

/* Offset for mmap() of /dev/kfd, see kfd_doorbell.h: type 0. */
#define KFD_MMAP_TYPE_MMIO	0ull

static inline u64 kfd_mmio_mmap_offset(const struct kfd_dev *dev)
{
	return (u64)dev->gpu_id << KFD_MMAP_GPU_ID_SHIFT;
}

/* Make sure that the process has its page for @dev, zeroed when it got it. -ENOMEM. Context: any that may sleep. */
int kfd_mmio_get(struct kfd_process *p, struct kfd_dev *dev);
/* Physical address of the page, which the process has. */
phys_addr_t kfd_mmio_phys(const struct kfd_process *p, const struct kfd_dev *dev);
/* Map it. -EINVAL: not one page, or a private mapping; -ENXIO: nothing was allocated. Locking: mmap_lock, writing. */
int kfd_mmio_mmap(struct kfd_process *p, struct kfd_dev *dev, struct vm_area_struct *vma);
/* Context: teardown; no GPU maps the page any more. A CPU mapping keeps it until that goes. */
void kfd_mmio_put_all(struct kfd_process *p);

#endif
