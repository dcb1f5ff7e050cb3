// SPDX-License-Identifier: GPL-2.0
/*
 * GEM ioctls on objects of their own memory: make them, say where they should be, map them, wait for them, note
 * something on them. Argument checks and errors are amdgpu's. What amdgpu knows and this GPU has not (GDS, GWS, OA,
 * doorbells as objects, encrypted memory, the compression of gfx12) is refused with its EINVAL.
 *
 * Every byte a user can reach through a new object is zero, whatever the flags.
 */
#include <linux/dma-resv.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>

#include "klttm_priv.h"

#define KLTTM_DOMAINS	(AMDGPU_GEM_DOMAIN_CPU | AMDGPU_GEM_DOMAIN_GTT | AMDGPU_GEM_DOMAIN_VRAM)
/*
 * All VRAM is visible and contiguous, which settles CPU_ACCESS_REQUIRED; RAM is snooped, so write-combining brings
 * nothing. VM_ALWAYS_VALID ties the object to its file, and is for command submission like EXPLICIT_SYNC.
 */
#define KLTTM_CREATE_FLAGS \
	(AMDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED | AMDGPU_GEM_CREATE_NO_CPU_ACCESS | \
	 AMDGPU_GEM_CREATE_CPU_GTT_USWC | AMDGPU_GEM_CREATE_VRAM_CLEARED | \
	 AMDGPU_GEM_CREATE_VM_ALWAYS_VALID | AMDGPU_GEM_CREATE_EXPLICIT_SYNC | \
	 AMDGPU_GEM_CREATE_DISCARDABLE)
/* Hints that are over when the object exists. */
#define KLTTM_CREATE_HINTS \
	(AMDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED | AMDGPU_GEM_CREATE_CPU_GTT_USWC)

struct klttm_bo *klttm_bo_lookup(struct drm_file *file, u32 handle)
{
	struct drm_gem_object *obj = drm_gem_object_lookup(file, handle);

	return obj ? to_klttm_bo(container_of(obj, struct ttm_buffer_object, base)) : NULL;
}

static int klttm_gem_check_create(const struct klttm_device *dev, const struct drm_amdgpu_gem_create_in *in)
{
	u64 limit = max_t(u64, dev->config.vram_size, dev->gtt_man.size);

	if (in->domain_flags & ~(u64)KLTTM_CREATE_FLAGS || in->domains & ~(u64)KLTTM_DOMAINS)
		return -EINVAL;
	if (!in->bo_size)
		return -EINVAL;
	if (in->alignment > dev->config.vram_size)
		return -EINVAL;
	if (in->alignment && !is_power_of_2(PAGE_ALIGN(in->alignment)))
		return -EINVAL;
	return in->bo_size > limit ? -ENOMEM : 0;
}

static struct klttm_bo *klttm_gem_try_create(struct klttm_device *dev, struct klttm_bo_params *params)
{
	struct klttm_bo *bo;

	params->committed_to = klttm_commit(dev, params->domains, params->size);
	if (!params->committed_to)
		return ERR_PTR(-ENOMEM);
	bo = klttm_bo_alloc(dev, params);
	if (!IS_ERR(bo))
		ttm_bo_unreserve(&bo->tbo);
	return bo;
}

int klttm_gem_create_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	struct klttm_device *dev = drm_to_klttm_device(ddev);
	union drm_amdgpu_gem_create *args = data;
	struct klttm_bo_params params = {};
	struct klttm_bo *bo;
	u32 handle;
	int ret;

	ret = klttm_gem_check_create(dev, &args->in);
	if (ret)
		return ret;
	params.size = PAGE_ALIGN(args->in.bo_size);
	params.page_align = PAGE_ALIGN(args->in.alignment) >> PAGE_SHIFT;
	params.domains = args->in.domains;
	params.flags = (args->in.domain_flags & ~KLTTM_CREATE_HINTS) | AMDGPU_GEM_CREATE_VRAM_CLEARED;
	bo = klttm_gem_try_create(dev, &params);
	if (IS_ERR(bo) && PTR_ERR(bo) != -ENODEV && params.domains == AMDGPU_GEM_DOMAIN_VRAM) {
		params.domains |= AMDGPU_GEM_DOMAIN_GTT;
		bo = klttm_gem_try_create(dev, &params);
	}
	if (IS_ERR(bo))
		return PTR_ERR(bo) == -ENOSPC ? -ENOMEM : PTR_ERR(bo);
	if (params.flags & AMDGPU_GEM_CREATE_VM_ALWAYS_VALID)
		bo->only_file = file->driver_priv;

	ret = drm_gem_handle_create(file, &bo->tbo.base, &handle);
	klttm_bo_put(bo);
	if (ret)
		return ret;
	memset(args, 0, sizeof(*args));
	args->out.handle = handle;
	return 0;
}

