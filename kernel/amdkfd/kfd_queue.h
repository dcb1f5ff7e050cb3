/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User queues of a process on a GPU: rings in its GPU address space that the device consumes without the driver. The
 * driver makes and destroys them, stops and resumes them, and learns from interrupts what became of them.
 *
 *   kfd_queue        queues and the device      kfd_queue_ioctl  their ioctls
 *   kfd_interrupt    IH entries to processes    kfd_fault_event  exceptions a process is told of
 *   kfd_doorbell     doorbell pages
 *
 * A queue is mapped in one generation of the device process. When that is over the queue is lost: its process is told
 * by an event, and it does nothing until it is destroyed. Queues that are created later run in the next generation.
 *
 * Locking: kfd_queues.lock of the GPU, taken by notifiers: nothing is allocated under it. What it waits for, the
 * control ring, ends by itself or by the device's death.
 */
#ifndef KFD_QUEUE_H
#define KFD_QUEUE_H

#include "hw/queue.h"
#include "kfd_priv.h"

struct kfd_process;
struct seq_file;

/* Queues of one process on one GPU, so that nobody takes all there are. */
#define KFD_PROCESS_QUEUES	256u
/* Global wave sync resources of a GPU; include/hw/queue.h knows all or none of them. */
#define KFD_GWS_COUNT		64u

struct kfd_queue {
	struct kfd_process *process;
	struct kfd_dev *dev;
	struct list_head link;		/* in process->devices[].queues */
	u32 id;				/* the process's name for it */
	u32 number;			/* the device's, and its doorbell in the process's slice */
	u32 vmid;
	struct kfdlab_mqd *mqd;		/* while mapped, the device writes some of its words */

	/* Locking from here on: dev->queues->lock */
	bool active;			/* user space wants it to run: it has a ring and a percentage */
	bool halted;			/* not to run any more: the process had a fault */
	bool lost;			/* was mapped in a generation that is over */
	bool reported;			/* its error was told to the process */
	bool dirty;			/* the device has not read mqd as it is */
	bool stopped;			/* the device was told to quiesce it */
	u32 generation;			/* where it is mapped, 0: nowhere */
};

/* Queues of one GPU. */
struct kfd_queues {
	struct mutex lock;
	u32 generation;			/* the last one that knows our VMIDs; kfd_vm_replay() */
	DECLARE_BITMAP(numbers, KFDLAB_QUEUE_COUNT);
	unsigned int count;		/* numbers taken */
};

int kfd_queues_init(struct kfd_dev *dev);
void kfd_queues_fini(struct kfd_dev *dev);

/*
 * Stop all queues of @p on @dev, also those created later, until as many resumes as quiesces: when it returns nothing
 * of them reads or writes memory. Never fails: a device that is dead or dies runs nothing. Context: may sleep;
 * allocates nothing; any lock above kfd_queues.lock may be held, notifiers' included.
 */
void kfd_queue_quiesce(struct kfd_process *p, struct kfd_dev *dev);
void kfd_queue_resume(struct kfd_process *p, struct kfd_dev *dev);

/* Does @p have queues on @dev that the device may run? Only a hint. No lock. */
bool kfd_queue_any(struct kfd_process *p, struct kfd_dev *dev);

/* ---- kfd_queue.c for kfd_queue_ioctl.c and kfd_interrupt.c ---- */

/*
 * Enter a queue that has its MQD, and let it run if it may. 0; -ENOMEM: no number left; -ENODEV: the device is dead.
 * Locking: p->lock held.
 */
int kfd_queue_add(struct kfd_queue *q);
/* Take it away from the device, and from the process's queues. Never fails. Locking: p->lock held. */
void kfd_queue_remove(struct kfd_queue *q);
/* What of an MQD may be changed later. */
struct kfd_queue_properties {
	u64 base;
	u64 size;
	u32 priority;
	bool active;
};
/* Locking of both: p->lock held. 0; -ENODEV: the device is dead, or was, and the queue is lost. */
int kfd_queue_set_properties(struct kfd_queue *q, const struct kfd_queue_properties *properties);
int kfd_queue_set_cu_mask(struct kfd_queue *q, const u32 *mask, unsigned int words);
int kfd_queue_set_gws(struct kfd_queue *q, u32 count);
/* A PM4 or AQL queue without a ring or a percentage. Locking: p->lock held. */
bool kfd_queue_is_stopped_compute(const struct kfd_queue *q);

/* The process had a fault on @dev: those of its queues that are there now do not run any more. */
void kfd_queue_halt(struct kfd_process *p, struct kfd_dev *dev);
/* Look for queues of @p on @dev that the device stopped. True: there is one that was not reported yet. */
bool kfd_queue_collect_errors(struct kfd_process *p, struct kfd_dev *dev);
/*
 * Look for queues that were mapped in a generation other than the present one. Those are lost, and their processes are
 * told. Context: work; no lock held.
 */
void kfd_queues_check_generation(struct kfd_dev *dev);

/* A line per queue of the process, for debugfs. Locking: takes kfd_queues.lock. */
void kfd_queue_show(struct seq_file *m, struct kfd_process *p);

/* The memory of a queue that the device does not know (any more). */
void kfd_queue_free(struct kfd_queue *q);
/* Teardown: no ioctl of the process runs. No queue touches memory when it returns. */
void kfd_queue_fini(struct kfd_process *p);

#endif
