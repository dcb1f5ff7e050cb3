// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/kfdlab_test: the test ioctls of include/uapi/kfdlab_test.h. They look and they force rare
 * paths; nothing of the driver depends on them. Present only with enable_test_ioctls=1, and every
 * caller is root.
 */
#include <linux/capability.h>
#include <linux/highmem.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/ksm.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kfd_priv.h"
#include "kfd_process.h"
#include "kfd_svm.h"
#include "kfd_test.h"
#include "uapi/kfdlab_test.h"

#define PAGES_MAX	65536u
/* Nobody's: processes have the others. */
#define PING_VMID	0u
#define RESERVATIONS_MAX	16

struct test_file {
	struct mutex lock;
	unsigned int count;
	struct klttm_reservation *reservations[RESERVATIONS_MAX];
};

/* ---- PAGES ---- */

static u32 page_flags_of(struct page *page)
{
	struct folio *folio = page_folio(page);
	u32 flags = KFDLAB_PAGE_PRESENT;

	if (PageAnon(page)) {
		flags |= KFDLAB_PAGE_ANON;
		if (PageAnonExclusive(page))
			flags |= KFDLAB_PAGE_EXCLUSIVE;
		if (PageKsm(page))
			flags |= KFDLAB_PAGE_KSM;
	}
	if (folio_test_lru(folio))
		flags |= KFDLAB_PAGE_LRU;
	if (folio_test_mlocked(folio))
		flags |= KFDLAB_PAGE_MLOCKED;
	if (folio_test_dirty(folio))
		flags |= KFDLAB_PAGE_DIRTY;
	if (folio_maybe_dma_pinned(folio))
		flags |= KFDLAB_PAGE_MAYBE_PINNED;
	return flags;
}

/* A mapping by frame (a buffer object's) has no page to reference: tell the frame as it is under the lock. */
static void look_at_frame(unsigned long addr, struct kfdlab_page *out)
{
	struct vm_area_struct *vma;
	struct kfd_dev *dev;
	unsigned long pfn;

	if (mmap_read_lock_killable(current->mm))
		return;
	vma = vma_lookup(current->mm, addr);
	if (vma && vma->vm_flags & VM_PFNMAP && !kcompat_follow_pfn(vma, addr, &pfn)) {
		out->flags = KFDLAB_PAGE_PRESENT | KFDLAB_PAGE_PFNMAP;
		out->pfn = pfn;
		dev = kfd_frame_dev(pfn);
		if (dev) {
			out->flags |= KFDLAB_PAGE_VRAM;
			out->gpu_id = dev->gpu_id;
		}
	}
	mmap_read_unlock(current->mm);
}

static void look_at_page(unsigned long addr, struct kfdlab_page *out)
{
	struct kfd_dev *dev;
	struct page *page;

	memset(out, 0, sizeof(*out));
	if (get_user_pages_fast_only(addr, 1, 0, &page) != 1) {
		look_at_frame(addr, out);
		return;
	}
	out->flags = page_flags_of(page);
	dev = kfd_page_dev(page);
	if (dev) {
		out->flags |= KFDLAB_PAGE_VRAM;
		out->gpu_id = dev->gpu_id;
	}
	out->pfn = page_to_pfn(page);
	/* Order-0 pages only are exact; a THP's pages each say what their own PTE count is. */
	out->mapcount = atomic_read(&page->_mapcount) + 1;
	out->refcount = page_count(page) - 1;
	put_page(page);
}

