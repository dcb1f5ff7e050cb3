/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Public face of the kfdlab_ttm module: VRAM as a TTM device, buffer objects, the DRM render node. It is the
 * only header of kernel/ttm that other modules include, and kernel/ttm includes nothing of kernel/amdkfd:
 * the owner of a GPU registers callbacks.
 *
 * VRAM is handed out in blocks. A block is a run of VRAM pages taken from the manager's drm_mm; it is counted
 * by references: one of the TTM resource while the buffer object lives, and for SVM one per device page in
 * use. A block whose object is gone (evicted although somebody still holds a page) is an orphan: it stays busy
 * until its last page comes back, so VRAM that is still referenced is never handed out again.
 */
#ifndef KFDLAB_TTM_H
#define KFDLAB_TTM_H

#include <linux/list.h>
#include <linux/types.h>

struct device;
struct dma_buf;
struct drm_file;
struct file;
struct page;
struct klttm_device;
struct klttm_block;
struct klttm_bo;
struct vm_area_struct;

/* What a GPU looks like to the DRM uAPI (AMDGPU_INFO). */
struct klttm_config {
	u64 vram_base;		/* guest-physical address of the first VRAM byte */
	u64 vram_size;		/* bytes */
	u32 device_id, revision_id;
	u32 compute_units;
	u32 gpu_index;
};

/*
 * Work for the device's copy ring that only passes through: NOPs, then a 64-bit store. The memory is the caller's
 * and belongs to the owner from submit() until done(), which the owner calls exactly once, in process context, with
 * no lock held. Submissions are done in the order in which they were submitted.
 */
struct klttm_submission {
	u32 nop_dwords;		/* 1 or more */
	u64 fence_phys;		/* where to store when all before is done: RAM or VRAM, 8-byte aligned; 0: nowhere */
	u64 fence_value;
	/* @error: 0 the device passed it; -ECANCELED it died first, and stores nothing any more. */
	void (*done)(struct klttm_submission *sub, int error);
	/* The owner's. */
	struct list_head link;
	u32 generation, fence;
};

/*
 * Callbacks of the GPU's owner. All may sleep but resets(); none is called with a spinlock held.
 */
struct klttm_ops {
	/*
	 * Zero or copy VRAM/RAM by guest-physical page runs: used for BO moves and for clearing VRAM before user
	 * space can see it. Never fails: the owner falls back to CPU copies when its device is gone.
	 */
	void (*fill_zero)(void *owner, u64 phys, u64 bytes);
	void (*copy)(void *owner, u64 dst_phys, u64 src_phys, u64 bytes);
	/*
	 * Move the SVM pages of @block back to RAM by page frame. Pages somebody holds stay; the block then becomes
	 * an orphan, and is tried again when an allocation finds no room. -ENOMEM: RAM for some pages could not be
	 * had; then the block is no orphan but stays in the LRU with the pages that are left. Locking: the object's
	 * dma_resv is held (none for an orphan), and the caller of klttm_svm_block_create() may hold any mmap lock:
	 * take none.
	 */
	int (*evict_block)(void *owner, struct klttm_block *block);
	/*
	 * Queue @sub behind everything queued before. Never fails: without a device it is done with -ECANCELED. Called
	 * while others wait for a fence that depends on it: waits for nothing but the device, allocates nothing.
	 */
	void (*submit)(void *owner, struct klttm_submission *sub);
	/* How many device processes have died since the machine started. Any context. */
	u32 (*resets)(void *owner);
};

/* Create TTM device, VRAM manager and DRM device; the render node is live on return. ERR_PTR on failure. */
struct klttm_device *klttm_device_create(struct device *parent, const struct klttm_config *config,
					 const struct klttm_ops *ops, void *owner);
/*
 * Unregister the node and free everything. The caller has made sure that no SVM page is in use and has put its
 * buffer objects. Open files of the render node keep the DRM device, but every ioctl on them returns ENODEV and
 * every access to a mapping raises SIGBUS. No callback is called any more when this returns.
 */
void klttm_device_destroy(struct klttm_device *dev);
int klttm_device_render_minor(const struct klttm_device *dev);

/*
 * SVM blocks: a buffer object of @npages (1..512) VRAM pages in TTM's LRU whose pages become device-coherent
 * pages. Returns with one page reference held for the caller (drop with klttm_page_put()); ERR_PTR(-ENOSPC)
 * when no room could be made, ERR_PTR(-ERESTARTSYS) when a fatal signal came. @priv is the caller's cookie (klttm_block_priv()). Context: may sleep, no
 * dma_resv held; mmap lock may be held. A run of 512 pages is 2 MiB aligned when VRAM allows.
 * The pages are one contiguous run, so a smaller block may fit where a larger one does not. They are not
 * cleared. evict_block may be called for the block as soon as it exists, before this returns.
 * @job: not 0: blocks that were created or touched with the same number are not evicted for this one, so that
 * a large request does not push out what it has just brought. @spare_new: nor are other blocks of SVM, for as long as
 * they are new: half a second from klttm_svm_block_filled().
 */
struct klttm_block *klttm_svm_block_create(struct klttm_device *dev, unsigned long npages, void *priv, u64 job,
					   bool spare_new);
