// SPDX-License-Identifier: GPL-2.0
/*
 * The PCI function of a virtual GPU: QEMU's ivshmem-doorbell whose BAR 2 begins with our identity
 * page. Brings a GPU up in the order map, rings, pages, TTM, topology, debugfs - what user space
 * can reach comes last - and takes it down in reverse. An ivshmem device that is not ours is left
 * alone without a word.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "kfd_doorbell.h"
#include "kfd_priv.h"
#include "kfd_process.h"
#include "kfd_queue.h"
#include "kfd_svm.h"
#include "kfd_vm.h"

#define BAR_IVSHMEM	0
#define BAR_MEMORY	2

/* By identity.gpu_index. Written in probe and remove, when nobody uses the GPUs: kfd_gpus_get(). */
static struct kfd_dev *kfd_devs[KFD_MAX_GPUS];

struct kfd_dev *kfd_dev_by_index(unsigned int index)
{
	return index < KFD_MAX_GPUS ? kfd_devs[index] : NULL;
}

struct kfd_dev *kfd_dev_by_id(u32 gpu_id)
{
	return kfd_dev_by_index(gpu_id - KFD_GPU_ID(0));
}

unsigned int kfd_dev_count(void)
{
	unsigned int i, count = 0;

	for (i = 0; i < KFD_MAX_GPUS; i++)
		count += kfd_devs[i] != NULL;
	return count;
}

/* ---- callbacks of kernel/ttm ---- */

/* Runs are 32 bits long; a gigabyte each is as good as any. */
static void copy_or_fill(struct kfd_dev *dev, u64 dst, u64 src, u64 bytes)
{
	while (bytes) {
		struct kfd_copy_run run = {
			.dst = dst,
			.src = src,
			.bytes = min_t(u64, bytes, SZ_1G),
		};

		kfd_copy_batch(dev, &run, 1);
		dst += run.bytes;
		if (src != KFD_COPY_ZERO)
			src += run.bytes;
		bytes -= run.bytes;
	}
}

static void ttm_fill_zero(void *owner, u64 phys, u64 bytes)
{
	copy_or_fill(owner, phys, KFD_COPY_ZERO, bytes);
}

static void ttm_copy(void *owner, u64 dst_phys, u64 src_phys, u64 bytes)
{
	copy_or_fill(owner, dst_phys, src_phys, bytes);
}

static const struct klttm_ops ttm_ops = {
	.fill_zero = ttm_fill_zero,
	.copy = ttm_copy,
	.evict_block = svm_evict_block,
	.submit = kfd_submit,
	.resets = kfd_submit_resets,
};

/* ---- bring-up ---- */

/* The identity page is shared memory: take one copy, then check that. */
static int read_identity(struct kfd_dev *dev)
{
	const struct kfdlab_identity *id = &dev->identity;
	u64 bar_size = pci_resource_len(dev->pdev, BAR_MEMORY);

	memcpy(&dev->identity, dev->bar + KFDLAB_BAR_IDENTITY, sizeof(dev->identity));
	if (id->magic != KFDLAB_IDENTITY_MAGIC)
		return -ENODEV;
	if (id->layout_version != KFDLAB_LAYOUT_VERSION) {
		dev_info(&dev->pdev->dev, "layout version %u, this driver knows %u\n",
			 id->layout_version, KFDLAB_LAYOUT_VERSION);
		return -ENODEV;
	}
	if (id->bar_size != bar_size || !id->vram_size || !IS_ALIGNED(id->vram_size, SZ_2M) ||
	    id->vram_size > bar_size - KFDLAB_BAR_VRAM || id->gpu_index >= KFD_MAX_GPUS ||
	    kfd_devs[id->gpu_index]) {
		dev_err(&dev->pdev->dev,
			"identity page makes no sense: GPU %u, BAR 0x%llx, VRAM 0x%llx\n",
			id->gpu_index, id->bar_size, id->vram_size);
		return -EINVAL;
	}
	dev->index = id->gpu_index;
	dev->gpu_id = KFD_GPU_ID(dev->index);
	dev->vram_base = dev->bar_base + KFDLAB_BAR_VRAM;
	dev->vram_size = id->vram_size;
	return 0;
}

static int map_bars(struct kfd_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;
	int ret;

	if (pci_resource_len(pdev, BAR_IVSHMEM) < KFDLAB_IVSHMEM_DOORBELL + sizeof(u32) ||
	    pci_resource_len(pdev, BAR_MEMORY) < KFDLAB_BAR_VRAM + SZ_2M)
		return -ENODEV;
	dev->bar_base = pci_resource_start(pdev, BAR_MEMORY);

	dev->bar = memremap(dev->bar_base, KFDLAB_BAR_VRAM, MEMREMAP_WB);
	if (!dev->bar)
		return -ENOMEM;
	ret = read_identity(dev);
	if (ret)
		goto err_memory;
	ret = -ENOMEM;
	dev->ivshmem = pci_ioremap_bar(pdev, BAR_IVSHMEM);
	if (!dev->ivshmem)
		goto err_memory;
	return 0;

err_memory:
	memunmap(dev->bar);
	return ret;
}

static void unmap_bars(struct kfd_dev *dev)
{
	iounmap(dev->ivshmem);
	memunmap(dev->bar);
}

