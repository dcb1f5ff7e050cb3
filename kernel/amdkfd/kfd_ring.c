// SPDX-License-Identifier: GPL-2.0
/*
 * The rings shared with the device process: control entries and their fence, the IH ring, doorbells
 * and MSI-X, generations and reset. Copy packets are kfd_copy.c's; their pointers and waits are
 * here.
 *
 * Invariant: a wait ends by its fence or by the death of the generation it waits for, never by
 * giving up. A process that was merely stopped could go on later and write memory that has a new
 * owner by then.
 */
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "kfd_doorbell.h"
#include "kfd_interrupt.h"
#include "kfd_queue.h"
#include "kfd_ring.h"
#include "kfd_trace.h"

#define CONTROL_ENTRIES	(KFDLAB_CONTROL_RING_SIZE / sizeof(struct kfdlab_control_entry))
/* A lost doorbell or interrupt costs this much, not a hang. */
#define RECHECK		msecs_to_jiffies(10)
#define RESET_AGAIN	HZ

static unsigned int reset_timeout_ms = 3000;
module_param(reset_timeout_ms, uint, 0644);
MODULE_PARM_DESC(reset_timeout_ms,
		 "Ask for a reset of a device that made no progress for this long (default 3000)");

/* ---- state ---- */

/* The generation that serves its rings now, 0 if none does. */
static u32 serving_generation(const struct kfd_rings *rings)
{
	u64 state = smp_load_acquire(&rings->device->state);

	return (u32)state == KFDLAB_STATE_READY ? state >> 32 : 0;
}

u32 kfd_ring_generation(struct kfd_dev *dev)
{
	return READ_ONCE(dev->rings->device->state) >> 32;
}

void kfd_ring_kick(struct kfd_dev *dev, enum kfdlab_kick vector)
{
	writel(KFDLAB_PEER_DEVICE << 16 | vector, dev->ivshmem + KFDLAB_IVSHMEM_DOORBELL);
}

/*
 * Context: any. Printed once per generation, so nothing can flood the log with it. A request for a
 * process that is gone could hide one for its successor.
 */
static void request_reset(struct kfd_rings *rings, u32 generation, const char *why)
{
	unsigned long flags;
	bool first;

	if (serving_generation(rings) != generation)
		return;
	spin_lock_irqsave(&rings->reset_lock, flags);
	first = rings->reset_generation != generation;
	rings->reset_generation = generation;
	WRITE_ONCE(rings->reset_asked, jiffies);
	spin_unlock_irqrestore(&rings->reset_lock, flags);

	if (first) {
		atomic64_inc(&rings->dev->counters.device_resets);
		trace_kfdlab_reset(rings->dev->gpu_id, generation, why);
		dev_info(&rings->dev->pdev->dev, "reset of device generation %u requested: %s\n",
			 generation, why);
	}
	WRITE_ONCE(rings->driver->reset_request, generation);
	smp_mb();	/* the launcher reads reset_request after the doorbell */
	kfd_ring_kick(rings->dev, KFDLAB_KICK_RESET);
}

/*
 * The driver page already names this generation: the module was reloaded under a device process
 * that lived on. Its pointers are good if nothing was left in the rings; anything else is not worth
 * repairing.
 */
static bool resume_generation(struct kfd_rings *rings, u32 generation)
{
	u64 control = READ_ONCE(rings->driver->control_wptr);
	u64 copy = READ_ONCE(rings->driver->copy_wptr);

	if (control != READ_ONCE(rings->device->control_done) ||
	    copy != READ_ONCE(rings->device->copy_rptr)) {
		request_reset(rings, generation, "rings were left busy by an earlier driver");
		return false;
	}
	rings->control_wptr = control;
	rings->copy_wptr = copy;
	rings->ih_rptr = READ_ONCE(rings->device->ih_wptr);
	rings->ih_dropped = READ_ONCE(rings->device->ih_dropped);
	WRITE_ONCE(rings->driver->ih_rptr, rings->ih_rptr);
	return true;
}

