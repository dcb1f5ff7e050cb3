// SPDX-License-Identifier: GPL-2.0
/*
 * The small ioctls of /dev/kfd: what a GPU looks like to a process and the few words the process may set for it.
 *
 * They work while the device process is dead (docs/decisions/0020); what it is to know the next one is told.
 */
#include <linux/file.h>
#include <linux/kfd_ioctl.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "kfd_ioctl.h"
#include "kfd_memory.h"
#include "kfd_queue.h"
#include "kfd_vm.h"

/*
 * Reported whatever the installed header says: 1.10 has the SMI events of SVM, 1.11 would promise queues that save
 * their state in SVM memory (docs/decisions/0030).
 */
#define KFD_REPORTED_MAJOR	1
#define KFD_REPORTED_MINOR	10

#define KFD_APERTURE_LAST	((1ull << 32) - 1)	/* of LDS and scratch */

/* Trap handler code and data are pointed at by registers that leave out the low 8 bits. */
#define KFD_TRAP_ALIGN		256

int kfd_ioctl_get_version(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_get_version_args *args = data;

	args->major_version = KFD_REPORTED_MAJOR;
	args->minor_version = KFD_REPORTED_MINOR;
	return 0;
}

/* There are no caches whose policy could be set; the arguments are still checked. */
int kfd_ioctl_set_memory_policy(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_set_memory_policy_args *args = data;

	if (args->default_policy > KFD_IOC_CACHE_POLICY_NONCOHERENT ||
	    args->alternate_policy > KFD_IOC_CACHE_POLICY_NONCOHERENT)
		return -EINVAL;
	return kfd_dev_by_id(args->gpu_id) ? 0 : -EINVAL;
}

/*
 * The boot time at which the GPU's clock was @gpu, which somebody read between @before and @after. An answer
 * of the device may take long, so the time between the clocks is that of earlier calls while it can be: user
 * space compares times of two calls, and must not see waits in them.
 */
static u64 kfd_clock_boot_time(struct kfd_dev *dev, u64 gpu, u64 before, u64 after)
{
	s64 ns = gpu * (NSEC_PER_SEC / KFDLAB_CLOCK_HZ);
	s64 offset = clamp_t(s64, atomic64_read(&dev->clock_offset), before - ns, after - ns);

	atomic64_set(&dev->clock_offset, offset);
	return ns + offset;
}

/* The GPU's clock is the device's, and starts anew with it. While it is dead the system's has to do. */
int kfd_ioctl_get_clock_counters(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_get_clock_counters_args *args = data;
	u64 before = ktime_get_boottime_ns();
	bool gone;

	/* 0 is the CPU node, which user space asks about too. */
	if (args->gpu_id && !kfd_dev_by_id(args->gpu_id))
		return -EINVAL;
	args->gpu_clock_counter = 0;
	gone = args->gpu_id && kfd_ring_clock(kfd_dev_by_id(args->gpu_id), &args->gpu_clock_counter);
	args->cpu_clock_counter = ktime_get_raw_ns();
	args->system_clock_counter = ktime_get_boottime_ns();
	args->system_clock_freq = NSEC_PER_SEC;
	if (gone)
		args->gpu_clock_counter = div_u64(args->system_clock_counter, NSEC_PER_SEC / KFDLAB_CLOCK_HZ);
	else if (args->gpu_id)
		args->system_clock_counter = kfd_clock_boot_time(kfd_dev_by_id(args->gpu_id), args->gpu_clock_counter,
								 before, args->system_clock_counter);
	return 0;
}

int kfd_ioctl_set_scratch_backing_va(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_set_scratch_backing_va_args *args = data;
	struct kfd_dev *dev = kfd_dev_by_id(args->gpu_id);

	if (!dev || args->va_addr > KFD_GPUVM_LIMIT >> 16)
		return -EINVAL;
	mutex_lock(&p->lock);
	p->devices[dev->index].scratch_base = args->va_addr;
	mutex_unlock(&p->lock);
	return 0;
}

/* Tell the device what is new; a dead one is told when it is back. */
static void kfd_update_vm(struct kfd_process *p, struct kfd_dev *dev)
{
	struct kfd_vm *vm = kfd_process_vm(p, dev);

	lockdep_assert_held(&p->lock);
	if (!vm)
		return;
	kfd_queue_quiesce(p, dev);
	kfd_vm_update(vm);
	kfd_queue_resume(p, dev);
}

int kfd_ioctl_set_trap_handler(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_set_trap_handler_args *args = data;
	struct kfd_dev *dev = kfd_dev_by_id(args->gpu_id);

	if (!dev || args->tba_addr > KFD_GPUVM_LIMIT || args->tma_addr > KFD_GPUVM_LIMIT)
		return -EINVAL;
	if (!IS_ALIGNED(args->tba_addr | args->tma_addr, KFD_TRAP_ALIGN))
		return -EINVAL;
	mutex_lock(&p->lock);
	p->devices[dev->index].tba = args->tba_addr;
	p->devices[dev->index].tma = args->tma_addr;
	kfd_update_vm(p, dev);
	mutex_unlock(&p->lock);
	return 0;
}

