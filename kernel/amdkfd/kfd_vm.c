// SPDX-License-Identifier: GPL-2.0
/*
 * GPU address spaces of processes: their numbers and what the device is told about them.
 *
 * A VMID is a process's on one GPU from ACQUIRE_VM to its teardown. The device forgets all of them when it dies, so
 * what it was told is kept in struct kfd_vm and told again to each generation (kfd_vm_replay()). dev->vms->lock is held
 * from looking at that until the device has it, so an old value never overtakes a new one.
 */
#include <linux/slab.h>
#include <linux/xarray.h>

#include "hw/queue.h"
#include "kfd_memory.h"
#include "kfd_process.h"
#include "kfd_vm.h"

/* The process of a PASID. Looked at in hard irq. */
static DEFINE_XARRAY_FLAGS(kfd_pasids, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_IRQ);
static u32 kfd_next_pasid;		/* the lock of kfd_pasids */

int kfd_vms_init(struct kfd_dev *dev)
{
	dev->vms = kzalloc(sizeof(*dev->vms), GFP_KERNEL);
	if (!dev->vms)
		return -ENOMEM;
	mutex_init(&dev->vms->lock);
	kfd_vm_pool_init(&dev->vms->pool);
	return 0;
}

void kfd_vms_fini(struct kfd_dev *dev)
{
	if (!dev->vms)
		return;
	kfd_vm_pool_fini(&dev->vms->pool);
	kfree(dev->vms);
	dev->vms = NULL;
}

/* ---- PASIDs ---- */

/* Locking: p->lock. */
static int kfd_pasid_alloc(struct kfd_process *p)
{
	u32 pasid;
	int ret;

	if (p->pasid)
		return 0;
	/* Not the last one again at once: an interrupt that is under way may name it. */
	ret = xa_alloc_cyclic_irq(&kfd_pasids, &pasid, p, XA_LIMIT(1, KFDLAB_VMID_PASID_MASK), &kfd_next_pasid,
				  GFP_KERNEL);
	if (ret < 0)
		return ret == -EBUSY ? -ENOSPC : ret;
	p->pasid = pasid;
	return 0;
}

struct kfd_process *kfd_process_by_pasid(u32 pasid)
{
	struct kfd_process *p;
	unsigned long flags;

	xa_lock_irqsave(&kfd_pasids, flags);
	p = xa_load(&kfd_pasids, pasid);
	if (p)
		kfd_process_get(p);
	xa_unlock_irqrestore(&kfd_pasids, flags);
	return p;
}

/* ---- what the device knows ---- */

/* Locking: dev->vms->lock. @generation 0: any. */
static int kfd_vm_tell(struct kfd_vm *vm, u32 generation, bool valid)
{
	u64 args[KFD_CONTROL_ARGS] = {};

	lockdep_assert_held(&vm->dev->vms->lock);
	if (valid) {
		args[KFDLAB_VMID_ROOT] = vm->root->pde;
		args[KFDLAB_VMID_CONFIG] = kfdlab_vmid_config(vm->pasid, vm->retry);
		args[KFDLAB_VMID_SHARED_BASE] = KFD_LDS_BASE;
		args[KFDLAB_VMID_PRIVATE_BASE] = KFD_SCRATCH_BASE;
		args[KFDLAB_VMID_TBA] = vm->tba;
		args[KFDLAB_VMID_TMA] = vm->tma;
	}
	if (generation)
		return kfd_ring_control_at(vm->dev, generation, KFDLAB_CONTROL_SET_VMID, vm->vmid, args);
	return kfd_ring_control(vm->dev, KFDLAB_CONTROL_SET_VMID, vm->vmid, args);
}

int kfd_vm_update(struct kfd_vm *vm)
{
	struct kfd_process *p = vm->process;
	int ret;

	lockdep_assert_held(&p->lock);
	mutex_lock(&vm->dev->vms->lock);
	vm->tba = p->devices[vm->dev->index].tba;
	vm->tma = p->devices[vm->dev->index].tma;
	vm->retry = p->xnack_enabled;
	ret = kfd_vm_tell(vm, 0, true);
	mutex_unlock(&vm->dev->vms->lock);
	return ret;
}

int kfd_vm_replay(struct kfd_dev *dev, u32 generation)
{
	unsigned int i;
	int ret = 0;

	mutex_lock(&dev->vms->lock);
	for (i = 1; i < KFDLAB_VMID_COUNT && !ret; i++)
		if (dev->vms->vm[i] && !dev->vms->vm[i]->detached)
			ret = kfd_vm_tell(dev->vms->vm[i], generation, true);
	mutex_unlock(&dev->vms->lock);
	return ret;
}

