// SPDX-License-Identifier: GPL-2.0
/*
 * KFDLAB_TEST_TRANSLATE: what a GPU's page tables say, read from the memory that the device reads, level by level, and
 * not from the driver's own picture of it.
 */
#include <linux/highmem.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kfd_process.h"
#include "kfd_test.h"
#include "kfd_vm.h"
#include "uapi/kfdlab_test.h"

#define PAGES_MAX	65536u

static u64 translated_phys(const struct kfd_vm *vm, u64 entry)
{
	return (entry & AMDGPU_PTE_ADDRESS) + (entry & AMDGPU_PTE_SYSTEM ? 0 : vm->dev->vram_base);
}

/* Locking: vm->lock, which keeps the tables. */
static void translate_page(struct kfd_vm *vm, u64 page, struct kfdlab_translation *out)
{
	u64 entry = vm->root->pde, *table;
	unsigned int level;

	memset(out, 0, sizeof(*out));
	for (level = KFDLAB_GPUVM_PDB2; ; level--) {
		table = phys_to_virt(translated_phys(vm, entry));
		entry = READ_ONCE(table[kfdlab_gpuvm_index(page << PAGE_SHIFT, level)]);
		if (level == KFDLAB_GPUVM_PTB || !(entry & AMDGPU_PTE_VALID) || entry & AMDGPU_PDE_PTE)
			break;
	}
	out->entry = entry;
	out->level = level;
	if (entry & AMDGPU_PTE_VALID)
		out->pfn = PHYS_PFN(translated_phys(vm, entry)) +
			   (page & ((1ull << (KFDLAB_GPUVM_LEVEL_BITS * level)) - 1));
}

static int translate_chunk(struct kfd_vm *vm, u64 page, u64 n, struct kfdlab_translation *chunk, u64 to)
{
	u64 i;

	mutex_lock(&vm->lock);
	for (i = 0; i < n; i++)
		translate_page(vm, page + i, &chunk[i]);
	mutex_unlock(&vm->lock);
	return copy_to_user(u64_to_user_ptr(to), chunk, n * sizeof(*chunk)) ? -EFAULT : 0;
}

struct own_vm {
	struct kfd_dev *dev;
	const struct kfdlab_test_translate *args;
};

/* The caller keeps its /dev/kfd open for as long, and so its VM. */
static int translate_own(struct kfd_process *p, struct mm_struct *mm, void *arg)
{
	const struct own_vm *own = arg;
	const struct kfdlab_test_translate *args = own->args;
	struct kfdlab_translation *chunk;
	u64 i, n, room = PAGE_SIZE / sizeof(*chunk);
	struct kfd_vm *vm;
	int ret = 0;

	if (mm != current->mm)
		return 0;
	vm = kfd_process_vm(p, own->dev);
	if (!vm)
		return -ESRCH;
	chunk = (void *)__get_free_page(GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	for (i = 0; i < args->npages && !ret; i += n) {
		n = min(args->npages - i, room);
		ret = translate_chunk(vm, (args->va >> PAGE_SHIFT) + i, n, chunk,
				      args->translations + i * sizeof(*chunk));
		cond_resched();
	}
	free_page((unsigned long)chunk);
	return ret ?: 1;
}

long kfd_test_translate(void __user *argp)
{
	struct kfdlab_test_translate args;
	struct own_vm own = { .args = &args };
	int ret;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	if (args.reserved || !args.npages || args.npages > PAGES_MAX || !PAGE_ALIGNED(args.va) ||
	    args.va >> KFDLAB_GPUVM_VA_BITS || (args.va + (args.npages << PAGE_SHIFT)) >> KFDLAB_GPUVM_VA_BITS)
		return -EINVAL;
	own.dev = kfd_dev_by_id(args.gpu_id);
	if (!own.dev)
		return -ENODEV;
	ret = kfd_process_for_each_mm(translate_own, &own);
	return ret == 1 ? 0 : ret ?: -ESRCH;
}
