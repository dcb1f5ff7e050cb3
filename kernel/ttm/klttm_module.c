// SPDX-License-Identifier: GPL-2.0
/* Module boilerplate: kfdlab_ttm does nothing until a GPU's driver calls klttm_device_create(). */
#include <linux/module.h>

MODULE_DESCRIPTION("kfdlab: VRAM of the virtual GPU as a TTM device with a DRM render node");
MODULE_LICENSE("GPL");
