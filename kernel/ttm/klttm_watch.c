// SPDX-License-Identifier: GPL-2.0
/*
 * Objects that a GPU maps: where their memory is, and who is told before that changes.
 *
 * Memory of an object that somebody watches is where klttm_bo_locate() found it until the watcher's moved() has
 * returned: TTM moves only what is reserved, and swaps out nothing that is watched.
 */
#include "klttm_priv.h"

int klttm_bo_lock(struct klttm_bo *bo, bool interruptible)
{
	if (!interruptible) {
		dma_resv_lock(bo->tbo.base.resv, NULL);
		return 0;
	}
	return dma_resv_lock_interruptible(bo->tbo.base.resv, NULL) ? -ERESTARTSYS : 0;
}
EXPORT_SYMBOL_GPL(klttm_bo_lock);

void klttm_bo_unlock(struct klttm_bo *bo)
{
	dma_resv_unlock(bo->tbo.base.resv);
}
EXPORT_SYMBOL_GPL(klttm_bo_unlock);

int klttm_bo_locate(struct klttm_bo *bo, struct klttm_location *at)
{
	struct ttm_buffer_object *tbo = &bo->tbo;
	int ret;

	dma_resv_assert_held(tbo->base.resv);
	if (bo->svm || bo->foreign || !tbo->resource)
		return -EINVAL;
	if (tbo->resource->mem_type == TTM_PL_VRAM) {
		at->pages = NULL;
		at->vram = klttm_block_phys(to_klttm_block(tbo->resource));
		return 0;
	}
	/* The initial placement of an object in RAM may be without pages. */
	if (!tbo->ttm)
		tbo->ttm = klttm_tt_create(tbo, TTM_TT_FLAG_ZERO_ALLOC);
	if (!tbo->ttm)
		return -ENOMEM;
	ret = klttm_bo_populate(bo);
	if (ret)
		return klttm_alloc_error(ret);
	at->pages = tbo->ttm->pages;
	at->vram = 0;
	return 0;
}
EXPORT_SYMBOL_GPL(klttm_bo_locate);

void klttm_bo_watch(struct klttm_bo *bo, struct klttm_watch *watch)
{
	dma_resv_assert_held(bo->tbo.base.resv);
	list_add(&watch->link, &bo->watches);
}
EXPORT_SYMBOL_GPL(klttm_bo_watch);

void klttm_bo_unwatch(struct klttm_bo *bo, struct klttm_watch *watch)
{
	dma_resv_assert_held(bo->tbo.base.resv);
	list_del_init(&watch->link);
}
EXPORT_SYMBOL_GPL(klttm_bo_unwatch);

bool klttm_bo_is_watched(const struct klttm_bo *bo)
{
	return !list_empty_careful(&bo->watches);
}

bool klttm_bo_is_watched_by(const struct klttm_bo *bo, const struct mm_struct *mm)
{
	const struct klttm_watch *watch;

	dma_resv_assert_held(bo->tbo.base.resv);
	list_for_each_entry(watch, &bo->watches, link)
		if (watch->mm == mm)
			return true;
	return false;
}

const struct mm_struct *klttm_bo_watcher(struct klttm_bo *bo)
{
	const struct klttm_watch *watch = list_first_entry_or_null(&bo->watches, struct klttm_watch, link);

	dma_resv_assert_held(bo->tbo.base.resv);
	return watch ? watch->mm : NULL;
}

void klttm_bo_moved(struct klttm_bo *bo)
{
	struct klttm_watch *watch;

	dma_resv_assert_held(bo->tbo.base.resv);
	list_for_each_entry(watch, &bo->watches, link)
		watch->moved(watch);
}
