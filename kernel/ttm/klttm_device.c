// SPDX-License-Identifier: GPL-2.0
/*
 * A GPU's TTM and DRM device. struct klttm_device is memory of the DRM device and lives as long as that: open
 * files and mappings of the render node may outlive klttm_device_destroy(), and each mapping holds a buffer
 * object. Destroy therefore takes away what belongs to the GPU (node, VRAM, the owner's callbacks), and the
 * TTM device itself goes with the last file.
 */
#include <linux/delay.h>
#include <linux/device.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "klttm_priv.h"

/* An object that the LRU walk finds locked makes it stop; its holder is about to let go. 5 s in all. */
#define KLTTM_EVICT_TRIES	500
#define KLTTM_EVICT_PAUSE_MS	10

/* Objects are waited for in silence for so long. */
#define KLTTM_DYING_PATIENCE	(60 * HZ)

/*
 * Objects without references may still wait for fences, and need the managers when those come. A fence ends by itself, but
 * it may be another driver's; nothing can be freed before, so there is no giving up, only a word about it.
 */
static void klttm_wait_for_dying(struct klttm_device *dev)
{
	unsigned long report = jiffies + KLTTM_DYING_PATIENCE;

	for (;;) {
		klttm_flush(dev);
		if (!atomic64_read(&dev->buffer_objects))
			return;
		if (report && time_after(jiffies, report)) {
			drm_warn(dev->ddev, "%llu objects still wait for a fence\n",
				 (u64)atomic64_read(&dev->buffer_objects));
			report = 0;
		}
		msleep(KLTTM_EVICT_PAUSE_MS);
	}
}

/* Last reference to the DRM device gone. */
static void klttm_device_release(struct drm_device *ddev, void *data)
{
	struct klttm_device *dev = data;

	klttm_cs_device_fini(dev);
	klttm_swap_fini(dev);
	klttm_wait_for_dying(dev);
	klttm_alloc_fini(dev);
	klttm_gtt_fini(dev);
	klttm_vram_fini(dev);
	ttm_device_fini(&dev->bdev);
	destroy_workqueue(dev->wq);
}

static int klttm_device_init(struct klttm_device *dev, struct device *parent)
{
	int ret;

	klttm_svm_init(dev);
	dev->wq = alloc_workqueue("kfdlab_ttm", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!dev->wq)
		return -ENOMEM;
	ret = klttm_cs_device_init(dev);
	if (ret)
		goto err_wq;
	ret = ttm_device_init(&dev->bdev, kcompat_ttm_funcs(&klttm_ttm_funcs), parent,
			      dev->ddev->anon_inode->i_mapping, dev->ddev->vma_offset_manager, false, false);
	if (ret)
		goto err_cs;
	klttm_vram_init(dev);
	klttm_gtt_init(dev);
	klttm_alloc_init(dev);
	ret = drmm_add_action_or_reset(dev->ddev, klttm_device_release, dev);
	return ret ?: klttm_swap_init(dev);

err_cs:
	klttm_cs_device_fini(dev);
err_wq:
	destroy_workqueue(dev->wq);
	return ret;
}

struct klttm_device *klttm_device_create(struct device *parent, const struct klttm_config *config,
					 const struct klttm_ops *ops, void *owner)
{
	struct klttm_device *dev;
	struct drm_device *ddev;
	int ret;

	if (!config->vram_size || !PAGE_ALIGNED(config->vram_size | config->vram_base))
		return ERR_PTR(-EINVAL);
	ddev = drm_dev_alloc(&klttm_drm_driver, parent);
	if (IS_ERR(ddev))
		return ERR_CAST(ddev);
	dev = drmm_kzalloc(ddev, sizeof(*dev), GFP_KERNEL);
	if (!dev) {
		ret = -ENOMEM;
		goto err_put;
	}
	ddev->dev_private = dev;
	dev->ddev = ddev;
	dev->config = *config;
	dev->ops = ops;
	dev->owner = owner;
	ret = klttm_device_init(dev, parent);
	if (ret)
		goto err_put;
	ret = drm_dev_register(ddev, 0);
	if (ret)
		goto err_put;
	return dev;

err_put:
	drm_dev_put(ddev);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(klttm_device_create);

void klttm_device_destroy(struct klttm_device *dev)
{
	unsigned int tries;
	int ret;

	/* After this no ioctl and no page fault is running, and none starts. */
	drm_dev_unplug(dev->ddev);
	klttm_cs_drain(dev);

	mutex_lock(&dev->alloc_lock);
	dev->dying = true;
	mutex_unlock(&dev->alloc_lock);

	for (tries = 0; tries < KLTTM_EVICT_TRIES; tries++) {
		ret = ttm_resource_manager_evict_all(&dev->bdev, &dev->vram_man);
		if (!ret)
			break;
		msleep(KLTTM_EVICT_PAUSE_MS);
	}
	ttm_resource_manager_set_used(&dev->vram_man, false);
	klttm_flush(dev);
	WARN_ONCE(dev->vram_held, "%llu bytes of VRAM still in use\n", dev->vram_held);
	drm_dev_put(dev->ddev);
}
EXPORT_SYMBOL_GPL(klttm_device_destroy);

int klttm_device_render_minor(const struct klttm_device *dev)
{
	return dev->ddev->render->index;
}
EXPORT_SYMBOL_GPL(klttm_device_render_minor);

void klttm_get_stats(struct klttm_device *dev, struct klttm_stats *stats)
{
	stats->vram_size = dev->config.vram_size;
	spin_lock(&dev->mm_lock);
	stats->vram_held = dev->vram_held;
	stats->vram_reserved = dev->vram_reserved;
	stats->vram_objects = ttm_resource_manager_usage(&dev->vram_man) - dev->vram_given_back;
	spin_unlock(&dev->mm_lock);
	klttm_svm_orphan_stats(dev, stats);
	stats->gtt_used = ttm_resource_manager_usage(&dev->gtt_man);
	stats->buffer_objects = atomic64_read(&dev->buffer_objects);
	stats->evictions = atomic64_read(&dev->evictions);
	stats->swapouts = atomic64_read(&dev->swapouts);
}
EXPORT_SYMBOL_GPL(klttm_get_stats);

void klttm_flush(struct klttm_device *dev)
{
	/* Letting go of an object may defer its end to TTM, and that its block's to us. */
	flush_work(&dev->reap_work);
	kcompat_ttm_flush_delayed_delete(&dev->bdev);
	flush_work(&dev->reap_work);
}
EXPORT_SYMBOL_GPL(klttm_flush);