void kfd_vm_flush(struct kfd_vm *vm, u64 first, u64 npages)
{
	if (!READ_ONCE(vm->detached))
		kfd_ring_tlb_invalidate(vm->dev, vm->vmid, first, npages);
}

void kfd_vm_take_off(struct kfd_vm *vm, u64 first, u64 last)
{
	bool flush;

	mutex_lock(&vm->lock);
	flush = kfd_vm_clear(vm, &first, &last);
	/* What somebody else cleared a moment ago may be in the TLB still, and these pages among it. */
	flush |= vm->flushing;
	vm->flushing += flush;
	mutex_unlock(&vm->lock);
	if (!flush)
		return;
	kfd_vm_flush(vm, first, last - first + 1);
	mutex_lock(&vm->lock);
	vm->flushing--;
	mutex_unlock(&vm->lock);
}

/* ---- life ---- */

static int kfd_vm_take_vmid(struct kfd_vm *vm)
{
	struct kfd_vms *vms = vm->dev->vms;
	unsigned int i;

	mutex_lock(&vms->lock);
	for (i = 1; i < KFDLAB_VMID_COUNT; i++) {
		if (vms->vm[i])
			continue;
		vm->vmid = i;
		vms->vm[i] = vm;
		kfd_vm_tell(vm, 0, true);
		break;
	}
	mutex_unlock(&vms->lock);
	return vm->vmid ? 0 : -ENOSPC;
}

int kfd_vm_create(struct kfd_process *p, struct kfd_dev *dev)
{
	struct kfd_process_device *pdd = &p->devices[dev->index];
	struct kfd_vm_table *root;
	struct kfd_vm *vm;
	int ret;

	lockdep_assert_held(&p->lock);
	ret = kfd_pasid_alloc(p);
	if (ret)
		return ret;
	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return -ENOMEM;
	vm->dev = dev;
	vm->process = p;
	vm->pasid = p->pasid;
	vm->tba = pdd->tba;
	vm->tma = pdd->tma;
	vm->retry = p->xnack_enabled;
	mutex_init(&vm->lock);
	root = kfd_vm_table_alloc(vm, KFDLAB_GPUVM_PDB2);
	if (IS_ERR(root)) {
		ret = PTR_ERR(root);
		goto err_free;
	}
	vm->root = root;
	ret = kfd_vm_take_vmid(vm);
	if (ret)
		goto err_root;
	/* Pairs with kfd_process_vm(). */
	smp_store_release(&pdd->vm, vm);
	return 0;

err_root:
	kfd_vm_table_free(vm, root);
err_free:
	kfree(vm);
	return ret;
}

struct kfd_vm *kfd_process_vm(struct kfd_process *p, struct kfd_dev *dev)
{
	return smp_load_acquire(&p->devices[dev->index].vm);
}

static void kfd_vm_free_tables(struct kfd_vm *vm, struct kfd_vm_table *table)
{
	unsigned int i;

	for (i = 0; table->child && i < KFDLAB_GPUVM_ENTRIES; i++)
		if (table->child[i])
			kfd_vm_free_tables(vm, table->child[i]);
	kfd_vm_table_free(vm, table);
	cond_resched();
}

void kfd_vm_detach(struct kfd_process *p)
{
	unsigned int i;

	for (i = 0; i < KFD_MAX_GPUS; i++) {
		struct kfd_vm *vm = p->devices[i].vm;

		if (!vm)
			continue;
		mutex_lock(&vm->dev->vms->lock);
		/* Its completion is that of an invalidation: nobody walks the tables any more. */
		kfd_vm_tell(vm, 0, false);
		WRITE_ONCE(vm->detached, true);
		mutex_unlock(&vm->dev->vms->lock);
	}
}

static void kfd_vm_destroy(struct kfd_vm *vm)
{
	struct kfd_vms *vms = vm->dev->vms;

	mutex_lock(&vms->lock);
	vms->vm[vm->vmid] = NULL;
	mutex_unlock(&vms->lock);
	kfd_vm_free_tables(vm, vm->root);
	WARN_ON_ONCE(atomic_read(&vm->ntables));
	kfree(vm);
}

void kfd_vm_fini(struct kfd_process *p)
{
	unsigned int i;

	for (i = 0; i < KFD_MAX_GPUS; i++) {
		if (p->devices[i].vm)
			kfd_vm_destroy(p->devices[i].vm);
		p->devices[i].vm = NULL;
	}
	if (p->pasid)
		xa_erase_irq(&kfd_pasids, p->pasid);
	p->pasid = 0;
}
