// SPDX-License-Identifier: GPL-2.0
/*
 * USERPTR buffers: memory of the process at a GPU address of its own. Nothing is pinned. An interval notifier watches
 * the CPU addresses from ALLOC to FREE and takes entries away before pages change; the restore work maps the new ones.
 * Memory that the process has unmapped meanwhile is just not mapped: an access is a fault of the process.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "kfd_memory.h"
#include "kfd_restore.h"
#include "kfd_vm_user.h"

struct kfd_userptr {
	struct mmu_interval_notifier notifier;
	struct kfd_buffer *buf;
	spinlock_t lock;		/* the notifier's sequence number changes under it */
};

static bool kfd_userptr_invalidate(struct mmu_interval_notifier *notifier, const struct mmu_notifier_range *range,
				   unsigned long seq)
{
	struct kfd_userptr *user = container_of(notifier, struct kfd_userptr, notifier);
	struct kfd_buffer *buf = user->buf;
	unsigned long base = buf->user_addr, end = base + buf->size;
	unsigned long start = max(range->start, base), stop = min(range->end, end);
	unsigned long npages = buf->size >> PAGE_SHIFT;
	bool mapped = READ_ONCE(buf->mapped);

	/* The OOM reaper may not wait for a device. Nothing was touched yet, so it can ask again. */
	if (mapped && !mmu_notifier_range_blockable(range))
		return false;
	spin_lock(&user->lock);
	mmu_interval_set_seq(notifier, seq);
	spin_unlock(&user->lock);
	/* Whoever maps it sets the bit first, and finds the sequence changed. */
	if (!READ_ONCE(buf->mapped) || start >= stop)
		return true;
	/* Nor does such a one, who came in between, mind to be asked again. */
	if (!mmu_notifier_range_blockable(range))
		return false;
	kfd_buffer_lose(buf, (start - base) >> PAGE_SHIFT, (stop - 1 - base) >> PAGE_SHIFT);
	if (buf->va.last - buf->va.start >= npages)
		kfd_buffer_lose(buf, npages + ((start - base) >> PAGE_SHIFT),
				npages + ((stop - 1 - base) >> PAGE_SHIFT));
	return true;
}

static const struct mmu_interval_notifier_ops kfd_userptr_ops = {
	.invalidate = kfd_userptr_invalidate,
};

int kfd_userptr_create(struct kfd_process *p, struct kfd_buffer *buf)
{
	struct kfd_userptr *user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!user)
		return -ENOMEM;
	user->buf = buf;
	spin_lock_init(&user->lock);
	ret = mmu_interval_notifier_insert(&user->notifier, p->notifier.mm, buf->user_addr, buf->size,
					   &kfd_userptr_ops);
	if (ret) {
		kfree(user);
		return ret;
	}
	buf->user = user;
	return 0;
}

void kfd_userptr_destroy(struct kfd_buffer *buf)
{
	mmu_interval_notifier_remove(&buf->user->notifier);
	kfree(buf->user);
	buf->user = NULL;
}

static bool kfd_userptr_claim(struct kfd_vm_user *request, unsigned long seq)
{
	struct kfd_userptr *user = request->arg;
	bool valid;

	spin_lock(&user->lock);
	valid = !mmu_interval_read_retry(&user->notifier, seq);
	spin_unlock(&user->lock);
	return valid;
}

int kfd_userptr_map(struct kfd_buffer *buf, struct kfd_vm *vm, u64 first, u64 last, u64 flags,
		    struct kfd_vm_work *work)
{
	struct kfd_vm_user request = {
		.vm = vm,
		.mm = buf->process->notifier.mm,
		.notifier = &buf->user->notifier,
		.flags = flags,
		.for_write = true,
		.claim = kfd_userptr_claim,
		.arg = buf->user,
	};
	u64 at, next, npages = buf->size >> PAGE_SHIFT;
	int ret = 0;

	for (at = first; !ret && at <= last; at = next) {
		/* AQL_QUEUE_MEM: the second half of the VA is the first once more. */
		u64 i = at < npages ? at : at - npages;

		request.page = buf->va.start + at;
		next = min3(last + 1, at + npages - i, ALIGN(request.page + 1, KFD_VM_BLOCK_PAGES) - buf->va.start);
		request.n = next - at;
		request.address = buf->user_addr + (i << PAGE_SHIFT);
		if (mmap_read_lock_killable(request.mm))
			return -EINTR;
		ret = kfd_vm_map_user(&request, work);
		mmap_read_unlock(request.mm);
		cond_resched();
	}
	return ret;
}