static long test_pages(void __user *argp)
{
	struct kfdlab_page __user *to;
	struct kfdlab_test_pages args;
	struct kfdlab_page *chunk;
	u64 i, n, bytes;
	long ret = 0;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	if (!args.npages || args.npages > PAGES_MAX || !PAGE_ALIGNED(args.addr) ||
	    check_add_overflow(args.addr, args.npages << PAGE_SHIFT, &bytes))
		return -EINVAL;

	chunk = (void *)__get_free_page(GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	to = u64_to_user_ptr(args.pages);
	for (i = 0; i < args.npages && !ret; i += n) {
		u64 at;

		n = min_t(u64, args.npages - i, PAGE_SIZE / sizeof(*chunk));
		for (at = 0; at < n; at++)
			look_at_page(args.addr + ((i + at) << PAGE_SHIFT), &chunk[at]);
		if (copy_to_user(to + i, chunk, n * sizeof(*chunk)))
			ret = -EFAULT;
		cond_resched();
	}
	free_page((unsigned long)chunk);
	return ret;
}

/* ---- COUNTERS ---- */

struct process_sum {
	u64 ranges, processes;
};

static void add_process(struct kfd_process *p, void *arg)
{
	struct process_sum *sum = arg;

	sum->processes++;
	sum->ranges += READ_ONCE(p->svms.count);
}

static void fill_since_load(const struct kfd_counters *from, struct kfdlab_test_counters *out)
{
	out->pages_to_vram = atomic64_read(&from->pages_to_vram);
	out->pages_to_ram_prefetch = atomic64_read(&from->pages_to_ram_prefetch);
	out->pages_to_ram_evict = atomic64_read(&from->pages_to_ram_evict);
	out->pages_left_by_pin = atomic64_read(&from->pages_left_by_pin);
	out->pages_freed = atomic64_read(&from->pages_freed);
	out->pages_failed = atomic64_read(&from->pages_failed);
	out->migrations = atomic64_read(&from->migrations);
	out->bytes_copied_device = atomic64_read(&from->bytes_copied_device);
	out->bytes_copied_cpu = atomic64_read(&from->bytes_copied_cpu);
	out->bytes_filled_device = atomic64_read(&from->bytes_filled_device);
	out->bytes_filled_cpu = atomic64_read(&from->bytes_filled_cpu);
	out->no_vram = atomic64_read(&from->no_vram);
	out->device_resets = atomic64_read(&from->device_resets);
	out->page_free_irq = atomic64_read(&from->page_free_irq);
	out->pages_to_peer = atomic64_read(&from->pages_to_peer);
	out->pages_from_peer = atomic64_read(&from->pages_from_peer);
}

static long test_counters(void __user *argp)
{
	struct kfdlab_test_counters args, out = {};
	struct process_sum sum = {};
	struct klttm_stats stats;
	struct kfd_dev *dev;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	if (memchr_inv(args.reserved, 0, sizeof(args.reserved)))
		return -EINVAL;
	dev = kfd_dev_by_id(args.gpu_id);
	if (!dev)
		return -ENODEV;

	kfd_process_flush_all();
	klttm_flush(dev->ttm);
	kfd_process_for_each(add_process, &sum);
	klttm_get_stats(dev->ttm, &stats);

	out.gpu_id = dev->gpu_id;
	out.generation = kfd_ring_generation(dev);
	out.vram_size = stats.vram_size;
	out.vram_held = stats.vram_held;
	out.svm_pages_occupied = atomic64_read(&dev->counters.svm_pages_occupied);
	out.buffer_objects = stats.buffer_objects;
	out.orphan_blocks = stats.orphan_blocks;
	out.svm_ranges = sum.ranges;
	out.processes = sum.processes;
	fill_since_load(&dev->counters, &out);
	out.evictions = stats.evictions;
	return copy_to_user(argp, &out, sizeof(out)) ? -EFAULT : 0;
}

/* ---- EVICT, PING, COPY_MODE ---- */

static long test_evict(void __user *argp)
{
	struct kfdlab_test_evict args;
	unsigned long stayed = 0;
	struct kfd_dev *dev;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	if (args.reserved)
		return -EINVAL;
	dev = kfd_dev_by_id(args.gpu_id);
	if (!dev)
		return -ENODEV;
	args.moved = svm_evict_all(dev, &stayed);
	args.stayed = stayed;
	return copy_to_user(argp, &args, sizeof(args)) ? -EFAULT : 0;
}

static long test_ping(void __user *argp)
{
	struct kfdlab_test_ping args;
	struct kfd_dev *dev;
	u64 begin;
	int ret;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	if (args.reserved)
		return -EINVAL;
	dev = kfd_dev_by_id(args.gpu_id);
	if (!dev)
		return -ENODEV;
	begin = ktime_get_ns();
	ret = kfd_ring_tlb_invalidate(dev, PING_VMID, 0, 0);
	if (ret)
		return ret;
	args.ns = ktime_get_ns() - begin;
	return copy_to_user(argp, &args, sizeof(args)) ? -EFAULT : 0;
}

static long test_copy_mode(void __user *argp)
{
	struct kfdlab_test_copy_mode args;
	struct kfd_dev *dev;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	if (args.cpu > 1)
		return -EINVAL;
	dev = kfd_dev_by_id(args.gpu_id);
	if (!dev)
		return -ENODEV;
	WRITE_ONCE(dev->cpu_copy, args.cpu);
	return 0;
}

/* ---- RESERVE ---- */

static long test_reserve(struct test_file *file, void __user *argp)
{
	struct klttm_reservation *reservation;
	struct kfdlab_test_reserve args;
	struct kfd_dev *dev;
	long ret = 0;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	if (args.reserved)
		return -EINVAL;
	dev = kfd_dev_by_id(args.gpu_id);
	if (!dev)
		return -ENODEV;
	mutex_lock(&file->lock);
	if (file->count == RESERVATIONS_MAX) {
		ret = -ENOSPC;
	} else {
		reservation = klttm_vram_reserve(dev->ttm, args.bytes);
		if (IS_ERR(reservation))
			ret = PTR_ERR(reservation);
		else
			file->reservations[file->count++] = reservation;
	}
	mutex_unlock(&file->lock);
	return ret;
}

static long kfd_test_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	void __user *argp = (void __user *)arg;

	switch (cmd) {
	case KFDLAB_TEST_PAGES:
		return test_pages(argp);
	case KFDLAB_TEST_COUNTERS:
		return test_counters(argp);
	case KFDLAB_TEST_EVICT:
		return test_evict(argp);
	case KFDLAB_TEST_PING:
		return test_ping(argp);
	case KFDLAB_TEST_WARN:
		WARN(1, "kfdlab: warning asked for by KFDLAB_TEST_WARN\n");
		return 0;
	case KFDLAB_TEST_COPY_MODE:
		return test_copy_mode(argp);
	case KFDLAB_TEST_RESERVE:
		return test_reserve(filp->private_data, argp);
	case KFDLAB_TEST_HOLD:
		return kfd_test_hold(argp);
	case KFDLAB_TEST_TRANSLATE:
		return kfd_test_translate(argp);
	}
	return -ENOTTY;
}

