// SPDX-License-Identifier: GPL-2.0
/*
 * The GTT manager: TTM_PL_TT is RAM the GPU can reach. There is no aperture to hand out, a system page is
 * addressed by its frame, so the manager only counts. The limit is half of RAM for all GPUs together, and it is
 * kept where objects are created (klttm_bo_create()): TTM's answer to a full manager would be to move older objects
 * to the system domain, which is the same RAM, and to go on.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "klttm_priv.h"

atomic64_t klttm_gtt_committed = ATOMIC64_INIT(0);

static int klttm_gtt_alloc(struct ttm_resource_manager *man, struct ttm_buffer_object *bo,
			   const struct ttm_place *place, struct ttm_resource **res)
{
	*res = kzalloc(sizeof(**res), GFP_KERNEL_ACCOUNT);
	if (!*res)
		return -ENOMEM;
	ttm_resource_init(bo, place, *res);
	return 0;
}

static void klttm_gtt_free(struct ttm_resource_manager *man, struct ttm_resource *res)
{
	ttm_resource_fini(man, res);
	kfree(res);
}

static const struct ttm_resource_manager_func klttm_gtt_func = {
	.alloc = klttm_gtt_alloc,
	.free = klttm_gtt_free,
};

void klttm_gtt_init(struct klttm_device *dev)
{
	dev->gtt_man.use_tt = true;
	dev->gtt_man.func = &klttm_gtt_func;
	ttm_resource_manager_init(&dev->gtt_man, &dev->bdev, (u64)totalram_pages() / 2 << PAGE_SHIFT);
	ttm_set_driver_manager(&dev->bdev, TTM_PL_TT, &dev->gtt_man);
	ttm_resource_manager_set_used(&dev->gtt_man, true);
}

void klttm_gtt_fini(struct klttm_device *dev)
{
	ttm_resource_manager_set_used(&dev->gtt_man, false);
	ttm_resource_manager_cleanup(&dev->gtt_man);
	ttm_set_driver_manager(&dev->bdev, TTM_PL_TT, NULL);
}
