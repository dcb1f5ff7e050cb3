// SPDX-License-Identifier: GPL-2.0
/*
 * Buffer objects. Each embeds a GEM object, whose references are the public ones; the GEM object owns one
 * reference of the TTM object inside, as do CPU mappings. SVM objects have no mapping and no GEM user: their
 * only reference belongs to the pages of their block (klttm_svm.c).
 */
#include <linux/dma-buf.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>

#include "klttm_priv.h"

static struct klttm_bo *gem_to_klttm_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct klttm_bo, tbo.base);
}

/* Objects of all GPUs without references that have their charge still, and who waits for it. */
static atomic64_t klttm_leaving = ATOMIC64_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(klttm_left);
#define KLTTM_LEAVING_TIMEOUT	HZ

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

static atomic64_t *klttm_commit_now(struct klttm_device *dev, u32 domains, u64 size)
{
	/* Page tables are never evicted: objects cannot have that part. */
	u64 vram = dev->config.vram_size - READ_ONCE(dev->vram_top);

	if (domains & AMDGPU_GEM_DOMAIN_VRAM &&
	    klttm_try_commit(&dev->vram_committed, vram, size))
		return &dev->vram_committed;
	if (domains != AMDGPU_GEM_DOMAIN_VRAM &&
	    klttm_try_commit(&klttm_gtt_committed, dev->gtt_man.size, size))
		return &klttm_gtt_committed;
	return NULL;
}

atomic64_t *klttm_commit(struct klttm_device *dev, u32 domains, u64 size)
{
	atomic64_t *heap = klttm_commit_now(dev, domains, size);

	/* What was just freed may be on its way; what waits for somebody's fence may be so for long. */
	if (!heap && atomic64_read(&klttm_leaving))
		wait_event_killable_timeout(klttm_left, (heap = klttm_commit_now(dev, domains, size)) ||
					    !atomic64_read(&klttm_leaving), KLTTM_LEAVING_TIMEOUT);
	return heap;
}

static void klttm_bo_destroy(struct ttm_buffer_object *tbo)
{
	struct klttm_bo *bo = to_klttm_bo(tbo);

	if (bo->committed_to)
		atomic64_sub(tbo->base.size, bo->committed_to);
	if (bo->leaving) {
		atomic64_dec(&klttm_leaving);
		wake_up_all(&klttm_left);
	}
	if (bo->userptr)
		klttm_userptr_free(bo->userptr);
	drm_gem_object_release(&tbo->base);
	/* Behind everything that may look at the reservation, which is the exporter's. */
	if (bo->import)
		klttm_prime_release(bo);
	atomic64_dec(&bo->dev->buffer_objects);
	kfree(bo->metadata);
	kfree(bo);
}

void klttm_release_notify(struct ttm_buffer_object *tbo)
{
	struct klttm_bo *bo = to_klttm_bo(tbo);

	/* Not what TTM splits off an object. */
	if (tbo->destroy != klttm_bo_destroy)
		return;
	bo->leaving = true;
	atomic64_inc(&klttm_leaving);
}

static void klttm_gem_free(struct drm_gem_object *obj)
{
	ttm_bo_put(&gem_to_klttm_bo(obj)->tbo);
}

static int klttm_gem_open(struct drm_gem_object *obj, struct drm_file *file)
{
	return klttm_file_hold(file->driver_priv, gem_to_klttm_bo(obj));
}

static void klttm_gem_close(struct drm_gem_object *obj, struct drm_file *file)
{
	klttm_file_drop(file->driver_priv, gem_to_klttm_bo(obj));
}

const struct drm_gem_object_funcs klttm_gem_funcs = {
	.free = klttm_gem_free,
	.open = klttm_gem_open,
	.close = klttm_gem_close,
	.export = klttm_gem_export,
	.mmap = klttm_gem_mmap,
	.vm_ops = &klttm_vm_ops,
};

unsigned int klttm_domain_places(u32 domains, struct ttm_place places[KLTTM_MAX_PLACES])
{
	static const struct { u32 domain, mem_type; } heaps[KLTTM_MAX_PLACES] = {
		{ AMDGPU_GEM_DOMAIN_VRAM, TTM_PL_VRAM },
		{ AMDGPU_GEM_DOMAIN_GTT, TTM_PL_TT },
		{ AMDGPU_GEM_DOMAIN_CPU, TTM_PL_SYSTEM },
	};
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(heaps); i++)
		if (domains & heaps[i].domain)
			places[n++] = (struct ttm_place){ .mem_type = heaps[i].mem_type };
	if (!n)
		places[n++] = (struct ttm_place){ .mem_type = TTM_PL_SYSTEM };
	return n;
}

static void klttm_bo_setup(struct klttm_bo *bo, struct klttm_device *dev,
			   const struct klttm_bo_params *params)
{
	bo->dev = dev;
	INIT_LIST_HEAD(&bo->watches);
	bo->svm = params->svm;
	bo->foreign = params->foreign;
	bo->create_flags = params->flags;
	bo->preferred_domains = params->domains;
	bo->allowed_domains = params->domains;
	if (params->domains == AMDGPU_GEM_DOMAIN_VRAM && !(params->flags & AMDGPU_GEM_CREATE_DISCARDABLE))
		bo->allowed_domains |= AMDGPU_GEM_DOMAIN_GTT;
	bo->tbo.priority = params->flags & AMDGPU_GEM_CREATE_DISCARDABLE ? KLTTM_PRIORITY_DISCARDABLE :
			   KLTTM_PRIORITY_NORMAL;
	if (params->import) {
		get_dma_buf(params->import);
		bo->import = params->import;
	}
	bo->tbo.base.funcs = &klttm_gem_funcs;
	drm_gem_private_object_init(dev->ddev, &bo->tbo.base, params->size);
	atomic64_inc(&dev->buffer_objects);
}