static int kfd_test_open(struct inode *inode, struct file *filp)
{
	struct test_file *file;
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	if (!file)
		return -ENOMEM;
	ret = kfd_gpus_get();
	if (ret) {
		kfree(file);
		return ret;
	}
	mutex_init(&file->lock);
	filp->private_data = file;
	return 0;
}

/* The GPUs stay until the end of this. */
static int kfd_test_release(struct inode *inode, struct file *filp)
{
	struct test_file *file = filp->private_data;

	while (file->count)
		klttm_vram_unreserve(file->reservations[--file->count]);
	kfree(file);
	kfd_gpus_put();
	return 0;
}

static const struct file_operations kfd_test_fops = {
	.owner = THIS_MODULE,
	.open = kfd_test_open,
	.release = kfd_test_release,
	.unlocked_ioctl = kfd_test_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice kfd_test_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kfdlab_test",
	.fops = &kfd_test_fops,
	.mode = 0600,
};

int kfd_test_init(void)
{
	int ret;

	if (!kfd_enable_test_ioctls)
		return 0;
	ret = misc_register(&kfd_test_device);
	if (ret)
		return ret;
	/* Says in every later oops that test doors were open; prints nothing. */
	add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	return 0;
}

void kfd_test_fini(void)
{
	if (kfd_enable_test_ioctls)
		misc_deregister(&kfd_test_device);
}
