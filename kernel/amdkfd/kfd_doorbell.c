// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbell slices. A mapping needs no revoking: it holds the open file, fork does not copy it, and a file of another
 * mm cannot make one, so it is gone, or nobody runs who could use it, before the process object is torn down.
 *
 * No lock: a slice is taken with an atomic bit, and becomes the process's with a compare-and-exchange, because mmap()
 * comes with the mmap lock held and kfd_process.lock is above that.
 */
#include <linux/bitops.h>
#include <linux/mm.h>

#include "kfd_doorbell.h"

static_assert(KFD_DOORBELL_SLICES * KFD_DOORBELL_SLICE_BYTES == KFDLAB_DOORBELL_SIZE);

static u64 kfd_doorbell_offset(unsigned int slice)
{
	return KFDLAB_BAR_DOORBELLS + (u64)slice * KFD_DOORBELL_SLICE_BYTES;
}

int kfd_doorbell_get(struct kfd_process *p, struct kfd_dev *dev)
{
	struct kfd_process_device *pdd = &p->devices[dev->index];
	unsigned int slice;

	if (READ_ONCE(pdd->doorbells))
		return 0;
	do {
		slice = find_first_zero_bit(dev->doorbells, KFD_DOORBELL_SLICES);
		if (slice >= KFD_DOORBELL_SLICES)
			return -ENOMEM;
	} while (test_and_set_bit(slice, dev->doorbells));
	memset(dev->bar + kfd_doorbell_offset(slice), 0, KFD_DOORBELL_SLICE_BYTES);
	/* Another thread was first: its slice is the process's. */
	if (cmpxchg(&pdd->doorbells, 0, slice + 1))
		clear_bit(slice, dev->doorbells);
	return 0;
}

int kfd_doorbell_mmap(struct kfd_process *p, struct kfd_dev *dev, struct vm_area_struct *vma)
{
	unsigned long size = vma->vm_end - vma->vm_start;
	phys_addr_t at;
	int ret;

	if (size != KFD_DOORBELL_SLICE_BYTES || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	ret = kfd_doorbell_get(p, dev);
	if (ret)
		return ret;
	at = dev->bar_base + kfd_doorbell_offset(p->devices[dev->index].doorbells - 1);
	kcompat_vm_flags_set(vma, VM_IO | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	/* Write-back, as all of BAR 2: to the CPU it is memory (include/hw/bar_layout.h). */
	return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(at), size, vma->vm_page_prot);
}

void kfd_doorbell_fini(struct kfd_process *p)
{
	unsigned int i;

	for (i = 0; i < KFD_MAX_GPUS; i++) {
		unsigned int taken = p->devices[i].doorbells;

		if (taken)
			clear_bit(taken - 1, kfd_dev_by_index(i)->doorbells);
		p->devices[i].doorbells = 0;
	}
}
