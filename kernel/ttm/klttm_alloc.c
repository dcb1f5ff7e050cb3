// SPDX-License-Identifier: GPL-2.0
/*
 * Making room: one thread of a GPU does it at a time, and an object that cannot leave now says so before TTM
 * has begun.
 *
 * TTM prints an error for each eviction that fails, without limit, and 6.1 may end the search with it. So what
 * can fail (RAM for the contents, waiting for the GPU, a fatal signal) is done in evict_flags(). An object that may
 * not leave is sent to a memory type without memory, whose manager answers -ERESTARTSYS: the one error that TTM
 * passes on without a word and without having touched the object. klttm_alloc_error() translates it back.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>

#include "klttm_priv.h"

/* RAM left to everybody else, on top of what is asked for. */
#define KLTTM_RAM_RESERVE_PAGES	(SZ_16M >> PAGE_SHIFT)
/* Looking for RAM in vain is slow: not again for this long. */
#define KLTTM_NO_RAM_PAUSE	(HZ / 10)
/* As long as TTM itself would wait for an object to become idle. */
#define KLTTM_IDLE_TIMEOUT	(15 * HZ)
#define KLTTM_IDLE_SLICE	(HZ / 10)

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
	return 0;
}

void klttm_alloc_end(struct klttm_device *dev)
{
	dev->interruptible = false;
	dev->job = 0;
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

/* Fences end when the device has passed them or is reaped, so this ends by itself; signals end it earlier. */
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
