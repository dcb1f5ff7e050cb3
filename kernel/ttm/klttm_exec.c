// SPDX-License-Identifier: GPL-2.0
/*
 * The objects of one submission: reserve all of them, bring them to where they belong, add the fence.
 *
 * They are reserved in any order with one ww ticket; who loses against an older ticket lets go of everything and
 * begins with the object it lost. alloc_lock, which must come before reservations, is taken only when some object
 * is not at home: then everything is let go of, and reserved again behind it. So it is, too, when what could make room
 * is reserved by somebody else, who may have an older ticket and want one of ours.
 */
#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include <drm/amdgpu_drm.h>

#include "klttm_priv.h"

/* A submission may name 128 Ki objects. */
static int klttm_exec_breathe(void)
{
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static void klttm_exec_unlock_all(struct klttm_exec *exec)
{
	unsigned int i;

	for (i = 0; i < exec->count; i++) {
		if (exec->bos[i].locked)
			dma_resv_unlock(exec->bos[i].bo->tbo.base.resv);
		exec->bos[i].locked = false;
	}
}

static int klttm_exec_lock_slow(struct klttm_exec *exec, unsigned int lost)
{
	int ret;

	klttm_exec_unlock_all(exec);
	ret = dma_resv_lock_slow_interruptible(exec->bos[lost].bo->tbo.base.resv, &exec->ticket);
	exec->bos[lost].locked = !ret;
	return ret;
}

/* -EINTR or 0. The ticket is to be finished in any case. */
static int klttm_exec_lock_all(struct klttm_exec *exec)
{
	unsigned int i = 0;
	int ret;

	while (i < exec->count) {
		ret = exec->bos[i].locked ? 0 :
			dma_resv_lock_interruptible(exec->bos[i].bo->tbo.base.resv, &exec->ticket);
		if (ret == -EDEADLK) {
			ret = klttm_exec_lock_slow(exec, i);
			if (ret)
				return ret;
			i = 0;
			continue;
		}
		if (!ret || ret == -EALREADY) {
			exec->bos[i++].locked |= !ret;
			ret = klttm_exec_breathe();
		}
		if (ret) {
			klttm_exec_unlock_all(exec);
			return ret;
		}
	}
	return 0;
}

static bool klttm_exec_at_home(struct klttm_bo *bo)
{
	if (bo->tbo.pin_count || bo->foreign)
		return true;
	/* What was discarded has no memory on 6.12. */
	if (!bo->tbo.resource)
		return false;
	switch (bo->tbo.resource->mem_type) {
	case TTM_PL_VRAM:
		return bo->preferred_domains & AMDGPU_GEM_DOMAIN_VRAM;
	case TTM_PL_TT:
		return bo->preferred_domains & AMDGPU_GEM_DOMAIN_GTT;
	default:
		return !(bo->preferred_domains & (AMDGPU_GEM_DOMAIN_VRAM | AMDGPU_GEM_DOMAIN_GTT));
	}
}

static bool klttm_exec_all_at_home(struct klttm_exec *exec)
{
	unsigned int i;

	for (i = 0; i < exec->count; i++)
		if (!klttm_exec_at_home(exec->bos[i].bo))
			return false;
	return true;
}

/* Locking: alloc_lock, all reservations. */
static int klttm_exec_validate(struct klttm_exec *exec)
{
	struct ttm_operation_ctx ctx = { .interruptible = true, .gfp_retry_mayfail = true };
	unsigned int i;
	int ret;

	for (i = 0; i < exec->count; i++) {
		ret = klttm_exec_breathe();
		if (!ret && !klttm_exec_at_home(exec->bos[i].bo))
			ret = klttm_bo_validate(exec->bos[i].bo, &ctx);
		if (ret)
			return ret;
	}
	return 0;
}

static int klttm_exec_lock_in_place(struct klttm_exec *exec)
{
	int ret;

	ww_acquire_init(&exec->ticket, &reservation_ww_class);
	ret = klttm_exec_lock_all(exec);
	if (!ret && klttm_exec_all_at_home(exec)) {
		ww_acquire_done(&exec->ticket);
		return 0;
	}
	klttm_exec_backoff(exec);
	return ret ? ret : -EAGAIN;
}

static int klttm_exec_lock_and_move(struct klttm_exec *exec)
{
	int ret;

	ret = klttm_alloc_begin(exec->dev, true);
	if (ret)
		return ret;
	do {
		ww_acquire_init(&exec->ticket, &reservation_ww_class);
		ret = klttm_exec_lock_all(exec);
		if (!ret)
			ret = klttm_exec_validate(exec);
		if (!ret) {
			ww_acquire_done(&exec->ticket);
			break;
		}
		klttm_exec_backoff(exec);
		if (ret == -EBUSY)
			ret = klttm_alloc_wait_for_holder(exec->dev) ?: -EAGAIN;
	} while (ret == -EAGAIN);
	klttm_alloc_end(exec->dev);
	return ret;
}

int klttm_exec_reserve(struct klttm_exec *exec)
{
	int ret = klttm_exec_lock_in_place(exec);

	if (ret == -EAGAIN)
		ret = klttm_exec_lock_and_move(exec);
	return ret == -EINTR ? -ERESTARTSYS : ret;
}

void klttm_exec_backoff(struct klttm_exec *exec)
{
	klttm_exec_unlock_all(exec);
	ww_acquire_fini(&exec->ticket);
}

int klttm_exec_prepare(struct klttm_exec *exec, struct klttm_job *job)
{
	struct dma_resv_iter cursor;
	enum dma_resv_usage usage;
	struct dma_fence *fence;
	struct klttm_bo *bo;
	unsigned int i;
	int ret;

	for (i = 0; i < exec->count; i++) {
		if (!exec->bos[i].locked)
			continue;
		bo = exec->bos[i].bo;
		usage = bo->create_flags & AMDGPU_GEM_CREATE_EXPLICIT_SYNC ? DMA_RESV_USAGE_KERNEL :
			dma_resv_usage_rw(true);
		dma_resv_for_each_fence(&cursor, bo->tbo.base.resv, usage, fence) {
			ret = klttm_job_depend(job, dma_fence_get(fence));
			if (ret)
				return ret;
		}
		ret = dma_resv_reserve_fences(bo->tbo.base.resv, 1) ?: klttm_exec_breathe();
		if (ret)
			return ret;
	}
	return 0;
}

void klttm_exec_finish(struct klttm_exec *exec, struct dma_fence *fence)
{
	unsigned int i;

	for (i = 0; i < exec->count; i++) {
		struct ttm_buffer_object *tbo = &exec->bos[i].bo->tbo;

		if (exec->bos[i].locked)
			dma_resv_add_fence(tbo->base.resv, fence, DMA_RESV_USAGE_WRITE);
	}
	for (i = 0; i < exec->count; i++)
		ttm_bo_move_to_lru_tail_unlocked(&exec->bos[i].bo->tbo);
	klttm_exec_backoff(exec);
}

struct page *klttm_exec_page(struct klttm_bo *bo, unsigned long index)
{
	struct ttm_buffer_object *tbo = &bo->tbo;

	dma_resv_assert_held(tbo->base.resv);
	if (bo->svm || bo->foreign)
		return NULL;
	/* What was discarded has no resource on 6.12, and is RAM. */
	if (tbo->resource && tbo->resource->mem_type == TTM_PL_VRAM)
		return pfn_to_page(PHYS_PFN(klttm_block_phys(to_klttm_block(tbo->resource))) + index);
	if (!tbo->ttm || !ttm_tt_is_populated(tbo->ttm))
		return NULL;
	return tbo->ttm->pages[index];
}
