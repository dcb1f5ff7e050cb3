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
	DRM_IOCTL_DEF_DRV(AMDGPU_INFO, klttm_info_ioctl, DRM_RENDER_ALLOW),
};

DEFINE_DRM_GEM_FOPS(klttm_fops);

const struct drm_driver klttm_drm_driver = {
	.driver_features = DRIVER_GEM | DRIVER_RENDER,
	.fops = &klttm_fops,
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
