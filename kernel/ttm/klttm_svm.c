// SPDX-License-Identifier: GPL-2.0
/*
 * SVM blocks: VRAM blocks whose pages become device-coherent pages of the kernel, each with a buffer object
 * in TTM's LRU so that TTM can choose it for eviction.
 *
 * The pages in use share one reference to the block and one to its object. The object's goes when the last
 * page comes back, or when TTM evicts the object first; in the second case the block is an orphan until its
 * last page is back. Whoever takes block->bo under svm_lock drops the object's reference, so it happens once.
 */
#include <linux/sched/signal.h>

#include <drm/amdgpu_drm.h>

#include "klttm_priv.h"

/* A kernel whose pages come by faults shall get on with them before others, that fault too, push them out. */
#define KLTTM_NEW_BLOCK		(HZ / 2)

void klttm_svm_init(struct klttm_device *dev)
{
	spin_lock_init(&dev->svm_lock);
	INIT_LIST_HEAD(&dev->svm_blocks);
	INIT_LIST_HEAD(&dev->orphans);
}

struct klttm_block *klttm_svm_block_create(struct klttm_device *dev, unsigned long npages, void *priv, u64 job,
					   bool spare_new)
{
	struct klttm_bo_params params = {
		.domains = AMDGPU_GEM_DOMAIN_VRAM,
		.svm = true,
		.job = job,
		.spare_new = spare_new,
	};
	struct klttm_block *block;
	struct klttm_bo *bo;

	if (!npages || npages > SZ_2M >> PAGE_SHIFT)
		return ERR_PTR(-EINVAL);
	params.size = (u64)npages << PAGE_SHIFT;
	bo = klttm_bo_alloc(dev, &params);
	if (IS_ERR(bo))
		/* That is what no room is called. */
		return PTR_ERR(bo) == -ENOMEM ? ERR_PTR(-ENOSPC) : ERR_CAST(bo);

	block = to_klttm_block(bo->tbo.resource);
	block->priv = priv;
	WRITE_ONCE(block->job, job);
	refcount_set(&block->pages, 1);
	refcount_inc(&block->refs);
	spin_lock(&dev->svm_lock);
	block->bo = bo;
	list_add(&block->svm_link, &dev->svm_blocks);
	spin_unlock(&dev->svm_lock);
	ttm_bo_unreserve(&bo->tbo);
	return block;
}
EXPORT_SYMBOL_GPL(klttm_svm_block_create);

void klttm_svm_block_touch(struct klttm_block *block, u64 job)
{
	struct klttm_device *dev = block->dev;
	struct klttm_bo *bo;

	spin_lock(&dev->svm_lock);
	bo = block->bo;
	if (bo)
		ttm_bo_get(&bo->tbo);
	spin_unlock(&dev->svm_lock);
	if (!bo)
		return;
	WRITE_ONCE(block->job, job);
	if (dma_resv_trylock(bo->tbo.base.resv)) {
		spin_lock(&dev->bdev.lru_lock);
		ttm_bo_move_to_lru_tail(&bo->tbo);
		spin_unlock(&dev->bdev.lru_lock);
		dma_resv_unlock(bo->tbo.base.resv);
	}
	ttm_bo_put(&bo->tbo);
}
EXPORT_SYMBOL_GPL(klttm_svm_block_touch);

void *klttm_block_priv(const struct klttm_block *block)
{
	return block->priv;
}
EXPORT_SYMBOL_GPL(klttm_block_priv);

unsigned long klttm_block_first_page(const struct klttm_block *block)
{
	return block->first_page;
}
EXPORT_SYMBOL_GPL(klttm_block_first_page);

unsigned long klttm_block_npages(const struct klttm_block *block)
{
	return block->npages;
}
EXPORT_SYMBOL_GPL(klttm_block_npages);

void klttm_svm_block_filled(struct klttm_block *block)
{
	WRITE_ONCE(block->filled_at, jiffies);
	/* Pairs with klttm_svm_block_is_filled(). */
	smp_store_release(&block->filled, true);
	klttm_page_put(block);
}
EXPORT_SYMBOL_GPL(klttm_svm_block_filled);

bool klttm_svm_block_is_filled(const struct klttm_block *block)
{
	return smp_load_acquire(&block->filled);
}
EXPORT_SYMBOL_GPL(klttm_svm_block_is_filled);

bool klttm_svm_block_is_new(const struct klttm_block *block)
{
	return !klttm_svm_block_is_filled(block) ||
	       time_before(jiffies, READ_ONCE(block->filled_at) + KLTTM_NEW_BLOCK);
}

bool klttm_block_is_orphan(struct klttm_block *block)
{
	bool orphan;

	spin_lock(&block->dev->svm_lock);
	orphan = !list_empty(&block->orphan_link);
	spin_unlock(&block->dev->svm_lock);
	return orphan;
}
EXPORT_SYMBOL_GPL(klttm_block_is_orphan);

