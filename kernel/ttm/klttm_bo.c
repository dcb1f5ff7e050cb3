// SPDX-License-Identifier: GPL-2.0
/*
 * Buffer objects. Each embeds a GEM object, whose references are the public ones; the GEM object owns one
 * reference of the TTM object inside, as do CPU mappings. SVM objects have no mapping and no GEM user: their
 * only reference belongs to the pages of their block (klttm_svm.c).
 */
#include <linux/slab.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>

#include "klttm_priv.h"

static struct klttm_bo *gem_to_klttm_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct klttm_bo, tbo.base);
}

/* Charge bytes to a counter unless that would exceed the limit. */
static bool klttm_try_commit(atomic64_t *committed, u64 limit, u64 bytes)
{
	s64 old = atomic64_read(committed);

	do {
		if (bytes > limit || old > limit - bytes)
			return false;
	} while (!atomic64_try_cmpxchg(committed, &old, old + bytes));
	return true;
}

static void klttm_bo_destroy(struct ttm_buffer_object *tbo)
{
	struct klttm_bo *bo = to_klttm_bo(tbo);

	if (bo->committed_to)
		atomic64_sub(tbo->base.size, bo->committed_to);
	drm_gem_object_release(&tbo->base);
	atomic64_dec(&bo->dev->buffer_objects);
	kfree(bo);
}

static void klttm_gem_free(struct drm_gem_object *obj)
{
	ttm_bo_put(&gem_to_klttm_bo(obj)->tbo);
}

const struct drm_gem_object_funcs klttm_gem_funcs = {
	.free = klttm_gem_free,
	.mmap = klttm_gem_mmap,
	.vm_ops = &klttm_vm_ops,
};

struct klttm_bo *klttm_bo_alloc(struct klttm_device *dev, u64 size, u32 mem_type, bool svm,
				atomic64_t *committed_to)
{
	struct ttm_operation_ctx ctx = { .gfp_retry_mayfail = true };
	struct ttm_place place = { .mem_type = mem_type };
	struct ttm_placement placement = {};
	struct klttm_bo *bo;
	int ret;

	bo = kzalloc(sizeof(*bo), GFP_KERNEL_ACCOUNT);
	if (!bo) {
		if (committed_to)
			atomic64_sub(size, committed_to);
		return ERR_PTR(-ENOMEM);
	}
	bo->dev = dev;
	bo->committed_to = committed_to;
	bo->svm = svm;
	bo->tbo.priority = svm ? KLTTM_PRIORITY_SVM : KLTTM_PRIORITY_PLAIN;
	bo->tbo.base.funcs = &klttm_gem_funcs;
	drm_gem_private_object_init(dev->ddev, &bo->tbo.base, size);
	atomic64_inc(&dev->buffer_objects);
	kcompat_ttm_placement_set(&placement, &place, 1);

	mutex_lock(&dev->alloc_lock);
	if (dev->dying) {
		mutex_unlock(&dev->alloc_lock);
		klttm_bo_destroy(&bo->tbo);
		return ERR_PTR(-ENODEV);
	}
	dev->retry_orphans = true;
	/* On failure TTM calls klttm_bo_destroy(). */
	ret = ttm_bo_init_reserved(&dev->bdev, &bo->tbo, svm ? ttm_bo_type_kernel : ttm_bo_type_device,
				   &placement, 1, &ctx, NULL, NULL, klttm_bo_destroy);
	mutex_unlock(&dev->alloc_lock);
	return ret ? ERR_PTR(ret) : bo;
}

struct klttm_bo *klttm_bo_create(struct klttm_device *dev, u64 size, u32 domain, bool cpu_access)
{
	u32 mem_type = domain == AMDGPU_GEM_DOMAIN_VRAM ? TTM_PL_VRAM : TTM_PL_TT;
	u64 limit = mem_type == TTM_PL_VRAM ? dev->config.vram_size : dev->gtt_man.size;
	atomic64_t *committed = mem_type == TTM_PL_VRAM ? &dev->vram_committed : &klttm_gtt_committed;
	struct klttm_bo *bo;