/* All pages of a new block that will ever be used are handed out; drops the reference that _create() returned. */
void klttm_svm_block_filled(struct klttm_block *block);
bool klttm_svm_block_is_filled(const struct klttm_block *block);
/*
 * At most the pages whose bits are set, counted from the block's first, are in use: the VRAM of the others is free now,
 * or, without memory for the book-keeping, when an allocation finds no room. The block was filled before the caller began to look which pages are in use.
 * Context: may sleep; the block is referenced; calls for one block are serialised.
 */
void klttm_svm_block_used(struct klttm_block *block, const unsigned long *used);
/*
 * Pages of the block were used: it is the most recently used object of its GPU from now on, and belongs to @job (see
 * klttm_svm_block_create()). Never waits; does nothing to a block that is just being evicted. Context: process, a page
 * of the block or the block is referenced.
 */
void klttm_svm_block_touch(struct klttm_block *block, u64 job);
void *klttm_block_priv(const struct klttm_block *block);
unsigned long klttm_block_first_page(const struct klttm_block *block);	/* page index from vram_base */
unsigned long klttm_block_npages(const struct klttm_block *block);
bool klttm_block_is_orphan(struct klttm_block *block);
/* One reference per device page in use. _put: any context, hard irq included; the release itself is deferred. */
void klttm_page_get(struct klttm_block *block);
void klttm_page_put(struct klttm_block *block);
/*
 * Called once per block, from a workqueue, when its last reference is gone and before its VRAM is reused.
 * klttm_svm_block_create() waits for that work, so @release must not wait for a lock that its callers hold.
 */
void klttm_set_block_release(struct klttm_device *dev, void (*release)(void *owner, void *priv));
/*
 * Call fn for every SVM block alive when this is called, orphans included; fn may sleep (the walk holds a
 * reference to the block, and no lock). For eviction of all.
 */
void klttm_for_each_svm_block(struct klttm_device *dev, void (*fn)(struct klttm_block *block, void *arg), void *arg);

/*
 * Buffer objects for KFD's ALLOC_MEMORY_OF_GPU and GEM. Memory is zeroed before return. Domain is
 * AMDGPU_GEM_DOMAIN_VRAM or _GTT. Without @cpu_access mmap() with any access answers EPERM. ERR_PTR: -EINVAL size 0 or
 * another domain, -ENOSPC larger than the heap, -ENOMEM no room, -ENODEV. Context: may sleep, no dma_resv held.
 * The objects of a GPU together never exceed its VRAM, and GTT objects of all GPUs never half of RAM: -ENOMEM.
 */
struct klttm_bo *klttm_bo_create(struct klttm_device *dev, u64 size, u32 domain, bool cpu_access);
void klttm_bo_get(struct klttm_bo *bo);
void klttm_bo_put(struct klttm_bo *bo);
u64 klttm_bo_mmap_offset(const struct klttm_bo *bo);	/* for mmap on the render node */
/* Allow/revoke @filp (a render-node file) to mmap the object; balanced by the caller. */
int klttm_bo_allow(struct klttm_bo *bo, struct file *filp);
void klttm_bo_revoke(struct klttm_bo *bo, struct file *filp);
/* Kernel mapping of a GTT object (event page), pinned while mapped; NULL: no memory, or in VRAM. May nest. */
void *klttm_bo_kmap(struct klttm_bo *bo);
void klttm_bo_kunmap(struct klttm_bo *bo);

/*
 * An object that a GPU maps. Between _lock() and _unlock() (its dma_resv) its memory stays where _locate() says: in
 * VRAM, one run from guest-physical address vram on, or (pages not NULL) in those pages of RAM. _lock(): -ERESTARTSYS
 * any signal, if interruptible. _locate() brings swapped-out contents back: -ENOMEM, -ERESTARTSYS; -EINVAL the memory
 * is somebody else's.
 *
 * A watcher is told before the memory goes somewhere else, with the object locked: when moved() returns, nobody uses
 * what was located. It may sleep, and takes no dma_resv, no mmap lock and nothing that is held while waiting for those.
 * What is watched is not swapped out. Locking of _watch() and _unwatch(): the object is locked.
 */
struct klttm_location {
	u64 vram;
	struct page **pages;
};

struct mm_struct;

struct klttm_watch {
	struct list_head link;
	/*
	 * Whose queues need the object where it is: what this process allocates does not push it out while there is
	 * anything else. Compared only, no reference.
	 */
	const struct mm_struct *mm;
	void (*moved)(struct klttm_watch *watch);
};

int klttm_bo_lock(struct klttm_bo *bo, bool interruptible);
void klttm_bo_unlock(struct klttm_bo *bo);
int klttm_bo_locate(struct klttm_bo *bo, struct klttm_location *at);
void klttm_bo_watch(struct klttm_bo *bo, struct klttm_watch *watch);
void klttm_bo_unwatch(struct klttm_bo *bo, struct klttm_watch *watch);