static void adopt_generation(struct kfd_rings *rings, u32 generation)
{
	lockdep_assert_held(&rings->control_lock);
	lockdep_assert_held(&rings->copy_lock);
	lockdep_assert_held(&rings->ih_lock);

	WRITE_ONCE(rings->driver->bar_base, rings->dev->bar_base);
	if (READ_ONCE(rings->driver->generation) == generation) {
		if (!resume_generation(rings, generation))
			return;
	} else {
		rings->control_wptr = 0;
		rings->copy_wptr = 0;
		rings->ih_rptr = 0;
		rings->ih_dropped = 0;
		WRITE_ONCE(rings->driver->reset_request, 0);
		WRITE_ONCE(rings->driver->control_wptr, 0);
		WRITE_ONCE(rings->driver->copy_wptr, 0);
		WRITE_ONCE(rings->driver->ih_rptr, 0);
		WRITE_ONCE(rings->driver->queue_armed, 0);
	}
	/*
	 * Counting on from what the fence word holds, no old value of it can look like a new fence.
	 */
	rings->copy_seq = READ_ONCE(rings->device->copy_fence);
	/*
	 * Pairs with the device's acquire: it consumes nothing before it sees its generation here.
	 */
	smp_store_release(&rings->driver->generation, generation);
	WRITE_ONCE(rings->generation, generation);
}

void kfd_ring_sync(struct kfd_rings *rings)
{
	u32 serving, old, now;

	if (serving_generation(rings) == READ_ONCE(rings->generation))
		return;

	mutex_lock(&rings->control_lock);
	mutex_lock(&rings->copy_lock);
	spin_lock_irq(&rings->ih_lock);
	serving = serving_generation(rings);
	old = rings->generation;
	if (serving != old) {
		WRITE_ONCE(rings->generation, 0);
		if (serving && rings->reset_generation != serving)
			adopt_generation(rings, serving);
		else if (serving &&
			 time_after_eq(jiffies, READ_ONCE(rings->reset_asked) + RESET_AGAIN))
			request_reset(rings, serving, "refused before");
	}
	now = rings->generation;
	spin_unlock_irq(&rings->ih_lock);
	mutex_unlock(&rings->copy_lock);
	mutex_unlock(&rings->control_lock);

	if (now != old)
		trace_kfdlab_generation(rings->dev->gpu_id, old, now);
	if (now != old && old)
		queue_work(system_unbound_wq, &rings->generation_work);
	wake_up_all(&rings->control_wait);
	wake_up_all(&rings->copy_wait);
}

/* ---- waiting ---- */

static bool reached(const struct kfd_rings *rings, enum kfd_ring_what what, u64 target)
{
	switch (what) {
	case KFD_RING_CONTROL_DONE:
		return smp_load_acquire(&rings->device->control_done) >= target;
	case KFD_RING_COPY_FENCE:
		return (s32)(smp_load_acquire(&rings->device->copy_fence) - (u32)target) >= 0;
	case KFD_RING_COPY_SPACE:
		return smp_load_acquire(&rings->device->copy_rptr) >= target;
	}
	return false;
}

static u64 progress(const struct kfd_rings *rings, enum kfd_ring_what what)
{
	return what == KFD_RING_CONTROL_DONE ? READ_ONCE(rings->device->control_done) :
					       READ_ONCE(rings->device->copy_rptr);
}

static u32 ring_error(const struct kfd_rings *rings, enum kfd_ring_what what)
{
	return what == KFD_RING_CONTROL_DONE ? READ_ONCE(rings->device->control_error) :
					       READ_ONCE(rings->device->copy_error);
}

/*
 * One slice of a wait passed without success: look for trouble, and wake the device in case a
 * doorbell was lost.
 */
static void wait_slice_over(struct kfd_rings *rings, u32 generation, enum kfd_ring_what what,
			    u64 *seen, unsigned long *deadline)
{
	u32 error = ring_error(rings, what);
	u64 now = progress(rings, what);

	if (error && READ_ONCE(rings->reset_generation) != generation) {
		dev_err_ratelimited(&rings->dev->pdev->dev, "%s ring stopped with error %u\n",
				    what == KFD_RING_CONTROL_DONE ? "control" : "copy", error);
		request_reset(rings, generation, "ring error");
		*deadline = jiffies + RESET_AGAIN;
	} else if (now != *seen) {
		*seen = now;
		*deadline = jiffies + msecs_to_jiffies(READ_ONCE(reset_timeout_ms));
	} else if (time_after_eq(jiffies, *deadline)) {
		request_reset(rings, generation, "no progress");
		*deadline = jiffies + RESET_AGAIN;
	}
	kfd_ring_kick(rings->dev,
		      what == KFD_RING_CONTROL_DONE ? KFDLAB_KICK_CONTROL : KFDLAB_KICK_COPY);
}

