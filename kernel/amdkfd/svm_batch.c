// SPDX-License-Identifier: GPL-2.0
/*
 * See svm_batch.h. The rule this file keeps: a page counts as moved only when MIGRATE_PFN_MIGRATE
 * is still set in src[] after migrate_*_pages(); what collection promised says nothing (an extra
 * reference passes it).
 */
#include <linux/highmem.h>

#include "svm_batch.h"

void svm_batch_reset(struct svm_batch *batch, struct kfd_dev *dev, bool by_cpu,
		     unsigned long npages)
{
	batch->dev = dev;
	batch->by_cpu = by_cpu;
	batch->npages = npages;
	batch->nruns = 0;
	memset(batch->src, 0, npages * sizeof(*batch->src));
	memset(batch->dst, 0, npages * sizeof(*batch->dst));
}

void svm_batch_add(struct svm_batch *batch, unsigned long i, struct page *page)
{
	struct page *from = migrate_pfn_to_page(batch->src[i]);

	batch->dst[i] = migrate_pfn(page_to_pfn(page));
	batch->runs[batch->nruns++] = (struct kfd_copy_run){
		.dst = page_to_phys(page),
		.src = from ? page_to_phys(from) : KFD_COPY_ZERO,
		.bytes = PAGE_SIZE,
	};
}

static void svm_copy_by_cpu(struct svm_batch *batch)
{
	u64 copied = 0, filled = 0;
	unsigned int i;

	for (i = 0; i < batch->nruns; i++) {
		struct page *dst = pfn_to_page(PHYS_PFN(batch->runs[i].dst));

		if (batch->runs[i].src == KFD_COPY_ZERO) {
			clear_highpage(dst);
			filled += PAGE_SIZE;
		} else {
			copy_highpage(dst, pfn_to_page(PHYS_PFN(batch->runs[i].src)));
			copied += PAGE_SIZE;
		}
	}
	atomic64_add(copied, &batch->dev->counters.bytes_copied_cpu);
	atomic64_add(filled, &batch->dev->counters.bytes_filled_cpu);
}

void svm_batch_submit(struct svm_batch *batch)
{
	if (batch->by_cpu)
		svm_copy_by_cpu(batch);
	else
		kfd_copy_submit(batch->dev, &batch->job, batch->runs, batch->nruns);
}

void svm_batch_wait(struct svm_batch *batch)
{
	if (!batch->by_cpu)
		kfd_copy_wait(&batch->job);
}

struct svm_moved svm_batch_settle(struct svm_batch *batch, enum kfd_page_fate fate)
{
	struct svm_moved count = {};
	unsigned long i;

	for (i = 0; i < batch->npages; i++) {
		struct page *from = migrate_pfn_to_page(batch->src[i]);
		struct page *to = migrate_pfn_to_page(batch->dst[i]);

		if (!to)
			continue;
		if (batch->src[i] & MIGRATE_PFN_MIGRATE) {
			count.moved++;
			if (from && is_device_coherent_page(from))
				kfd_page_set_fate(from, fate);
		} else {
			count.failed++;
			if (is_device_coherent_page(to))
				kfd_page_set_fate(to, KFD_PAGE_UNUSED);
		}
	}
	if (count.moved)
		atomic64_inc(&batch->dev->counters.migrations);
	return count;
}
