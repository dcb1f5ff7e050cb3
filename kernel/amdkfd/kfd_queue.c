// SPDX-License-Identifier: GPL-2.0
/*
 * User queues and the device: mapping, stopping and resuming them through the control ring.
 *
 * A queue runs when user space wants it to, nothing of its process asked for quiet, and no fault has ended it. What is
 * wanted is kept here; kfd_queue_apply() makes the device's state follow, so every change is: set what is wanted,
 * apply. An entry that is answered with -ENODEV leaves nothing to do: the device that knew of the queue is gone.
 */
#include <linux/io.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "kfd_doorbell.h"
#include "kfd_interrupt.h"
#include "kfd_process.h"
#include "kfd_queue.h"
#include "kfd_vm.h"

static_assert(KFDLAB_QUEUE_COUNT <= KFDLAB_DOORBELL_SIZE / KFD_DOORBELL_SLICES / sizeof(u64),
	      "a queue's number is its doorbell");

static struct kfd_process_device *kfd_queue_pdd(const struct kfd_queue *q)
{
	return &q->process->devices[q->dev->index];
}

static void kfd_queue_lose(struct kfd_queue *q)
{
	lockdep_assert_held(&q->dev->queues->lock);
	q->lost = true;
	q->generation = 0;
	/* Of one that is just being created its creator is told by the error. */
	if (!list_empty(&q->link))
		kfd_interrupt_lost(q->process, q->dev);
}

/* One entry about a mapped queue. -ENODEV: the queue is lost. */
static int kfd_queue_control(struct kfd_queue *q, enum kfdlab_control_op op)
{
	const u64 args[KFD_CONTROL_ARGS] = {
		[KFDLAB_QUEUE_NUMBER] = q->number,
		[KFDLAB_QUEUE_MQD] = virt_to_phys(q->mqd),
	};
	int ret = kfd_ring_control_at(q->dev, q->generation, op, q->vmid, args);

	if (ret)
		kfd_queue_lose(q);
	return ret;
}

static int kfd_queue_map(struct kfd_queue *q)
{
	struct kfd_queues *queues = q->dev->queues;
	int ret;

	q->generation = kfd_ring_adopted(q->dev);
	if (!q->generation)
		return -ENODEV;
	if (queues->generation != q->generation) {
		ret = kfd_vm_replay(q->dev, q->generation);
		if (ret) {
			q->generation = 0;
			return ret;
		}
		queues->generation = q->generation;
	}
	q->stopped = false;
	q->dirty = false;
	return kfd_queue_control(q, KFDLAB_CONTROL_MAP_QUEUE);
}

static bool kfd_queue_wanted(const struct kfd_queue *q)
{
	return q->active && !q->halted && !kfd_queue_pdd(q)->quiesced;
}

/* Make the device do with the queue what is wanted now. 0, or -ENODEV. */
static int kfd_queue_apply(struct kfd_queue *q)
{
	bool run = kfd_queue_wanted(q);
	int ret = 0;

	lockdep_assert_held(&q->dev->queues->lock);
	if (q->lost)
		return -ENODEV;
	if (!q->generation)
		return run ? kfd_queue_map(q) : 0;
	if (!q->stopped && (!run || q->dirty)) {
		ret = kfd_queue_control(q, KFDLAB_CONTROL_QUIESCE);
		q->stopped = true;
	}
	if (!ret && run && q->dirty) {
		ret = kfd_queue_control(q, KFDLAB_CONTROL_UPDATE_QUEUE);
		q->dirty = false;
	}
	if (!ret && run && q->stopped) {
		ret = kfd_queue_control(q, KFDLAB_CONTROL_RESUME);
		q->stopped = false;
	}
	return ret;
}

/* ---- all of a process ---- */

/* One entry about all queues of a process, if the present device has any of them. */
static void kfd_queues_control(struct kfd_process_device *pdd, struct kfd_dev *dev, enum kfdlab_control_op op)
{
	const u64 args[KFD_CONTROL_ARGS] = { [KFDLAB_QUEUE_NUMBER] = KFDLAB_QUEUE_ALL };
	u32 generation = kfd_ring_adopted(dev);
	struct kfd_queue *q, *mapped = NULL;

	list_for_each_entry(q, &pdd->queues, link) {
		if (q->generation && q->generation != generation)
			kfd_queue_lose(q);
		else if (q->generation)
			mapped = q;
	}
	if (mapped && kfd_ring_control_at(dev, generation, op, mapped->vmid, args))
		list_for_each_entry(q, &pdd->queues, link)
			if (q->generation)
				kfd_queue_lose(q);
}

void kfd_queue_quiesce(struct kfd_process *p, struct kfd_dev *dev)
{
	struct kfd_process_device *pdd = &p->devices[dev->index];
	struct kfd_queue *q;
	bool running = false;

	mutex_lock(&dev->queues->lock);
	if (!pdd->quiesced++) {
		list_for_each_entry(q, &pdd->queues, link)
			running |= q->generation && !q->stopped;
		if (running)
			kfd_queues_control(pdd, dev, KFDLAB_CONTROL_QUIESCE);
		list_for_each_entry(q, &pdd->queues, link)
			q->stopped = true;
	}
	mutex_unlock(&dev->queues->lock);
}

