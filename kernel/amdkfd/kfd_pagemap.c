// SPDX-License-Identifier: GPL-2.0
/*
 * The device-coherent pages of a GPU: registration of its VRAM with mm, handing pages out, and
 * page_free.
 *
 * Invariant: svm_pages_occupied counts exactly the pages between kfd_vram_page_init() and
 * page_free, each of them holds a reference of its block, and while there is any the module cannot
 * be unloaded. memunmap_pages() would wait for them without end, and a page can be held from
 * outside every process of ours (a pipe after vmsplice).
 *
 * Why a page came back. mm tells a driver nothing but page_free. A page that is freed by munmap,
 * exit, MADV_DONTNEED or a COW fault was last unmapped; a page that left for RAM was migrated, and
 * folio_migrate_flags(), which every migration runs on the source, sets its ->private to NULL (6.1
 * and 6.12). Nothing else touches that word of an anonymous device page: PG_private is clear, and
 * the page is never in the swap cache. So we keep an enum kfd_page_fate there, non-zero from the
 * start; our own migrations set it again after migrate_*_pages(), under the page lock. A page that
 * arrives with 0 was migrated by somebody else, and the only such path for a coherent page is
 * migrate_device_coherent_page()/_folio() of a FOLL_LONGTERM pin. Limits: a pin whose migration
 * succeeded but which then failed as a whole (another page of it was busy) is still counted, since
 * its pages did leave; and the event comes with the last reference, which may be dropped by another
 * task than the pinning one.
 */
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>

#include "kfd_priv.h"
#include "kfd_trace.h"

static struct kfd_dev *to_kfd_dev(struct dev_pagemap *pgmap)
{
	return container_of(pgmap, struct kfd_dev, pgmap);
}

static void count_fate(struct kfd_dev *dev, struct page *page, enum kfd_page_fate fate, bool irq)
{
	switch (fate) {
	case KFD_PAGE_LEFT_BY_PIN:
		atomic64_inc(&dev->counters.pages_left_by_pin);
		trace_kfdlab_pin_departure(dev->gpu_id, page_to_pfn(page));
		break;
	case KFD_PAGE_FREED:
		atomic64_inc(&dev->counters.pages_freed);
		break;
	case KFD_PAGE_TO_RAM_PREFETCH:
	case KFD_PAGE_TO_RAM_EVICT:
	case KFD_PAGE_UNUSED:
	case KFD_PAGE_TO_PEER:
		break;
	}
	if (irq)
		atomic64_inc(&dev->counters.page_free_irq);
	trace_kfdlab_page_free(dev->gpu_id, page_to_pfn(page), fate, irq);
}

/* Last reference gone. Context: any, hard irq included. */
static void kfd_page_free(struct page *page)
{
	struct kfd_dev *dev = to_kfd_dev(page->pgmap);
	struct klttm_block *block = page->zone_device_data;
	enum kfd_page_fate fate = page_private(page);

	count_fate(dev, page, fate, in_hardirq() || in_serving_softirq());
	set_page_private(page, 0);
	/* From here on the frame may have another owner: svm_evict.c gives free ones back. */
	smp_store_release(&page->zone_device_data, NULL);
	svm_account_page_free(dev, block);
	klttm_page_put(block);
	/*
	 * Even the last put is safe from here: rmmod still has to pass memunmap_pages(), which
	 * waits for the pagemap reference that our caller drops after we returned.
	 */
	if (atomic64_dec_and_test(&dev->counters.svm_pages_occupied))
		module_put(THIS_MODULE);
}

/*
 * Without this, MADV_HWPOISON on a coherent page follows its anon_vma as if it were a DAX mapping
 * and oopses.
 */
static int kfd_memory_failure(struct dev_pagemap *pgmap, unsigned long pfn, unsigned long npages,
			      int flags)
{
	return -ENXIO;
}

static const struct dev_pagemap_ops kfd_pagemap_ops = {
	.page_free = kfd_page_free,
	.memory_failure = kfd_memory_failure,
};

struct page *kfd_vram_page_init(struct kfd_dev *dev, struct klttm_block *block, unsigned long i)
{
	struct page *page = kfd_vram_page(dev, klttm_block_first_page(block) + i);

	if (WARN_ON_ONCE(page_count(page) || page->zone_device_data))
		return NULL;

	klttm_page_get(block);
	svm_account_page_init(dev, block);
	/*
	 * The caller runs on behalf of an open file, so the module is alive and a plain get is
	 * enough.
	 */
	if (atomic64_inc_return(&dev->counters.svm_pages_occupied) == 1)
		__module_get(THIS_MODULE);
	page->zone_device_data = block;
	set_page_private(page, KFD_PAGE_FREED);
	zone_device_page_init(page);
	return page;
}

struct kfd_dev *kfd_page_dev(struct page *page)
{
	if (!is_device_coherent_page(page) || page->pgmap->ops != &kfd_pagemap_ops)
		return NULL;
	return to_kfd_dev(page->pgmap);
}

struct kfd_dev *kfd_frame_dev(unsigned long pfn)
{
	unsigned int i;

	for (i = 0; i < KFD_MAX_GPUS; i++) {
		struct kfd_dev *dev = kfd_dev_by_index(i);

		if (dev && pfn >= PHYS_PFN(dev->vram_base) &&
		    pfn - PHYS_PFN(dev->vram_base) < PHYS_PFN(dev->vram_size))
			return dev;
	}
	return NULL;
}

int kfd_pagemap_init(struct kfd_dev *dev)
{
	int node = dev_to_node(&dev->pdev->dev);
	void *addr;

	dev->pgmap.type = MEMORY_DEVICE_COHERENT;
	dev->pgmap.range.start = dev->vram_base;
	dev->pgmap.range.end = dev->vram_base + dev->vram_size - 1;
	dev->pgmap.nr_range = 1;
	dev->pgmap.ops = &kfd_pagemap_ops;
	dev->pgmap.owner = dev;

	addr = memremap_pages(&dev->pgmap, node == NUMA_NO_NODE ? numa_mem_id() : node);
	if (IS_ERR(addr))
		return PTR_ERR(addr);
	dev->pgmap_registered = true;
	return 0;
}

void kfd_pagemap_fini(struct kfd_dev *dev)
{
	if (!dev->pgmap_registered)
		return;
	memunmap_pages(&dev->pgmap);
	dev->pgmap_registered = false;
}
