// SPDX-License-Identifier: GPL-2.0
/*
 * Holes and memory cgroups. A hole that goes to VRAM becomes a page that mm charges to the cgroup, and at the limit
 * mm does that with the OOM killer at hand. Prefetch is best effort and must not kill, so near the limit each hole's
 * charge is tried beforehand with pages of RAM, which are given back right before mm charges for itself. Whoever
 * charges in between can still spoil it: the trial takes some pages more than needed.
 */
#include <linux/gfp.h>
#include <linux/memcontrol.h>
#include <linux/page_counter.h>

#include "svm_range.h"

/* What is charged beside the pages: page tables, book-keeping of VRAM, and what other CPUs keep in stock. */
#define SVM_CHARGE_SLACK	16ul
#define SVM_CHARGE_NEAR		1024ul

/* Pages until the nearest limit of the cgroup and its parents. */
static unsigned long svm_charge_room(struct mm_struct *mm)
{
	struct mem_cgroup *memcg, *at;
	unsigned long room = ULONG_MAX;

	if (mem_cgroup_disabled())
		return room;
	memcg = get_mem_cgroup_from_mm(mm);
	for (at = memcg; at; at = parent_mem_cgroup(at)) {
		unsigned long used = page_counter_read(&at->memory), limit = READ_ONCE(at->memory.max);

		room = min(room, limit - min(limit, used));
	}
	mem_cgroup_put(memcg);
	return room;
}

static void svm_charge_give_back(struct list_head *pages, unsigned long npages)
{
	struct page *page;

	while (npages-- && (page = list_first_entry_or_null(pages, struct page, lru))) {
		list_del(&page->lru);
		__free_page(page);
	}
}

unsigned long svm_charge_try(struct mm_struct *mm, unsigned long npages, struct list_head *pages)
{
	unsigned long got = 0;
	struct page *page;

	if (!npages || svm_charge_room(mm) > npages + SVM_CHARGE_NEAR)
		return npages;
	while (got < npages + SVM_CHARGE_SLACK) {
		page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
		if (!page)
			break;
		list_add(&page->lru, pages);
		got++;
	}
	svm_charge_give_back(pages, SVM_CHARGE_SLACK);
	return got - min(got, SVM_CHARGE_SLACK);
}

void svm_charge_done(struct list_head *pages)
{
	svm_charge_give_back(pages, ULONG_MAX);
}
