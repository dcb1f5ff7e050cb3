// SPDX-License-Identifier: GPL-2.0
/*
 * TTM's callbacks. The rule they keep: an eviction does not fail half way. TTM prints an error line for each that
 * does, without limit, and on 6.1 also gives up looking for room. So what can fail is done in evict_flags(), where
 * sleeping is allowed and nothing has been decided yet. SVM objects are emptied there, and TTM is then asked to throw
 * the rest away; pages that somebody holds stay behind in an orphaned block. Plain objects get their RAM there and
 * are copied by move(). An object that cannot leave now stays where it is (klttm_alloc.c).
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include <drm/amdgpu_drm.h>

#include "klttm_priv.h"

struct ttm_tt *klttm_tt_create(struct ttm_buffer_object *tbo, u32 page_flags)
{
	struct klttm_bo *bo = to_klttm_bo(tbo);
	struct ttm_tt *tt;

	if (bo->svm || bo->foreign) {
		bo->no_pages.page_flags = page_flags;
		bo->no_pages.num_pages = tbo->base.size >> PAGE_SHIFT;
		bo->no_pages.caching = ttm_cached;
		return &bo->no_pages;
	}
	tt = kzalloc(sizeof(*tt), GFP_KERNEL);
	if (!tt)
		return NULL;
	if (ttm_tt_init(tt, tbo, page_flags, ttm_cached, 0)) {
		kfree(tt);
		return NULL;
	}
	return tt;
}

void klttm_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt)
{
	/* Only the embedded one has no page array. */
	if (!tt->pages)
		return;
	ttm_tt_fini(tt);
	kfree(tt);
}

/* The owner does not need the contents back (AMDGPU_GEM_CREATE_DISCARDABLE), and wants the object in VRAM only. */
bool klttm_bo_is_discardable(const struct klttm_bo *bo)
{
	return bo->create_flags & AMDGPU_GEM_CREATE_DISCARDABLE &&
	       READ_ONCE(bo->allowed_domains) == AMDGPU_GEM_DOMAIN_VRAM;
}

/* Eviction and swap-out ask. Context: 6.1 holds the LRU spinlock. */
static bool klttm_eviction_valuable(struct ttm_buffer_object *tbo, const struct ttm_place *place)
{
	struct klttm_bo *bo = to_klttm_bo(tbo);
	struct klttm_device *dev = bo->dev;

	if (!ttm_bo_eviction_valuable(tbo, place))
		return false;
	if (dev->dying)
		return true;
	if (tbo->resource->mem_type != TTM_PL_VRAM)
		return klttm_swap_valuable(dev, tbo);
	/* Its queues would stop until it is back, in the place of what pushed it out. */
	if (dev->spared && klttm_bo_is_watched_by(bo, dev->spared))
		return false;
	if (bo->svm && dev->job && READ_ONCE(to_klttm_block(tbo->resource)->job) == dev->job)
		return false;
	if (bo->svm && dev->spare_new && klttm_svm_block_is_new(to_klttm_block(tbo->resource)))
		return false;
	if (!klttm_bo_is_discardable(bo) &&
	    (klttm_ram_short(dev) || !klttm_ram_for(tbo->base.size >> PAGE_SHIFT)))
		return false;
	/* Last: what could leave but for that is waited for when there is nothing else. */
	return !klttm_alloc_is_busy(dev, tbo);
}

/* Context: may sleep, dma_resv held. */
static void klttm_evict_flags(struct ttm_buffer_object *tbo, struct ttm_placement *placement)
{
	static const struct ttm_place system = { .mem_type = TTM_PL_SYSTEM };
	static const struct ttm_place nowhere = { .mem_type = KLTTM_PL_NOWHERE };
	struct klttm_bo *bo = to_klttm_bo(tbo);
	struct klttm_device *dev = bo->dev;
	bool from_vram = tbo->resource->mem_type == TTM_PL_VRAM;

	if (klttm_evict_all_stops(bo) || (from_vram && !dev->dying && klttm_ready_to_leave(bo))) {
		kcompat_ttm_placement_set(placement, &nowhere, 1);
		return;
	}
	if (from_vram)
		atomic64_inc(&dev->evictions);
	if (bo->svm || dev->dying)
		kcompat_ttm_placement_set(placement, NULL, 0);
	else
		kcompat_ttm_placement_set(placement, &system, 1);
}

