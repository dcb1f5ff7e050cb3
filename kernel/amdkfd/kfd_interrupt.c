// SPDX-License-Identifier: GPL-2.0
/*
 * From the IH ring to the process an entry is for, which its PASID names.
 */
#include <linux/slab.h>

#include "kfd_event.h"
#include "kfd_interrupt.h"
#include "kfd_process.h"
#include "kfd_queue.h"
#include "kfd_vm.h"

static struct workqueue_struct *kfd_interrupt_wq;

/* ---- in hard irq ---- */

/* Locking: interrupts->lock. */
static void note(struct kfd_process *p, struct kfd_dev *dev, const struct ih_entry *entry)
{
	struct kfd_process_interrupts *in = &p->interrupts;
	u32 client = entry->source & 0xff, source = entry->source >> 8 & 0xff;
	u32 id = entry->src_data[0];

	switch (source) {
	case IH_SOURCE_SQ_INTERRUPT_MSG:
		id &= 0xffffff;
		fallthrough;
	case IH_SOURCE_CP_END_OF_PIPE:
	case IH_SOURCE_SDMA_TRAP:
		if (id < KFD_SIGNAL_EVENT_LIMIT)
			__set_bit(id, in->events);
		break;
	case IH_SOURCE_VM_FAULT:
		if (client != IH_CLIENT_UTCL2 || in->faulted & BIT(dev->index))
			break;
		in->faulted |= BIT(dev->index);
		in->faults[dev->index].va = ih_fault_address(entry);
		in->faults[dev->index].ring = entry->source >> 16 & 0xff;
		break;
	case IH_SOURCE_CP_BAD_OPCODE:
		in->failed |= BIT(dev->index);
		break;
	}
}

void kfd_interrupt_entry(struct kfd_dev *dev, const struct ih_entry *entry)
{
	u32 client = entry->source & 0xff, source = entry->source >> 8 & 0xff;
	struct kfd_process *p;
	unsigned long flags;

	if (client == IH_CLIENT_UTCL2 && source == IH_SOURCE_VM_FAULT && entry->src_data[1] & IH_FAULT_RETRY) {
		svm_fault_queue(dev, entry);
		return;
	}
	p = kfd_process_by_pasid(entry->pasid & 0xffff);
	if (!p)
		return;
	spin_lock_irqsave(&p->interrupts.lock, flags);
	if (!p->interrupts.closed) {
		note(p, dev, entry);
		queue_work(kfd_interrupt_wq, &p->interrupts.work);
	}
	spin_unlock_irqrestore(&p->interrupts.lock, flags);
	kfd_process_put(p);
}

void kfd_interrupt_lost(struct kfd_process *p, struct kfd_dev *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&p->interrupts.lock, flags);
	if (!p->interrupts.closed) {
		p->interrupts.lost |= BIT(dev->index);
		queue_work(kfd_interrupt_wq, &p->interrupts.work);
	}
	spin_unlock_irqrestore(&p->interrupts.lock, flags);
}

static void kfd_interrupt_scan_process(struct kfd_process *p, void *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&p->interrupts.lock, flags);
	if (!p->interrupts.closed) {
		p->interrupts.scan = true;
		p->interrupts.failed |= BIT(((struct kfd_dev *)dev)->index);
		queue_work(kfd_interrupt_wq, &p->interrupts.work);
	}
	spin_unlock_irqrestore(&p->interrupts.lock, flags);
}

void kfd_interrupt_dropped(struct kfd_dev *dev)
{
	kfd_process_for_each(kfd_interrupt_scan_process, dev);
}

/* ---- the process's work ---- */

static void kfd_interrupt_device(struct kfd_process *p, struct kfd_dev *dev, const struct kfd_fault *fault,
				 bool failed, bool lost)
{
	if (fault) {
		/* It is told first, and what else it has there stops, as AMD's driver does. */
		kfd_queue_halt(p, dev);
		kfd_fault_event_memory(p, dev, fault);
	}
	if (failed && kfd_queue_collect_errors(p, dev) && !fault)
		kfd_fault_event_queue(p, dev);
	if (lost)
		kfd_fault_event_lost(p, dev);
}

static void kfd_interrupt_work(struct work_struct *work)
{
	struct kfd_process *p = container_of(work, struct kfd_process, interrupts.work);
	struct kfd_process_interrupts *in = &p->interrupts;
	struct kfd_fault faults[KFD_MAX_GPUS];
	DECLARE_BITMAP(events, KFD_SIGNAL_EVENT_LIMIT);
	u32 faulted, failed, lost;
	unsigned int i;
	bool scan;

	spin_lock_irq(&in->lock);
	bitmap_copy(events, in->events, KFD_SIGNAL_EVENT_LIMIT);
	bitmap_zero(in->events, KFD_SIGNAL_EVENT_LIMIT);
	memcpy(faults, in->faults, sizeof(faults));
	faulted = in->faulted;
	failed = in->failed;
	lost = in->lost;
	scan = in->scan;
	in->faulted = in->failed = in->lost = 0;
	in->scan = false;
	spin_unlock_irq(&in->lock);

	if (scan)
		kfd_event_interrupt_all(p);
	for_each_set_bit(i, events, KFD_SIGNAL_EVENT_LIMIT)
		kfd_event_interrupt(p, i);
	for (i = 0; i < KFD_MAX_GPUS; i++)
		if ((faulted | failed | lost) & BIT(i))
			kfd_interrupt_device(p, kfd_dev_by_index(i), faulted & BIT(i) ? &faults[i] : NULL,
					     failed & BIT(i), lost & BIT(i));
}

void kfd_interrupt_init(struct kfd_process *p)
{
	spin_lock_init(&p->interrupts.lock);
	INIT_WORK(&p->interrupts.work, kfd_interrupt_work);
}

void kfd_interrupt_fini(struct kfd_process *p)
{
	spin_lock_irq(&p->interrupts.lock);
	p->interrupts.closed = true;
	spin_unlock_irq(&p->interrupts.lock);
	cancel_work_sync(&p->interrupts.work);
}

int kfd_interrupt_module_init(void)
{
	kfd_interrupt_wq = alloc_workqueue("kfdlab_interrupt", WQ_HIGHPRI | WQ_UNBOUND, 0);
	return kfd_interrupt_wq ? 0 : -ENOMEM;
}

void kfd_interrupt_module_fini(void)
{
	destroy_workqueue(kfd_interrupt_wq);
}