void kfd_queue_resume(struct kfd_process *p, struct kfd_dev *dev)
{
	struct kfd_process_device *pdd = &p->devices[dev->index];
	unsigned int waiting = 0, other = 0;
	struct kfd_queue *q;

	mutex_lock(&dev->queues->lock);
	if (WARN_ON_ONCE(!pdd->quiesced) || --pdd->quiesced)
		goto out;
	list_for_each_entry(q, &pdd->queues, link) {
		if (!q->generation)
			continue;
		if (kfd_queue_wanted(q) && !q->dirty)
			waiting++;
		else
			other++;
	}
	/* With one entry if that is right for all of them. */
	if (waiting > 1 && !other) {
		kfd_queues_control(pdd, dev, KFDLAB_CONTROL_RESUME);
		list_for_each_entry(q, &pdd->queues, link)
			if (q->generation)
				q->stopped = false;
	}
	list_for_each_entry(q, &pdd->queues, link)
		/* CREATE_QUEUE has answered by now: one that cannot be mapped any more is lost like those that were. */
		if (kfd_queue_apply(q) && !q->lost)
			kfd_queue_lose(q);
out:
	mutex_unlock(&dev->queues->lock);
}

bool kfd_queue_any(struct kfd_process *p, struct kfd_dev *dev)
{
	return !list_empty_careful(&p->devices[dev->index].queues);
}

void kfd_queue_halt(struct kfd_process *p, struct kfd_dev *dev)
{
	struct kfd_process_device *pdd = &p->devices[dev->index];
	struct kfd_queue *q;

	mutex_lock(&dev->queues->lock);
	kfd_queues_control(pdd, dev, KFDLAB_CONTROL_QUIESCE);
	list_for_each_entry(q, &pdd->queues, link) {
		q->halted = true;
		q->stopped = true;
	}
	mutex_unlock(&dev->queues->lock);
}

bool kfd_queue_collect_errors(struct kfd_process *p, struct kfd_dev *dev)
{
	bool found = false;
	struct kfd_queue *q;

	mutex_lock(&dev->queues->lock);
	list_for_each_entry(q, &p->devices[dev->index].queues, link) {
		if (!q->generation || q->reported || !READ_ONCE(q->mqd->cp_hqd_error))
			continue;
		q->reported = true;
		found = true;
	}
	mutex_unlock(&dev->queues->lock);
	return found;
}

/* ---- one queue ---- */

int kfd_queue_add(struct kfd_queue *q)
{
	struct kfd_queues *queues = q->dev->queues;
	unsigned long number;
	int ret = 0;

	lockdep_assert_held(&q->process->lock);
	mutex_lock(&queues->lock);
	number = find_first_zero_bit(queues->numbers, KFDLAB_QUEUE_COUNT);
	if (number >= KFDLAB_QUEUE_COUNT || kfd_queue_pdd(q)->nqueues >= KFD_PROCESS_QUEUES) {
		ret = -ENOMEM;
		goto out;
	}
	q->number = number;
	q->mqd->cp_hqd_pq_doorbell_offset = kfd_doorbell_reset(q->process, q->dev, number);
	ret = kfd_queue_apply(q);
	if (ret)
		goto out;
	__set_bit(number, queues->numbers);
	queues->count++;
	kfd_queue_pdd(q)->nqueues++;
	list_add_tail(&q->link, &kfd_queue_pdd(q)->queues);
out:
	mutex_unlock(&queues->lock);
	return ret;
}

static void kfd_queue_unlink(struct kfd_queue *q)
{
	struct kfd_queues *queues = q->dev->queues;

	lockdep_assert_held(&queues->lock);
	list_del(&q->link);
	kfd_queue_pdd(q)->nqueues--;
	__clear_bit(q->number, queues->numbers);
	queues->count--;
}

void kfd_queue_remove(struct kfd_queue *q)
{
	mutex_lock(&q->dev->queues->lock);
	if (q->generation)
		kfd_queue_control(q, KFDLAB_CONTROL_UNMAP_QUEUE);
	kfd_queue_unlink(q);
	mutex_unlock(&q->dev->queues->lock);
}

int kfd_queue_set_properties(struct kfd_queue *q, const struct kfd_queue_properties *properties)
{
	int ret;

	lockdep_assert_held(&q->process->lock);
	mutex_lock(&q->dev->queues->lock);
	/* A ring that is taken away is still the one the device stands in: it is stopped, and goes on in the next. */
	if (properties->active) {
		q->mqd->cp_hqd_pq_base = properties->base;
		q->mqd->cp_hqd_pq_size = properties->size;
	}
	q->mqd->cp_hqd_queue_priority = properties->priority;
	q->active = properties->active;
	q->dirty = true;
	ret = kfd_queue_apply(q);
	mutex_unlock(&q->dev->queues->lock);
	return ret;
}

