// SPDX-License-Identifier: GPL-2.0
/*
 * Objects as dma-bufs. An object has at most one dma-buf at a time: DRM's name tables and KFD's must meet the same
 * one, or DRM warns. So an object that some file may use owns a reference to its dma-buf, as DRM's own does for one
 * that has handles; object_name_lock makes the two find each other's. A dma-buf that is only known, not owned, may have
 * lost its file, and another process's file may be where that was: it is not to be had again, only imported.
 *
 * The same GPU shares the object. Anybody else, our other GPUs included, attaches and finds it in RAM: it is moved to
 * GTT and pinned there while attached, since nobody promised that two devices reach each other. What we import
 * from others is an object without memory of its own; its CPU mappings are the exporter's.
 *
 * There is no vmap: 6.1 warns in the log when one fails, which a user could bring about.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_prime.h>

#include "klttm_priv.h"

/*
 * Innermost: klttm_bo.exported, own and holders of all objects. A spinlock, since making a dma-buf may reclaim and so
 * move objects.
 */
static DEFINE_SPINLOCK(klttm_export_lock);

static struct klttm_bo *dma_buf_to_klttm_bo(const struct dma_buf *buf)
{
	return to_klttm_bo(container_of((struct drm_gem_object *)buf->priv, struct ttm_buffer_object, base));
}

static int klttm_dma_buf_pin(struct dma_buf_attachment *attach)
{
	struct klttm_bo *bo = dma_buf_to_klttm_bo(attach->dmabuf);
	int idx, ret = 0;

	dma_resv_assert_held(bo->tbo.base.resv);
	if (!drm_dev_enter(bo->tbo.base.dev, &idx))
		return -ENODEV;
	if (!bo->tbo.pin_count)
		ret = klttm_bo_move_to_gtt(bo);
	else if (bo->tbo.resource->mem_type != TTM_PL_TT)
		ret = -EBUSY;
	if (!ret) {
		ttm_bo_pin(&bo->tbo);
		/* Out of the LRU: TTM does that only when the object is moved to its end, which dma-buf does not do. */
		ttm_bo_move_to_lru_tail_unlocked(&bo->tbo);
	}
	drm_dev_exit(idx);
	return ret;
}

static void klttm_dma_buf_unpin(struct dma_buf_attachment *attach)
{
	struct ttm_buffer_object *tbo = &dma_buf_to_klttm_bo(attach->dmabuf)->tbo;

	ttm_bo_unpin(tbo);
	ttm_bo_move_to_lru_tail_unlocked(tbo);
}

static struct sg_table *klttm_dma_buf_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	struct klttm_bo *bo = dma_buf_to_klttm_bo(attach->dmabuf);
	struct ttm_tt *tt = bo->tbo.ttm;
	struct sg_table *sgt;
	int ret;

	/* Pinned by whoever maps, except on kernels that can tell dynamic importers about moves. */
	if (!bo->tbo.pin_count) {
		ret = klttm_dma_buf_pin(attach);
		if (ret)
			return ERR_PTR(ret);
		klttm_dma_buf_unpin(attach);
		tt = bo->tbo.ttm;
	}
	if (bo->tbo.resource->mem_type != TTM_PL_TT)
		return ERR_PTR(-EBUSY);
	sgt = drm_prime_pages_to_sg(bo->tbo.base.dev, tt->pages, tt->num_pages);
	if (IS_ERR(sgt))
		return sgt;
	ret = dma_map_sgtable(attach->dev, sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
	if (ret) {
		sg_free_table(sgt);
		kfree(sgt);
		return ERR_PTR(ret);
	}
	return sgt;
}

