// SPDX-License-Identifier: GPL-2.0
/*
 * User memory in GPU page tables: see kfd_vm_user.h.
 *
 * A page the GPU may write is marked dirty when it is mapped. Whoever cleans a page (write-back, MADV_FREE) tells the
 * notifier first, so a page that is mapped for writing stays marked for as long.
 */
#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "kfd_vm_user.h"

#define KFD_UNMAPPABLE	(VM_IO | VM_PFNMAP | VM_MIXEDMAP)

static int kfd_user_hmm(struct kfd_vm_user *user, unsigned long seq, unsigned long start, unsigned long end,
			unsigned long *pfns, bool write)
{
	struct hmm_range range = {
		.notifier = user->notifier,
		.notifier_seq = seq,
		.start = start,
		.end = end,
		.hmm_pfns = pfns,
		.default_flags = HMM_PFN_REQ_FAULT | (write ? HMM_PFN_REQ_WRITE : 0),
	};

	return hmm_range_fault(&range);
}

/* One by one, so that a page that cannot be had (beyond the end of a file) does not keep the others away. */
static int kfd_user_look_singly(struct kfd_vm_user *user, unsigned long seq, unsigned long start, unsigned long end,
				unsigned long *pfns, bool write)
{
	unsigned long at;
	int ret;

	for (at = start; at < end; at += PAGE_SIZE, pfns++) {
		*pfns = 0;
		ret = kfd_user_hmm(user, seq, at, at + PAGE_SIZE, pfns, write);
		if (ret == -EBUSY)
			return ret;
		if (ret)
			*pfns = 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* [start, end) of one mapping. */
static int kfd_user_look_vma(struct kfd_vm_user *user, unsigned long seq, struct vm_area_struct *vma,
			     unsigned long start, unsigned long end, unsigned long *pfns)
{
	bool write = user->flags & AMDGPU_PTE_WRITEABLE && vma->vm_flags & VM_WRITE &&
		     (user->for_write || !vma->vm_file);
	int ret;

	if (vma->vm_flags & KFD_UNMAPPABLE || !(vma->vm_flags & VM_READ))
		return 0;
	ret = kfd_user_hmm(user, seq, start, end, pfns, write);
	if (ret && ret != -EBUSY && ret != -EINTR) {
		/* What it had found before is no use. */
		memset(pfns, 0, (end - start) / PAGE_SIZE * sizeof(*pfns));
		ret = kfd_user_look_singly(user, seq, start, end, pfns, write);
	}
	return ret;
}

static int kfd_user_look(struct kfd_vm_user *user, unsigned long seq, unsigned long *pfns)
{
	unsigned long at = user->address, end = at + ((unsigned long)user->n << PAGE_SHIFT), stop;
	struct vm_area_struct *vma;
	int ret = 0;

	lockdep_assert_held(&user->mm->mmap_lock);
	memset(pfns, 0, user->n * sizeof(*pfns));
	for (; !ret && at < end; at = stop) {
		vma = find_vma(user->mm, at);
		if (!vma || vma->vm_start >= end)
			break;
		at = max(at, vma->vm_start);
		stop = min(end, vma->vm_end);
		ret = kfd_user_look_vma(user, seq, vma, at, stop, pfns + (at - user->address) / PAGE_SIZE);
	}
	return ret;
}

static u64 kfd_user_entry(struct kfd_vm_user *user, unsigned long pfn)
{
	u64 flags = user->flags;

	if (!(pfn & HMM_PFN_VALID) || pfn & HMM_PFN_ERROR)
		return 0;
	if (!(pfn & HMM_PFN_WRITE))
		flags &= ~AMDGPU_PTE_WRITEABLE;
	return kfd_vm_entry(user->vm, PFN_PHYS(pfn & ~HMM_PFN_FLAGS), flags);
}

/* The page is the process's as long as the notifier cannot get past vm->lock. */
static void kfd_user_dirty(u64 entry, unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn & ~HMM_PFN_FLAGS);

	/* Pages of VRAM too: one that was lazily freed in RAM is dropped there when it returns clean. */
	if (entry & AMDGPU_PTE_WRITEABLE && !PageDirty(compound_head(page)))
		set_page_dirty(page);
}

int kfd_vm_map_user(struct kfd_vm_user *user, struct kfd_vm_work *work)
{
	struct kfd_vm *vm = user->vm;
	unsigned long seq;
	unsigned int i;
	int ret;

	ret = kfd_vm_stock_fill(vm, &work->stock);
	if (ret)
		return ret;
	seq = mmu_interval_read_begin(user->notifier);
	ret = kfd_user_look(user, seq, work->pfns);
	if (ret)
		return ret;
	for (i = 0; i < user->n; i++)
		work->entries[i] = kfd_user_entry(user, work->pfns[i]);
	mutex_lock(&vm->lock);
	if (user->claim(user, seq)) {
		for (i = 0; i < user->n; i++)
			if (work->entries[i])
				kfd_user_dirty(work->entries[i], work->pfns[i]);
		kfd_vm_set_block(vm, &work->stock, user->page, user->n, work->entries);
	} else {
		ret = -EBUSY;
	}
	mutex_unlock(&vm->lock);
	return ret;
}