int kfd_queue_set_cu_mask(struct kfd_queue *q, const u32 *mask, unsigned int words)
{
	unsigned int i;
	int ret;

	lockdep_assert_held(&q->process->lock);
	mutex_lock(&q->dev->queues->lock);
	for (i = 0; i < ARRAY_SIZE(q->mqd->compute_static_thread_mgmt); i++)
		q->mqd->compute_static_thread_mgmt[i] = i < words ? mask[i] : 0;
	q->dirty = true;
	ret = kfd_queue_apply(q);
	mutex_unlock(&q->dev->queues->lock);
	return ret;
}

int kfd_queue_set_gws(struct kfd_queue *q, u32 count)
{
	int ret;

	lockdep_assert_held(&q->process->lock);
	mutex_lock(&q->dev->queues->lock);
	q->mqd->gws_count = count;
	q->dirty = true;
	ret = kfd_queue_apply(q);
	mutex_unlock(&q->dev->queues->lock);
	return ret;
}

bool kfd_queue_is_stopped_compute(const struct kfd_queue *q)
{
	u32 type = q->mqd->queue_type;
	bool stopped;

	lockdep_assert_held(&q->process->lock);
	mutex_lock(&q->dev->queues->lock);
	stopped = !q->active;
	mutex_unlock(&q->dev->queues->lock);
	return stopped && (type == KFDLAB_QUEUE_PM4 || type == KFDLAB_QUEUE_AQL);
}

static const char *kfd_queue_state(const struct kfd_queue *q)
{
	if (q->lost)
		return "lost";
	if (q->halted)
		return "halted";
	if (!q->active)
		return "inactive";
	return q->stopped ? "stopped" : "running";
}

void kfd_queue_show(struct seq_file *m, struct kfd_process *p)
{
	static const char * const types[] = { "pm4", "sdma", "aql", "sdma_xgmi" };
	struct kfd_queue *q;
	unsigned int i;

	for (i = 0; i < KFD_MAX_GPUS; i++) {
		struct kfd_dev *dev = kfd_dev_by_index(i);

		if (!dev)
			continue;
		mutex_lock(&dev->queues->lock);
		list_for_each_entry(q, &p->devices[i].queues, link)
			seq_printf(m, "process %d queue %u gpu 0x%x number %u %s %s ring 0x%llx bytes %llu priority %u gws %u cu_mask 0x%x error %u\n",
				   p->tgid, q->id, dev->gpu_id, q->number, types[q->mqd->queue_type & 3],
				   kfd_queue_state(q), q->mqd->cp_hqd_pq_base, q->mqd->cp_hqd_pq_size,
				   q->mqd->cp_hqd_queue_priority, q->mqd->gws_count,
				   q->mqd->compute_static_thread_mgmt[0], READ_ONCE(q->mqd->cp_hqd_error));
		mutex_unlock(&dev->queues->lock);
	}
}

/* ---- the end ---- */

static int kfd_queue_check_process(struct kfd_process *p, struct mm_struct *mm, void *arg)
{
	struct kfd_dev *dev = arg;
	struct kfd_process_device *pdd = &p->devices[dev->index];
	u32 generation = kfd_ring_adopted(dev);
	struct kfd_queue *q;

	mutex_lock(&dev->queues->lock);
	list_for_each_entry(q, &pdd->queues, link)
		if (q->generation && q->generation != generation)
			kfd_queue_lose(q);
	mutex_unlock(&dev->queues->lock);
	return 0;
}

void kfd_queues_check_generation(struct kfd_dev *dev)
{
	kfd_process_for_each_mm(kfd_queue_check_process, dev);
}

static void kfd_queue_fini_device(struct kfd_process *p, struct kfd_dev *dev)
{
	struct kfd_process_device *pdd = &p->devices[dev->index];
	struct kfd_queue *q, *next;
	LIST_HEAD(dead);

	mutex_lock(&dev->queues->lock);
	kfd_queues_control(pdd, dev, KFDLAB_CONTROL_UNMAP_QUEUE);
	list_for_each_entry_safe(q, next, &pdd->queues, link) {
		kfd_queue_unlink(q);
		list_add(&q->link, &dead);
	}
	mutex_unlock(&dev->queues->lock);
	list_for_each_entry_safe(q, next, &dead, link)
		kfd_queue_free(q);
}

void kfd_queue_fini(struct kfd_process *p)
{
	unsigned int i;

	for (i = 0; i < KFD_MAX_GPUS; i++)
		if (!list_empty(&p->devices[i].queues))
			kfd_queue_fini_device(p, kfd_dev_by_index(i));
	idr_destroy(&p->queues);
}

int kfd_queues_init(struct kfd_dev *dev)
{
	dev->queues = kzalloc(sizeof(*dev->queues), GFP_KERNEL);
	if (!dev->queues)
		return -ENOMEM;
	mutex_init(&dev->queues->lock);
	return 0;
}

void kfd_queues_fini(struct kfd_dev *dev)
{
	WARN_ON_ONCE(dev->queues->count);
	kfree(dev->queues);
	dev->queues = NULL;
}