static void klttm_dma_buf_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
				enum dma_data_direction dir)
{
	dma_unmap_sgtable(attach->dev, sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
	sg_free_table(sgt);
	kfree(sgt);
}

static void klttm_dma_buf_release(struct dma_buf *buf)
{
	struct klttm_bo *bo = dma_buf_to_klttm_bo(buf);

	spin_lock(&klttm_export_lock);
	if (bo->exported == buf)
		bo->exported = NULL;
	spin_unlock(&klttm_export_lock);
	drm_gem_dmabuf_release(buf);
}

static const struct dma_buf_ops klttm_dma_buf_ops = {
	.pin = klttm_dma_buf_pin,
	.unpin = klttm_dma_buf_unpin,
	.map_dma_buf = klttm_dma_buf_map,
	.unmap_dma_buf = klttm_dma_buf_unmap,
	.release = klttm_dma_buf_release,
	.mmap = drm_gem_dmabuf_mmap,
};

/* Make @buf, of which the caller has a reference, the one that the object owns, if it is held by a file and owns none. */
static void klttm_prime_own(struct klttm_bo *bo, struct dma_buf *buf)
{
	spin_lock(&klttm_export_lock);
	bo->exported = buf;
	if (bo->holders && !bo->own) {
		get_dma_buf(buf);
		bo->own = buf;
	}
	spin_unlock(&klttm_export_lock);
}

void klttm_prime_held(struct klttm_bo *bo)
{
	spin_lock(&klttm_export_lock);
	bo->holders++;
	spin_unlock(&klttm_export_lock);
}

void klttm_prime_dropped(struct klttm_bo *bo)
{
	struct dma_buf *buf = NULL;

	spin_lock(&klttm_export_lock);
	if (!--bo->holders)
		swap(buf, bo->own);
	spin_unlock(&klttm_export_lock);
	if (buf)
		dma_buf_put(buf);
}

struct dma_buf *klttm_gem_export(struct drm_gem_object *obj, int flags)
{
	struct klttm_bo *bo = to_klttm_bo(container_of(obj, struct ttm_buffer_object, base));
	struct dma_buf_export_info info = {
		.exp_name = "kfdlab_ttm",
		.owner = THIS_MODULE,
		.ops = &klttm_dma_buf_ops,
		.size = obj->size,
		.flags = flags,
		.priv = obj,
		.resv = obj->resv,
	};
	struct dma_buf *buf;

	if (bo->userptr || bo->only_file)
		return ERR_PTR(-EPERM);
	lockdep_assert_held(&obj->dev->object_name_lock);
	spin_lock(&klttm_export_lock);
	buf = bo->own;
	if (buf)
		get_dma_buf(buf);
	spin_unlock(&klttm_export_lock);
	if (buf)
		return buf;
	buf = drm_gem_dmabuf_export(obj->dev, &info);
	if (!IS_ERR(buf))
		klttm_prime_own(bo, buf);
	return buf;
}

/*
 * Who is attached has a reference to the dma-buf, and needs the reservation to detach. Without anybody attached there
 * is nobody to tell.
 */
void klttm_prime_moved(struct klttm_bo *bo)
{
	struct dma_buf *buf;

	dma_resv_assert_held(bo->tbo.base.resv);
	if (!READ_ONCE(bo->exported))
		return;
	spin_lock(&klttm_export_lock);
	buf = bo->exported;
	/* Its release, which takes the lock, has not been yet. */
	if (buf && list_empty(&buf->attachments))
		buf = NULL;
	spin_unlock(&klttm_export_lock);
	if (buf)
		dma_buf_move_notify(buf);
}

/* An object for an attached dma-buf that is not of this GPU. On success it owns the attachment and its mapping. */
static struct klttm_bo *klttm_import_attached(struct klttm_device *dev, struct dma_buf_attachment *attach)
{
	struct klttm_bo_params params = {
		.size = PAGE_ALIGN(attach->dmabuf->size),
		.foreign = true,
		.import = attach->dmabuf,
	};
	struct sg_table *sgt;
	struct klttm_bo *bo;

	sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(sgt))
		return ERR_CAST(sgt);
	params.committed_to = klttm_commit(dev, AMDGPU_GEM_DOMAIN_GTT, params.size);
	bo = params.committed_to ? klttm_bo_alloc(dev, &params) : ERR_PTR(-ENOMEM);
	if (IS_ERR(bo)) {
		dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
		return bo;
	}
	bo->preferred_domains = AMDGPU_GEM_DOMAIN_GTT;
	bo->allowed_domains = AMDGPU_GEM_DOMAIN_GTT;
	bo->sgt = sgt;
	bo->tbo.base.import_attach = attach;
	ttm_bo_unreserve(&bo->tbo);
	return bo;
}

struct drm_gem_object *klttm_gem_import(struct drm_device *ddev, struct dma_buf *buf)
{
	struct klttm_device *dev = drm_to_klttm_device(ddev);
	struct dma_buf_attachment *attach;
	struct klttm_bo *bo;

