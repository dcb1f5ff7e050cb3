/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the device reports about user queues, on its way from the IH ring to the process. The hard irq only notes it in
 * the process, in a fixed amount of memory, and queues the process's work: nothing is lost, and nobody can flood
 * anybody. Retry faults are svm_fault_queue()'s.
 */
#ifndef KFD_INTERRUPT_H
#define KFD_INTERRUPT_H

#include <linux/kfd_ioctl.h>

#include "kfd_priv.h"

struct kfd_process;

/* A no-retry fault: page address, and IH_FAULT_RING_*. */
struct kfd_fault {
	u64 va;
	u32 ring;
};

/* Part of struct kfd_process. */
struct kfd_process_interrupts {
	spinlock_t lock;		/* irqsave; all that follows */
	bool closed;			/* teardown began */
	bool scan;			/* entries were dropped: look at every slot of the event page */
	DECLARE_BITMAP(events, KFD_SIGNAL_EVENT_LIMIT);	/* ids that came */
	u32 faulted, failed, lost;	/* bit per GPU: a no-retry fault; a queue stopped; its process died */
	struct kfd_fault faults[KFD_MAX_GPUS];	/* the first one */
	struct work_struct work;
};

int kfd_interrupt_module_init(void);
void kfd_interrupt_module_fini(void);

void kfd_interrupt_init(struct kfd_process *p);
/* Teardown: when it returns nothing of this process is under way, nor will be. */
void kfd_interrupt_fini(struct kfd_process *p);

/* An entry that is not the copy ring's. Context: hard irq. */
void kfd_interrupt_entry(struct kfd_dev *dev, const struct ih_entry *entry);
/* Entries of this GPU may have been dropped. Context: work. */
void kfd_interrupt_dropped(struct kfd_dev *dev);
/* A queue of @p was lost with the device process. Context: any. */
void kfd_interrupt_lost(struct kfd_process *p, struct kfd_dev *dev);

/* kfd_fault_event.c: tell the process by its memory and hardware exception events. Context: process. */
void kfd_fault_event_memory(struct kfd_process *p, struct kfd_dev *dev, const struct kfd_fault *fault);
void kfd_fault_event_queue(struct kfd_process *p, struct kfd_dev *dev);
void kfd_fault_event_lost(struct kfd_process *p, struct kfd_dev *dev);

#endif
