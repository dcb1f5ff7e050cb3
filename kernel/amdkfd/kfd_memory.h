/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Buffers: what ALLOC_MEMORY_OF_GPU made. A buffer is a GPU VA interval with backing (a TTM object, or the user's
 * own pages) and a set of GPUs it is mapped to. The interval is taken from ALLOC to FREE, so a buffer and an SVM
 * range, or two buffers, never share an address.
 */
#ifndef KFD_MEMORY_H
#define KFD_MEMORY_H

#include "kfd_process.h"

/* GPU virtual addresses of a gfx9 process, inclusive; with this limit the thunk gives out CPU addresses. */
#define KFD_GPUVM_BASE	0x4000ull
#define KFD_GPUVM_LIMIT	((1ull << 47) - 1)

void kfd_memory_init(struct kfd_process *p);
/* Free every buffer, mapped or not. Context: teardown; no ioctl of the process runs. */
void kfd_memory_fini(struct kfd_process *p);

/*
 * The GTT object behind @handle with one more reference, and its size in bytes. ERR_PTR(-EINVAL) if there is none
 * or it is no GTT buffer. Locking: p->lock held.
 */
struct klttm_bo *kfd_memory_get_gtt(struct kfd_process *p, u64 handle, u64 *size);

#endif