	if (buf->ops == &klttm_dma_buf_ops && dma_buf_to_klttm_bo(buf)->dev == dev) {
		bo = dma_buf_to_klttm_bo(buf);
		klttm_bo_get(bo);
		return &bo->tbo.base;
	}
	/* Every page costs something here too, whoever it belongs to; and an exporter may be long in attaching. */
	if (!buf->size || buf->size > dev->gtt_man.size)
		return ERR_PTR(-ENOMEM);
	attach = dma_buf_attach(buf, ddev->dev);
	if (IS_ERR(attach))
		return ERR_CAST(attach);
	bo = klttm_import_attached(dev, attach);
	if (IS_ERR(bo)) {
		dma_buf_detach(buf, attach);
		return ERR_CAST(bo);
	}
	return &bo->tbo.base;
}

void klttm_prime_release(struct klttm_bo *bo)
{
	struct dma_buf_attachment *attach = bo->tbo.base.import_attach;
	struct dma_buf *buf = bo->import;

	/* Without an attachment it never became a whole object. */
	if (attach) {
		dma_buf_unmap_attachment_unlocked(attach, bo->sgt, DMA_BIDIRECTIONAL);
		dma_buf_detach(buf, attach);
	}
	dma_buf_put(buf);
}

struct dma_buf *klttm_bo_export(struct klttm_bo *bo)
{
	struct drm_gem_object *obj = &bo->tbo.base;
	struct dma_buf *buf;

	if (obj->import_attach) {
		get_dma_buf(obj->import_attach->dmabuf);
		return obj->import_attach->dmabuf;
	}
	mutex_lock(&obj->dev->object_name_lock);
	buf = obj->dma_buf;
	if (buf)
		get_dma_buf(buf);
	else
		buf = klttm_gem_export(obj, O_CLOEXEC | O_RDWR);
	mutex_unlock(&obj->dev->object_name_lock);
	return buf;
}
EXPORT_SYMBOL_GPL(klttm_bo_export);

void klttm_bo_imported(struct klttm_bo *bo, struct dma_buf *buf)
{
	/* Whose object it is says the dma-buf itself: imports of other drivers' are not ours to export. */
	if (klttm_dma_buf_device(buf) == bo->dev && dma_buf_to_klttm_bo(buf) == bo)
		klttm_prime_own(bo, buf);
}
EXPORT_SYMBOL_GPL(klttm_bo_imported);

struct klttm_device *klttm_dma_buf_device(const struct dma_buf *buf)
{
	return buf->ops == &klttm_dma_buf_ops ? dma_buf_to_klttm_bo(buf)->dev : NULL;
}
EXPORT_SYMBOL_GPL(klttm_dma_buf_device);

struct klttm_bo *klttm_bo_from_dma_buf(struct klttm_device *dev, struct dma_buf *buf)
{
	struct klttm_bo *bo;

	if (!klttm_dma_buf_device(buf))
		return ERR_PTR(-EINVAL);
	bo = dma_buf_to_klttm_bo(buf);
	if (drm_dev_is_unplugged(bo->tbo.base.dev) || drm_dev_is_unplugged(dev->ddev))
		return ERR_PTR(-ENODEV);
	klttm_bo_get(bo);
	return bo;
}
EXPORT_SYMBOL_GPL(klttm_bo_from_dma_buf);

int klttm_dma_buf_info(struct dma_buf *buf, struct klttm_dma_buf_info *info, void *metadata, u32 room)
{
	struct klttm_bo *bo;
	int ret;

	if (!klttm_dma_buf_device(buf))
		return -EINVAL;
	bo = dma_buf_to_klttm_bo(buf);
	ret = ttm_bo_reserve(&bo->tbo, true, false, NULL);
	if (ret)
		return ret;
	info->size = bo->tbo.base.size;
	info->domains = bo->preferred_domains;
	info->create_flags = bo->create_flags;
	info->metadata_size = bo->metadata_size;
	info->metadata_flags = bo->metadata_flags;
	if (metadata && room < bo->metadata_size)
		ret = -EINVAL;
	else if (metadata)
		memcpy(metadata, bo->metadata, bo->metadata_size);
	/* Not ttm_bo_unreserve(): who looks at an object does not use it. */
	dma_resv_unlock(bo->tbo.base.resv);
	return ret;
}
EXPORT_SYMBOL_GPL(klttm_dma_buf_info);
