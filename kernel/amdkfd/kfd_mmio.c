// SPDX-License-Identifier: GPL-2.0
/*
 * The page of remapped registers: see kfd_mmio.h. It is made by the first ALLOC and goes with the process.
 */
#include <linux/mm.h>

#include "kfd_doorbell.h"
#include "kfd_mmio.h"

int kfd_mmio_get(struct kfd_process *p, struct kfd_dev *dev)
{
	struct kfd_process_device *pdd = &p->devices[dev->index];
	struct page *page;

	if (READ_ONCE(pdd->mmio))
		return 0;
	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!page)
		return -ENOMEM;
	/* Another thread was first: its page is the process's. */
	if (cmpxchg(&pdd->mmio, NULL, page))
		put_page(page);
	return 0;
}

phys_addr_t kfd_mmio_phys(const struct kfd_process *p, const struct kfd_dev *dev)
{
	return page_to_phys(READ_ONCE(p->devices[dev->index].mmio));
}

int kfd_mmio_mmap(struct kfd_process *p, struct kfd_dev *dev, struct vm_area_struct *vma)
{
	struct page *page = READ_ONCE(p->devices[dev->index].mmio);

	if (vma->vm_end - vma->vm_start != PAGE_SIZE || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (!page)
		return -ENXIO;
	kcompat_vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	return vm_insert_page(vma, vma->vm_start, page);
}

void kfd_mmio_put_all(struct kfd_process *p)
{
	unsigned int i;

	for (i = 0; i < KFD_MAX_GPUS; i++) {
		if (p->devices[i].mmio)
			put_page(p->devices[i].mmio);
		p->devices[i].mmio = NULL;
	}
}
