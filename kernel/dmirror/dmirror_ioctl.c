// SPDX-License-Identifier: GPL-2.0
/* Requests of include/uapi/kfdlab_dmirror.h. */
#include <linux/fs.h>
#include <linux/hugetlb_inline.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "dmirror.h"

/* A request, checked. */
struct dmirror_job {
	struct dmirror *mirror;
	unsigned long start, end;
	void __user *ptr;
	u64 npages, cpages, faults;
};

/* Is all of it mapped, readable and of a kind that migrates? */
static int dmirror_check_mappings(const struct dmirror_job *job)
{
	struct mm_struct *mm = job->mirror->notifier.mm;
	unsigned long addr = job->start;
	int ret = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	while (addr < job->end && !ret) {
		struct vm_area_struct *vma = find_vma(mm, addr);

		if (!vma || vma->vm_start > addr || !(vma->vm_flags & VM_READ) || vma->vm_flags & VM_SPECIAL ||
		    is_vm_hugetlb_page(vma))
			ret = -EINVAL;
		else
			addr = vma->vm_end;
	}
	mmap_read_unlock(mm);
	return ret;
}

static int dmirror_do_read(struct dmirror_job *job)
{
	job->cpages = job->npages;
	return dmirror_read(job->mirror, job->start, job->end, job->ptr, &job->faults);
}

static int dmirror_do_write(struct dmirror_job *job)
{
	job->cpages = job->npages;
	return dmirror_write(job->mirror, job->start, job->end, job->ptr, &job->faults);
}

static int dmirror_do_snapshot(struct dmirror_job *job)
{
	job->cpages = job->npages;
	return dmirror_snapshot(job->mirror, job->start, job->end, job->ptr);
}

static int dmirror_do_to_device(struct dmirror_job *job)
{
	struct dmirror *mirror = job->mirror;
	long ret = dmirror_check_mappings(job);

	if (!ret)
		ret = kfd_mirror_to_vram(mirror->gpu, job->start, job->end);
	if (ret >= 0)
		ret = dmirror_enter_local(mirror, job->start, job->end);
	if (!ret)
		ret = dmirror_peek(mirror, job->start, job->end, job->ptr);
	job->cpages = job->npages;
	return ret;
}

static int dmirror_do_to_ram(struct dmirror_job *job)
{
	long ret = dmirror_check_mappings(job);

	if (!ret)
		ret = kfd_mirror_to_ram(job->mirror->gpu, job->start, job->end);
	if (ret < 0)
		return ret;
	job->cpages = ret;
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static int dmirror_do_release(struct dmirror_job *job)
{
	return kfd_mirror_evict(job->mirror->gpu);
}

static int dmirror_do_exclusive(struct dmirror_job *job)
{
	return -EOPNOTSUPP;
}

static int (*const dmirror_requests[])(struct dmirror_job *job) = {
	[_IOC_NR(KFDLAB_DMIRROR_READ)] = dmirror_do_read,
	[_IOC_NR(KFDLAB_DMIRROR_WRITE)] = dmirror_do_write,
	[_IOC_NR(KFDLAB_DMIRROR_MIGRATE_TO_DEV)] = dmirror_do_to_device,
	[_IOC_NR(KFDLAB_DMIRROR_MIGRATE_TO_SYS)] = dmirror_do_to_ram,
	[_IOC_NR(KFDLAB_DMIRROR_SNAPSHOT)] = dmirror_do_snapshot,
	[_IOC_NR(KFDLAB_DMIRROR_EXCLUSIVE)] = dmirror_do_exclusive,
	[_IOC_NR(KFDLAB_DMIRROR_CHECK_EXCLUSIVE)] = dmirror_do_exclusive,
	[_IOC_NR(KFDLAB_DMIRROR_RELEASE)] = dmirror_do_release,
};

static int dmirror_run(struct dmirror_job *job, unsigned int nr)
{
	int ret = kfd_mirror_check(job->mirror->gpu);

	if (ret)
		return ret;
	if (mutex_lock_killable(&job->mirror->access))
		return -EINTR;
	ret = dmirror_requests[nr](job);
	mutex_unlock(&job->mirror->access);
	return ret;
}

long dmirror_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dmirror_job job = { .mirror = file->private_data };
	void __user *argp = (void __user *)arg;
	unsigned int nr = _IOC_NR(cmd);
	struct kfdlab_dmirror_cmd args;
	int ret;

	if (nr >= ARRAY_SIZE(dmirror_requests) || cmd != KFDLAB_DMIRROR_IOCTL(nr))
		return -ENOTTY;
	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	if (!PAGE_ALIGNED(args.addr) || !args.npages || args.addr > TASK_SIZE ||
	    args.npages > (TASK_SIZE - args.addr) >> PAGE_SHIFT)
		return -EINVAL;
	job.start = args.addr;
	job.end = args.addr + (args.npages << PAGE_SHIFT);
	job.ptr = u64_to_user_ptr(args.ptr);
	job.npages = args.npages;
	ret = dmirror_run(&job, nr);
	if (ret)
		return ret;
	args.cpages = job.cpages;
	args.faults = job.faults;
	return copy_to_user(argp, &args, sizeof(args)) ? -EFAULT : 0;
}
