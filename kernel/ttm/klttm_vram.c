// SPDX-License-Identifier: GPL-2.0
/*
 * The VRAM manager: TTM's resource manager for TTM_PL_VRAM on drm_mm, and the blocks it hands out.
 *
 * Invariant: the drm_mm node of a block is removed when the last reference to the block is gone and not
 * before. TTM's free() drops one reference only, so VRAM that an SVM page still uses is never handed out again.
 * The removal happens on the device's workqueue, or in an allocation that finds no room, whoever comes first.
 */
#include <linux/slab.h>

#include <drm/drm_print.h>

#include "klttm_priv.h"

/* Blocks of at least this many pages start on a multiple of it when VRAM allows: room for a huge GPU entry. */
#define KLTTM_HUGE_PAGES	(SZ_2M >> PAGE_SHIFT)
/* Orphans tried again per allocation under pressure, before others are evicted for it. */
#define KLTTM_ORPHAN_RETRIES	8

static struct klttm_device *man_to_klttm_device(struct ttm_resource_manager *man)
{
	return container_of(man, struct klttm_device, vram_man);
}

bool klttm_block_get_unless_zero(struct klttm_block *block)
{
	return refcount_inc_not_zero(&block->refs);
}

void klttm_block_put(struct klttm_block *block)
{
	struct klttm_device *dev = block->dev;

	if (!refcount_dec_and_test(&block->refs))
		return;
	llist_add(&block->reap_link, &dev->dead);
	queue_work(dev->wq, &dev->reap_work);
}

static void klttm_block_free(struct klttm_block *block)
{
	struct klttm_device *dev = block->dev;

	klttm_svm_block_forget(block);
	spin_lock(&dev->mm_lock);
	dev->vram_held -= block->node.size << PAGE_SHIFT;
	drm_mm_remove_node(&block->node);
	spin_unlock(&dev->mm_lock);
	kfree(block);
}

/* Any thread may do it, and several at once: each block is taken off a list by one of them. */
static void klttm_reap(struct klttm_device *dev)
{
	struct klttm_block *block, *next;

	/* An idle block usually dies here and then shows up in the second list. */
	llist_for_each_entry_safe(block, next, llist_del_all(&dev->idle), reap_link) {
		klttm_svm_block_idle(block);
		cond_resched();
	}
	llist_for_each_entry_safe(block, next, llist_del_all(&dev->dead), reap_link) {
		klttm_block_free(block);
		cond_resched();
	}
}

static void klttm_reap_work(struct work_struct *work)
{
	klttm_reap(container_of(work, struct klttm_device, reap_work));
}

/*
 * What was released until now is free on return. Mostly there is no need to wait for the work to be scheduled: what
 * it would do is done here, unless it has begun.
 */
static void klttm_reap_now(struct klttm_device *dev)
{
	klttm_reap(dev);
	if (work_busy(&dev->reap_work) & WORK_BUSY_RUNNING)
		flush_work(&dev->reap_work);
}

static int klttm_vram_insert(struct klttm_device *dev, struct klttm_block *block, u64 npages, u64 align)
{
	int ret = -ENOSPC;

	spin_lock(&dev->mm_lock);
	if (npages >= KLTTM_HUGE_PAGES && align < KLTTM_HUGE_PAGES)
		ret = drm_mm_insert_node_generic(&dev->mm, &block->node, npages, KLTTM_HUGE_PAGES, 0,
						 DRM_MM_INSERT_BEST);
	if (ret)
		ret = drm_mm_insert_node_generic(&dev->mm, &block->node, npages, align, 0,
						 DRM_MM_INSERT_BEST);
	if (!ret)
		dev->vram_held += npages << PAGE_SHIFT;
	spin_unlock(&dev->mm_lock);
	return ret;
}

/* Context: may sleep, dma_resv of @bo and alloc_lock held. -ENOSPC makes TTM evict and come back. */
static int klttm_vram_alloc(struct ttm_resource_manager *man, struct ttm_buffer_object *bo,
			    const struct ttm_place *place, struct ttm_resource **res)
{
	struct klttm_device *dev = man_to_klttm_device(man);
	u64 npages = bo->base.size >> PAGE_SHIFT;
	u64 align = max(bo->page_alignment, 1u);
	struct klttm_block *block;
	int ret;

	block = kzalloc(sizeof(*block), GFP_KERNEL_ACCOUNT);
	if (!block)
		return -ENOMEM;
	block->dev = dev;
	refcount_set(&block->refs, 1);
	INIT_LIST_HEAD(&block->svm_link);
	INIT_LIST_HEAD(&block->orphan_link);

	ret = klttm_vram_insert(dev, block, npages, align);
	if (ret == -ENOSPC) {
		klttm_reap_now(dev);
		ret = klttm_vram_insert(dev, block, npages, align);
	}
	if (ret == -ENOSPC && dev->retry_orphans) {
		dev->retry_orphans = false;
		klttm_svm_retry_orphans(dev, KLTTM_ORPHAN_RETRIES);
		klttm_reap_now(dev);
		ret = klttm_vram_insert(dev, block, npages, align);
	}
	if (ret) {
		kfree(block);
		return ret;
	}

	/* Last: from here on the resource is in the LRU. */
	ttm_resource_init(bo, place, &block->base);
	block->base.start = block->node.start;
	*res = &block->base;
	return 0;
}

static void klttm_vram_free(struct ttm_resource_manager *man, struct ttm_resource *res)
{
	struct klttm_block *block = to_klttm_block(res);

	ttm_resource_fini(man, res);
	klttm_svm_block_evicted(block);
	klttm_block_put(block);
}

static void klttm_vram_debug(struct ttm_resource_manager *man, struct drm_printer *printer)
{
	struct klttm_device *dev = man_to_klttm_device(man);

	spin_lock(&dev->mm_lock);
	drm_mm_print(&dev->mm, printer);
	spin_unlock(&dev->mm_lock);
}

static const struct ttm_resource_manager_func klttm_vram_func = {
	.alloc = klttm_vram_alloc,
	.free = klttm_vram_free,
	.debug = klttm_vram_debug,
};

void klttm_vram_init(struct klttm_device *dev)
{
	spin_lock_init(&dev->mm_lock);
	drm_mm_init(&dev->mm, 0, dev->config.vram_size >> PAGE_SHIFT);
	init_llist_head(&dev->idle);
	init_llist_head(&dev->dead);
	INIT_WORK(&dev->reap_work, klttm_reap_work);

	dev->vram_man.func = &klttm_vram_func;
	ttm_resource_manager_init(&dev->vram_man, &dev->bdev, dev->config.vram_size);
	ttm_set_driver_manager(&dev->bdev, TTM_PL_VRAM, &dev->vram_man);
	ttm_resource_manager_set_used(&dev->vram_man, true);
}

void klttm_vram_fini(struct klttm_device *dev)
{
	ttm_resource_manager_cleanup(&dev->vram_man);
	ttm_set_driver_manager(&dev->bdev, TTM_PL_VRAM, NULL);
	drm_mm_takedown(&dev->mm);
}
