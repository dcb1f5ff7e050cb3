// SPDX-License-Identifier: GPL-2.0
/*
 * Eviction: pages of a block go back to RAM by page frame. No VMA, mmap lock or mm is needed, so it
 * works for pages of a process that is gone and of forked children, and it cannot deadlock with an
 * evictor that holds its own mmap lock. A page somebody holds stays; its block stays busy until
 * page_free.
 */
#include <linux/delay.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>

#include "kfd_smi.h"
#include "kfd_trace.h"
#include "svm_batch.h"

/*
 * A page may be locked or referenced for a moment only; a holder of longer breath keeps its page in
 * VRAM.
 */
#define SVM_EVICT_ATTEMPTS	3

/*
 * Eviction happens when memory is short, so its arrays are there beforehand; one eviction at a time
 * in exchange. Lock order: dma_resv > svm_evict_lock > what migrate_device_range() takes.
 */
static struct svm_batch svm_evict_batch;
static DEFINE_MUTEX(svm_evict_lock);

/*
 * What is about to move, for SMI. All that is known is page frames, so the place is where the pages were first touched
 * (page->index), as far as they are of anonymous mappings, and the process is the one that brought them to VRAM.
 */
static void svm_evict_event(struct kfd_dev *dev, struct klttm_block *block, const struct svm_batch *batch,
			    struct kfd_smi_migration *event)
{
	unsigned long i, first = ULONG_MAX, last = 0;

	for (i = 0; i < batch->npages; i++) {
		struct page *page = migrate_pfn_to_page(batch->src[i]);

		if (!batch->dst[i] || !page)
			continue;
		first = min(first, page->index);
		last = max(last, page->index);
	}
	*event = (struct kfd_smi_migration){
		.pid = svm_account_tgid(svm_block_account(block)),
		.from = dev,
		.start = first,
		.npages = last - first + 1,
		.prefetch_loc = KFD_IOCTL_SVM_LOCATION_UNDEFINED,
		.preferred_loc = KFD_IOCTL_SVM_LOCATION_UNDEFINED,
		.trigger = KFD_MIGRATE_TRIGGER_TTM_EVICTION,
	};
}

static struct svm_moved svm_evict_once(struct kfd_dev *dev, struct klttm_block *block)
{
	unsigned long pfn = page_to_pfn(kfd_vram_page(dev, klttm_block_first_page(block)));
	struct svm_batch *batch = &svm_evict_batch;
	struct kfd_smi_migration event;
	struct svm_moved count;
	unsigned long i;

	lockdep_assert_held(&svm_evict_lock);
	svm_batch_reset(batch, dev, svm_block_exec(block), klttm_block_npages(block));
	migrate_device_range(batch->src, pfn, batch->npages);
	for (i = 0; i < batch->npages; i++) {
		struct page *page;

		if (!(batch->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		/* Whoever wants the VRAM can do without; no process is to be killed for it. */
		page = alloc_page(GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
		if (!page)
			continue;
		lock_page(page);
		svm_batch_add(batch, i, page);
	}
	if (batch->nruns) {
		svm_evict_event(dev, block, batch, &event);
		kfd_smi_migrate_start(&event);
		svm_batch_submit(batch);
		svm_batch_wait(batch);
	}
	migrate_device_pages(batch->src, batch->dst, batch->npages);
	count = svm_batch_settle(batch, KFD_PAGE_TO_RAM_EVICT);
	migrate_device_finalize(batch->src, batch->dst, batch->npages);
	if (batch->nruns)
		kfd_smi_migrate_end(&event);
	return count;
}

static unsigned long svm_block_pages_in_use(struct kfd_dev *dev, struct klttm_block *block)
{
	unsigned long i, n = 0, first = klttm_block_first_page(block);

	for (i = 0; i < klttm_block_npages(block); i++)
		n += page_count(kfd_vram_page(dev, first + i)) != 0;
	return n;
}

static struct svm_moved svm_evict_pages(struct kfd_dev *dev, struct klttm_block *block)
{
	struct svm_moved total = {}, once;
	unsigned int attempt;

	if (WARN_ON_ONCE(klttm_block_npages(block) > SVM_BATCH_PAGES))
		return total;
	mutex_lock(&svm_evict_lock);
	for (attempt = 0; attempt < SVM_EVICT_ATTEMPTS; attempt++) {
		if (attempt)
			usleep_range(50, 200);
		once = svm_evict_once(dev, block);
		total.moved += once.moved;
		total.failed = svm_block_pages_in_use(dev, block);
		if (!total.failed)
			break;
	}
	mutex_unlock(&svm_evict_lock);

	atomic64_add(total.moved, &dev->counters.pages_to_ram_evict);
	atomic64_add(once.failed, &dev->counters.pages_failed);
	trace_kfdlab_migrate(dev->gpu_id, false, KFD_TRIGGER_EVICT, 0, total.moved, once.failed);
	return total;
}

void svm_evict_block(void *owner, struct klttm_block *block)
{
	struct kfd_dev *dev = owner;
	struct svm_moved count = svm_evict_pages(dev, block);

	trace_kfdlab_evict(dev->gpu_id, klttm_block_first_page(block), count.moved, count.failed);
}

struct svm_evict_all {
	struct kfd_dev *dev;
	struct svm_moved count;
};

static void svm_evict_one(struct klttm_block *block, void *arg)
{
	struct svm_evict_all *all = arg;
	struct svm_moved count = svm_evict_pages(all->dev, block);

	all->count.moved += count.moved;
	all->count.failed += count.failed;
}

unsigned long svm_evict_all(struct kfd_dev *dev, unsigned long *stayed)
{
	struct svm_evict_all all = { .dev = dev };

	klttm_for_each_svm_block(dev->ttm, svm_evict_one, &all);
	trace_kfdlab_evict(dev->gpu_id, 0, all.count.moved, all.count.failed);
	*stayed = all.count.failed;
	return all.count.moved;
}
