// SPDX-License-Identifier: GPL-2.0
/*
 * Making room: one thread of a GPU does it at a time, and an object that cannot leave now says so before TTM
 * has begun.
 *
 * TTM prints an error for each eviction that fails, without limit, and 6.1 may end the search with it. So what
 * can fail (RAM for the contents, waiting for the GPU, a fatal signal) is done in evict_flags(). An object that may
 * not leave is sent to a memory type without memory, whose manager answers -ERESTARTSYS: the one error that TTM
 * passes on without a word and without having touched the object. klttm_alloc_error() translates it back.
 *
 * An object that somebody works on, or has reserved, is passed over: others may be idle. Only when a search ended in
 * vain is one of those waited for, outside of TTM, and the search begins again.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>

#include "klttm_priv.h"

/* RAM left to everybody else, on top of what is asked for. */
#define KLTTM_RAM_RESERVE_PAGES	(SZ_16M >> PAGE_SHIFT)
/* Looking for RAM in vain is slow: not again for this long. */
#define KLTTM_NO_RAM_PAUSE	(HZ / 10)
/* After so long another busy object may have become idle. */
#define KLTTM_IDLE_SLICE	(HZ / 10)
/* Holders of reservations waited for per allocation. */
#define KLTTM_HOLDERS		32

int klttm_alloc_begin(struct klttm_device *dev, bool interruptible)
{
	if (interruptible ? mutex_lock_interruptible(&dev->alloc_lock) :
			    mutex_lock_killable(&dev->alloc_lock))
		return -ERESTARTSYS;
	if (dev->dying) {
		mutex_unlock(&dev->alloc_lock);
		return -ENODEV;
	}
	dev->retry_orphans = true;
	dev->interruptible = interruptible;
	dev->give_up = jiffies + KLTTM_IDLE_TIMEOUT;
	dev->holders = 0;
	return 0;
}

/* What a search found and nobody waited for. */
static void klttm_alloc_forget(struct klttm_device *dev)
{
	dma_fence_put(dev->busy);
	dev->busy = NULL;
	if (dev->held)
		ttm_bo_put(dev->held);
	dev->held = NULL;
}

void klttm_alloc_end(struct klttm_device *dev)
{
	klttm_alloc_forget(dev);
	dev->interruptible = false;
	dev->job = 0;
	dev->spare_new = false;
	dev->spared = NULL;
	mutex_unlock(&dev->alloc_lock);
}

int klttm_alloc_error(int ret)
{
	switch (ret) {
	case -ERESTARTSYS:
	case -EINTR:
		return signal_pending(current) ? -ERESTARTSYS : -ENOMEM;
	case -ENOSPC:
		return -ENOMEM;
	default:
		return ret;
	}
}

void klttm_alloc_for(struct klttm_device *dev, u64 job)
{
	lockdep_assert_held(&dev->alloc_lock);
	dev->job = job;
	/* Smaller sizes are tried next. */
	if (job && dev->vain_job == job)
		dev->give_up = jiffies;
}

bool klttm_alloc_is_busy(struct klttm_device *dev, struct ttm_buffer_object *tbo)
{
	struct dma_resv_iter cursor;
	struct dma_fence *fence;

	dma_resv_for_each_fence(&cursor, tbo->base.resv, DMA_RESV_USAGE_BOOKKEEP, fence) {
		if (dma_fence_is_signaled(fence))
			continue;
		if (!dev->busy)
			dev->busy = dma_fence_get(fence);
		return true;
	}
	return false;
}

int klttm_alloc_again(struct klttm_device *dev, int ret)
{
	struct dma_fence *fence = dev->busy;

	lockdep_assert_held(&dev->alloc_lock);
	dev->busy = NULL;
	if (!fence)
		return ret;
	if (ret == -ENOMEM && time_before(jiffies, dev->give_up)) {
		ret = -EAGAIN;
		if (dma_fence_wait_timeout(fence, dev->interruptible, KLTTM_IDLE_SLICE) < 0 ||
		    fatal_signal_pending(current))
			ret = -ERESTARTSYS;
	} else if (ret == -ENOMEM) {
		dev->vain_job = dev->job;
	}
	dma_fence_put(fence);
	return ret;
}

/* Somebody else has it reserved, and it could leave otherwise. Locking: lru_lock. */
static bool klttm_is_held(struct klttm_device *dev, struct ttm_resource *res, struct ww_acquire_ctx *ticket)
{
	struct dma_resv *resv = res->bo->base.resv;

	if (res->bo->pin_count || !dma_resv_is_locked(resv) || (ticket && dma_resv_locking_ctx(resv) == ticket))
		return false;
	return !(to_klttm_bo(res->bo)->svm && dev->job && READ_ONCE(to_klttm_block(res)->job) == dev->job);
}

bool klttm_alloc_is_held(struct klttm_device *dev, struct ww_acquire_ctx *ticket)
{
	struct list_head *entry;
	unsigned int i;

	lockdep_assert_held(&dev->alloc_lock);
	if (dev->held || dev->holders == KLTTM_HOLDERS)
		return dev->held;
	spin_lock(&dev->bdev.lru_lock);
	for (i = 0; i < TTM_MAX_BO_PRIORITY && !dev->held; i++) {
		list_for_each(entry, &dev->vram_man.lru[i]) {
			struct ttm_resource *res = kcompat_ttm_lru_res(entry);

			if (res && klttm_is_held(dev, res, ticket) && ttm_bo_get_unless_zero(res->bo)) {
				dev->held = res->bo;
				break;
			}
		}
	}
	spin_unlock(&dev->bdev.lru_lock);
	return dev->held;
}