/* Copy between the pages of a populated ttm_tt and VRAM, one call per physically contiguous run. */
static void klttm_copy_pages(struct klttm_device *dev, struct ttm_tt *tt, u64 vram, bool to_vram)
{
	u32 first, end;
	u64 ram, bytes;

	for (first = 0; first < tt->num_pages; first = end) {
		ram = page_to_phys(tt->pages[first]);
		for (end = first + 1; end < tt->num_pages; end++)
			if (page_to_phys(tt->pages[end]) != ram + ((u64)(end - first) << PAGE_SHIFT))
				break;
		bytes = (u64)(end - first) << PAGE_SHIFT;
		if (to_vram)
			dev->ops->copy(dev->owner, vram, ram, bytes);
		else
			dev->ops->copy(dev->owner, ram, vram, bytes);
		vram += bytes;
	}
}

static bool klttm_tt_has_contents(const struct ttm_tt *tt)
{
	return tt && (tt->page_flags & (TTM_TT_FLAG_PRIV_POPULATED | TTM_TT_FLAG_SWAPPED));
}

/*
 * Wait until nobody works on the object. TTM gives up after 15 s, and an eviction that ends so is an error in the log;
 * but a fence ends by itself, one of ours with the reset of the device at the latest.
 */
static int klttm_wait_for_users(struct ttm_buffer_object *tbo, struct ttm_operation_ctx *ctx)
{
	int ret;

	do {
		ret = ttm_bo_wait_ctx(tbo, ctx);
	} while (ret == -EBUSY && !ctx->no_wait_gpu);
	return ret;
}

static int klttm_move(struct ttm_buffer_object *tbo, bool evict, struct ttm_operation_ctx *ctx,
		      struct ttm_resource *new_mem, struct ttm_place *hop)
{
	bool from_vram = tbo->resource && tbo->resource->mem_type == TTM_PL_VRAM;
	bool to_vram = new_mem->mem_type == TTM_PL_VRAM;
	struct klttm_bo *bo = to_klttm_bo(tbo);
	struct klttm_device *dev = bo->dev;
	struct klttm_block *block;
	int ret;

	if (from_vram || to_vram) {
		ret = klttm_wait_for_users(tbo, ctx);
		if (ret)
			return ret;
		klttm_bo_moved(bo);
	}
	klttm_swap_forget(tbo);
	klttm_prime_moved(bo);
	/* SVM pages carry their own contents; RAM to RAM keeps its pages, whoever works on them. */
	if (bo->svm || (!from_vram && !to_vram)) {
		ttm_bo_move_null(tbo, new_mem);
		return 0;
	}
	if (evict && from_vram && klttm_bo_is_discardable(bo)) {
		/* TTM made a tt to be filled by a copy, which does not come. */
		ttm_tt_mark_for_clear(tbo->ttm);
		ttm_bo_move_null(tbo, new_mem);
		return 0;
	}
	if (to_vram && !klttm_tt_has_contents(tbo->ttm)) {
		block = to_klttm_block(new_mem);
		dev->ops->fill_zero(dev->owner, klttm_block_phys(block), tbo->base.size);
		ttm_bo_move_null(tbo, new_mem);
		return 0;
	}

	ret = ttm_tt_populate(&dev->bdev, tbo->ttm, ctx);
	if (ret)
		return ret;
	block = to_klttm_block(to_vram ? new_mem : tbo->resource);
	klttm_copy_pages(dev, tbo->ttm, klttm_block_phys(block), to_vram);
	atomic64_add(tbo->base.size, &dev->bytes_moved);
	ttm_bo_move_sync_cleanup(tbo, new_mem);
	return 0;
}

static int klttm_io_mem_reserve(struct ttm_device *bdev, struct ttm_resource *mem)
{
	if (mem->mem_type != TTM_PL_VRAM)
		return 0;
	mem->bus.offset = klttm_block_phys(to_klttm_block(mem));
	mem->bus.is_iomem = true;
	mem->bus.caching = ttm_cached;
	return 0;
}

const struct ttm_device_funcs klttm_ttm_funcs = {
	.ttm_tt_create = klttm_tt_create,
	.ttm_tt_destroy = klttm_tt_destroy,
	.ttm_tt_populate = klttm_tt_populate,
	.ttm_tt_unpopulate = klttm_tt_unpopulate,
	.swap_notify = klttm_swap_notify,
	.delete_mem_notify = klttm_swap_forget,
	.release_notify = klttm_release_notify,
	.eviction_valuable = klttm_eviction_valuable,
	.evict_flags = klttm_evict_flags,
	.move = klttm_move,
	.io_mem_reserve = klttm_io_mem_reserve,
};
