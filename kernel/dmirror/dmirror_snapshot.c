// SPDX-License-Identifier: GPL-2.0
/* SNAPSHOT: what hmm_range_fault() sees when nothing may be faulted in, a byte for each page. */
#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "dmirror.h"

#define DMIRROR_SNAP	64ul

static u8 dmirror_place_byte(struct dmirror *mirror, struct page *page)
{
	switch (kfd_mirror_place(mirror->gpu, page)) {
	case KFD_MIRROR_LOCAL:
		return KFDLAB_DMIRROR_COHERENT_LOCAL;
	case KFD_MIRROR_REMOTE:
		return KFDLAB_DMIRROR_COHERENT_REMOTE;
	case KFD_MIRROR_ELSEWHERE:
		break;
	}
	return is_zero_pfn(page_to_pfn(page)) ? KFDLAB_DMIRROR_ZERO : KFDLAB_DMIRROR_NONE;
}

static u8 dmirror_byte(struct dmirror *mirror, unsigned long entry)
{
	unsigned int order = hmm_pfn_to_map_order(entry);
	u8 byte;

	if (entry & HMM_PFN_ERROR)
		return KFDLAB_DMIRROR_ERROR;
	if (!(entry & HMM_PFN_VALID))
		return KFDLAB_DMIRROR_NONE;
	byte = dmirror_place_byte(mirror, hmm_pfn_to_page(entry));
	byte |= entry & HMM_PFN_WRITE ? KFDLAB_DMIRROR_MAY_WRITE : KFDLAB_DMIRROR_MAY_READ;
	if (order == PMD_SHIFT - PAGE_SHIFT)
		byte |= KFDLAB_DMIRROR_PMD;
	else if (order == PUD_SHIFT - PAGE_SHIFT)
		byte |= KFDLAB_DMIRROR_PUD;
	return byte;
}

int dmirror_snapshot(struct dmirror *mirror, unsigned long start, unsigned long end, u8 __user *to)
{
	unsigned long pfns[DMIRROR_SNAP], i, n;
	struct hmm_range range = { .hmm_pfns = pfns };
	u8 bytes[DMIRROR_SNAP];
	int ret;

	for (; start < end; start = range.end) {
		range.start = start;
		range.end = min(end, start + (DMIRROR_SNAP << PAGE_SHIFT));
		n = (range.end - range.start) >> PAGE_SHIFT;
		memset(pfns, 0, sizeof(pfns));
		ret = dmirror_look(mirror, &range);
		if (ret)
			return ret;
		for (i = 0; i < n; i++)
			bytes[i] = dmirror_byte(mirror, pfns[i]);
		mutex_unlock(&mirror->lock);
		if (copy_to_user(to, bytes, n))
			return -EFAULT;
		to += n;
	}
	return 0;
}