int klttm_alloc_wait_for_holder(struct klttm_device *dev)
{
	struct dma_resv *resv;
	int ret = 0;

	lockdep_assert_held(&dev->alloc_lock);
	if (!dev->held)
		return -ENOMEM;
	dev->holders++;
	resv = dev->held->base.resv;
	if (dev->interruptible)
		ret = dma_resv_lock_interruptible(resv, NULL);
	else
		dma_resv_lock(resv, NULL);
	if (!ret)
		dma_resv_unlock(resv);
	klttm_alloc_forget(dev);
	return ret ? -ERESTARTSYS : 0;
}

bool klttm_alloc_last_resort(struct klttm_device *dev)
{
	u64 before, after;

	lockdep_assert_held(&dev->alloc_lock);
	spin_lock(&dev->mm_lock);
	before = dev->vram_held;
	spin_unlock(&dev->mm_lock);
	klttm_svm_retry_orphans(dev, U64_MAX);
	flush_work(&dev->reap_work);
	spin_lock(&dev->mm_lock);
	after = dev->vram_held;
	spin_unlock(&dev->mm_lock);
	return after < before;
}

bool klttm_ram_for(u64 npages)
{
	return si_mem_available() + get_nr_swap_pages() > (long)npages + KLTTM_RAM_RESERVE_PAGES;
}

bool klttm_ram_short(struct klttm_device *dev)
{
	unsigned long since = READ_ONCE(dev->no_ram_since);

	return since && time_before(jiffies, since + KLTTM_NO_RAM_PAUSE);
}

/*
 * For evictions of everything; a search for room has passed over what is busy. Fences end when the device has passed
 * them or is reaped, so this ends by itself; signals end it earlier.
 */
static int klttm_wait_idle(struct klttm_bo *bo)
{
	unsigned long end = jiffies + KLTTM_IDLE_TIMEOUT;
	struct dma_resv *resv = bo->tbo.base.resv;

	while (!dma_resv_test_signaled(resv, DMA_RESV_USAGE_BOOKKEEP)) {
		if (fatal_signal_pending(current) ||
		    (READ_ONCE(bo->dev->interruptible) && signal_pending(current)))
			return -EINTR;
		if (time_after(jiffies, end))
			return -EBUSY;
		dma_resv_wait_timeout(resv, DMA_RESV_USAGE_BOOKKEEP, false, KLTTM_IDLE_SLICE);
	}
	return 0;
}

/* Populate the object's ttm_tt, which an object in VRAM has not. */
static int klttm_prepare_ram(struct klttm_bo *bo)
{
	struct ttm_operation_ctx ctx = { .gfp_retry_mayfail = true };
	struct ttm_buffer_object *tbo = &bo->tbo;
	int ret;

	if (!klttm_ram_for(tbo->base.size >> PAGE_SHIFT))
		return -ENOMEM;
	if (!tbo->ttm)
		tbo->ttm = klttm_tt_create(tbo, 0);
	if (!tbo->ttm)
		return -ENOMEM;
	ret = ttm_tt_populate(&bo->dev->bdev, tbo->ttm, &ctx);
	if (ret) {
		klttm_tt_destroy(&bo->dev->bdev, tbo->ttm);
		tbo->ttm = NULL;
	}
	return ret;
}

int klttm_ready_to_leave(struct klttm_bo *bo)
{
	struct klttm_device *dev = bo->dev;
	int ret;

	if (fatal_signal_pending(current))
		return -EINTR;
	ret = klttm_wait_idle(bo);
	if (ret)
		return ret;
	if (bo->svm)
		ret = dev->ops->evict_block(dev->owner, to_klttm_block(bo->tbo.resource));
	else if (!klttm_bo_is_discardable(bo))
		ret = klttm_prepare_ram(bo);
	WRITE_ONCE(dev->no_ram_since, ret == -ENOMEM ? jiffies ?: 1 : 0);
	return ret;
}

static int klttm_nowhere_alloc(struct ttm_resource_manager *man, struct ttm_buffer_object *bo,
			       const struct ttm_place *place, struct ttm_resource **res)
{
	return -ERESTARTSYS;
}

/* Nothing was ever allocated. */
static void klttm_nowhere_free(struct ttm_resource_manager *man, struct ttm_resource *res)
{
}

static const struct ttm_resource_manager_func klttm_nowhere_func = {
	.alloc = klttm_nowhere_alloc,
	.free = klttm_nowhere_free,
};

void klttm_alloc_init(struct klttm_device *dev)
{
	mutex_init(&dev->alloc_lock);
	dev->nowhere_man.func = &klttm_nowhere_func;
	ttm_resource_manager_init(&dev->nowhere_man, &dev->bdev, 0);
	ttm_set_driver_manager(&dev->bdev, KLTTM_PL_NOWHERE, &dev->nowhere_man);
	ttm_resource_manager_set_used(&dev->nowhere_man, true);
}

void klttm_alloc_fini(struct klttm_device *dev)
{
	ttm_resource_manager_set_used(&dev->nowhere_man, false);
	ttm_resource_manager_cleanup(&dev->nowhere_man);
	ttm_set_driver_manager(&dev->bdev, KLTTM_PL_NOWHERE, NULL);
}