int kfd_ring_wait(struct kfd_rings *rings, u32 generation, enum kfd_ring_what what, u64 target)
{
	wait_queue_head_t *queue =
		what == KFD_RING_CONTROL_DONE ? &rings->control_wait : &rings->copy_wait;
	unsigned long deadline = jiffies + msecs_to_jiffies(READ_ONCE(reset_timeout_ms));
	u64 seen = progress(rings, what);

	for (;;) {
		/*
		 * The order matters: a word that reached its target says nothing once its writer is
		 * gone.
		 */
		bool done = reached(rings, what, target);

		if (serving_generation(rings) != generation) {
			kfd_ring_sync(rings);
			return -ENODEV;
		}
		if (done)
			return 0;
		if (!wait_event_timeout(*queue, reached(rings, what, target) ||
					serving_generation(rings) != generation, RECHECK))
			wait_slice_over(rings, generation, what, &seen, &deadline);
	}
}

/* ---- control ring ---- */

/*
 * Take the control lock with room for an entry. @generation: the one it must be, 0: any; in the end the one it is.
 * -ENODEV, without the lock: it is not, or none is adopted.
 */
static int lock_control(struct kfd_rings *rings, u32 *generation)
{
	for (;;) {
		u64 index;
		u32 now;
		int ret;

		mutex_lock(&rings->control_lock);
		now = rings->generation;
		index = rings->control_wptr;
		if (!now || (*generation && *generation != now)) {
			mutex_unlock(&rings->control_lock);
			return -ENODEV;
		}
		*generation = now;
		if (index < CONTROL_ENTRIES ||
		    reached(rings, KFD_RING_CONTROL_DONE, index - CONTROL_ENTRIES + 1))
			return 0;
		mutex_unlock(&rings->control_lock);
		ret = kfd_ring_wait(rings, now, KFD_RING_CONTROL_DONE, index - CONTROL_ENTRIES + 1);
		if (ret)
			return ret;
	}
}

int kfd_ring_control_at(struct kfd_dev *dev, u32 generation, enum kfdlab_control_op op, u32 vmid,
			const u64 args[KFD_CONTROL_ARGS])
{
	struct kfd_rings *rings = dev->rings;
	struct kfdlab_control_entry *entry;
	u64 index;
	int ret;

	kfd_ring_sync(rings);
	ret = lock_control(rings, &generation);
	if (ret)
		return ret;

	index = rings->control_wptr;
	entry = &rings->control[index % CONTROL_ENTRIES];
	memset(entry, 0, sizeof(*entry));
	entry->op = op;
	entry->vmid = vmid;
	if (args)
		memcpy(entry->args, args, sizeof(entry->args));
	rings->control_wptr = index + 1;
	smp_store_release(&rings->driver->control_wptr, index + 1);
	/* Pairs with the device's, between clearing control_awake and reading the pointer. */
	smp_mb();
	if (!READ_ONCE(rings->device->control_awake))
		kfd_ring_kick(dev, KFDLAB_KICK_CONTROL);
	mutex_unlock(&rings->control_lock);

	return kfd_ring_wait(rings, generation, KFD_RING_CONTROL_DONE, index + 1);
}

int kfd_ring_control(struct kfd_dev *dev, enum kfdlab_control_op op, u32 vmid,
		     const u64 args[KFD_CONTROL_ARGS])
{
	return kfd_ring_control_at(dev, 0, op, vmid, args);
}

int kfd_ring_tlb_invalidate(struct kfd_dev *dev, u32 vmid, u64 first_page, u64 npages)
{
	const u64 args[KFD_CONTROL_ARGS] = { first_page, npages };

	return kfd_ring_control(dev, KFDLAB_CONTROL_TLB_INVALIDATE, vmid, args);
}

int kfd_ring_wait_adopted(struct kfd_dev *dev, unsigned int ms)
{
	struct kfd_rings *rings = dev->rings;
	unsigned long deadline = jiffies + msecs_to_jiffies(ms);

	for (;;) {
		if (kfd_ring_adopted(dev))
			return 0;
		if (time_after_eq(jiffies, deadline))
			return -ENODEV;
		/* A generation that serves may have been refused, so that is not enough. */
		if (wait_event_killable_timeout(rings->control_wait, READ_ONCE(rings->generation), RECHECK) < 0)
			return -EINTR;
	}
}

