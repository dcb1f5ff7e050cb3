/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queues of a process wait while something that they may use is not mapped on the GPU: an object that TTM moved, user
 * memory whose pages changed, with XNACK off an SVM range. A notifier first notes what is lost, then stops the queues
 * (kfd_restore_stop()), then clears entries. A work maps what was lost again, with growing pauses when that fails, and
 * lets the queues go on when nothing is lost any more.
 *
 * Invariant: whoever takes something off a list of lost things to map it holds restore.run, so an empty list under
 * restore.run and restore.lock means that all is mapped.
 */
#ifndef KFD_RESTORE_H
#define KFD_RESTORE_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/kfd_ioctl.h>
#include <linux/workqueue.h>

struct kfd_process;

struct kfd_restore {
	struct mutex run;		/* one who maps at a time; above kfd_process.lock and mmap_lock */
	struct mutex lock;		/* quiesced, ended; taken by notifiers */
	u32 quiesced;			/* GPUs whose queues wait for us */
	bool ended;			/* teardown: no queue is left */
	spinlock_t lost_lock;		/* innermost: lost, what of each buffer is lost */
	struct list_head lost;		/* kfd_buffer.lost */
	unsigned int failures;		/* run: passes in a row that left something */
	struct delayed_work work;
};

int kfd_restore_module_init(void);
void kfd_restore_module_fini(void);
void kfd_restore_init(struct kfd_process *p);
/* Nothing is mapped again from here on. Context: teardown, behind the queues' and before the ranges' and buffers'. */
void kfd_restore_fini(struct kfd_process *p);

/*
 * Something on @gpus is lost, and has been noted as such: when this returns no queue of @p runs there, until all is
 * mapped again. @trigger is what SMI events say. Context: may sleep; allocates nothing; notifiers, dma_resv may be held.
 */
void kfd_restore_stop(struct kfd_process *p, u32 gpus, enum KFD_QUEUE_EVICTION_TRIGGERS trigger);
/*
 * Map now what is lost, if that can be; else the work will. Context: an ioctl of the process; no lock held. -EINTR: a
 * fatal signal came.
 */
int kfd_restore_now(struct kfd_process *p);
/* Is anything lost, or its queues stopped for it? A moment's answer. */
bool kfd_restore_pending(struct kfd_process *p);

#endif
