// SPDX-License-Identifier: GPL-2.0
/*
 * RAM of plain objects: where its pages come from, and swapping them out.
 *
 * TTM writes objects in RAM to shmem, the least recently used first, whenever the objects of all drivers together
 * exceed its pages_limit (/sys/module/ttm/parameters, half of RAM unless somebody wrote it), and reads them back when
 * somebody looks. Stock TTM does nothing when RAM is short for other reasons, so each GPU has a shrinker. It only
 * notes that RAM is short: shmem pages cannot be had from inside reclaim, a work swaps out.
 *
 * Pages are taken from the kernel one by one here, not from TTM's pool: that one prints a warning when RAM is short
 * and may wake the OOM killer. Nobody is killed, and nothing printed, for the RAM of an object.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "klttm_priv.h"

/* Objects that one run of the work swaps out at most: 64 MiB, then it looks again whether RAM is still short. */
#define KLTTM_SWAP_PAGES	(SZ_64M >> PAGE_SHIFT)
/* After a swap-out that failed, and after one more. */
#define KLTTM_SWAP_PAUSE_MIN	HZ
#define KLTTM_SWAP_PAUSE_MAX	(64 * HZ)
/* Runs of pages are copied by one packet; larger ones than this are not worth looking for. */
#define KLTTM_RAM_ORDER		9
#define KLTTM_GFP		(GFP_HIGHUSER | __GFP_NOWARN)

struct klttm_shrinker {
	struct klttm_device *dev;
#ifdef KCOMPAT_HAVE_SHRINKER_ALLOC
	struct shrinker *base;
#else
	struct shrinker base;
#endif
	struct work_struct work;
};

/* ---- pages ---- */

static void klttm_free_pages(struct ttm_tt *tt, pgoff_t n)
{
	pgoff_t i;

	for (i = 0; i < n; i++) {
		__free_page(tt->pages[i]);
		tt->pages[i] = NULL;
		if (!(i % 1024))
			cond_resched();
	}
}

/* Order 0 tries hard, larger ones take what lies about. */
static struct page *klttm_alloc_run(struct ttm_tt *tt, unsigned int order)
{
	gfp_t gfp = KLTTM_GFP | (tt->page_flags & TTM_TT_FLAG_ZERO_ALLOC ? __GFP_ZERO : 0);
	struct page *page;

	if (!order)
		return alloc_page(gfp | __GFP_RETRY_MAYFAIL);
	page = alloc_pages((gfp & ~__GFP_DIRECT_RECLAIM) | __GFP_NORETRY, order);
	if (page)
		split_page(page, order);
	return page;
}

static int klttm_alloc_pages(struct ttm_tt *tt)
{
	unsigned int order = KLTTM_RAM_ORDER;
	pgoff_t at = 0, i;

	while (at < tt->num_pages) {
		struct page *page;

		order = min_t(unsigned int, order, __fls(tt->num_pages - at));
		page = fatal_signal_pending(current) ? NULL : klttm_alloc_run(tt, order);
		if (!page && order && !fatal_signal_pending(current)) {
			/* What is large is gone, and small runs are not worth a search of their own. */
			order = order > 4 ? 4 : 0;
			continue;
		}
		if (!page) {
			klttm_free_pages(tt, at);
			return fatal_signal_pending(current) ? -ERESTARTSYS : -ENOMEM;
		}
		for (i = 0; i < 1ul << order; i++)
			tt->pages[at++] = page + i;
		cond_resched();
	}
	return 0;
}