int klttm_gem_mmap_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	union drm_amdgpu_gem_mmap *args = data;
	struct klttm_bo *bo = klttm_bo_lookup(file, args->in.handle);
	int ret = 0;

	if (!bo)
		return -ENOENT;
	if (bo->userptr || bo->create_flags & AMDGPU_GEM_CREATE_NO_CPU_ACCESS)
		ret = -EPERM;
	else
		args->out.addr_ptr = klttm_bo_mmap_offset(bo);
	klttm_bo_put(bo);
	return ret;
}

unsigned long klttm_timeout(u64 deadline_ns)
{
	s64 left;

	if ((s64)deadline_ns < 0)
		return MAX_SCHEDULE_TIMEOUT;
	left = (s64)deadline_ns - ktime_get_ns();
	if (left < 0)
		return 0;
	return min_t(u64, nsecs_to_jiffies64(left), MAX_SCHEDULE_TIMEOUT - 1);
}

int klttm_gem_wait_idle_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	union drm_amdgpu_gem_wait_idle *args = data;
	struct klttm_bo *bo = klttm_bo_lookup(file, args->in.handle);
	long left;

	if (!bo)
		return -ENOENT;
	/* For as long as the user says and a signal does not end it; a fence ends by itself or with its GPU. */
	left = dma_resv_wait_timeout(bo->tbo.base.resv, DMA_RESV_USAGE_READ, true,
				     klttm_timeout(args->in.timeout));
	klttm_bo_put(bo);
	if (left < 0)
		return left;
	memset(args, 0, sizeof(*args));
	args->out.status = !left;
	return 0;
}

static int klttm_set_metadata(struct klttm_bo *bo, const struct drm_amdgpu_gem_metadata *args)
{
	void *copy = NULL;

	if (args->data.data_size_bytes > sizeof(args->data.data))
		return -EINVAL;
	if (args->data.data_size_bytes) {
		copy = kmemdup(args->data.data, args->data.data_size_bytes, GFP_KERNEL_ACCOUNT);
		if (!copy)
			return -ENOMEM;
		bo->metadata_flags = args->data.flags;
	}
	bo->tiling_flags = args->data.tiling_info;
	kfree(bo->metadata);
	bo->metadata = copy;
	bo->metadata_size = args->data.data_size_bytes;
	return 0;
}

/* An unknown op does nothing and succeeds, as with amdgpu. */
int klttm_gem_metadata_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	struct drm_amdgpu_gem_metadata *args = data;
	struct klttm_bo *bo = klttm_bo_lookup(file, args->handle);
	int ret;

	if (!bo)
		return -ENOENT;
	ret = ttm_bo_reserve(&bo->tbo, true, false, NULL);
	if (ret)
		goto out_put;
	if (args->op == AMDGPU_GEM_METADATA_OP_SET_METADATA) {
		ret = klttm_set_metadata(bo, args);
	} else if (args->op == AMDGPU_GEM_METADATA_OP_GET_METADATA) {
		args->data.flags = bo->metadata_flags;
		args->data.tiling_info = bo->tiling_flags;
		args->data.data_size_bytes = bo->metadata_size;
		memcpy(args->data.data, bo->metadata, bo->metadata_size);
	}
	/* Not ttm_bo_unreserve(): who looks at an object does not use it. */
	dma_resv_unlock(bo->tbo.base.resv);
out_put:
	klttm_bo_put(bo);
	return ret;
}

static int klttm_set_placement(struct klttm_bo *bo, u64 value)
{
	if (bo->tbo.base.import_attach && value & AMDGPU_GEM_DOMAIN_VRAM)
		return -EINVAL;
	if (bo->userptr)
		return -EPERM;
	bo->preferred_domains = value & KLTTM_DOMAINS;
	bo->allowed_domains = bo->preferred_domains;
	if (bo->allowed_domains == AMDGPU_GEM_DOMAIN_VRAM)
		bo->allowed_domains |= AMDGPU_GEM_DOMAIN_GTT;
	return 0;
}

