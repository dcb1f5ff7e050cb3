// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/kfd: what an engineer wants to read when a page is not where it should be. Text, one fact a
 * line; scripts use the trace events and the test ioctls instead.
 *
 *   gpuN/counters    every counter of the GPU, "name value"
 *   gpuN/rings       generation, ring pointers and errors as both sides last wrote them
 *   svm_ranges       per process: intervals, attributes, pages in VRAM
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "kfd_process.h"
#include "kfd_ring.h"
#include "kfd_svm.h"

static struct dentry *root;

static int counters_show(struct seq_file *m, void *unused)
{
	struct kfd_dev *dev = m->private;
	struct kfd_counters *c = &dev->counters;
	struct klttm_stats stats;
	const struct {
		const char *name;
		const atomic64_t *value;
	} rows[] = {
		{ "svm_pages_occupied", &c->svm_pages_occupied },
		{ "pages_to_vram", &c->pages_to_vram },
		{ "pages_to_ram_prefetch", &c->pages_to_ram_prefetch },
		{ "pages_to_ram_evict", &c->pages_to_ram_evict },
		{ "pages_left_by_pin", &c->pages_left_by_pin },
		{ "pages_freed", &c->pages_freed },
		{ "pages_failed", &c->pages_failed },
		{ "migrations", &c->migrations },
		{ "bytes_copied_device", &c->bytes_copied_device },
		{ "bytes_copied_cpu", &c->bytes_copied_cpu },
		{ "bytes_filled_device", &c->bytes_filled_device },
		{ "bytes_filled_cpu", &c->bytes_filled_cpu },
		{ "no_vram", &c->no_vram },
		{ "device_resets", &c->device_resets },
		{ "page_free_irq", &c->page_free_irq },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		seq_printf(m, "%-22s %lld\n", rows[i].name, (long long)atomic64_read(rows[i].value));

	klttm_get_stats(dev->ttm, &stats);
	seq_printf(m, "%-22s %llu\n", "vram_size", stats.vram_size);
	seq_printf(m, "%-22s %llu\n", "vram_held", stats.vram_held);
	seq_printf(m, "%-22s %llu\n", "vram_orphaned", stats.vram_orphaned);
	seq_printf(m, "%-22s %llu\n", "orphan_blocks", stats.orphan_blocks);
	seq_printf(m, "%-22s %llu\n", "buffer_objects", stats.buffer_objects);
	seq_printf(m, "%-22s %llu\n", "gtt_used", stats.gtt_used);
	seq_printf(m, "%-22s %llu\n", "evictions", stats.evictions);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counters);

static int rings_show(struct seq_file *m, void *unused)
{
	struct kfd_dev *dev = m->private;
	const struct kfd_rings *rings = dev->rings;
	const struct kfdlab_device_regs *device = rings->device;
	const struct kfdlab_driver_regs *driver = rings->driver;
	u64 state = READ_ONCE(device->state);

	seq_printf(m, "state      generation %u %s, adopted %u\n", (u32)(state >> 32),
		   (u32)state == KFDLAB_STATE_READY ? "ready" : (u32)state == KFDLAB_STATE_DEAD ? "dead" : "absent",
		   READ_ONCE(rings->generation));
	seq_printf(m, "control    wptr %llu done %llu awake %u error %u\n", READ_ONCE(driver->control_wptr),
		   READ_ONCE(device->control_done), READ_ONCE(device->control_awake),
		   READ_ONCE(device->control_error));
	seq_printf(m, "copy       wptr %llu rptr %llu fence %u of %u awake %u error %u\n",
		   READ_ONCE(driver->copy_wptr), READ_ONCE(device->copy_rptr), READ_ONCE(device->copy_fence),
		   READ_ONCE(rings->copy_seq), READ_ONCE(device->copy_awake), READ_ONCE(device->copy_error));
	seq_printf(m, "ih         wptr %llu rptr %llu dropped %llu\n", READ_ONCE(device->ih_wptr),
		   READ_ONCE(driver->ih_rptr), READ_ONCE(device->ih_dropped));
	seq_printf(m, "work       copy_bytes %llu fill_bytes %llu copy_packets %llu tlb_invalidations %llu\n",
		   READ_ONCE(device->copy_bytes), READ_ONCE(device->fill_bytes), READ_ONCE(device->copy_packets),
		   READ_ONCE(device->tlb_invalidations));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(rings);

static void show_process(struct kfd_process *p, void *arg)
{
	struct seq_file *m = arg;

	seq_printf(m, "process %d xnack %s\n", p->tgid, READ_ONCE(p->xnack_enabled) ? "on" : "off");
	svm_debugfs_show(p, m);
}

static int svm_ranges_show(struct seq_file *m, void *unused)
{
	kfd_process_for_each(show_process, m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(svm_ranges);

void kfd_debugfs_init(void)
{
	root = debugfs_create_dir("kfd", NULL);
	debugfs_create_file("svm_ranges", 0400, root, NULL, &svm_ranges_fops);
}

void kfd_debugfs_fini(void)
{
	debugfs_remove_recursive(root);
	root = NULL;
}

void kfd_debugfs_add_gpu(struct kfd_dev *dev)
{
	char name[16];

	snprintf(name, sizeof(name), "gpu%u", dev->index);
	dev->debugfs = debugfs_create_dir(name, root);
	debugfs_create_file("counters", 0400, dev->debugfs, dev, &counters_fops);
	debugfs_create_file("rings", 0400, dev->debugfs, dev, &rings_fops);
}

void kfd_debugfs_remove_gpu(struct kfd_dev *dev)
{
	debugfs_remove_recursive(dev->debugfs);
	dev->debugfs = NULL;
}