/*
 * Objects as dma-bufs (klttm_prime.c). An object has one dma-buf at a time, the same for PRIME and for KFD.
 * _export(): with a reference; ERR_PTR: -EPERM user memory or an object of one file, -ENOMEM. _from_dma_buf(): the
 * object behind a dma-buf of ours, of @dev or of another GPU (klttm_dma_buf_device() tells), with a reference;
 * ERR_PTR: -EINVAL somebody else's, -ENODEV its GPU or @dev is gone. Context: may sleep, no dma_resv held.
 */
struct dma_buf *klttm_bo_export(struct klttm_bo *bo);
struct klttm_bo *klttm_bo_from_dma_buf(struct klttm_device *dev, struct dma_buf *buf);
/* A render file uses @bo, which came from @buf (klttm_bo_allow()): then _export() finds that one again. */
void klttm_bo_imported(struct klttm_bo *bo, struct dma_buf *buf);
/* Whose object is it? NULL: not ours. */
struct klttm_device *klttm_dma_buf_device(const struct dma_buf *buf);

struct klttm_dma_buf_info {
	u64 size;		/* bytes */
	u64 create_flags;	/* AMDGPU_GEM_CREATE_* */
	u64 metadata_flags;
	u32 domains;		/* AMDGPU_GEM_DOMAIN_* that were asked for, wherever it is now */
	u32 metadata_size;	/* bytes, at most 256 */
};
/*
 * Describe the object and copy its metadata to @metadata (NULL: not wanted). -EINVAL not ours, or more metadata than
 * @room (*info is filled in then); -ERESTARTSYS. Context: may sleep, no dma_resv held.
 */
int klttm_dma_buf_info(struct dma_buf *buf, struct klttm_dma_buf_info *info, void *metadata, u32 room);

/*
 * A render file is one GPU address space, which KFD shares with GEM_VA once it acquired the file. _reserve() takes whole
 * pages for a buffer of KFD: GEM_VA maps nothing there and leaves it alone. ERR_PTR: -EADDRINUSE something is mapped,
 * -ENOMEM. _busy(): is anything there, inclusive addresses? Locking: only a spinlock inside.
 */
struct klttm_mapping;
struct klttm_mapping *klttm_va_reserve(struct file *filp, u64 start, u64 bytes);
void klttm_va_unreserve(struct file *filp, struct klttm_mapping *mapping);
bool klttm_va_busy(struct file *filp, u64 start, u64 last);

/* Is @filp an open file of this GPU's render node? (ACQUIRE_VM) */
bool klttm_file_is_render(const struct klttm_device *dev, struct file *filp);

/*
 * Take @bytes of free VRAM, one run, away from everybody until _unreserve(): for tests that want little VRAM. Nothing
 * is evicted for it, nothing of it is ever evicted or read. ERR_PTR: -EINVAL not whole pages, -ENOSPC no free run of
 * that size, -ENOMEM. Context: may sleep. A reservation must end before klttm_device_destroy().
 */
struct klttm_reservation;
struct klttm_reservation *klttm_vram_reserve(struct klttm_device *dev, u64 bytes);
/*
 * The same at the upper end of VRAM, where it parts the least, for what must stay where it is: page tables. Waits for
 * nobody, so it may find no room where there will be some in a moment. _page(): its first page, from vram_base.
 */
struct klttm_reservation *klttm_vram_reserve_top(struct klttm_device *dev, u64 bytes);
unsigned long klttm_reservation_page(const struct klttm_reservation *res);
void klttm_vram_unreserve(struct klttm_reservation *res);

struct klttm_stats {
	u64 vram_size;		/* bytes */
	u64 vram_held;		/* bytes of busy blocks, orphans and reservations included */
	u64 vram_orphaned;	/* of those, bytes of orphans */
	u64 vram_reserved;	/* of those, klttm_vram_reserve() and _top() */
	u64 vram_objects;	/* bytes of objects that TTM has in VRAM, without what they gave back; with the two above it makes vram_held */
	u64 orphan_blocks;
	u64 gtt_used;
	u64 buffer_objects;
	u64 evictions;
	u64 swapouts;		/* objects written to swap space */
};
void klttm_get_stats(struct klttm_device *dev, struct klttm_stats *stats);
/* Bytes of VRAM the object occupies now: all or none. Context: may sleep, no dma_resv held. */
u64 klttm_bo_vram_bytes(struct klttm_bo *bo);
/*
 * Bring the object back to where it was asked to be, if there is room or others can go; else it stays in a place where
 * it may be, which is a success too. -ENOMEM, -ENODEV, -ERESTARTSYS. Context: may sleep, no dma_resv held.
 */
int klttm_bo_restore(struct klttm_bo *bo);
/* GTT objects of all GPUs: bytes charged and how many there may be. */
void klttm_gtt_limit(u64 *used, u64 *limit);
/*
 * TTM evicts everything that can leave VRAM, as reading amdgpu_evict_vram does. 0: nothing is left that could go;
 * -ENOMEM: RAM would get short; -EINTR: a signal; -ENODEV. Context: may sleep, no dma_resv held.
 */
int klttm_evict_vram(struct klttm_device *dev);
/* Wait until all deferred releases queued before the call are done. Context: may sleep. */
void klttm_flush(struct klttm_device *dev);

#endif