/* One attempt. Locking: alloc_lock. */
static struct klttm_bo *klttm_bo_try(struct klttm_device *dev, const struct klttm_bo_params *params)
{
	enum ttm_bo_type type = params->svm ? ttm_bo_type_kernel :
				params->foreign ? ttm_bo_type_sg : ttm_bo_type_device;
	struct ttm_operation_ctx ctx = { .gfp_retry_mayfail = true };
	struct ttm_place places[KLTTM_MAX_PLACES];
	struct dma_resv *resv = params->import ? params->import->resv : NULL;
	struct ttm_placement placement = {};
	struct klttm_bo *bo;
	int ret;

	bo = kzalloc(sizeof(*bo), KLTTM_GFP_METADATA);
	if (!bo)
		return ERR_PTR(-ENOMEM);
	klttm_bo_setup(bo, dev, params);
	kcompat_ttm_placement_set(&placement, places, klttm_domain_places(params->domains, places));

	if (resv)
		dma_resv_lock(resv, NULL);
	/* On failure TTM calls klttm_bo_destroy(). */
	ret = ttm_bo_init_reserved(&dev->bdev, &bo->tbo, type, &placement, params->page_align, &ctx,
				   NULL, resv, klttm_bo_destroy);
	if (ret && resv)
		dma_resv_unlock(resv);
	if (ret == -EBUSY)
		ret = -ENOSPC;
	return ret ? ERR_PTR(klttm_alloc_error(ret)) : bo;
}

/* Until there is room, or nothing left to wait for. Locking: alloc_lock. */
static struct klttm_bo *klttm_bo_try_hard(struct klttm_device *dev, const struct klttm_bo_params *params)
{
	struct klttm_bo *bo;
	int ret;

	do {
		bo = klttm_bo_try(dev, params);
		ret = klttm_alloc_again(dev, PTR_ERR_OR_ZERO(bo));
		if (ret == -ENOMEM && klttm_alloc_is_held(dev, NULL))
			ret = klttm_alloc_wait_for_holder(dev) ?: -EAGAIN;
	} while (ret == -EAGAIN);
	return ret ? ERR_PTR(ret) : bo;
}

struct klttm_bo *klttm_bo_alloc(struct klttm_device *dev, const struct klttm_bo_params *params)
{
	int ret = klttm_alloc_begin(dev, !params->svm);
	struct klttm_bo *bo = ERR_PTR(ret);

	if (!ret) {
		klttm_alloc_for(dev, params->job);
		dev->spared = current->mm;
		dev->spare_new = params->spare_new;
		bo = klttm_bo_try_hard(dev, params);
		if (PTR_ERR(bo) == -ENOMEM && klttm_alloc_last_resort(dev))
			bo = klttm_bo_try_hard(dev, params);
		/* What the process may have by its limits is scattered over VRAM; its pages of SVM are as well off in RAM. */
		dev->spared = NULL;
		if (PTR_ERR(bo) == -ENOMEM && !params->svm)
			bo = klttm_bo_try_hard(dev, params);
		klttm_alloc_end(dev);
	}
	if (!IS_ERR(bo))
		bo->committed_to = params->committed_to;
	else if (params->committed_to)
		atomic64_sub(params->size, params->committed_to);
	return bo;
}

struct klttm_bo *klttm_bo_create(struct klttm_device *dev, u64 size, u32 domain, bool cpu_access)
{
	u64 limit = domain == AMDGPU_GEM_DOMAIN_VRAM ? dev->config.vram_size : dev->gtt_man.size;
	struct klttm_bo_params params = { .domains = domain, .flags = AMDGPU_GEM_CREATE_VRAM_CLEARED };
	struct klttm_bo *bo;

	if (domain != AMDGPU_GEM_DOMAIN_VRAM && domain != AMDGPU_GEM_DOMAIN_GTT)
		return ERR_PTR(-EINVAL);
	if (!size)
		return ERR_PTR(-EINVAL);
	/* Before rounding up, which could wrap; and a hopeless request must not evict everybody. */
	if (size > limit)
		return ERR_PTR(-ENOSPC);
	if (!cpu_access)
		params.flags |= AMDGPU_GEM_CREATE_NO_CPU_ACCESS;
	params.size = PAGE_ALIGN(size);
	params.committed_to = klttm_commit(dev, domain, params.size);
	if (!params.committed_to)
		return ERR_PTR(-ENOMEM);
	bo = klttm_bo_alloc(dev, &params);
	if (!IS_ERR(bo))
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
	struct drm_file *file = filp->private_data;
	int ret;

	if (!klttm_file_is_render(bo->dev, filp))
		return -EINVAL;
	ret = klttm_file_hold(file->driver_priv, bo);
	if (ret)
		return ret;
	ret = drm_vma_node_allow(&bo->tbo.base.vma_node, file);
	if (ret)
		klttm_file_drop(file->driver_priv, bo);
	return ret;
}
EXPORT_SYMBOL_GPL(klttm_bo_allow);

void klttm_bo_revoke(struct klttm_bo *bo, struct file *filp)
{
	struct drm_file *file = filp->private_data;

	drm_vma_node_revoke(&bo->tbo.base.vma_node, file);
	klttm_file_drop(file->driver_priv, bo);
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
