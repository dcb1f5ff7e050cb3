// SPDX-License-Identifier: GPL-2.0
/*
 * Submissions of kernel/ttm on the copy ring, among the copies of kfd_copy.c. Nobody sleeps for
 * each of them; one work per GPU waits for the oldest, which also gives them the deadline of every
 * other wait: a device that makes no progress is reset, and what it had been given is cancelled.
 *
 * Invariant: the list is in the order of the fences on the ring. A fence is handed out and its
 * submission entered in one section of copy_lock.
 */
#include <linux/dma-fence.h>

#include "kfd_ring.h"

/*
 * NOPs at a time. A small part of the ring: who needs more room at once can be overtaken for ever
 * by those who need less.
 */
#define NOP_MAX_DWORDS	1024

/* Skipped by the device, so only the header is written. The packet may wrap. */
static void emit_nop(struct kfd_rings *rings, u32 dwords)
{
	u32 at = rings->copy_wptr % KFDLAB_COPY_RING_SIZE;

	lockdep_assert_held(&rings->copy_lock);
	rings->copy[at / sizeof(u32)] =
		sdma_header(SDMA_OP_NOP, 0) | (dwords - 1) << SDMA_NOP_COUNT_SHIFT;
	rings->copy_wptr += (u64)dwords * sizeof(u32);
}

static void emit_store(struct kfd_rings *rings, u64 phys, u32 data)
{
	struct sdma_fence fence = {
		.header = sdma_header(SDMA_OP_FENCE, 0),
		.addr_lo = lower_32_bits(phys), .addr_hi = upper_32_bits(phys),
		.data = data,
	};

	kfd_ring_emit(rings, &fence, sizeof(fence));
}

/* -ENODEV: the generation is gone. Locking: copy_lock, dropped while waiting for room. */
static int emit_submission(struct kfd_rings *rings, struct klttm_submission *sub)
{
	u32 left, now;
	int ret;

	for (left = sub->nop_dwords; left; left -= now) {
		now = min_t(u32, left, NOP_MAX_DWORDS);
		ret = kfd_ring_reserve(rings, sub->generation, now * sizeof(u32));
		if (ret)
			return ret;
		emit_nop(rings, now);
	}
	ret = kfd_ring_reserve(rings, sub->generation,
			       KFD_RING_FENCE_SPACE + 4 * sizeof(struct sdma_fence));
	if (ret)
		return ret;
	if (sub->fence_phys) {
		emit_store(rings, sub->fence_phys + sizeof(u32), upper_32_bits(sub->fence_value));
		emit_store(rings, sub->fence_phys, lower_32_bits(sub->fence_value));
	}
	sub->fence = kfd_ring_emit_fence(rings);
	return 0;
}

void kfd_submit(void *owner, struct klttm_submission *sub)
{
	struct kfd_dev *dev = owner;
	struct kfd_rings *rings = dev->rings;

	kfd_ring_sync(rings);
	mutex_lock(&rings->copy_lock);
	sub->generation = rings->generation;
	if (sub->generation && emit_submission(rings, sub))
		sub->generation = 0;
	spin_lock(&rings->submit_lock);
	list_add_tail(&sub->link, &rings->submitted);
	spin_unlock(&rings->submit_lock);
	if (sub->generation)
		kfd_ring_publish_copy(rings);
	mutex_unlock(&rings->copy_lock);
	queue_work(rings->submit_wq, &rings->submit_work);
}

static struct klttm_submission *oldest(struct kfd_rings *rings)
{
	struct klttm_submission *sub;

	spin_lock(&rings->submit_lock);
	sub = list_first_entry_or_null(&rings->submitted, struct klttm_submission, link);
	spin_unlock(&rings->submit_lock);
	return sub;
}

/* Only this work takes entries off the list. */
static void submit_work(struct work_struct *work)
{
	struct kfd_rings *rings = container_of(work, struct kfd_rings, submit_work);
	struct klttm_submission *sub;
	bool cookie, passed;

	while ((sub = oldest(rings))) {
		cookie = dma_fence_begin_signalling();
		passed = sub->generation &&
			 !kfd_ring_wait(rings, sub->generation, KFD_RING_COPY_FENCE, sub->fence);
		spin_lock(&rings->submit_lock);
		list_del(&sub->link);
		spin_unlock(&rings->submit_lock);
		dma_fence_end_signalling(cookie);
		sub->done(sub, passed ? 0 : -ECANCELED);
	}
}

u32 kfd_submit_resets(void *owner)
{
	struct kfd_dev *dev = owner;
	u64 state = READ_ONCE(dev->rings->device->state);

	/* Generations count from 1, and the last one may be alive. */
	return (state >> 32) - ((u32)state == KFDLAB_STATE_READY);
}

int kfd_submit_init(struct kfd_rings *rings)
{
	spin_lock_init(&rings->submit_lock);
	INIT_LIST_HEAD(&rings->submitted);
	INIT_WORK(&rings->submit_work, submit_work);
	rings->submit_wq = alloc_workqueue("kfdlab_submit", WQ_MEM_RECLAIM | WQ_UNBOUND | WQ_HIGHPRI, 1);
	return rings->submit_wq ? 0 : -ENOMEM;
}

/* Everything submitted is done by now; the work may still have to see that the list is empty. */
void kfd_submit_fini(struct kfd_rings *rings)
{
	destroy_workqueue(rings->submit_wq);
	WARN_ON_ONCE(!list_empty(&rings->submitted));
}
