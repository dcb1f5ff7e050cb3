/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private header of kfdlab_ttm. One file per noun:
 *
 *   klttm_device   bring-up and teardown         klttm_bo     buffer objects, their kernel mapping
 *   klttm_vram     VRAM manager, blocks          klttm_move   TTM's callbacks: move, evict
 *   klttm_svm      SVM blocks, orphans           klttm_mmap   CPU mappings through the render node
 *   klttm_gtt      GTT (RAM) manager             klttm_drm    DRM driver, ioctl table
 *                                                klttm_info   AMDGPU_INFO
 *
 * Locks, outermost first: alloc_lock, dma_resv of an object, then the spinlocks mm_lock, svm_lock and TTM's
 * lru_lock, none of which nests in another. Releasing VRAM takes none of the sleeping ones: a last reference
 * may be dropped in any context, since the work behind it runs on the device's own workqueue.
 */
#ifndef KLTTM_PRIV_H
#define KLTTM_PRIV_H

#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>
#include <drm/drm_mm.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

#include "kernel/compat/kcompat.h"
#include "kernel/ttm/kfdlab_ttm.h"

#ifdef KCOMPAT_HAVE_TTM_BO_H
#include <drm/ttm/ttm_bo.h>
#else
#include <drm/ttm/ttm_bo_driver.h>
#endif

struct drm_amdgpu_info;

/* TTM evicts objects of a lower priority first: SVM, whose pages have a place in RAM, before plain objects. */
#define KLTTM_PRIORITY_SVM	0
#define KLTTM_PRIORITY_PLAIN	1

struct klttm_device {
	struct drm_device *ddev;	/* owns this struct (drmm) */
	struct ttm_device bdev;
	struct ttm_resource_manager vram_man;
	struct ttm_resource_manager gtt_man;
	struct klttm_config config;
	const struct klttm_ops *ops;	/* not called once dying is set */
	void *owner;
	void (*release)(void *owner, void *priv);

	/*
	 * Held while an object gets its memory, eviction included. TTM only tries the locks of eviction victims,
	 * so without it one thread sees -EBUSY because another one is in the middle of making room.
	 */
	struct mutex alloc_lock;
	bool dying;			/* alloc_lock: destroy began, contents no longer matter */
	bool retry_orphans;		/* alloc_lock: this allocation has not looked at the orphans yet */

	spinlock_t mm_lock;		/* mm, vram_held */
	struct drm_mm mm;		/* in pages from vram_base */
	u64 vram_held;

	spinlock_t svm_lock;		/* lists, counts and klttm_block.bo; process context only */
	struct list_head svm_blocks;	/* newest first, so that a walk does not chase new ones */
	struct list_head orphans;	/* longest untried first */
	u64 orphan_blocks;
	u64 vram_orphaned;

	struct llist_head idle;		/* SVM blocks whose last page came back */
	struct llist_head dead;		/* blocks without references */
	struct workqueue_struct *wq;
	struct work_struct reap_work;

	atomic64_t vram_committed;	/* bytes of plain objects created for VRAM, at most vram_size */
	atomic64_t buffer_objects;
	atomic64_t evictions;
};

struct klttm_block {
	struct ttm_resource base;
	struct drm_mm_node node;
	struct klttm_device *dev;
	/*
	 * One of the TTM resource, one that all SVM pages share while any is in use, and one per borrower
	 * (klttm_for_each_svm_block, retry of orphans). At zero the block goes to dev->dead.
	 */
	refcount_t refs;
	refcount_t pages;		/* SVM: references of klttm_page_get() */
	struct klttm_bo *bo;		/* svm_lock: SVM, the object whose reference the pages own */
	void *priv;
	struct list_head svm_link;
	struct list_head orphan_link;
	struct llist_node reap_link;
};

struct klttm_bo {
	struct ttm_buffer_object tbo;
	struct klttm_device *dev;
	bool svm;
	bool cpu_access;
	/* What the object was charged for, wherever it is now; committed_to is NULL without a charge. */
	atomic64_t *committed_to;
	/*
	 * What TTM gets when it wants a struct ttm_tt for an SVM object it has just evicted: embedded, so that
	 * an eviction cannot fail for lack of memory. It never has pages.
	 */
	struct ttm_tt no_pages;
	struct ttm_bo_kmap_obj kmap;	/* dma_resv */
	unsigned int kmap_count;	/* dma_resv */
};

static inline struct klttm_device *to_klttm_device(struct ttm_device *bdev)
{
	return container_of(bdev, struct klttm_device, bdev);
}

static inline struct klttm_device *drm_to_klttm_device(struct drm_device *ddev)
{
	return ddev->dev_private;
}

static inline struct klttm_block *to_klttm_block(struct ttm_resource *res)
{
	return container_of(res, struct klttm_block, base);
}

static inline struct klttm_bo *to_klttm_bo(struct ttm_buffer_object *tbo)
{
	return container_of(tbo, struct klttm_bo, tbo);
}

static inline u64 klttm_block_phys(const struct klttm_block *block)
{
	return block->dev->config.vram_base + (block->node.start << PAGE_SHIFT);
}

/* klttm_vram.c */
void klttm_vram_init(struct klttm_device *dev);
void klttm_vram_fini(struct klttm_device *dev);
bool klttm_block_get_unless_zero(struct klttm_block *block);
void klttm_block_put(struct klttm_block *block);	/* any context */

/* klttm_svm.c */
void klttm_svm_init(struct klttm_device *dev);
/* A block lost its TTM resource by eviction: an orphan from now on, its object is let go. */
void klttm_svm_block_evicted(struct klttm_block *block);
/* The last page of a block came back. Context: reap work. */
void klttm_svm_block_idle(struct klttm_block *block);
/* The block is about to be freed. Context: reap work. */
void klttm_svm_block_forget(struct klttm_block *block);
/* Ask the owner once more to empty orphans, a bounded number of them. Locking: alloc_lock. */
void klttm_svm_retry_orphans(struct klttm_device *dev);

/* klttm_gtt.c */
void klttm_gtt_init(struct klttm_device *dev);
void klttm_gtt_fini(struct klttm_device *dev);
/* Bytes of the GTT objects of all GPUs: they share one RAM. */
extern atomic64_t klttm_gtt_committed;

/* klttm_bo.c */
/*
 * Allocate and place an object; returns reserved, ERR_PTR on failure. size is a multiple of the page size and was
 * charged to *committed_to (NULL: not charged), which the end of the object or a failure undoes.
 * Locking: takes alloc_lock.
 */
struct klttm_bo *klttm_bo_alloc(struct klttm_device *dev, u64 size, u32 mem_type, bool svm,
				atomic64_t *committed_to);
extern const struct drm_gem_object_funcs klttm_gem_funcs;

/* klttm_move.c */
extern const struct ttm_device_funcs klttm_ttm_funcs;

/* klttm_mmap.c */
extern const struct vm_operations_struct klttm_vm_ops;
int klttm_gem_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma);
int klttm_access_memory(struct ttm_buffer_object *tbo, unsigned long offset, void *buf, int len, int write);

/* klttm_drm.c */
extern const struct drm_driver klttm_drm_driver;

/* klttm_info.c */
int klttm_info_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);

#endif
