// SPDX-License-Identifier: GPL-2.0
/*
 * What of an interval may be collected by page table, what by frame and what not at all; svm_collect.h
 * says why. A look at the page tables decides, and what it finds stays true while the mmap_lock is
 * held: an exclusive page does not become shared or merged; a page that goes and returns from swap
 * is still exclusive; where there was nothing, only holes are taken.
 */
#include <linux/hmm.h>
#include <linux/hugetlb.h>
#include <linux/ksm.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>

#include "svm_collect.h"

enum svm_seen {
	SVM_SEEN_NOTHING,	/* a hole, or in swap */
	SVM_SEEN_ALONE,		/* only this process maps it */
	SVM_SEEN_SHARED,	/* a page of RAM that others may map too */
	SVM_SEEN_OTHER,		/* not to be collected here: file pages, VRAM, merged pages */
};

static enum svm_seen svm_seen(const struct migrate_vma *vma, unsigned long entry)
{
	unsigned long pfn = entry & ~HMM_PFN_FLAGS;
	struct page *page;

	if (!(entry & HMM_PFN_VALID))
		return entry & HMM_PFN_ERROR ? SVM_SEEN_OTHER : SVM_SEEN_NOTHING;
	/* It is taken for a hole; what a write makes of it is exclusive. */
	if (is_zero_pfn(pfn))
		return SVM_SEEN_ALONE;
	/*
	 * A huge page, be it of zeroes, is split by collection, and cannot be had by frame. For KSM to merge
	 * a part of one that is shared it would have to split and convert it between look and collection.
	 */
	if (hmm_pfn_to_map_order(entry))
		return vma_is_anonymous(vma->vma) ? SVM_SEEN_ALONE : SVM_SEEN_OTHER;
	page = pfn_to_page(pfn);
	if (!PageAnon(page) || PageKsm(page) || is_zone_device_page(page))
		return SVM_SEEN_OTHER;
	/* Not PageAnonExclusive(), which insists that the page is still what it was. */
	return test_bit(PG_anon_exclusive, &page->flags) ? SVM_SEEN_ALONE : SVM_SEEN_SHARED;
}

/* The entries of the interval as they are now; @look is room for them. False: cannot be looked at. */
static bool svm_look_at(const struct migrate_vma *vma, unsigned long *look)
{
	/* Only to name the mm: nothing is relied on that the mmap_lock does not keep. */
	struct mmu_interval_notifier nobody = { .mm = vma->vma->vm_mm };
	struct hmm_range range = {
		.notifier = &nobody,
		.start = vma->start,
		.end = vma->end,
		.hmm_pfns = look,
	};

	if (vma->vma->vm_flags & (VM_MERGEABLE | VM_SPECIAL) || !(vma->vma->vm_flags & VM_READ) ||
	    is_vm_hugetlb_page(vma->vma))
		return false;
	memset(look, 0, ((vma->end - vma->start) >> PAGE_SHIFT) * sizeof(*look));
	return !hmm_range_fault(&range);
}

/* By page table, @n pages from the @first on. The only error is a kind of mapping that does not migrate. */
static bool svm_collect_by_table(struct migrate_vma *vma, unsigned long first, unsigned long n,
				 unsigned int select)
{
	struct migrate_vma part = *vma;

	part.start += first << PAGE_SHIFT;
	part.end = part.start + (n << PAGE_SHIFT);
	part.src += first;
	part.dst += first;
	part.flags = select;
	if (migrate_vma_setup(&part))
		return false;
	vma->cpages += part.cpages;
	return true;
}

/*
 * Is this a page that belongs at @addr of @vma? Its anon_vma is then one that @vma is in and so stays
 * while the mmap_lock is held. Nothing is followed: @page may have become anything.
 */
static bool svm_page_of(struct vm_area_struct *vma, unsigned long addr, struct page *page)
{
	unsigned long mapping = (unsigned long)READ_ONCE(page->mapping);
	struct anon_vma_chain *chain;

	if (PageCompound(page) || READ_ONCE(page->index) != linear_page_index(vma, addr) ||
	    (mapping & PAGE_MAPPING_FLAGS) != PAGE_MAPPING_ANON || !READ_ONCE(vma->anon_vma))
		return false;
	list_for_each_entry(chain, &vma->anon_vma_chain, same_vma)
		if ((unsigned long)chain->anon_vma == mapping - PAGE_MAPPING_ANON)
			return true;
	return false;
}

/* By frame, and only what is still the page that was seen there. */
static void svm_collect_shared(struct migrate_vma *vma, unsigned long i, unsigned long pfn)
{
	unsigned long addr = vma->start + (i << PAGE_SHIFT), *src = vma->src + i;

	if (!svm_page_of(vma->vma, addr, pfn_to_page(pfn)))
		return;
	migrate_device_range(src, pfn, 1);
	if (!(*src & MIGRATE_PFN_MIGRATE))
		return;
	if (svm_page_of(vma->vma, addr, pfn_to_page(pfn)))
		vma->cpages++;
	else
		*src &= ~MIGRATE_PFN_MIGRATE;
}

bool svm_collect_ram(struct migrate_vma *vma, unsigned long *look)
{
	unsigned long i, end, n = (vma->end - vma->start) >> PAGE_SHIFT;
	bool possible = svm_look_at(vma, look);

	vma->npages = n;
	vma->cpages = 0;
	for (i = 0; possible && i < n; i++)
		if (svm_seen(vma, look[i]) == SVM_SEEN_NOTHING)
			break;
	/* No kind of page selected: holes, wherever they are. */
	if (possible && i < n)
		possible = svm_collect_by_table(vma, 0, n, 0);
	for (i = 0; possible && i < n; i = end) {
		enum svm_seen seen = svm_seen(vma, look[i]);

		for (end = i + 1; end < n && svm_seen(vma, look[end]) == seen; end++)
			;
		if (seen == SVM_SEEN_ALONE)
			possible = svm_collect_by_table(vma, i, end - i, MIGRATE_VMA_SELECT_SYSTEM);
		for (; seen == SVM_SEEN_SHARED && i < end; i++)
			svm_collect_shared(vma, i, look[i] & ~HMM_PFN_FLAGS);
	}
	return possible;
}