/* No tiled surfaces: both tables are empty. */
int kfd_ioctl_get_tile_config(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_get_tile_config_args *args = data;

	if (!kfd_dev_by_id(args->gpu_id))
		return -EINVAL;
	args->num_tile_configs = 0;
	args->num_macro_tile_configs = 0;
	args->gb_addr_config = 0;
	args->num_banks = 0;
	args->num_ranks = 0;
	return 0;
}

/* num_of_nodes in: room, 0 asks for the number only; out: entries written, or the number. */
int kfd_ioctl_get_apertures(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_get_process_apertures_new_args *args = data;
	struct kfd_process_device_apertures __user *out =
		u64_to_user_ptr(args->kfd_process_device_apertures_ptr);
	unsigned int i, n = 0, room = args->num_of_nodes;

	for (i = 0; i < KFD_MAX_GPUS && (!room || n < room); i++) {
		struct kfd_dev *dev = kfd_dev_by_index(i);
		struct kfd_process_device_apertures entry = {
			.lds_base = KFD_LDS_BASE,
			.lds_limit = KFD_LDS_BASE + KFD_APERTURE_LAST,
			.scratch_base = KFD_SCRATCH_BASE,
			.scratch_limit = KFD_SCRATCH_BASE + KFD_APERTURE_LAST,
			.gpuvm_base = KFD_GPUVM_BASE,
			.gpuvm_limit = KFD_GPUVM_LIMIT,
		};

		if (!dev)
			continue;
		entry.gpu_id = dev->gpu_id;
		if (room && copy_to_user(&out[n], &entry, sizeof(entry)))
			return -EFAULT;
		n++;
	}
	args->num_of_nodes = n;
	return 0;
}

/* Tie a render-node file to the process's VM on a GPU, for good. Once more with the same file is no error. */
int kfd_ioctl_acquire_vm(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_acquire_vm_args *args = data;
	struct kfd_dev *dev = kfd_dev_by_id(args->gpu_id);
	struct kfd_process_device *pdd;
	struct file *render;
	bool made = false;
	int ret = 0;

	if (!dev)
		return -EINVAL;
	render = fget(args->drm_fd);
	if (!render)
		return -EINVAL;
	pdd = &p->devices[dev->index];
	mutex_lock(&p->lock);
	if (!klttm_file_is_render(dev->ttm, render)) {
		ret = -EINVAL;
	} else if (pdd->render) {
		ret = pdd->render == render ? 0 : -EBUSY;
	} else {
		ret = kfd_vm_create(p, dev);
		/* Pairs with the acquire load in kfd_acquired_dev(). */
		if (!ret)
			smp_store_release(&pdd->render, get_file(render));
		made = !ret;
	}
	mutex_unlock(&p->lock);
	fput(render);
	if (made)
		svm_map_everything(p);
	return ret;
}

static void kfd_set_xnack(struct kfd_process *p, bool enabled)
{
	unsigned int i;

	if (p->xnack_enabled == enabled)
		return;
	p->xnack_enabled = enabled;
	for (i = 0; i < KFD_MAX_GPUS; i++)
		if (kfd_dev_by_index(i))
			kfd_update_vm(p, kfd_dev_by_index(i));
}

/* Negative: query. Any positive value is on. Off by default, as amdkfd has it for gfx90a. */
int kfd_ioctl_set_xnack_mode(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_set_xnack_mode_args *args = data;
	bool was;
	int ret = 0;

	mutex_lock(&p->lock);
	was = p->xnack_enabled;
	if (args->xnack_enabled >= 0) {
		if (p->nqueues)
			ret = -EBUSY;
		else
			kfd_set_xnack(p, args->xnack_enabled);
	}
	if (!ret)
		args->xnack_enabled = p->xnack_enabled;
	mutex_unlock(&p->lock);
	if (!ret && was && !args->xnack_enabled)
		svm_map_everything(p);
	return ret;
}

/* VRAM that nothing holds. Whether one buffer of that size fits is another question. */
int kfd_ioctl_available_memory(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_get_available_memory_args *args = data;
	struct kfd_dev *dev = kfd_dev_by_id(args->gpu_id);
	struct klttm_stats stats;

	if (!dev)
		return -EINVAL;
	klttm_get_stats(dev->ttm, &stats);
	args->available = stats.vram_size - min(stats.vram_held, stats.vram_size);
	return 0;
}

/* The dispatcher checked that nattr attributes are inside what user space gave. */
int kfd_ioctl_svm(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_svm_args *args = data;

	return svm_ioctl(p, args->op, args->start_addr, args->size, args->nattr, args->attrs);
}
