/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mapping memory of the process where its pages are, for USERPTR buffers and SVM ranges: no page is pinned, an
 * interval notifier takes the entries away before the page goes.
 */
#ifndef KFD_VM_USER_H
#define KFD_VM_USER_H

#include <linux/mmu_notifier.h>

#include "kfd_vm.h"

/* What one mapping operation works with; freed with kvfree() after kfd_vm_stock_drop(). Too large for a stack. */
struct kfd_vm_work {
	struct kfd_vm_stock stock;
	unsigned long pfns[KFD_VM_BLOCK_PAGES];
	u64 entries[KFD_VM_BLOCK_PAGES];
};

struct kfd_vm_user {
	struct kfd_vm *vm;
	struct mm_struct *mm;
	struct mmu_interval_notifier *notifier;
	/* What the entries may allow. Where the process itself may not write, the GPU may not either. */
	u64 flags;
	/* Fault pages in for writing where flags and mapping allow it; else only if they are private memory. */
	bool for_write;
	/* Pages [page, page + n) of the GPU, within one block, are the process's from @address on. */
	u64 page;
	unsigned int n;
	unsigned long address;
	/*
	 * Called with vm->lock held: has the notifier not been called since @seq? Decided under a lock that the notifier
	 * takes for mmu_interval_set_seq(). True: entries are going to be written, which the notifier has to know.
	 */
	bool (*claim)(struct kfd_vm_user *user, unsigned long seq);
	void *arg;			/* claim()'s */
};

/*
 * Pages that are not there, or not to be read by the process, become no entries; that is no error. -EBUSY: mappings
 * changed meanwhile; -ENOMEM; -ENOSPC no more tables; -EINTR. Nothing was written then. Locking: mmap_lock held for
 * reading, vm->lock not.
 */
int kfd_vm_map_user(struct kfd_vm_user *user, struct kfd_vm_work *work);

#endif
