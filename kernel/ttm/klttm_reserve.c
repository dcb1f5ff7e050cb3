// SPDX-License-Identifier: GPL-2.0
/*
 * VRAM taken away from everybody: page tables, and tests that want a full GPU without filling one. A reservation is a node of
 * the manager's drm_mm and nothing else: no object, no pages, no contents, never evicted. It counts as held.
 */
#include <linux/slab.h>

#include "klttm_priv.h"

struct klttm_reservation {
	struct klttm_device *dev;
	struct drm_mm_node node;
	bool top;
};

static struct klttm_reservation *klttm_vram_reserve_run(struct klttm_device *dev, u64 bytes,
							enum drm_mm_insert_mode mode)
{
	struct klttm_reservation *res;
	int ret;

	if (!bytes || !PAGE_ALIGNED(bytes))
		return ERR_PTR(-EINVAL);
	if (bytes > dev->config.vram_size)
		return ERR_PTR(-ENOSPC);
	res = kzalloc(sizeof(*res), GFP_KERNEL_ACCOUNT);
	if (!res)
		return ERR_PTR(-ENOMEM);
	res->dev = dev;

	spin_lock(&dev->mm_lock);
	ret = drm_mm_insert_node_generic(&dev->mm, &res->node, bytes >> PAGE_SHIFT, 1, 0, mode);
	if (!ret) {
		dev->vram_held += bytes;
		dev->vram_reserved += bytes;
		res->top = mode == DRM_MM_INSERT_HIGH;
		if (res->top)
			WRITE_ONCE(dev->vram_top, dev->vram_top + bytes);
	}
	spin_unlock(&dev->mm_lock);
	if (ret) {
		kfree(res);
		return ERR_PTR(ret);
	}
	return res;
}

struct klttm_reservation *klttm_vram_reserve(struct klttm_device *dev, u64 bytes)
{
	klttm_flush(dev);
	return klttm_vram_reserve_run(dev, bytes, DRM_MM_INSERT_LOW);
}
EXPORT_SYMBOL_GPL(klttm_vram_reserve);

struct klttm_reservation *klttm_vram_reserve_top(struct klttm_device *dev, u64 bytes)
{
	return klttm_vram_reserve_run(dev, bytes, DRM_MM_INSERT_HIGH);
}
EXPORT_SYMBOL_GPL(klttm_vram_reserve_top);

unsigned long klttm_reservation_page(const struct klttm_reservation *res)
{
	return res->node.start;
}
EXPORT_SYMBOL_GPL(klttm_reservation_page);

void klttm_vram_unreserve(struct klttm_reservation *res)
{
	struct klttm_device *dev = res->dev;

	spin_lock(&dev->mm_lock);
	dev->vram_held -= res->node.size << PAGE_SHIFT;
	dev->vram_reserved -= res->node.size << PAGE_SHIFT;
	if (res->top)
		WRITE_ONCE(dev->vram_top, dev->vram_top - (res->node.size << PAGE_SHIFT));
	drm_mm_remove_node(&res->node);
	spin_unlock(&dev->mm_lock);
	kfree(res);
}
EXPORT_SYMBOL_GPL(klttm_vram_unreserve);
