// SPDX-License-Identifier: GPL-2.0
/* Module boilerplate: kfdlab_ttm does nothing until a GPU's driver calls klttm_device_create(). */
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "kernel/compat/kcompat.h"

static int __init klttm_init(void)
{
	return 0;
}

static void __exit klttm_exit(void)
{
	/* The end of a fence is code of ours (klttm_fence.c). */
	rcu_barrier();
}

module_init(klttm_init);
module_exit(klttm_exit);

MODULE_DESCRIPTION("kfdlab: VRAM of the virtual GPU as a TTM device with a DRM render node");
MODULE_LICENSE("GPL");
KCOMPAT_MODULE_IMPORT_NS(DMA_BUF);