int kfd_ring_clock(struct kfd_dev *dev, u64 *clock)
{
	int ret = kfd_ring_control(dev, KFDLAB_CONTROL_CLOCK, 0, NULL);

	if (!ret)
		*clock = READ_ONCE(dev->rings->device->clock_counter);
	return ret;
}

u32 kfd_ring_adopted(struct kfd_dev *dev)
{
	kfd_ring_sync(dev->rings);
	return READ_ONCE(dev->rings->generation);
}

void kfd_ring_publish_copy(struct kfd_rings *rings)
{
	lockdep_assert_held(&rings->copy_lock);
	smp_store_release(&rings->driver->copy_wptr, rings->copy_wptr);
	/* Pairs with the device's, between clearing copy_awake and reading the pointer. */
	smp_mb();
	if (!READ_ONCE(rings->device->copy_awake))
		kfd_ring_kick(rings->dev, KFDLAB_KICK_COPY);
}

/* ---- interrupts ---- */

/* Context: hard irq, ih_lock held. */
static void ih_dispatch(struct kfd_rings *rings, const struct ih_entry *entry)
{
	/* The copy ring is the driver's own, so it has no PASID. */
	if ((entry->source & 0xffff) == ih_source(IH_CLIENT_SDMA0, IH_SOURCE_SDMA_TRAP, 0, 0) &&
	    !(entry->pasid & 0xffff))
		wake_up_all(&rings->copy_wait);
	else
		kfd_interrupt_entry(rings->dev, entry);
}

/*
 * The device leaves out entries while the ring is full. It can have been so since the last time only if by now a
 * ring's worth has been written behind the pointer that it knew; duplicates, which count as well, come at any time.
 * It counts an entry after it found the ring full, and interrupts: so what is not counted yet is found next time.
 */
static void ih_look_for_drops(struct kfd_rings *rings, u64 known_rptr)
{
	bool was_full = rings->ih_was_full;
	u64 dropped;

	smp_mb();	/* the pointer is published */
	rings->ih_was_full = READ_ONCE(rings->device->ih_wptr) - known_rptr >= KFDLAB_IH_RING_SIZE;
	if (!was_full && !rings->ih_was_full)
		return;
	dropped = READ_ONCE(rings->device->ih_dropped);
	if (dropped != rings->ih_dropped)
		queue_work(system_highpri_wq, &rings->dropped_work);
	rings->ih_dropped = dropped;
}

static void dropped_work(struct work_struct *work)
{
	kfd_interrupt_dropped(container_of(work, struct kfd_rings, dropped_work)->dev);
}

static void generation_work(struct work_struct *work)
{
	kfd_queues_check_generation(container_of(work, struct kfd_rings, generation_work)->dev);
}

/* Locking: ih_lock, interrupts off. */
static void ih_read(struct kfd_rings *rings)
{
	u64 wptr, pending, known;

	wptr = smp_load_acquire(&rings->device->ih_wptr);
	/*
	 * Between two generations the new process may already have reset the pointer that we would
	 * read.
	 */
	if (!rings->generation || serving_generation(rings) != rings->generation)
		return;
	known = rings->ih_rptr;
	pending = wptr - known;
	if (pending > KFDLAB_IH_RING_SIZE || pending % sizeof(struct ih_entry)) {
		request_reset(rings, rings->generation, "IH write pointer out of range");
		return;
	}
	while (rings->ih_rptr != wptr) {
		struct ih_entry entry =
			rings->ih[rings->ih_rptr % KFDLAB_IH_RING_SIZE / sizeof(entry)];

		ih_dispatch(rings, &entry);
		rings->ih_rptr += sizeof(entry);
	}
	smp_store_release(&rings->driver->ih_rptr, wptr);
	ih_look_for_drops(rings, known);
	/* A copy ring that stopped raises this vector without an entry. */
	if (READ_ONCE(rings->device->copy_error))
		wake_up_all(&rings->copy_wait);
}

static irqreturn_t ih_irq(int irq, void *arg)
{
	struct kfd_rings *rings = arg;

	spin_lock(&rings->ih_lock);
	ih_read(rings);
	spin_unlock(&rings->ih_lock);
	return IRQ_HANDLED;
}

void kfd_ring_drain_ih(struct kfd_dev *dev)
{
	struct kfd_rings *rings = dev->rings;

	spin_lock_irq(&rings->ih_lock);
	ih_read(rings);
	spin_unlock_irq(&rings->ih_lock);
}

static irqreturn_t control_irq(int irq, void *arg)
{
	struct kfd_rings *rings = arg;

	wake_up_all(&rings->control_wait);
	return IRQ_HANDLED;
}