static int create_ttm(struct kfd_dev *dev)
{
	const struct klttm_config config = {
		.vram_base = dev->vram_base,
		.vram_size = dev->vram_size,
		.device_id = dev->identity.device_id,
		.revision_id = dev->identity.revision_id,
		.compute_units = dev->identity.compute_units,
		.gpu_index = dev->index,
	};
	struct klttm_device *ttm = klttm_device_create(&dev->pdev->dev, &config, &ttm_ops, dev);

	if (IS_ERR(ttm))
		return PTR_ERR(ttm);
	dev->ttm = ttm;
	klttm_set_block_release(ttm, svm_account_block_release);
	return 0;
}

static int kfd_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct kfd_dev *dev;
	int ret;

	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev)
		return -ENOMEM;
	dev->pdev = pdev;

	/* One that comes back by a rescan while another one is in use has to be probed again later. */
	ret = kfd_gpus_begin_change(true);
	if (ret)
		goto err_free;

	ret = pci_enable_device_mem(pdev);
	if (ret)
		goto err_change;
	ret = pci_request_regions(pdev, KBUILD_MODNAME);
	if (ret)
		goto err_disable;
	ret = map_bars(dev);
	if (ret)
		goto err_regions;
	pci_set_master(pdev);	/* MSI-X is a bus-master write */
	kfd_doorbell_init(dev);
	ret = kfd_queues_init(dev);
	if (ret)
		goto err_unmap;
	ret = kfd_vms_init(dev);
	if (ret)
		goto err_queues;
	ret = kfd_ring_init(dev);
	if (ret)
		goto err_vms;
	ret = kfd_pagemap_init(dev);
	if (ret)
		goto err_ring;
	ret = svm_evict_init(dev);
	if (ret)
		goto err_pagemap;
	ret = create_ttm(dev);
	if (ret)
		goto err_evict;
	kfd_devs[dev->index] = dev;
	pci_set_drvdata(pdev, dev);
	ret = kfd_topology_add_gpu(dev);
	if (ret)
		goto err_ttm;
	kfd_debugfs_add_gpu(dev);
	kfd_gpus_end_change();
	dev_info(&pdev->dev, "virtual GPU %u: %llu MiB of device-coherent VRAM at 0x%llx\n",
		 dev->index, dev->vram_size >> 20, (u64)dev->vram_base);
	return 0;

err_ttm:
	kfd_devs[dev->index] = NULL;
	klttm_device_destroy(dev->ttm);
err_evict:
	svm_evict_fini(dev);
err_pagemap:
	kfd_pagemap_fini(dev);
err_ring:
	kfd_ring_fini(dev);
err_vms:
	kfd_vms_fini(dev);
err_queues:
	kfd_queues_fini(dev);
err_unmap:
	pci_clear_master(pdev);
	unmap_bars(dev);
err_regions:
	pci_release_regions(pdev);
err_disable:
	pci_disable_device(pdev);
err_change:
	kfd_gpus_end_change();
err_free:
	kfree(dev);
	return ret;
}

/*
 * Locking: kfd_gpus_begin_change() came first, so nobody new comes. rmmod gets here only when no process and no SVM
 * page is left: both hold the module. Somebody who unplugs the PCI function in sysfs has to wait for them, and for
 * open test devices, without a limit: a removal cannot fail, and mm has no way to take the pages away from their
 * users. Until then /dev/kfd answers ENODEV to whoever opens it.
 */
static void wait_until_unused(struct kfd_dev *dev)
{
	if (!kfd_gpus_in_use() && !atomic64_read(&dev->counters.svm_pages_occupied))
		return;
	dev_warn(&dev->pdev->dev, "removal waits until no process uses the GPU\n");
	while (kfd_gpus_in_use() || atomic64_read(&dev->counters.svm_pages_occupied))
		msleep(100);
}

static void kfd_pci_remove(struct pci_dev *pdev)
{
	struct kfd_dev *dev = pci_get_drvdata(pdev);

	kfd_gpus_begin_change(false);
	wait_until_unused(dev);
	kfd_debugfs_remove_gpu(dev);
	kfd_topology_remove_gpu(dev);
	kfd_devs[dev->index] = NULL;
	klttm_device_destroy(dev->ttm);
	svm_evict_fini(dev);
	kfd_pagemap_fini(dev);
	kfd_ring_fini(dev);
	kfd_vms_fini(dev);
	kfd_queues_fini(dev);
	pci_clear_master(pdev);
	unmap_bars(dev);
	pci_release_regions(pdev);
	pci_disable_device(pdev);
	kfree(dev);
	kfd_gpus_end_change();
}

static const struct pci_device_id kfd_pci_ids[] = {
	{ PCI_DEVICE(KFDLAB_PCI_VENDOR_ID, KFDLAB_PCI_DEVICE_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, kfd_pci_ids);

static struct pci_driver kfd_pci_driver = {
	.name = "kfdlab_amdgpu",
	.id_table = kfd_pci_ids,
	.probe = kfd_pci_probe,
	.remove = kfd_pci_remove,
	/* sysfs must not unbind a GPU under the processes that use it */
	.driver.suppress_bind_attrs = true,
};

int kfd_pci_init(void)
{
	return pci_register_driver(&kfd_pci_driver);
}

void kfd_pci_fini(void)
{
	pci_unregister_driver(&kfd_pci_driver);
}
