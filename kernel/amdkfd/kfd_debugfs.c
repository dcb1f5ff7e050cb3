// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/kfd: what an engineer wants to read when a page is not where it should be.
 * Text, one fact a line; scripts use the trace events and the test ioctls instead.
 *
 *   gpuN/counters    every counter of the GPU, "name value"
 *   gpuN/rings       generation, ring pointers and errors as both sides last wrote them
 *   svm_ranges       per process: pages in VRAM, and each range (access: a bit per GPU)
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "kfd_process.h"
#include "kfd_ring.h"
#include "svm_range.h"

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
		{ "pages_to_peer", &c->pages_to_peer },
		{ "pages_from_peer", &c->pages_from_peer },
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
		seq_printf(m, "%-22s %lld\n", rows[i].name,
			   (long long)atomic64_read(rows[i].value));

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

static const char *state_name(u32 state)
{
	switch (state) {
	case KFDLAB_STATE_ABSENT:
		return "absent";
	case KFDLAB_STATE_READY:
		return "ready";
	case KFDLAB_STATE_DEAD:
		return "dead";
	}
	return "unknown";
}

static int rings_show(struct seq_file *m, void *unused)
{
	struct kfd_dev *dev = m->private;
	const struct kfd_rings *rings = dev->rings;
	const struct kfdlab_device_regs *device = rings->device;
	const struct kfdlab_driver_regs *driver = rings->driver;
	u64 state = READ_ONCE(device->state);

	seq_printf(m, "state      generation %u %s, adopted %u\n", (u32)(state >> 32),
		   state_name(state), READ_ONCE(rings->generation));
	seq_printf(m, "control    wptr %llu done %llu awake %u error %u\n",
		   READ_ONCE(driver->control_wptr), READ_ONCE(device->control_done),
		   READ_ONCE(device->control_awake), READ_ONCE(device->control_error));
	seq_printf(m, "copy       wptr %llu rptr %llu fence %u of %u awake %u error %u\n",
		   READ_ONCE(driver->copy_wptr), READ_ONCE(device->copy_rptr),
		   READ_ONCE(device->copy_fence), READ_ONCE(rings->copy_seq),
		   READ_ONCE(device->copy_awake), READ_ONCE(device->copy_error));
	seq_printf(m, "ih         wptr %llu rptr %llu dropped %llu\n", READ_ONCE(device->ih_wptr),
		   READ_ONCE(driver->ih_rptr), READ_ONCE(device->ih_dropped));
	seq_printf(m, "work       copied %llu filled %llu packets %llu invalidations %llu\n",
		   READ_ONCE(device->copy_bytes), READ_ONCE(device->fill_bytes),
		   READ_ONCE(device->copy_packets), READ_ONCE(device->tlb_invalidations));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(rings);

static void show_location(struct seq_file *m, const char *name, u32 location)
{
	if (location == SVM_LOCATION_UNDEFINED)
		seq_printf(m, " %s=-", name);
	else if (!location)
		seq_printf(m, " %s=ram", name);
	else
		seq_printf(m, " %s=0x%x", name, location);
}

static void show_range(struct seq_file *m, const struct interval_tree_node *node)
{
	const struct svm_attrs *attrs = &container_of(node, struct svm_range, it)->attrs;

	seq_printf(m, "  %lx-%lx", node->start << PAGE_SHIFT, (node->last + 1) << PAGE_SHIFT);
	show_location(m, "prefetch", attrs->prefetch_loc);
	show_location(m, "preferred", attrs->preferred_loc);
	seq_printf(m, " flags=0x%x granularity=%u access=0x%x in_place=0x%x\n", attrs->flags,
		   attrs->granularity, attrs->access, attrs->access_in_place);
}

static void show_process(struct kfd_process *p, void *arg)
{
	struct interval_tree_node *node;
	struct seq_file *m = arg;

	mutex_lock(&p->svms.lock);
	seq_printf(m, "process %d xnack=%s ranges=%lu pages_in_vram=%lu\n", p->tgid,
		   READ_ONCE(p->xnack_enabled) ? "on" : "off", p->svms.count, svm_vram_pages(p));
	for (node = interval_tree_iter_first(&p->svms.tree, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX))
		show_range(m, node);
	mutex_unlock(&p->svms.lock);
}

static int svm_ranges_show(struct seq_file *m, void *unused)
{
	kfd_process_flush_all();
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