	if (domain != AMDGPU_GEM_DOMAIN_VRAM && domain != AMDGPU_GEM_DOMAIN_GTT)
		return ERR_PTR(-EINVAL);
	if (!size)
		return ERR_PTR(-EINVAL);
	/* Before rounding up, which could wrap; and a hopeless request must not evict everybody. */
	if (size > limit)
		return ERR_PTR(-ENOSPC);
	size = PAGE_ALIGN(size);
	if (!klttm_try_commit(committed, limit, size)) {
		/* An object that was just freed may be on its way. */
		klttm_flush(dev);
		if (!klttm_try_commit(committed, limit, size))
			return ERR_PTR(-ENOMEM);
	}
	bo = klttm_bo_alloc(dev, size, mem_type, false, committed);
	if (IS_ERR(bo))
		return bo;
	bo->cpu_access = cpu_access;
	ttm_bo_unreserve(&bo->tbo);
	return bo;
}
EXPORT_SYMBOL_GPL(klttm_bo_create);

void klttm_bo_get(struct klttm_bo *bo)
{
	drm_gem_object_get(&bo->tbo.base);
}
EXPORT_SYMBOL_GPL(klttm_bo_get);

void klttm_bo_put(struct klttm_bo *bo)
{
	drm_gem_object_put(&bo->tbo.base);
}
EXPORT_SYMBOL_GPL(klttm_bo_put);

u64 klttm_bo_mmap_offset(const struct klttm_bo *bo)
{
	return drm_vma_node_offset_addr((struct drm_vma_offset_node *)&bo->tbo.base.vma_node);
}
EXPORT_SYMBOL_GPL(klttm_bo_mmap_offset);

int klttm_bo_allow(struct klttm_bo *bo, struct file *filp)
{
	if (!klttm_file_is_render(bo->dev, filp))
		return -EINVAL;
	return drm_vma_node_allow(&bo->tbo.base.vma_node, filp->private_data);
}
EXPORT_SYMBOL_GPL(klttm_bo_allow);

void klttm_bo_revoke(struct klttm_bo *bo, struct file *filp)
{
	drm_vma_node_revoke(&bo->tbo.base.vma_node, filp->private_data);
}
EXPORT_SYMBOL_GPL(klttm_bo_revoke);

void *klttm_bo_kmap(struct klttm_bo *bo)
{
	struct ttm_buffer_object *tbo = &bo->tbo;
	void *addr = NULL;
	bool is_iomem;

	if (ttm_bo_reserve(tbo, false, false, NULL))
		return NULL;
	/* RAM only: VRAM would have to be mapped write-back like its pages, and nobody needs it. */
	if (tbo->resource->mem_type == TTM_PL_VRAM)
		goto out_unreserve;
	if (!bo->kmap_count) {
		if (ttm_bo_kmap(tbo, 0, PFN_UP(tbo->base.size), &bo->kmap))
			goto out_unreserve;
		ttm_bo_pin(tbo);
	}
	bo->kmap_count++;
	addr = ttm_kmap_obj_virtual(&bo->kmap, &is_iomem);
out_unreserve:
	ttm_bo_unreserve(tbo);
	return addr;
}
EXPORT_SYMBOL_GPL(klttm_bo_kmap);

void klttm_bo_kunmap(struct klttm_bo *bo)
{
	dma_resv_lock(bo->tbo.base.resv, NULL);
	if (!WARN_ON_ONCE(!bo->kmap_count) && !--bo->kmap_count) {
		ttm_bo_kunmap(&bo->kmap);
		ttm_bo_unpin(&bo->tbo);
	}
	ttm_bo_unreserve(&bo->tbo);
}
EXPORT_SYMBOL_GPL(klttm_bo_kunmap);
