// SPDX-License-Identifier: GPL-2.0
/*
 * Where an object of the owner's lies, for its accounts, and how it comes back when it was evicted.
 */
#include <linux/mm.h>

#include <drm/drm_drv.h>

#include "klttm_priv.h"

u64 klttm_bo_vram_bytes(struct klttm_bo *bo)
{
	u64 bytes = 0;

	dma_resv_lock(bo->tbo.base.resv, NULL);
	if (bo->tbo.resource && bo->tbo.resource->mem_type == TTM_PL_VRAM)
		bytes = bo->tbo.base.size;
	dma_resv_unlock(bo->tbo.base.resv);
	return bytes;
}
EXPORT_SYMBOL_GPL(klttm_bo_vram_bytes);

void klttm_gtt_limit(u64 *used, u64 *limit)
{
	*used = atomic64_read(&klttm_gtt_committed);
	*limit = (u64)totalram_pages() / 2 << PAGE_SHIFT;
}
EXPORT_SYMBOL_GPL(klttm_gtt_limit);

int klttm_bo_restore(struct klttm_bo *bo)
{
	struct ttm_operation_ctx ctx = { .interruptible = true, .gfp_retry_mayfail = true };
	struct klttm_device *dev = bo->dev;
	int ret, idx;

	/* The common case waits for nobody who makes room. */
	if (klttm_bo_vram_bytes(bo))
		return 0;
	if (!drm_dev_enter(dev->ddev, &idx))
		return -ENODEV;
	ret = klttm_alloc_begin(dev, true);
	if (ret)
		goto out_exit;
	do {
		ret = ttm_bo_reserve(&bo->tbo, true, false, NULL);
		if (ret)
			break;
		/* Else the objects of a process, which are needed all at once, would take turns. */
		dev->spared = klttm_bo_watcher(bo);
		ret = klttm_bo_validate(bo, &ctx);
		ttm_bo_unreserve(&bo->tbo);
		if (ret != -EBUSY)
			break;
		ret = klttm_alloc_wait_for_holder(dev);
	} while (!ret);
	klttm_alloc_end(dev);
out_exit:
	drm_dev_exit(idx);
	return ret;
}
EXPORT_SYMBOL_GPL(klttm_bo_restore);
