/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside of the rings, for kfd_ring.c, kfd_copy.c, kfd_submit.c and kfd_debugfs.c only.
 *
 * Generations. The state register names the device process (its generation) and whether it serves.
 * The driver "adopts" a READY generation: it resets its own page and pointers and then writes the
 * generation, and only then does the device consume anything. rings->generation is the adopted one,
 * 0 when none. Everything queued belongs to the generation adopted when it was queued and is
 * complete when its fence was seen while that generation was still READY; when the generation is
 * gone, so is the process (the launcher writes DEAD only after reaping it), and what was queued
 * will never run.
 */
#ifndef KFD_RING_H
#define KFD_RING_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "kfd_priv.h"

struct kfd_rings {
	struct kfd_dev *dev;
	/*
	 * Shared memory. Every load of the device's words is READ_ONCE or an acquire: the other
	 * side may write.
	 */
	const struct kfdlab_device_regs *device;
	struct kfdlab_driver_regs *driver;
	struct kfdlab_control_entry *control;
	u32 *copy;
	const struct ih_entry *ih;

	/*
	 * Adopted generation. Written under both ring locks and ih_lock; read with any of them or
	 * READ_ONCE.
	 */
	u32 generation;

	struct mutex control_lock;	/* control ring writes; outer of the two */
	u64 control_wptr;		/* entries */
	struct mutex copy_lock;		/* copy ring writes */
	u64 copy_wptr;			/* bytes */
	u32 copy_seq;			/* last fence value handed out */

	spinlock_t ih_lock;		/* taken in hard irq */
	u64 ih_rptr;			/* bytes */
	u64 ih_dropped;			/* the device's, when the ring was last emptied */
	bool ih_was_full;		/* at the last look */
	struct work_struct dropped_work;
	struct work_struct generation_work;	/* queues of an earlier generation are lost */

	wait_queue_head_t control_wait;
	wait_queue_head_t copy_wait;

	/* kfd_submit.c */
	spinlock_t submit_lock;
	struct list_head submitted;	/* struct klttm_submission.link, oldest first */
	struct work_struct submit_work;	/* waits for the oldest */
	struct workqueue_struct *submit_wq;

	spinlock_t reset_lock;
	u32 reset_generation;		/* last generation whose reset was asked for */
	unsigned long reset_asked;	/* jiffies of the last request */
};

enum kfd_ring_what {
	KFD_RING_CONTROL_DONE,		/* control_done reached target */
	KFD_RING_COPY_FENCE,		/* copy_fence reached target, compared as u32 difference */
	KFD_RING_COPY_SPACE,		/* copy_rptr reached target */
};

/*
 * Sleep until @what reaches @target (0) or the process of @generation is gone (-ENODEV). No other
 * way out: a device that makes no progress for reset_timeout_ms is reset, again each second, until
 * it was reaped. Context: process, not killable; takes no lock while asleep.
 */
int kfd_ring_wait(struct kfd_rings *rings, u32 generation, enum kfd_ring_what what, u64 target);
/*
 * Follow the state register: adopt a new generation, drop a dead one. Context: process; takes the
 * ring locks.
 */
void kfd_ring_sync(struct kfd_rings *rings);
/* Publish the copy ring's write pointer and wake the device if it sleeps. Locking: copy_lock. */
void kfd_ring_publish_copy(struct kfd_rings *rings);


/*
 * kfd_copy.c: writing the copy ring. _emit() takes dwords for which there is room; _emit_fence() adds
 * fence and trap, KFD_RING_FENCE_SPACE, and returns the value the fence word will have.
 * Locking: copy_lock.
 */
#define KFD_RING_FENCE_SPACE	(2 * (sizeof(struct sdma_fence) + sizeof(struct sdma_trap)))
void kfd_ring_emit(struct kfd_rings *rings, const void *packet, u32 bytes);
u32 kfd_ring_emit_fence(struct kfd_rings *rings);
/*
 * Make sure that @bytes fit behind the write pointer. Locking: copy_lock, dropped while waiting for
 * the device: its death is noticed by somebody who needs this lock. -ENODEV: the generation is
 * gone.
 */
int kfd_ring_reserve(struct kfd_rings *rings, u32 generation, u32 bytes);

/* kfd_submit.c */
int kfd_submit_init(struct kfd_rings *rings);
void kfd_submit_fini(struct kfd_rings *rings);

#endif
