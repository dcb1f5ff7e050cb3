// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes. hmm-tests open devices by number: 2 and 3 are the coherent ones, here GPU 0 and 1. test_hmm's 0 and 1 are of
 * private memory, which stock kernels have not; some tests of the coherent ones open 0 by number nevertheless, so 0
 * and 1 are the same two GPUs again.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "dmirror.h"
#include "kernel/compat/kcompat.h"

#define DMIRROR_NODES	4u
#define DMIRROR_GPUS	2u
/* A mapping of a node is ordinary memory of a special kind; the tests want one page. */
#define DMIRROR_MMAP_MAX	SZ_1M

static dev_t dmirror_devt;
static struct cdev dmirror_cdev;
static struct class *dmirror_class;

static int dmirror_bounce_init(struct dmirror *mirror)
{
	unsigned int i;

	mirror->bounce = __vmalloc(KFD_MIRROR_BATCH * PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	if (!mirror->bounce)
		return -ENOMEM;
	for (i = 0; i < KFD_MIRROR_BATCH; i++)
		mirror->bounce_pages[i] = vmalloc_to_page(mirror->bounce + i * PAGE_SIZE);
	return 0;
}

static int dmirror_open(struct inode *inode, struct file *file)
{
	struct dmirror *mirror = kvzalloc(sizeof(*mirror), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!mirror)
		return -ENOMEM;
	mutex_init(&mirror->lock);
	mutex_init(&mirror->access);
	xa_init(&mirror->table);
	ret = dmirror_bounce_init(mirror);
	if (ret)
		goto err_free;
	mirror->gpu = kfd_mirror_open(iminor(inode) % DMIRROR_GPUS);
	ret = PTR_ERR_OR_ZERO(mirror->gpu);
	if (ret)
		goto err_bounce;
	ret = mmu_interval_notifier_insert(&mirror->notifier, current->mm, 0, ULONG_MAX & PAGE_MASK,
					   &dmirror_notifier_ops);
	if (ret)
		goto err_gpu;
	file->private_data = mirror;
	return 0;

err_gpu:
	kfd_mirror_close(mirror->gpu);
err_bounce:
	vfree(mirror->bounce);
err_free:
	kvfree(mirror);
	return ret;
}

static int dmirror_release(struct inode *inode, struct file *file)
{
	struct dmirror *mirror = file->private_data;

	mmu_interval_notifier_remove(&mirror->notifier);
	kfd_mirror_close(mirror->gpu);
	xa_destroy(&mirror->table);
	vfree(mirror->bounce);
	kvfree(mirror);
	return 0;
}

/* Pages that the kernel inserted one by one: what snapshots call neither anonymous nor a file's. */
static int dmirror_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long addr;

	if (vma->vm_end - vma->vm_start > DMIRROR_MMAP_MAX)
		return -EINVAL;
	for (addr = vma->vm_start; addr < vma->vm_end; addr += PAGE_SIZE) {
		struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		int ret;

		if (!page)
			return -ENOMEM;
		ret = vm_insert_page(vma, addr, page);
		/* The mapping holds one now, or nobody does. */
		put_page(page);
		if (ret)
			return ret;
	}
	return 0;
}

static const struct file_operations dmirror_fops = {
	.owner = THIS_MODULE,
	.open = dmirror_open,
	.release = dmirror_release,
	.mmap = dmirror_mmap,
	.unlocked_ioctl = dmirror_ioctl,
};

static void dmirror_remove_nodes(unsigned int n)
{
	while (n--)
		device_destroy(dmirror_class, MKDEV(MAJOR(dmirror_devt), n));
}

static int dmirror_create_nodes(void)
{
	struct device *node;
	unsigned int i;

	for (i = 0; i < DMIRROR_NODES; i++) {
		node = device_create(dmirror_class, NULL, MKDEV(MAJOR(dmirror_devt), i), NULL, "hmm_dmirror%u", i);
		if (IS_ERR(node)) {
			dmirror_remove_nodes(i);
			return PTR_ERR(node);
		}
	}
	return 0;
}

static int __init dmirror_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&dmirror_devt, 0, DMIRROR_NODES, "kfdlab_dmirror");
	if (ret)
		return ret;
	cdev_init(&dmirror_cdev, &dmirror_fops);
	dmirror_cdev.owner = THIS_MODULE;
	ret = cdev_add(&dmirror_cdev, dmirror_devt, DMIRROR_NODES);
	if (ret)
		goto err_region;
	dmirror_class = kcompat_class_create("kfdlab_dmirror");
	ret = PTR_ERR_OR_ZERO(dmirror_class);
	if (ret)
		goto err_cdev;
	ret = dmirror_create_nodes();
	if (ret)
		goto err_class;
	return 0;

err_class:
	class_destroy(dmirror_class);
err_cdev:
	cdev_del(&dmirror_cdev);
err_region:
	unregister_chrdev_region(dmirror_devt, DMIRROR_NODES);
	return ret;
}

static void __exit dmirror_exit(void)
{
	dmirror_remove_nodes(DMIRROR_NODES);
	class_destroy(dmirror_class);
	cdev_del(&dmirror_cdev);
	unregister_chrdev_region(dmirror_devt, DMIRROR_NODES);
}

module_init(dmirror_init);
module_exit(dmirror_exit);

KCOMPAT_MODULE_IMPORT_NS(KFDLAB_MIRROR);
MODULE_DESCRIPTION("The kernel's test_hmm interface on kfdlab's device-coherent VRAM");
MODULE_AUTHOR("kfdlab");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