int klttm_gem_op_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	struct drm_amdgpu_gem_op *args = data;
	struct klttm_bo *bo = klttm_bo_lookup(file, args->handle);
	struct drm_amdgpu_gem_create_in info = {};
	int ret;

	if (!bo)
		return -ENOENT;
	ret = ttm_bo_reserve(&bo->tbo, true, false, NULL);
	if (ret)
		goto out_put;
	if (args->op == AMDGPU_GEM_OP_SET_PLACEMENT)
		ret = klttm_set_placement(bo, args->value);
	else if (args->op != AMDGPU_GEM_OP_GET_GEM_CREATE_INFO)
		ret = -EINVAL;
	info.bo_size = bo->tbo.base.size;
	info.alignment = (u64)bo->tbo.page_alignment << PAGE_SHIFT;
	info.domains = bo->preferred_domains;
	info.domain_flags = bo->create_flags;
	dma_resv_unlock(bo->tbo.base.resv);
	if (!ret && args->op == AMDGPU_GEM_OP_GET_GEM_CREATE_INFO &&
	    copy_to_user(u64_to_user_ptr(args->value), &info, sizeof(info)))
		ret = -EFAULT;
out_put:
	klttm_bo_put(bo);
	return ret;
}

static int klttm_bo_place(struct klttm_bo *bo, u32 domains, struct ttm_operation_ctx *ctx)
{
	struct ttm_place places[KLTTM_MAX_PLACES];
	struct ttm_placement placement = {};

	kcompat_ttm_placement_set(&placement, places, klttm_domain_places(domains, places));
	return klttm_alloc_error(ttm_bo_validate(&bo->tbo, &placement, ctx));
}

int klttm_bo_validate(struct klttm_bo *bo, struct ttm_operation_ctx *ctx)
{
	struct klttm_device *dev = bo->dev;
	int ret;

	lockdep_assert_held(&dev->alloc_lock);
	if (dev->dying)
		return -ENODEV;
	/* What an importer pinned stays where it is, and foreign memory is nobody's to move. */
	if (bo->foreign || bo->tbo.pin_count)
		return 0;
	dev->retry_orphans = true;
	dev->interruptible = ctx->interruptible;
	do {
		ret = klttm_bo_place(bo, bo->preferred_domains, ctx);
		/* TTM may have lost against an older ticket: it must not lock anything more with ours. */
		if (ret == -ENOMEM && klttm_alloc_is_held(dev, dma_resv_locking_ctx(bo->tbo.base.resv)))
			return -EBUSY;
		ret = klttm_alloc_again(dev, ret);
	} while (ret == -EAGAIN);
	if (ret == -ENOMEM && bo->allowed_domains != bo->preferred_domains)
		ret = klttm_bo_place(bo, bo->allowed_domains, ctx);
	return ret;
}

int klttm_bo_move_to_gtt(struct klttm_bo *bo)
{
	struct ttm_operation_ctx ctx = { .interruptible = true, .gfp_retry_mayfail = true };
	long left;

	/* Who imports may hold locks of its own; so what would be long is waited for here, and move() finds it idle. */
	left = dma_resv_wait_timeout(bo->tbo.base.resv, DMA_RESV_USAGE_BOOKKEEP, true, KLTTM_IDLE_TIMEOUT);
	if (left <= 0)
		return left ?: -EBUSY;
	return klttm_bo_place(bo, AMDGPU_GEM_DOMAIN_GTT, &ctx);
}

int klttm_bo_populate(struct klttm_bo *bo)
{
	struct ttm_operation_ctx ctx = { .interruptible = true, .gfp_retry_mayfail = true };
	struct ttm_buffer_object *tbo = &bo->tbo;

	dma_resv_assert_held(tbo->base.resv);
	if (bo->svm || bo->foreign || !tbo->ttm || (tbo->resource && tbo->resource->mem_type == TTM_PL_VRAM))
		return 0;
	return ttm_tt_populate(&bo->dev->bdev, tbo->ttm, &ctx);
}
