// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/kfd: class, device, file operations and the table of ioctls.
 *
 * An ioctl is looked up by its number alone. The rest of the command word says how long the caller's structure is,
 * since that grows over the years and SVM's varies per call: shorter than what the driver needs is EINVAL; of a
 * longer one the part that the driver does not know is neither read nor written.
 */
#include <linux/cdev.h>
#include <linux/compat.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/kernfs.h>
#include <linux/kfd_ioctl.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kfd_doorbell.h"
#include "kfd_mmio.h"
#include "kfd_ioctl.h"
#include "kfd_process.h"

static struct class *kfd_class;
static struct device *kfd_device;
static dev_t kfd_devt;
static struct cdev kfd_cdev;

struct kfd_ioctl_row {
	kfd_ioctl_fn *handler;
	const char *name;
	u32 cmd;	/* AMDKFD_IOC_*: direction and the size that is mandatory */
};

/* Largest argument that is handled on the stack: all of fixed size. */
#define KFD_IOCTL_MAX_FIXED	96

#define KFD_IOCTL(_name, _handler)						\
	[_IOC_NR(AMDKFD_IOC_##_name)] = {					\
		.handler = (_handler),						\
		.name = #_name,							\
		.cmd = AMDKFD_IOC_##_name + BUILD_BUG_ON_ZERO(			\
			_IOC_SIZE(AMDKFD_IOC_##_name) > KFD_IOCTL_MAX_FIXED),	\
	}

/* One whose structure grew at its end by fields that this driver does without: up to @_last is mandatory. */
#define KFD_IOCTL_GROWN(_name, _handler, _type, _last)				\
	[_IOC_NR(AMDKFD_IOC_##_name)] = {					\
		.handler = (_handler),						\
		.name = #_name,							\
		.cmd = _IOC(_IOC_READ | _IOC_WRITE, AMDKFD_IOCTL_BASE,		\
			    _IOC_NR(AMDKFD_IOC_##_name), offsetofend(_type, _last)), \
	}

/* AMD's, but not here: the oldest debugger and CRIU. */
static int kfd_ioctl_unsupported(struct kfd_process *p, void *args)
{
	return -EOPNOTSUPP;
}

#define KFD_IOCTL_UNSUPPORTED(_nr, _name)					\
	[_nr] = {								\
		.handler = kfd_ioctl_unsupported,				\
		.name = (_name),						\
	}

static const struct kfd_ioctl_row kfd_ioctls[] = {
	KFD_IOCTL(GET_VERSION, kfd_ioctl_get_version),
	KFD_IOCTL_GROWN(CREATE_QUEUE, kfd_ioctl_create_queue, struct kfd_ioctl_create_queue_args, ctl_stack_size),
	KFD_IOCTL(DESTROY_QUEUE, kfd_ioctl_destroy_queue),
	KFD_IOCTL(SET_MEMORY_POLICY, kfd_ioctl_set_memory_policy),
	KFD_IOCTL(GET_CLOCK_COUNTERS, kfd_ioctl_get_clock_counters),
	KFD_IOCTL_UNSUPPORTED(0x06, "GET_PROCESS_APERTURES"),
	KFD_IOCTL(UPDATE_QUEUE, kfd_ioctl_update_queue),
	KFD_IOCTL(CREATE_EVENT, kfd_ioctl_create_event),
	KFD_IOCTL(DESTROY_EVENT, kfd_ioctl_destroy_event),
	KFD_IOCTL(SET_EVENT, kfd_ioctl_set_event),
	KFD_IOCTL(RESET_EVENT, kfd_ioctl_reset_event),
	KFD_IOCTL(WAIT_EVENTS, kfd_ioctl_wait_events),
	KFD_IOCTL_UNSUPPORTED(0x0d, "DBG_REGISTER"),
	KFD_IOCTL_UNSUPPORTED(0x0e, "DBG_UNREGISTER"),
	KFD_IOCTL_UNSUPPORTED(0x0f, "DBG_ADDRESS_WATCH"),
	KFD_IOCTL_UNSUPPORTED(0x10, "DBG_WAVE_CONTROL"),
	KFD_IOCTL(SET_SCRATCH_BACKING_VA, kfd_ioctl_set_scratch_backing_va),
	KFD_IOCTL(GET_TILE_CONFIG, kfd_ioctl_get_tile_config),
	KFD_IOCTL(SET_TRAP_HANDLER, kfd_ioctl_set_trap_handler),
	KFD_IOCTL(GET_PROCESS_APERTURES_NEW, kfd_ioctl_get_apertures),
	KFD_IOCTL(ACQUIRE_VM, kfd_ioctl_acquire_vm),
	KFD_IOCTL(ALLOC_MEMORY_OF_GPU, kfd_ioctl_alloc),
	KFD_IOCTL(FREE_MEMORY_OF_GPU, kfd_ioctl_free),
	KFD_IOCTL(MAP_MEMORY_TO_GPU, kfd_ioctl_map),
	KFD_IOCTL(UNMAP_MEMORY_FROM_GPU, kfd_ioctl_unmap),
	KFD_IOCTL(SET_CU_MASK, kfd_ioctl_set_cu_mask),
	KFD_IOCTL(GET_QUEUE_WAVE_STATE, kfd_ioctl_get_queue_wave_state),
	KFD_IOCTL(GET_DMABUF_INFO, kfd_ioctl_get_dmabuf_info),
	KFD_IOCTL(IMPORT_DMABUF, kfd_ioctl_import_dmabuf),
	KFD_IOCTL(ALLOC_QUEUE_GWS, kfd_ioctl_alloc_queue_gws),
	KFD_IOCTL(SMI_EVENTS, kfd_ioctl_smi_events),
	KFD_IOCTL(SVM, kfd_ioctl_svm),
	KFD_IOCTL(SET_XNACK_MODE, kfd_ioctl_set_xnack_mode),
	KFD_IOCTL_UNSUPPORTED(0x22, "CRIU_OP"),
	KFD_IOCTL(AVAILABLE_MEMORY, kfd_ioctl_available_memory),
	KFD_IOCTL(EXPORT_DMABUF, kfd_ioctl_export_dmabuf),
};

static int kfd_open(struct inode *inode, struct file *filp)
{
	struct kfd_process *p;

	/* Pointers inside the structures are 64 bits wide; amdkfd refuses 32-bit callers with the same error. */
	if (in_compat_syscall())
		return -EPERM;
	p = kfd_process_open();
	if (IS_ERR(p))
		return PTR_ERR(p);
	filp->private_data = p;
	kfd_doorbell_open(filp);
	return nonseekable_open(inode, filp);
}

static int kfd_release(struct inode *inode, struct file *filp)
{
	kfd_process_close(filp->private_data);
	return 0;
}

static int kfd_call(struct kfd_process *p, const struct kfd_ioctl_row *row, void __user *arg)
{
	u64 args[KFD_IOCTL_MAX_FIXED / sizeof(u64)] = {};
	u32 size = _IOC_SIZE(row->cmd);
	int ret;

	if (row->cmd & IOC_IN && copy_from_user(args, arg, size))
		return -EFAULT;
	ret = row->handler(p, args);
	if (row->cmd & IOC_OUT && copy_to_user(arg, args, size) && !ret)
		ret = -EFAULT;
	return ret;
}

/* SVM's structure ends in nattr attributes; @size, at most 16 KiB, is what the command word says the caller gave. */
static int kfd_call_svm(struct kfd_process *p, const struct kfd_ioctl_row *row, void __user *arg, u32 size)
{
	struct kfd_ioctl_svm_args *args = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	int ret;

	if (!args)
		return -ENOMEM;
	if (copy_from_user(args, arg, size))
		ret = -EFAULT;
	else if (args->nattr > (size - sizeof(*args)) / sizeof(args->attrs[0]))
		ret = -EINVAL;
	else
		ret = row->handler(p, args);
	if (!ret && args->op == KFD_IOCTL_SVM_OP_GET_ATTR &&
	    copy_to_user(arg, args, struct_size(args, attrs, args->nattr)))
		ret = -EFAULT;
	kvfree(args);
	return ret;
}

static long kfd_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct kfd_process *p = filp->private_data;
	const struct kfd_ioctl_row *row;
	unsigned int nr = _IOC_NR(cmd);
	int ret;

	if (_IOC_TYPE(cmd) != AMDKFD_IOCTL_BASE || nr >= ARRAY_SIZE(kfd_ioctls))
		return -ENOTTY;
	row = &kfd_ioctls[array_index_nospec(nr, ARRAY_SIZE(kfd_ioctls))];
	if (!row->handler)
		return -ENOTTY;
	ret = kfd_process_check(p);
	if (ret)
		return ret;
	if (_IOC_SIZE(cmd) < _IOC_SIZE(row->cmd))
		return -EINVAL;
	if (row->handler == kfd_ioctl_svm)
		return kfd_call_svm(p, row, (void __user *)arg, _IOC_SIZE(cmd));
	return kfd_call(p, row, (void __user *)arg);
}

/* Of what the ABI has for this file, doorbells and remapped registers: event pages are buffers. */
static int kfd_mmap(struct file *filp, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	struct kfd_process *p = filp->private_data;
	struct kfd_dev *dev;
	u64 type;
	int ret;

	ret = kfd_process_check(p);
	if (ret)
		return ret;
	type = offset >> KFD_MMAP_TYPE_SHIFT;
	if ((type != KFD_MMAP_TYPE_DOORBELL && type != KFD_MMAP_TYPE_MMIO) || offset & KFD_MMAP_REST_MASK)
		return -EINVAL;
	dev = kfd_dev_by_id(offset >> KFD_MMAP_GPU_ID_SHIFT & KFD_MMAP_GPU_ID_MASK);
	if (!dev)
		return -ENODEV;
	return type == KFD_MMAP_TYPE_MMIO ? kfd_mmio_mmap(p, dev, vma) : kfd_doorbell_mmap(p, dev, vma);
}

static const struct file_operations kfd_fops = {
	.owner = THIS_MODULE,
	.open = kfd_open,
	.release = kfd_release,
	.unlocked_ioctl = kfd_ioctl,
	.mmap = kfd_mmap,
};

/* Is there a class kfd already? Asked first, because the driver core warns about a second one. */
static bool kfd_class_exists(void)
{
	struct kernfs_node *root = kcompat_kernfs_parent(kernel_kobj->sd);
	struct kernfs_node *classes = kernfs_find_and_get(root, "class");
	struct kernfs_node *kfd = classes ? kernfs_find_and_get(classes, "kfd") : NULL;
	bool exists = kfd;

	kernfs_put(kfd);
	kernfs_put(classes);
	return exists;
}

/* Anybody may open it, as for render nodes: a process reaches nothing but its own memory through it. */
static char *kfd_devnode(kcompat_devnode_device *dev, umode_t *mode)
{
	if (mode)
		*mode = 0666;
	return NULL;
}

int kfd_chardev_init(void)
{
	int ret;

	if (kfd_class_exists()) {
		pr_err("kfdlab: another driver owns /dev/kfd (is amdgpu loaded?)\n");
		return -EBUSY;
	}
	ret = alloc_chrdev_region(&kfd_devt, 0, 1, "kfd");
	if (ret)
		return ret;
	kfd_class = kcompat_class_create("kfd");
	if (IS_ERR(kfd_class)) {
		ret = PTR_ERR(kfd_class);
		goto out_region;
	}
	kfd_class->devnode = kfd_devnode;
	kfd_device = device_create(kfd_class, NULL, kfd_devt, NULL, "kfd");
	if (IS_ERR(kfd_device)) {
		ret = PTR_ERR(kfd_device);
		goto out_class;
	}
	return 0;

out_class:
	class_destroy(kfd_class);
out_region:
	unregister_chrdev_region(kfd_devt, 1);
	return ret;
}

int kfd_chardev_expose(void)
{
	cdev_init(&kfd_cdev, &kfd_fops);
	kfd_cdev.owner = THIS_MODULE;
	return cdev_add(&kfd_cdev, kfd_devt, 1);
}

void kfd_chardev_hide(void)
{
	cdev_del(&kfd_cdev);
}

void kfd_chardev_fini(void)
{
	device_destroy(kfd_class, kfd_devt);
	class_destroy(kfd_class);
	unregister_chrdev_region(kfd_devt, 1);
}

struct device *kfd_chardev_device(void)
{
	return kfd_device;
}
