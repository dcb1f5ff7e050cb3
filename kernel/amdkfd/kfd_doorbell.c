// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbell slices, their mappings, and the driver's half of letting the device sleep.
 *
 * Mappings are made by faults, page by page, and taken away whenever the device is idle: queue_armed tells it that
 * none is left. kfd_dev.doorbell_lock is held over both, so that a page is never mapped while the device may sleep
 * without having been woken.
 *
 * A mapping holds the open file, fork does not copy it, and a file of another mm cannot make one, so it is gone, or
 * nobody runs who could use it, before the process object is torn down. Taking a slice needs no lock: an atomic bit,
 * and a compare-and-exchange makes it the process's, because mmap() comes with the mmap lock held and
 * kfd_process.lock is above that.
 */
#include <linux/bitops.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "kfd_doorbell.h"
#include "kfd_ring.h"

static_assert(KFD_DOORBELL_SLICES * KFD_DOORBELL_SLICE_BYTES == KFDLAB_DOORBELL_SIZE);

#define KFD_DOORBELL_MAGIC	0x6b666462	/* of a file system that nobody sees */

static struct vfsmount *kfd_doorbell_mount;
static struct inode *kfd_doorbell_inode;

static u64 kfd_doorbell_offset(unsigned int slice)
{
	return KFDLAB_BAR_DOORBELLS + (u64)slice * KFD_DOORBELL_SLICE_BYTES;
}

static unsigned int kfd_doorbell_slice(const struct kfd_process *p, const struct kfd_dev *dev)
{
	return READ_ONCE(p->devices[dev->index].doorbells) - 1;
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

phys_addr_t kfd_doorbell_phys(const struct kfd_process *p, const struct kfd_dev *dev)
{
	return dev->bar_base + kfd_doorbell_offset(kfd_doorbell_slice(p, dev));
}

u32 kfd_doorbell_reset(struct kfd_process *p, struct kfd_dev *dev, u32 number)
{
	u64 offset = kfd_doorbell_offset(kfd_doorbell_slice(p, dev)) + number * sizeof(u64);

	WRITE_ONCE(*(u64 *)(dev->bar + offset), 0);
	return offset - KFDLAB_BAR_DOORBELLS;
}

void kfd_doorbell_put_all(struct kfd_process *p)
{
	unsigned int i;

	for (i = 0; i < KFD_MAX_GPUS; i++) {
		unsigned int taken = p->devices[i].doorbells;

		if (taken)
			clear_bit(taken - 1, kfd_dev_by_index(i)->doorbells);
		p->devices[i].doorbells = 0;
	}
}

/* ---- mappings ---- */

/* Wake the device if it sleeps or is about to. */
static void kfd_doorbell_disarm(struct kfd_dev *dev)
{
	struct kfdlab_driver_regs *driver = dev->rings->driver;

	lockdep_assert_held(&dev->doorbell_lock);
	if (!READ_ONCE(driver->queue_armed))
		return;
	WRITE_ONCE(driver->queue_armed, 0);
	smp_mb();	/* the device reads queue_armed after the kick */
	kfd_ring_kick(dev, KFDLAB_KICK_QUEUE);
}

static vm_fault_t kfd_doorbell_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct kfd_process *p = vma->vm_file->private_data;
	u64 offset = (u64)vmf->pgoff << PAGE_SHIFT;
	struct kfd_dev *dev = kfd_dev_by_id(offset >> KFD_MMAP_GPU_ID_SHIFT & KFD_MMAP_GPU_ID_MASK);
	phys_addr_t at;
	vm_fault_t ret;

	/* A GPU stays as long as there are processes; the mapping cannot grow. */
	if (WARN_ON_ONCE(!dev || (offset & KFD_MMAP_REST_MASK) >= KFD_DOORBELL_SLICE_BYTES))
		return VM_FAULT_SIGBUS;
	at = kfd_doorbell_phys(p, dev) + (offset & KFD_MMAP_REST_MASK);
	mutex_lock(&dev->doorbell_lock);
	kfd_doorbell_disarm(dev);
	/* Write-back, as all of BAR 2: to the CPU it is memory (include/hw/bar_layout.h). */
	ret = vmf_insert_pfn(vma, vmf->address & PAGE_MASK, PHYS_PFN(at));
	mutex_unlock(&dev->doorbell_lock);
	return ret;
}

static const struct vm_operations_struct kfd_doorbell_vm_ops = {
	.fault = kfd_doorbell_fault,
};

int kfd_doorbell_mmap(struct kfd_process *p, struct kfd_dev *dev, struct vm_area_struct *vma)
{
	int ret;

	if (vma->vm_end - vma->vm_start != KFD_DOORBELL_SLICE_BYTES || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	ret = kfd_doorbell_get(p, dev);
	if (ret)
		return ret;
	kcompat_vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &kfd_doorbell_vm_ops;
	return 0;
}

static void kfd_doorbell_idle_work(struct work_struct *work)
{
	struct kfd_dev *dev = container_of(work, struct kfd_dev, doorbell_idle);
	u32 idle;

	mutex_lock(&dev->doorbell_lock);
	idle = READ_ONCE(dev->rings->device->queue_idle);
	if (idle) {
		unmap_mapping_pages(kfd_doorbell_inode->i_mapping, kfd_doorbell_mmap_offset(dev) >> PAGE_SHIFT,
				    KFD_DOORBELL_SLICE_BYTES >> PAGE_SHIFT, true);
		/*
		 * Stores through the mappings that are gone come before this one. The number may be of a process that
		 * is gone; then the next one asks again.
		 */
		smp_store_mb(dev->rings->driver->queue_armed, idle);
	}
	mutex_unlock(&dev->doorbell_lock);
}

void kfd_doorbell_idle(struct kfd_dev *dev)
{
	queue_work(system_highpri_wq, &dev->doorbell_idle);
}

void kfd_doorbell_init(struct kfd_dev *dev)
{
	mutex_init(&dev->doorbell_lock);
	INIT_WORK(&dev->doorbell_idle, kfd_doorbell_idle_work);
}

void kfd_doorbell_fini(struct kfd_dev *dev)
{
	cancel_work_sync(&dev->doorbell_idle);
}

/* ---- the address space ---- */

static int kfd_doorbell_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, KFD_DOORBELL_MAGIC) ? 0 : -ENOMEM;
}

/* Its mount would hold its owner, so it has none: the mount is gone before the module. */
static struct file_system_type kfd_doorbell_fs = {
	.name = "kfdlab_doorbell",
	.init_fs_context = kfd_doorbell_init_context,
	.kill_sb = kill_anon_super,
};

/* /dev/kfd may have several inodes (mknod); mappings through all of them are to be found in one place. */
void kfd_doorbell_open(struct file *filp)
{
	filp->f_mapping = kfd_doorbell_inode->i_mapping;
}

int kfd_doorbell_module_init(void)
{
	kfd_doorbell_mount = kern_mount(&kfd_doorbell_fs);
	if (IS_ERR(kfd_doorbell_mount))
		return PTR_ERR(kfd_doorbell_mount);
	kfd_doorbell_inode = alloc_anon_inode(kfd_doorbell_mount->mnt_sb);
	if (IS_ERR(kfd_doorbell_inode)) {
		kern_unmount(kfd_doorbell_mount);
		return PTR_ERR(kfd_doorbell_inode);
	}
	return 0;
}

void kfd_doorbell_module_fini(void)
{
	iput(kfd_doorbell_inode);
	kern_unmount(kfd_doorbell_mount);
}
