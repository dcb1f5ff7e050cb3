// SPDX-License-Identifier: GPL-2.0
/*
 * The flavours of get_user_pages(): the only file that knows GUP's functions, their FOLL_ flags and
 * how they differ between kernels. It makes exactly one GUP call per request and hands its result
 * back untouched, since that call is what the suite judges.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <uapi/kfdlab_gup.h>

#include "compat/kcompat.h"
#include "gup_call.h"

static bool drop_longterm;
module_param(drop_longterm, bool, 0444);
MODULE_PARM_DESC(drop_longterm,
		 "Leave FOLL_LONGTERM out of every call: a control that the suite must notice");

#define GUP_FLAGS_KNOWN	(KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM | KFDLAB_GUP_WRITE)

static int check_flavour(const struct gup_call *call)
{
	if (call->flags & ~GUP_FLAGS_KNOWN)
		return -EINVAL;
	if ((call->flags & KFDLAB_GUP_LONGTERM) && !(call->flags & KFDLAB_GUP_PIN))
		return -EINVAL;
	if (call->pid < 0 || (call->pid && call->path != KFDLAB_GUP_REMOTE))
		return -EINVAL;

	switch (call->path) {
	case KFDLAB_GUP_FAST:
	case KFDLAB_GUP_SLOW:
	case KFDLAB_GUP_REMOTE:
		return 0;
	case KFDLAB_GUP_UNLOCKED:
#ifndef KCOMPAT_HAVE_PIN_UNLOCKED_LONGTERM
		if (call->flags & KFDLAB_GUP_LONGTERM)
			return -EOPNOTSUPP;
#endif
		return 0;
	case KFDLAB_GUP_FAST_ONLY:
		return call->flags & KFDLAB_GUP_PIN ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

int gup_call_check(const struct gup_call *call)
{
	unsigned long end;

	if (!call->npages || call->npages > KFDLAB_GUP_MAX_PAGES)
		return -EINVAL;
	if (!PAGE_ALIGNED(call->addr) ||
	    check_add_overflow(call->addr, call->npages << PAGE_SHIFT, &end))
		return -EINVAL;
	return check_flavour(call);
}

static unsigned int to_foll(u32 flags)
{
	unsigned int foll = 0;

	if (flags & KFDLAB_GUP_WRITE)
		foll |= FOLL_WRITE;
	if ((flags & KFDLAB_GUP_LONGTERM) && !drop_longterm)
		foll |= FOLL_LONGTERM;
	return foll;
}

/* Under the mmap lock, which GUP is never allowed to drop: 6.1 forbids that with LONGTERM. */
static long call_slow(const struct gup_call *call, unsigned int foll, struct page **pages)
{
#ifdef KCOMPAT_HAVE_GUP_WITHOUT_VMAS
	if (call->flags & KFDLAB_GUP_PIN)
		return pin_user_pages(call->addr, call->npages, foll, pages);
	return get_user_pages(call->addr, call->npages, foll, pages);
#else
	if (call->flags & KFDLAB_GUP_PIN)
		return pin_user_pages(call->addr, call->npages, foll, pages, NULL);
	return get_user_pages(call->addr, call->npages, foll, pages, NULL);
#endif
}

static long call_remote(struct mm_struct *mm, const struct gup_call *call, unsigned int foll,
			struct page **pages)
{
#ifdef KCOMPAT_HAVE_GUP_WITHOUT_VMAS
	if (call->flags & KFDLAB_GUP_PIN)
		return pin_user_pages_remote(mm, call->addr, call->npages, foll, pages, NULL);
	return get_user_pages_remote(mm, call->addr, call->npages, foll, pages, NULL);
#else
	if (call->flags & KFDLAB_GUP_PIN)
		return pin_user_pages_remote(mm, call->addr, call->npages, foll, pages, NULL, NULL);
	return get_user_pages_remote(mm, call->addr, call->npages, foll, pages, NULL, NULL);
#endif
}

static long run_slow(const struct gup_call *call, unsigned int foll, struct page **pages, u64 *ns)
{
	struct mm_struct *mm = current->mm;
	long got;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	*ns = ktime_get_ns();
	got = call_slow(call, foll, pages);
	*ns = ktime_get_ns() - *ns;
	mmap_read_unlock(mm);
	return got;
}

static struct mm_struct *remote_mm_get(pid_t pid)
{
	struct task_struct *task;
	struct mm_struct *mm;
	struct pid *target;

	if (!pid) {
		mmget(current->mm);
		return current->mm;
	}
	target = find_get_pid(pid);
	if (!target)
		return NULL;
	task = get_pid_task(target, PIDTYPE_PID);
	put_pid(target);
	if (!task)
		return NULL;
	mm = get_task_mm(task);
	put_task_struct(task);
	return mm;
}

static long run_remote(const struct gup_call *call, unsigned int foll, struct page **pages, u64 *ns)
{
	struct mm_struct *mm = remote_mm_get(call->pid);
	long got;

	if (!mm)
		return -ESRCH;
	if (mmap_read_lock_killable(mm)) {
		got = -EINTR;
		goto out_put;
	}
	*ns = ktime_get_ns();
	got = call_remote(mm, call, foll, pages);
	*ns = ktime_get_ns() - *ns;
	mmap_read_unlock(mm);
out_put:
	mmput(mm);
	return got;
}

/* Functions that take the mmap lock themselves, or never. */
static long run_self_locking(const struct gup_call *call, unsigned int foll, struct page **pages,
			     u64 *ns)
{
	bool pin = call->flags & KFDLAB_GUP_PIN;
	long got;

	*ns = ktime_get_ns();
	switch (call->path) {
	case KFDLAB_GUP_FAST:
		got = pin ? pin_user_pages_fast(call->addr, call->npages, foll, pages) :
			    get_user_pages_fast(call->addr, call->npages, foll, pages);
		break;
	case KFDLAB_GUP_UNLOCKED:
		got = pin ? pin_user_pages_unlocked(call->addr, call->npages, pages, foll) :
			    get_user_pages_unlocked(call->addr, call->npages, pages, foll);
		break;
	case KFDLAB_GUP_FAST_ONLY:
		got = get_user_pages_fast_only(call->addr, call->npages, foll, pages);
		break;
	default:
		got = -EINVAL;
	}
	*ns = ktime_get_ns() - *ns;
	return got;
}

long gup_call_run(const struct gup_call *call, struct page **pages, u64 *ns)
{
	unsigned int foll = to_foll(call->flags);

	*ns = 0;
	switch (call->path) {
	case KFDLAB_GUP_SLOW:
		return run_slow(call, foll, pages, ns);
	case KFDLAB_GUP_REMOTE:
		return run_remote(call, foll, pages, ns);
	default:
		return run_self_locking(call, foll, pages, ns);
	}
}
