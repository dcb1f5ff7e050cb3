// SPDX-License-Identifier: GPL-2.0
/*
 * The VRAM manager: TTM's resource manager for TTM_PL_VRAM on drm_mm, and the blocks it hands out.
 *
 * Invariant: the drm_mm node of a block is removed when the last reference to the block is gone and not
 * before. TTM's free() drops one reference only, so VRAM that an SVM page still uses is never handed out again.
 * A block of which only some pages are in use gives the rest back (klttm_block_trim()), be it an orphan or one that TTM
 * still has: what is left is a node for each run of used pages.
 * The removal happens on the device's workqueue, or in an allocation that finds no room, whoever comes first.
 */
#include <linux/bitmap.h>
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

/* Locking: mm_lock. */
static void klttm_block_remove_nodes(struct klttm_block *block)
{
	unsigned int i;

	lockdep_assert_held(&block->dev->mm_lock);
	if (!block->held)
		drm_mm_remove_node(&block->node);
	for (i = 0; i < block->held_count; i++)
		drm_mm_remove_node(&block->held[i]);
	block->dev->vram_held -= (u64)block->busy_pages << PAGE_SHIFT;
	block->busy_pages = 0;
}

static void klttm_block_free(struct klttm_block *block)
{
	struct klttm_device *dev = block->dev;

	klttm_svm_block_forget(block);
	spin_lock(&dev->mm_lock);
	klttm_block_remove_nodes(block);
	spin_unlock(&dev->mm_lock);
	kvfree(block->held);
	kfree(block);
}

static unsigned int klttm_count_runs(const unsigned long *used, unsigned long npages)
{
	unsigned long at, end = 0;
	unsigned int runs = 0;

	while ((at = find_next_bit(used, npages, end)) < npages) {
		end = find_next_zero_bit(used, npages, at);
		runs++;
	}
	return runs;
}

/* The runs of used pages become nodes. Their VRAM was freed under the same hold of mm_lock, so it is there. */
static void klttm_block_insert_runs(struct klttm_block *block)
{
	struct klttm_device *dev = block->dev;
	unsigned long at, end = 0;
	unsigned int i;

	lockdep_assert_held(&dev->mm_lock);
	for (i = 0; i < block->held_count; i++) {
		at = find_next_bit(block->used, block->npages, end);
		end = find_next_zero_bit(block->used, block->npages, at);
		block->held[i].start = block->first_page + at;
		block->held[i].size = end - at;
		WARN_ON_ONCE(drm_mm_reserve_node(&dev->mm, &block->held[i]));
		block->busy_pages += end - at;
	}
	dev->vram_held += (u64)block->busy_pages << PAGE_SHIFT;
}

/* TTM counts an object as a whole until it is gone. Locking: mm_lock. */
static void klttm_block_set_given_back(struct klttm_block *block, unsigned long npages)
{
	lockdep_assert_held(&block->dev->mm_lock);
	block->dev->vram_given_back -= (u64)block->given_back << PAGE_SHIFT;
	block->given_back = npages;
	block->dev->vram_given_back += (u64)npages << PAGE_SHIFT;
}

void klttm_block_trim(struct klttm_block *block)
{
	struct klttm_device *dev = block->dev;
	struct drm_mm_node *nodes;
	unsigned int runs;

	spin_lock(&dev->mm_lock);
	runs = block->used_known ? klttm_count_runs(block->used, block->npages) : 0;
	if (bitmap_weight(block->used, block->npages) == block->busy_pages)
		runs = 0;
	spin_unlock(&dev->mm_lock);
	/* Without a page in use the block is about to go as a whole. */
	if (!runs)
		return;
	nodes = kvcalloc(runs, sizeof(*nodes), GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);
	if (!nodes) {
		WRITE_ONCE(dev->trim_again, true);
		return;
	}
	spin_lock(&dev->mm_lock);
	/* More pages came back meanwhile: then whoever said so trims. */
	if (klttm_count_runs(block->used, block->npages) == runs) {
		klttm_block_remove_nodes(block);
		swap(block->held, nodes);
		block->held_count = runs;
		klttm_block_insert_runs(block);
		if (!block->left_ttm)
			klttm_block_set_given_back(block, block->npages - block->busy_pages);
	}
	spin_unlock(&dev->mm_lock);
	kvfree(nodes);
}

void klttm_svm_block_used(struct klttm_block *block, const unsigned long *used)
{
	spin_lock(&block->dev->mm_lock);
	bitmap_copy(block->used, used, block->npages);
	block->used_known = true;
	spin_unlock(&block->dev->mm_lock);
	klttm_block_trim(block);
}
EXPORT_SYMBOL_GPL(klttm_svm_block_used);

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

static void klttm_trim_one(struct klttm_block *block, void *arg)
{
	klttm_block_trim(block);
}

/* What blocks were to give back when there was no memory to say so. */
static bool klttm_trim_again(struct klttm_device *dev)
{
	if (!READ_ONCE(dev->trim_again))
		return false;
	WRITE_ONCE(dev->trim_again, false);
	klttm_for_each_svm_block(dev, klttm_trim_one, NULL);
	return true;
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
	if (!ret) {
		block->first_page = block->node.start;
		block->npages = npages;
		block->busy_pages = npages;
		dev->vram_held += npages << PAGE_SHIFT;
	}
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

	block = kzalloc(sizeof(*block), KLTTM_GFP_METADATA);
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
	if (ret == -ENOSPC && klttm_trim_again(dev))
		ret = klttm_vram_insert(dev, block, npages, align);
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
	block->base.start = block->first_page;
	*res = &block->base;
	return 0;
}

static void klttm_vram_free(struct ttm_resource_manager *man, struct ttm_resource *res)
{
	struct klttm_block *block = to_klttm_block(res);

	ttm_resource_fini(man, res);
	spin_lock(&block->dev->mm_lock);
	block->left_ttm = true;
	klttm_block_set_given_back(block, 0);
	spin_unlock(&block->dev->mm_lock);
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
