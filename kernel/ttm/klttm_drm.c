// SPDX-License-Identifier: GPL-2.0
/*
 * The DRM driver behind the render node. It answers to the name amdgpu because user space chooses its library
 * by that name, and speaks the subset of the amdgpu uAPI in the table below: one row per ioctl. What is not in
 * the table gets DRM's -EINVAL.
 */
#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>

#include "klttm_priv.h"

static const struct drm_ioctl_desc klttm_ioctls[] = {
	DRM_IOCTL_DEF_DRV(AMDGPU_GEM_CREATE, klttm_gem_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_GEM_MMAP, klttm_gem_mmap_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_CTX, klttm_ctx_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_BO_LIST, klttm_bo_list_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_CS, klttm_cs_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_WAIT_CS, klttm_wait_cs_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_WAIT_FENCES, klttm_wait_fences_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_FENCE_TO_HANDLE, klttm_fence_to_handle_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_INFO, klttm_info_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_GEM_METADATA, klttm_gem_metadata_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_GEM_WAIT_IDLE, klttm_gem_wait_idle_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_GEM_VA, klttm_gem_va_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_GEM_OP, klttm_gem_op_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_GEM_USERPTR, klttm_gem_userptr_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(AMDGPU_VM, klttm_vm_ioctl, DRM_RENDER_ALLOW),
	/* Priorities are the master's business, and a render node has none: DRM answers EACCES. */
	DRM_IOCTL_DEF_DRV(AMDGPU_SCHED, drm_noop, DRM_MASTER),
};

static const struct file_operations klttm_fops = {
	.owner = THIS_MODULE,
	DRM_GEM_FOPS,
	.show_fdinfo = klttm_show_fdinfo,
};

const struct drm_driver klttm_drm_driver = {
	.driver_features = DRIVER_GEM | DRIVER_RENDER | DRIVER_SYNCOBJ | DRIVER_SYNCOBJ_TIMELINE,
	.fops = &klttm_fops,
	.open = klttm_file_open,
	.postclose = klttm_file_postclose,
	KCOMPAT_DRM_PRIME_HANDLES
	.gem_prime_import = klttm_gem_import,
	.debugfs_init = klttm_debugfs_init,
	.ioctls = klttm_ioctls,
	.num_ioctls = ARRAY_SIZE(klttm_ioctls),
	.name = "amdgpu",
	.desc = "kfdlab virtual GPU",
	KCOMPAT_DRM_DRIVER_DATE("20261122")
	/* libdrm_amdgpu wants major 3; 49 is what 6.1's amdgpu says. */
	.major = 3,
	.minor = 49,
};

bool klttm_file_is_render(const struct klttm_device *dev, struct file *filp)
{
	struct drm_file *file;

	if (filp->f_op != &klttm_fops)
		return false;
	file = filp->private_data;
	return drm_is_render_client(file) && file->minor->dev == dev->ddev;
}
EXPORT_SYMBOL_GPL(klttm_file_is_render);
