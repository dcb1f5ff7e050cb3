/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Buffers: what ALLOC_MEMORY_OF_GPU made. A buffer is a GPU VA interval with backing (a TTM object, the user's own
 * pages, doorbells, or registers) and a set of GPUs in whose page tables it is. The interval is taken from ALLOC to FREE, so a buffer and an SVM
 * range, or two buffers, never share an address.
 */
#ifndef KFD_MEMORY_H
#define KFD_MEMORY_H

#include "kfd_process.h"
#include "kfd_vm.h"

struct kfd_userptr;
struct kfd_vm_work;

/* GPU virtual addresses of a gfx9 process, inclusive; with this limit the thunk gives out CPU addresses. */
#define KFD_GPUVM_BASE	0x4000ull
#define KFD_GPUVM_LIMIT	((1ull << 47) - 1)
/* LDS and scratch apertures of gfx9, 4 GiB each: compilers and the shader engine know these addresses. */
#define KFD_LDS_BASE		(1ull << 48)
#define KFD_SCRATCH_BASE	(2ull << 48)

struct kfd_buffer {
	struct interval_tree_node va;	/* page numbers; in p->buffer_tree */
	struct kfd_process *process;
	struct kfd_dev *dev;
	u32 flags;			/* KFD_IOC_ALLOC_MEM_FLAGS_* */
	u32 mapped;			/* bit per GPU index; kfd_vm_buffer.c says how it changes */
	bool imported;			/* the object is another owner's too */
	struct klttm_bo *bo;		/* VRAM and GTT; else NULL */
	u64 size;			/* bytes of backing: half of the VA for AQL_QUEUE_MEM */
	u64 user_addr;			/* USERPTR: the CPU address */
	struct file *render;		/* holds bo, and may mmap it; borrowed from p->devices[] */
	struct klttm_mapping *reserved;	/* the interval in the render file's address space */
	struct kfd_userptr *user;	/* USERPTR; else NULL */
	struct klttm_watch watch;	/* of bo, while mapped anywhere */
	/* p->restore.lost, if pages [lost_first, lost_last] of the VA are to be mapped again. Locking: restore.lost_lock */
	struct list_head lost;
	u64 lost_first, lost_last;
};

/* GPU @gpu_id, on which the process acquired its VM; ERR_PTR -EINVAL no such GPU, -ENODEV not acquired. No lock. */
struct kfd_dev *kfd_acquired_dev(struct kfd_process *p, u32 gpu_id);
/*
 * A buffer without backing that owns [va, va + size), both whole pages inside the aperture. ERR_PTR: -EINVAL,
 * -EADDRINUSE, -ENOMEM. It is nobody else's until kfd_buffer_publish(). Locking: takes svms->lock.
 */
struct kfd_buffer *kfd_buffer_create(struct kfd_process *p, struct kfd_dev *dev, u64 va, u64 size);
/* Let the process's render file mmap buf->bo, until the buffer's end. 0 or what klttm_bo_allow() says. */
int kfd_buffer_allow_mmap(struct kfd_process *p, struct kfd_buffer *buf);
/*
 * Give the buffer a handle. From then on it is anybody's: handles can be guessed. On -ENOMEM it is destroyed.
 * Locking: takes p->lock.
 */
int kfd_buffer_publish(struct kfd_process *p, struct kfd_buffer *buf, u64 *handle);
/* The buffer of a handle, NULL: none. Locking: p->lock held. */
struct kfd_buffer *kfd_buffer_find(struct kfd_process *p, u64 handle);
/* Undo kfd_buffer_create(), backing included. The buffer has no handle (any more). Context: may sleep. */
void kfd_buffer_destroy(struct kfd_process *p, struct kfd_buffer *buf);

/*
 * Bytes of VRAM on @dev under buffers that the process allocated, as they lie now: evicted ones are elsewhere, imported
 * ones their maker's. Locking: takes p->lock, and dma_resv of each.
 */
u64 kfd_memory_vram_bytes(struct kfd_process *p, struct kfd_dev *dev);

/*
 * kfd_vm_buffer.c. Map the buffer on one more GPU, wherever its memory is, in the GPU's own table: 0; -ENOMEM; -EINTR;
 * -ERESTARTSYS; -EINVAL. User memory that is not there is left out. Locking: p->lock held.
 */
int kfd_buffer_map_on(struct kfd_buffer *buf, struct kfd_vm *vm);
/* Never fails. Nobody uses the entries any more when it returns. Locking: p->lock held, or nobody knows the buffer. */
void kfd_buffer_unmap_on(struct kfd_buffer *buf, struct kfd_vm *vm);
/*
 * Pages [first, last] of the buffer's VA are about to have other memory: when this returns nobody uses what is mapped,
 * and the process's queues stand still until it is mapped again. Context: notifiers, dma_resv; allocates nothing.
 */
void kfd_buffer_lose(struct kfd_buffer *buf, u64 first, u64 last);
/* Nothing of it is to be mapped again. */
void kfd_buffer_found(struct kfd_buffer *buf);
/* kfd_buffer.watch.moved(): all of it. */
void kfd_buffer_moved(struct klttm_watch *watch);
/* Map what is lost of all buffers. 0: done, or left for later; else why not. Locking: p->restore.run held. */
int kfd_buffers_restore(struct kfd_process *p);

/* kfd_userptr.c. -ENOMEM, -EINTR. Context: the process itself, or its teardown. */
int kfd_userptr_create(struct kfd_process *p, struct kfd_buffer *buf);
void kfd_userptr_destroy(struct kfd_buffer *buf);
/* Pages [first, last] of the VA. Errors of kfd_vm_map_user(). Locking: takes mmap_lock. */
int kfd_userptr_map(struct kfd_buffer *buf, struct kfd_vm *vm, u64 first, u64 last, u64 flags,
		    struct kfd_vm_work *work);

/* Is the object mapped on a GPU, by the process's own buffer? Context: no ioctl of the process runs, or p->lock held. */
bool kfd_memory_is_mapped(struct kfd_process *p, const struct klttm_bo *bo);
/* Bytes of USERPTR buffers of all processes, and what they may be. No lock. */
u64 kfd_memory_user_bytes(void);
u64 kfd_memory_user_limit(void);

void kfd_memory_init(struct kfd_process *p);
/* Free every buffer, mapped or not. Context: teardown; no ioctl of the process runs. */
void kfd_memory_fini(struct kfd_process *p);

/*
 * The GTT object behind @handle with one more reference, and its size in bytes. ERR_PTR(-EINVAL) if there is none
 * or it is no GTT buffer. Locking: p->lock held.
 */
struct klttm_bo *kfd_memory_get_gtt(struct kfd_process *p, u64 handle, u64 *size);

#endif
