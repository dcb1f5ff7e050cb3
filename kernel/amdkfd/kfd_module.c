// SPDX-License-Identifier: GPL-2.0
/*
 * kfdlab_amdgpu: the KFD interface of AMD's GPUs on kfdlab's virtual one.
 *
 * Bring-up exposes last: /dev/kfd has its device, and with it the place of the topology, early, but cannot be opened
 * before the GPUs that are present have been probed. So no process sees GPUs come.
 */
#include <linux/module.h>

#include "kfd_doorbell.h"
#include "kfd_priv.h"
#include "kfd_process.h"
#include "kfd_procfs.h"

bool kfd_enable_test_ioctls;
module_param_named(enable_test_ioctls, kfd_enable_test_ioctls, bool, 0444);
MODULE_PARM_DESC(enable_test_ioctls, "Create /dev/kfdlab_test (root only) for kfdlab's test suites (default: no)");

static int __init kfd_init(void)
{
	int ret;

	ret = kfd_process_init();
	if (ret)
		return ret;
	ret = kfd_interrupt_module_init();
	if (ret)
		goto out_process;
	ret = kfd_doorbell_module_init();
	if (ret)
		goto out_interrupt;
	ret = kfd_chardev_init();
	if (ret)
		goto out_doorbell;
	ret = kfd_topology_init();
	if (ret)
		goto out_chardev;
	ret = kfd_procfs_init();
	if (ret)
		goto out_topology;
	kfd_debugfs_init();
	ret = kfd_test_init();
	if (ret)
		goto out_debugfs;
	ret = kfd_pci_init();
	if (ret)
		goto out_test;
	ret = kfd_chardev_expose();
	if (ret)
		goto out_pci;
	return 0;

out_pci:
	kfd_pci_fini();
out_test:
	kfd_test_fini();
out_debugfs:
	kfd_debugfs_fini();
	kfd_procfs_fini();
out_topology:
	kfd_topology_fini();
out_chardev:
	kfd_chardev_fini();
out_doorbell:
	kfd_doorbell_module_fini();
out_interrupt:
	kfd_interrupt_module_fini();
out_process:
	kfd_process_fini();
	return ret;
}

/* No file is open, or the module could not go. Process objects whose files are closed may still be on their way. */
static void __exit kfd_exit(void)
{
	kfd_chardev_hide();
	kfd_process_fini();
	kfd_pci_fini();
	kfd_test_fini();
	kfd_debugfs_fini();
	kfd_procfs_fini();
	kfd_topology_fini();
	kfd_chardev_fini();
	kfd_doorbell_module_fini();
	kfd_interrupt_module_fini();
}

module_init(kfd_init);
module_exit(kfd_exit);

KCOMPAT_MODULE_IMPORT_NS(DMA_BUF);
MODULE_DESCRIPTION("KFD interface, SVM and device-coherent memory of kfdlab's virtual GPU");
MODULE_AUTHOR("kfdlab");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
