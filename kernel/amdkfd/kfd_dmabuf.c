// SPDX-License-Identifier: GPL-2.0
/*
 * GET_DMABUF_INFO, IMPORT_DMABUF and EXPORT_DMABUF: buffers that come from, or go to, another process or the render
 * node as a dma-buf. Only objects of our GPUs come in, each for the GPU it lives on.
 *
 * An imported buffer holds the object and owns a VA interval of its own; the object's memory is accounted to whoever
 * made it.
 */
#include <drm/amdgpu_drm.h>
#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/kfd_ioctl.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kfd_ioctl.h"
#include "kfd_memory.h"

/* The most metadata an object can have. */
#define KFD_METADATA_MAX	256u

static struct kfd_dev *kfd_dev_of_ttm(const struct klttm_device *ttm)
{
	unsigned int i;

	for (i = 0; ttm && i < KFD_MAX_GPUS; i++) {
		struct kfd_dev *dev = kfd_dev_by_index(i);

		if (dev && dev->ttm == ttm)
			return dev;
	}
	return NULL;
}

/* What ALLOC would have been told. All VRAM is within the CPU's reach, so PUBLIC is what may be mapped. */
static u32 kfd_flags_of(const struct klttm_dma_buf_info *info)
{
	u32 flags = info->domains & AMDGPU_GEM_DOMAIN_VRAM ? KFD_IOC_ALLOC_MEM_FLAGS_VRAM :
							     KFD_IOC_ALLOC_MEM_FLAGS_GTT;

	if (!(info->create_flags & AMDGPU_GEM_CREATE_NO_CPU_ACCESS))
		flags |= KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC;
	return flags;
}

static int kfd_dmabuf_info(struct dma_buf *dmabuf, struct kfd_ioctl_get_dmabuf_info_args *args, void *metadata)
{
	struct kfd_dev *dev = kfd_dev_of_ttm(klttm_dma_buf_device(dmabuf));
	struct klttm_dma_buf_info info = {};
	int ret;

	if (!dev)
		return -EINVAL;
	ret = klttm_dma_buf_info(dmabuf, &info, args->metadata_ptr ? metadata : NULL,
				 min(args->metadata_size, KFD_METADATA_MAX));
	/* Told when that is the trouble too: so user space learns how much room it needs. A restarted call finds its own. */
	if (!ret || ret == -EINVAL)
		args->metadata_size = info.metadata_size;
	if (ret)
		return ret;
	if (!(info.domains & (AMDGPU_GEM_DOMAIN_VRAM | AMDGPU_GEM_DOMAIN_GTT)))
		return -EINVAL;
	args->size = info.size;
	args->gpu_id = dev->gpu_id;
	args->flags = kfd_flags_of(&info);
	if (args->metadata_ptr && copy_to_user(u64_to_user_ptr(args->metadata_ptr), metadata, info.metadata_size))
		return -EFAULT;
	return 0;
}

int kfd_ioctl_get_dmabuf_info(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_get_dmabuf_info_args *args = data;
	struct dma_buf *dmabuf = dma_buf_get(args->dmabuf_fd);
	void *metadata;
	int ret = -ENOMEM;

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	metadata = kzalloc(KFD_METADATA_MAX, GFP_KERNEL);
	if (metadata)
		ret = kfd_dmabuf_info(dmabuf, args, metadata);
	kfree(metadata);
	dma_buf_put(dmabuf);
	return ret;
}

static int kfd_import(struct kfd_process *p, struct kfd_dev *dev, struct dma_buf *dmabuf,
		      struct kfd_ioctl_import_dmabuf_args *args)
{
	struct klttm_dma_buf_info info;
	struct kfd_buffer *buf;
	int ret;

	if (klttm_dma_buf_device(dmabuf) != dev->ttm)
		return -EINVAL;
	ret = klttm_dma_buf_info(dmabuf, &info, NULL, 0);
	if (ret)
		return ret;
	if (!(info.domains & (AMDGPU_GEM_DOMAIN_VRAM | AMDGPU_GEM_DOMAIN_GTT)))
		return -EINVAL;
	buf = kfd_buffer_create(p, dev, args->va_addr, info.size);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	buf->imported = true;
	buf->flags = kfd_flags_of(&info) | KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE | KFD_IOC_ALLOC_MEM_FLAGS_EXECUTABLE;
	buf->bo = klttm_bo_from_dma_buf(dev->ttm, dmabuf);
	if (IS_ERR(buf->bo)) {
		ret = PTR_ERR(buf->bo);
		buf->bo = NULL;
	} else {
		ret = kfd_buffer_allow_mmap(p, buf);
		if (!ret)
			klttm_bo_imported(buf->bo, dmabuf);
	}
	if (ret) {
		kfd_buffer_destroy(p, buf);
		return ret;
	}
	return kfd_buffer_publish(p, buf, &args->handle);
}

int kfd_ioctl_import_dmabuf(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_import_dmabuf_args *args = data;
	struct kfd_dev *dev = kfd_acquired_dev(p, args->gpu_id);
	struct dma_buf *dmabuf;
	int ret;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	dmabuf = dma_buf_get(args->dmabuf_fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = kfd_import(p, dev, dmabuf, args);
	dma_buf_put(dmabuf);
	return ret;
}

/* @flags: O_CLOEXEC and an access mode, which a dma-buf does not mind. Only what lies in an object can be exported. */
int kfd_ioctl_export_dmabuf(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_export_dmabuf_args *args = data;
	struct klttm_bo *bo = NULL;
	struct kfd_buffer *buf;
	struct dma_buf *dmabuf;
	int fd;

	if (args->flags & ~(O_CLOEXEC | O_ACCMODE))
		return -EINVAL;
	mutex_lock(&p->lock);
	buf = kfd_buffer_find(p, args->handle);
	if (buf && buf->bo) {
		bo = buf->bo;
		klttm_bo_get(bo);
	}
	mutex_unlock(&p->lock);
	if (!bo)
		return -EINVAL;
	dmabuf = klttm_bo_export(bo);
	klttm_bo_put(bo);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	fd = dma_buf_fd(dmabuf, args->flags);
	if (fd < 0) {
		dma_buf_put(dmabuf);
		return fd;
	}
	args->dmabuf_fd = fd;
	return 0;
}