void klttm_page_get(struct klttm_block *block)
{
	refcount_inc(&block->pages);
}
EXPORT_SYMBOL_GPL(klttm_page_get);

void klttm_page_put(struct klttm_block *block)
{
	struct klttm_device *dev = block->dev;

	if (!refcount_dec_and_test(&block->pages))
		return;
	llist_add(&block->reap_link, &dev->idle);
	queue_work(dev->wq, &dev->reap_work);
}
EXPORT_SYMBOL_GPL(klttm_page_put);

void klttm_set_block_release(struct klttm_device *dev, void (*release)(void *owner, void *priv))
{
	dev->release = release;
}
EXPORT_SYMBOL_GPL(klttm_set_block_release);

void klttm_svm_block_evicted(struct klttm_block *block)
{
	struct klttm_device *dev = block->dev;
	struct klttm_bo *bo;

	spin_lock(&dev->svm_lock);
	bo = block->bo;
	block->bo = NULL;
	if (bo) {
		list_add_tail(&block->orphan_link, &dev->orphans);
		dev->orphan_blocks++;
	}
	spin_unlock(&dev->svm_lock);
	if (!bo)
		return;
	klttm_block_trim(block);
	/* Not the last one: whoever evicts the object holds a reference. */
	ttm_bo_put(&bo->tbo);
}

void klttm_svm_block_idle(struct klttm_block *block)
{
	struct klttm_device *dev = block->dev;
	struct klttm_bo *bo;

	spin_lock(&dev->svm_lock);
	bo = block->bo;
	block->bo = NULL;
	if (!list_empty(&block->orphan_link)) {
		list_del_init(&block->orphan_link);
		dev->orphan_blocks--;
	}
	spin_unlock(&dev->svm_lock);
	if (bo)
		ttm_bo_put(&bo->tbo);
	klttm_block_put(block);
}

void klttm_svm_block_forget(struct klttm_block *block)
{
	struct klttm_device *dev = block->dev;

	if (list_empty(&block->svm_link))
		return;
	spin_lock(&dev->svm_lock);
	list_del(&block->svm_link);
	spin_unlock(&dev->svm_lock);
	if (dev->release)
		dev->release(dev->owner, block->priv);
}

/* The next block after @prev (NULL: the first) with a reference. @prev's own keeps it in the list meanwhile. */
static struct klttm_block *klttm_svm_next_block(struct klttm_device *dev, struct klttm_block *prev)
{
	struct klttm_block *block, *found = NULL;

	spin_lock(&dev->svm_lock);
	block = list_prepare_entry(prev, &dev->svm_blocks, svm_link);
	list_for_each_entry_continue(block, &dev->svm_blocks, svm_link) {
		if (klttm_block_get_unless_zero(block)) {
			found = block;
			break;
		}
	}
	spin_unlock(&dev->svm_lock);
	if (prev)
		klttm_block_put(prev);
	return found;
}

void klttm_for_each_svm_block(struct klttm_device *dev, void (*fn)(struct klttm_block *, void *),
			      void *arg)
{
	struct klttm_block *block = NULL;

	while ((block = klttm_svm_next_block(dev, block)))
		fn(block, arg);
}
EXPORT_SYMBOL_GPL(klttm_for_each_svm_block);

void klttm_svm_orphan_stats(struct klttm_device *dev, struct klttm_stats *stats)
{
	struct klttm_block *block;

	stats->vram_orphaned = 0;
	spin_lock(&dev->svm_lock);
	stats->orphan_blocks = dev->orphan_blocks;
	list_for_each_entry(block, &dev->orphans, orphan_link)
		stats->vram_orphaned += (u64)READ_ONCE(block->busy_pages) << PAGE_SHIFT;
	spin_unlock(&dev->svm_lock);
}

u64 klttm_svm_orphans(struct klttm_device *dev)
{
	u64 count;

	spin_lock(&dev->svm_lock);
	count = dev->orphan_blocks;
	spin_unlock(&dev->svm_lock);
	return count;
}

void klttm_svm_retry_orphans(struct klttm_device *dev, u64 limit)
{
	u64 tries = min(klttm_svm_orphans(dev), limit);
	struct klttm_block *block;

	while (tries-- && !fatal_signal_pending(current)) {
		spin_lock(&dev->svm_lock);
		/* An orphan's pages hold a reference, so getting one cannot fail. */
		block = list_first_entry_or_null(&dev->orphans, struct klttm_block, orphan_link);
		if (block && klttm_block_get_unless_zero(block))
			list_move_tail(&block->orphan_link, &dev->orphans);
		else
			block = NULL;
		spin_unlock(&dev->svm_lock);
		if (!block)
			return;
		if (dev->ops->evict_block(dev->owner, block) == -ENOMEM)
			tries = 0;
		klttm_block_put(block);
		cond_resched();
	}
}
