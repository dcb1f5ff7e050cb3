/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One batch of pages on their way, for prefetch (by VMA) and eviction (by page frame): sources,
 * destinations, the copy between them, and the count of what really moved. Steps, in order:
 *
 *   migrate_*_setup()/_range()   fill src[]
 *   the caller                   fills dst[] with locked pages and calls svm_batch_add() for each
 *   svm_batch_submit(), _wait()  copy
 *   migrate_*_pages()            may refuse pages: only now is known what moved
 *   svm_batch_settle()           counts and says why VRAM pages come back
 *   migrate_*_finalize()
 */
#ifndef SVM_BATCH_H
#define SVM_BATCH_H

#include <linux/migrate.h>

#include "svm_range.h"

/* 2 MiB: the largest block of VRAM, and what one PMD maps. */
#define SVM_BATCH_PAGES	512ul
#define SVM_BATCH_BYTES	(SVM_BATCH_PAGES << PAGE_SHIFT)

/*
 * Pages that user space executes are copied by CPU: under emulation, code translated from a page is
 * not thrown away when the device process writes there (docs/device.md).
 */
struct svm_batch {
	/* Whose copy ring: the GPU at one end; between two GPUs the destination's. */
	struct kfd_dev *dev;
	bool by_cpu;
	unsigned long npages;
	unsigned long src[SVM_BATCH_PAGES], dst[SVM_BATCH_PAGES];
	struct kfd_copy_run runs[SVM_BATCH_PAGES];
	unsigned int nruns;
	struct kfd_copy_job job;
};

void svm_batch_reset(struct svm_batch *batch, struct kfd_dev *dev, bool by_cpu,
		     unsigned long npages);
/*
 * Page @i goes to @page, locked and ours. A source without a page is a hole and arrives as zeroes.
 */
void svm_batch_add(struct svm_batch *batch, unsigned long i, struct page *page);
void svm_batch_submit(struct svm_batch *batch);
void svm_batch_wait(struct svm_batch *batch);

struct svm_moved {
	unsigned long moved, failed;	/* of the pages added */
};
/* @fate: of pages that left VRAM. Locking: between migrate_*_pages() and migrate_*_finalize(). */
struct svm_moved svm_batch_settle(struct svm_batch *batch, enum kfd_page_fate fate);

#endif
