// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/kfd: what an engineer wants to read when a page is not where it should be.
 * Text, one fact a line; scripts use the trace events and the test ioctls instead.
 *
 *   gpuN/counters    every counter of the GPU, "name value"
 *   gpuN/rings       generation, ring pointers and errors as both sides last wrote them
 *   gpuN/vram        who has how much of it; docs/decisions/0031 says what adds up
 *   svm_ranges       per process: pages in VRAM, and each range with where its pages are now (access: a bit per GPU)
 *   smi              a line per open file of SMI events
 *   queues           a line per user queue: whose it is, whether it runs, and what the device was told of it
 *   mem_limit        RAM that buffers may take, in amdkfd's words
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "kfd_memory.h"
#include "kfd_process.h"
#include "kfd_queue.h"
#include "kfd_ring.h"
#include "kfd_smi.h"
#include "svm_look.h"

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
	seq_printf(m, "%-22s %llu\n", "swapouts", stats.swapouts);
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

static void show_residency(struct seq_file *m, const struct svm_residency *count)
{
	unsigned long vram = 0;
	unsigned int i;

	for (i = 0; i < KFD_MAX_GPUS; i++)
		vram += count->vram[i];
	seq_printf(m, " vram=%lu ram=%lu none=%lu", vram, count->ram, count->none);
	for (i = 0; i < KFD_MAX_GPUS; i++)
		if (count->vram[i])
			seq_printf(m, " on_0x%x=%lu", KFD_GPU_ID(i), count->vram[i]);
}

struct show_svm {
	struct seq_file *m;
	unsigned long *pfns;		/* SVM_LOOK_PAGES */
};

/* Locking: svms->lock, mmap_lock. */
static int show_range(const struct show_svm *show, struct svm_range *range)
{
	const struct svm_attrs *attrs = &range->attrs;
	struct svm_residency count;
	struct seq_file *m = show->m;
	int ret;

	ret = svm_range_look(range, show->pfns, &count);
	if (ret == -EINTR)
		return ret;
	seq_printf(m, "  %lx-%lx", range->it.start << PAGE_SHIFT, (range->it.last + 1) << PAGE_SHIFT);
	show_location(m, "prefetch", attrs->prefetch_loc);
	show_location(m, "preferred", attrs->preferred_loc);
	seq_printf(m, " flags=0x%x granularity=%u access=0x%x in_place=0x%x", attrs->flags,
		   attrs->granularity, attrs->access, attrs->access_in_place);
	if (ret)
		seq_puts(m, " busy");
	else
		show_residency(m, &count);
	seq_putc(m, '\n');
	return 0;
}

/* One range per hold of the locks: a look at a large one takes a while. *@page is where to go on; 1: no more. */
static int show_next_range(struct kfd_process *p, struct mm_struct *mm, const struct show_svm *show,
			   unsigned long *page)
{
	struct svm_range_list *svms = &p->svms;
	struct interval_tree_node *node = NULL;
	int ret = 1;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	mutex_lock(&svms->lock);
	/* Teardown takes the lock after it said so, and frees what this uses after that. */
	if (!READ_ONCE(svms->dying)) {
		if (!*page)
			seq_printf(show->m, "process %d xnack=%s ranges=%lu pages_in_vram=%lu\n", p->tgid,
				   READ_ONCE(p->xnack_enabled) ? "on" : "off", svms->count,
				   svm_vram_pages(p));
		node = interval_tree_iter_first(&svms->tree, *page, ULONG_MAX);
	}
	if (node) {
		ret = show_range(show, container_of(node, struct svm_range, it));
		*page = node->last + 1;
	}
	mutex_unlock(&svms->lock);
	mmap_read_unlock(mm);
	return ret;
}

static int show_process(struct kfd_process *p, struct mm_struct *mm, void *arg)
{
	unsigned long page = 0;
	int ret;

	do {
		ret = show_next_range(p, mm, arg, &page);
		cond_resched();
	} while (!ret && !seq_has_overflowed(((struct show_svm *)arg)->m));
	return min(ret, 0);
}

static int svm_ranges_show(struct seq_file *m, void *unused)
{
	struct show_svm show = { .m = m };
	int ret;

	show.pfns = kmalloc_array(SVM_LOOK_PAGES, sizeof(*show.pfns), GFP_KERNEL);
	if (!show.pfns)
		return -ENOMEM;
	kfd_process_flush_all();
	ret = kfd_process_for_each_mm(show_process, &show);
	kfree(show.pfns);
	return ret;
}
DEFINE_SHOW_ATTRIBUTE(svm_ranges);

struct show_accounts {
	struct seq_file *m;
	unsigned long pages;
};

static void show_account(pid_t tgid, bool closed, unsigned long pages, void *arg)
{
	struct show_accounts *show = arg;

	show->pages += pages;
	if (pages || !closed)
		seq_printf(show->m, "%s %d svm_pages %lu\n", closed ? "ended" : "process", tgid, pages);
}

static int vram_show(struct seq_file *m, void *unused)
{
	struct show_accounts show = { .m = m };
	struct kfd_dev *dev = m->private;
	struct klttm_stats stats;

	klttm_flush(dev->ttm);
	klttm_get_stats(dev->ttm, &stats);
	seq_printf(m, "size %llu\nheld %llu\nobjects %llu\norphans %llu\nreserved %llu\n", stats.vram_size,
		   stats.vram_held, stats.vram_objects, stats.vram_orphaned, stats.vram_reserved);
	svm_accounts_for_each(dev, show_account, &show);
	seq_printf(m, "accounted_pages %lu\noccupied_pages %lld\n", show.pages,
		   (long long)atomic64_read(&dev->counters.svm_pages_occupied));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vram);

static int smi_show(struct seq_file *m, void *unused)
{
	kfd_smi_show(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(smi);

static void show_queues(struct kfd_process *p, void *arg)
{
	kfd_queue_show(arg, p);
}

static int queues_show(struct seq_file *m, void *unused)
{
	kfd_process_for_each(show_queues, m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(queues);

/* Objects in RAM are TTM's; user memory, which is not pinned but bounded, comes on top of them in the first line. */
static int mem_limit_show(struct seq_file *m, void *unused)
{
	u64 used, limit;

	klttm_gtt_limit(&used, &limit);
	seq_printf(m, "System mem used %lluM out of %lluM\n", (used + kfd_memory_user_bytes()) >> 20,
		   (limit + kfd_memory_user_limit()) >> 20);
	seq_printf(m, "TTM mem used %lluM out of %lluM\n", used >> 20, limit >> 20);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mem_limit);

void kfd_debugfs_init(void)
{
	root = debugfs_create_dir("kfd", NULL);
	debugfs_create_file("svm_ranges", 0400, root, NULL, &svm_ranges_fops);
	debugfs_create_file("smi", 0400, root, NULL, &smi_fops);
	debugfs_create_file("queues", 0400, root, NULL, &queues_fops);
	debugfs_create_file("mem_limit", 0400, root, NULL, &mem_limit_fops);
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
	debugfs_create_file("vram", 0400, dev->debugfs, dev, &vram_fops);
}

void kfd_debugfs_remove_gpu(struct kfd_dev *dev)
{
	debugfs_remove_recursive(dev->debugfs);
	dev->debugfs = NULL;
}