static irqreturn_t state_irq(int irq, void *arg)
{
	kfd_ring_sync(arg);
	return IRQ_HANDLED;
}

static irqreturn_t idle_irq(int irq, void *arg)
{
	struct kfd_rings *rings = arg;

	kfd_doorbell_idle(rings->dev);
	return IRQ_HANDLED;
}

static int request_irqs(struct kfd_rings *rings)
{
	struct pci_dev *pdev = rings->dev->pdev;
	int ret;

	ret = pci_alloc_irq_vectors(pdev, KFDLAB_IRQ_COUNT, KFDLAB_IRQ_COUNT, PCI_IRQ_MSIX);
	if (ret < 0)
		return ret;
	ret = pci_request_irq(pdev, KFDLAB_IRQ_IH, ih_irq, NULL, rings, "kfdlab-ih");
	if (ret)
		goto err_vectors;
	ret = pci_request_irq(pdev, KFDLAB_IRQ_CONTROL, control_irq, NULL, rings, "kfdlab-control");
	if (ret)
		goto err_ih;
	ret = pci_request_irq(pdev, KFDLAB_IRQ_STATE, NULL, state_irq, rings, "kfdlab-state");
	if (ret)
		goto err_control;
	ret = pci_request_irq(pdev, KFDLAB_IRQ_QUEUE_IDLE, idle_irq, NULL, rings, "kfdlab-idle");
	if (ret)
		goto err_state;
	return 0;

err_state:
	pci_free_irq(pdev, KFDLAB_IRQ_STATE, rings);
err_control:
	pci_free_irq(pdev, KFDLAB_IRQ_CONTROL, rings);
err_ih:
	pci_free_irq(pdev, KFDLAB_IRQ_IH, rings);
err_vectors:
	pci_free_irq_vectors(pdev);
	return ret;
}

/* ---- life ---- */

int kfd_ring_init(struct kfd_dev *dev)
{
	struct kfd_rings *rings;
	int ret;

	rings = kzalloc(sizeof(*rings), GFP_KERNEL);
	if (!rings)
		return -ENOMEM;
	rings->dev = dev;
	rings->device = dev->bar + KFDLAB_BAR_DEVICE_REGS;
	rings->driver = dev->bar + KFDLAB_BAR_DRIVER_REGS;
	rings->control = dev->bar + KFDLAB_BAR_CONTROL_RING;
	rings->copy = dev->bar + KFDLAB_BAR_COPY_RING;
	rings->ih = dev->bar + KFDLAB_BAR_IH_RING;
	mutex_init(&rings->control_lock);
	mutex_init(&rings->copy_lock);
	spin_lock_init(&rings->ih_lock);
	spin_lock_init(&rings->reset_lock);
	init_waitqueue_head(&rings->control_wait);
	init_waitqueue_head(&rings->copy_wait);
	INIT_WORK(&rings->dropped_work, dropped_work);
	INIT_WORK(&rings->generation_work, generation_work);

	/* Interrupts use it. */
	dev->rings = rings;
	ret = kfd_submit_init(rings);
	if (ret)
		goto err_free;
	ret = request_irqs(rings);
	if (ret)
		goto err_submit;
	/* Not only when a generation is adopted: another GPU's ring may copy from here before that. */
	WRITE_ONCE(rings->driver->bar_base, dev->bar_base);
	kfd_ring_sync(rings);
	return 0;

err_submit:
	kfd_submit_fini(rings);
err_free:
	dev->rings = NULL;
	kfree(rings);
	return ret;
}

/*
 * Every queued thing has been waited for by now, so the rings are idle and a later driver may go on
 * with them.
 */
void kfd_ring_fini(struct kfd_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;

	kfd_submit_fini(dev->rings);
	pci_free_irq(pdev, KFDLAB_IRQ_QUEUE_IDLE, dev->rings);
	pci_free_irq(pdev, KFDLAB_IRQ_STATE, dev->rings);
	pci_free_irq(pdev, KFDLAB_IRQ_CONTROL, dev->rings);
	pci_free_irq(pdev, KFDLAB_IRQ_IH, dev->rings);
	pci_free_irq_vectors(pdev);
	cancel_work_sync(&dev->rings->dropped_work);
	cancel_work_sync(&dev->rings->generation_work);
	kfd_doorbell_fini(dev);
	kfree(dev->rings);
	dev->rings = NULL;
}