int klttm_tt_populate(struct ttm_device *bdev, struct ttm_tt *tt, struct ttm_operation_ctx *ctx)
{
	struct address_space *swap;
	int ret;

	if (tt->page_flags & TTM_TT_FLAG_EXTERNAL)
		return 0;
	ret = klttm_alloc_pages(tt);
	if (ret)
		return ret;
	/* TTM reads the contents back next; that shall not kill anybody either. */
	if (tt->swap_storage) {
		swap = tt->swap_storage->f_mapping;
		mapping_set_gfp_mask(swap, mapping_gfp_mask(swap) | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	}
	atomic64_add(tt->num_pages, &to_klttm_device(bdev)->ram_pages);
	return 0;
}

void klttm_tt_unpopulate(struct ttm_device *bdev, struct ttm_tt *tt)
{
	struct klttm_device *dev = to_klttm_device(bdev);

	if (tt->page_flags & TTM_TT_FLAG_EXTERNAL)
		return;
	klttm_free_pages(tt, tt->num_pages);
	atomic64_sub(tt->num_pages, &dev->ram_pages);
	if (READ_ONCE(dev->swap_tt) == tt) {
		WRITE_ONCE(dev->swap_tt, NULL);
		WRITE_ONCE(dev->swap_pause, 0);
		atomic64_inc(&dev->swapouts);
	}
}

/* ---- swapping out ---- */

/*
 * TTM is about to swap the object out, and prints a line if it gets no file for it (vm.overcommit_memory=2). It tells
 * nobody how it ended, so that counts as a failure until the pages are given back. The pause after one doubles.
 */
void klttm_swap_notify(struct ttm_buffer_object *tbo)
{
	struct klttm_device *dev = to_klttm_device(tbo->bdev);
	unsigned long pause = clamp_t(unsigned long, 2 * READ_ONCE(dev->swap_pause), KLTTM_SWAP_PAUSE_MIN,
				      KLTTM_SWAP_PAUSE_MAX);

	WRITE_ONCE(dev->swap_tt, tbo->ttm);
	WRITE_ONCE(dev->swap_after, jiffies + pause);
	WRITE_ONCE(dev->swap_pause, pause);
}

void klttm_swap_forget(struct ttm_buffer_object *tbo)
{
	if (tbo->ttm)
		cmpxchg(&to_klttm_device(tbo->bdev)->swap_tt, tbo->ttm, NULL);
}

static bool klttm_swap_pauses(struct klttm_device *dev)
{
	return READ_ONCE(dev->swap_pause) && time_before(jiffies, READ_ONCE(dev->swap_after));
}

bool klttm_swap_valuable(struct klttm_device *dev, struct ttm_buffer_object *tbo)
{
	/* The GPU may be at it; there are idle ones. */
	if (klttm_bo_is_watched(to_klttm_bo(tbo)) || !dma_resv_test_signaled(tbo->base.resv, DMA_RESV_USAGE_BOOKKEEP))
		return false;
	/*
	 * Beyond its limit TTM swaps out with GFP_KERNEL, which kills when RAM is short. Then the limit is
	 * exceeded instead. And our work would search for the pages without end.
	 */
	return !klttm_swap_pauses(dev) && klttm_ram_for(tbo->base.size >> PAGE_SHIFT);
}

static void klttm_swap_work(struct work_struct *work)
{
	struct klttm_shrinker *shrinker = container_of(work, struct klttm_shrinker, work);
	struct ttm_operation_ctx ctx = { .no_wait_gpu = true };
	struct klttm_device *dev = shrinker->dev;
	s64 before = atomic64_read(&dev->ram_pages), goal = before - KLTTM_SWAP_PAGES;

	/* Each round swaps one object out, so this ends. Without space to swap to, RAM would only be moved about. */
	while (atomic64_read(&dev->ram_pages) > max(goal, 0ll) && get_nr_swap_pages() > KLTTM_SWAP_PAGES) {
		/*
		 * Without __GFP_FS nobody is killed for it; swapping needs only IO. __GFP_NORETRY would not reach
		 * the allocation, TTM masks it out; it is klttm_swap_valuable() that sees to it that pages can be had.
		 */
		if (ttm_device_swapout(&dev->bdev, &ctx, GFP_HIGHUSER & ~__GFP_FS) <= 0)
			break;
		cond_resched();
	}
}

static struct klttm_shrinker *to_klttm_shrinker(struct shrinker *base)
{
#ifdef KCOMPAT_HAVE_SHRINKER_ALLOC
	return base->private_data;
#else
	return container_of(base, struct klttm_shrinker, base);
#endif
}

static unsigned long klttm_shrink_count(struct shrinker *base, struct shrink_control *sc)
{
	struct klttm_device *dev = to_klttm_shrinker(base)->dev;
	s64 pages = atomic64_read(&dev->ram_pages);

	if (pages <= 0 || get_nr_swap_pages() <= KLTTM_SWAP_PAGES || klttm_swap_pauses(dev))
		return SHRINK_EMPTY;
	return pages;
}

/* Context: reclaim, whatever locks its caller holds. Nothing is freed yet when this returns. */
static unsigned long klttm_shrink_scan(struct shrinker *base, struct shrink_control *sc)
{
	queue_work(system_unbound_wq, &to_klttm_shrinker(base)->work);
	return SHRINK_STOP;
}

int klttm_swap_init(struct klttm_device *dev)
{
	/* Not managed by DRM: that would free it before klttm_device_release() comes to it. */
	struct klttm_shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);
	int ret;

	if (!shrinker)
		return -ENOMEM;
	shrinker->dev = dev;
	INIT_WORK(&shrinker->work, klttm_swap_work);
#ifdef KCOMPAT_HAVE_SHRINKER_ALLOC
	shrinker->base = shrinker_alloc(0, "kfdlab-ttm:%u", dev->config.gpu_index);
	ret = shrinker->base ? 0 : -ENOMEM;
	if (!ret) {
		shrinker->base->count_objects = klttm_shrink_count;
		shrinker->base->scan_objects = klttm_shrink_scan;
		shrinker->base->private_data = shrinker;
		shrinker_register(shrinker->base);
	}
#else
	shrinker->base.count_objects = klttm_shrink_count;
	shrinker->base.scan_objects = klttm_shrink_scan;
	shrinker->base.seeks = DEFAULT_SEEKS;
	ret = register_shrinker(&shrinker->base, "kfdlab-ttm:%u", dev->config.gpu_index);
#endif
	if (ret)
		kfree(shrinker);
	else
		dev->shrinker = shrinker;
	return ret;
}

void klttm_swap_fini(struct klttm_device *dev)
{
	struct klttm_shrinker *shrinker = dev->shrinker;

	if (!shrinker)
		return;
#ifdef KCOMPAT_HAVE_SHRINKER_ALLOC
	shrinker_free(shrinker->base);
#else
	unregister_shrinker(&shrinker->base);
#endif
	cancel_work_sync(&shrinker->work);
	kfree(shrinker);
}
