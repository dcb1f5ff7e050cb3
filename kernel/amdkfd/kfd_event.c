// SPDX-License-Identifier: GPL-2.0
/*
 * Events and WAIT_EVENTS.
 *
 * One spinlock per process covers its events, their signalled state and who waits: signalling is short, and a wait
 * holds it for one event at a time. Signalling wakes everybody who waits for the event; an auto-reset event stays
 * signalled only if nobody did. (ROCr has several threads wait for one auto-reset event and expects all to look at
 * their signal's value again, so waking a single waiter would hang the others.) A wait that ends without having
 * reported an auto-reset event it consumed, because it timed out, failed or is restarted, signals that event again.
 *
 * The event page: where the device stores an event's id before it raises the interrupt. What counts is the interrupt;
 * the slots are looked at when interrupts may have been dropped.
 */
#include <linux/bsearch.h>
#include <linux/kfd_ioctl.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "kfd_doorbell.h"
#include "kfd_event.h"
#include "kfd_ioctl.h"
#include "kfd_memory.h"

#define KFD_EVENT_UNSIGNALLED	(~0ull)		/* event page slot that no interrupt came for */
#define KFD_EVENT_PAGE_BYTES	(KFD_SIGNAL_EVENT_LIMIT * sizeof(u64))
/* The whole buffer is pinned, so it may not be just any. The thunk's is exactly as large as the slots. */
#define KFD_EVENT_PAGE_MAX	(2 * KFD_EVENT_PAGE_BYTES)
#define KFD_MAX_WAIT_EVENTS	(KFD_SIGNAL_EVENT_LIMIT + KFD_MAX_OTHER_EVENTS)
#define KFD_WAIT_IMMEDIATE	0u
#define KFD_WAIT_FOREVER	0xffffffffu

/* What a wait for an exception tells: the leading union of struct kfd_event_data. */
union kfd_event_payload {
	struct kfd_hsa_memory_exception_data memory;
	struct kfd_hsa_hw_exception_data hw;
};

struct kfd_event {
	u64 serial;		/* never used again, unlike its id and its memory */
	u32 type;		/* KFD_IOC_EVENT_* */
	union kfd_event_payload payload;	/* MEMORY, HW_EXCEPTION: of the last one */
	bool auto_reset;
	bool signalled;
	struct list_head waiters;	/* struct kfd_waiter.link */
};

struct kfd_event_page {
	u64 *slots;			/* KFD_SIGNAL_EVENT_LIMIT, or NULL: no page */
	struct klttm_bo *bo;		/* referenced: outlives its handle */
};

/* Created with the process; page set once, by the first CREATE_EVENT that names a buffer. */
struct kfd_event_table {
	spinlock_t lock;		/* idr, serial, every event, every waiter, the slots */
	struct idr idr;
	u64 serial;			/* of the last event */
	/* Locking: written under p->lock and lock, so either is enough to read it. */
	struct kfd_event_page page;
};

/* One event of one wait. */
struct kfd_waiter {
	struct list_head link;		/* on event->waiters while not activated */
	u64 serial;			/* of the event */
	struct task_struct *task;
	u32 type;			/* the event's, and its payload once activated */
	union kfd_event_payload payload;
	bool activated;
	bool destroyed;			/* the event went away before it was signalled */
};

static bool kfd_event_has_slot(u32 type)
{
	return type == KFD_IOC_EVENT_SIGNAL || type == KFD_IOC_EVENT_DEBUG_EVENT;
}

int kfd_event_init(struct kfd_process *p)
{
	struct kfd_event_table *table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);

	if (!table)
		return -ENOMEM;
	spin_lock_init(&table->lock);
	idr_init(&table->idr);
	p->events = table;
	return 0;
}

static void kfd_event_page_drop(struct kfd_event_page *page)
{
	if (!page->bo)
		return;
	klttm_bo_kunmap(page->bo);
	klttm_bo_put(page->bo);
}

void kfd_event_fini(struct kfd_process *p)
{
	struct kfd_event_table *table = p->events;
	struct kfd_event *ev;
	int id;

	idr_for_each_entry(&table->idr, ev, id)
		kfree(ev);
	idr_destroy(&table->idr);
	kfd_event_page_drop(&table->page);
	kfree(table);
	p->events = NULL;
}

bool kfd_event_page_is_mapped(struct kfd_process *p)
{
	return p->events->page.bo && kfd_memory_is_mapped(p, p->events->page.bo);
}

/* Make the GTT buffer @handle a page with all slots unsignalled, for the table to take. */
static int kfd_event_page_get(struct kfd_process *p, u64 handle, struct kfd_event_page *page)
{
	struct klttm_bo *bo;
	void *slots;
	u64 size;

	lockdep_assert_held(&p->lock);
	if (p->events->page.bo)
		return -EINVAL;
	bo = kfd_memory_get_gtt(p, handle, &size);
	if (IS_ERR(bo))
		return PTR_ERR(bo);
	if (size < KFD_EVENT_PAGE_BYTES || size > KFD_EVENT_PAGE_MAX) {
		klttm_bo_put(bo);
		return -EINVAL;
	}
	slots = klttm_bo_kmap(bo);
	if (IS_ERR_OR_NULL(slots)) {
		klttm_bo_put(bo);
		return slots ? PTR_ERR(slots) : -ENOMEM;
	}
	memset(slots, 0xff, KFD_EVENT_PAGE_BYTES);
	page->slots = slots;
	page->bo = bo;
	return 0;
}

/*
 * Give @ev an id and let it be found; @page, if it is one, becomes the table's with it. Returns the id. From then on
 * @ev is not the caller's any more: whoever guesses the id may destroy it.
 */
static int kfd_event_publish(struct kfd_event_table *table, struct kfd_event *ev,
			     const struct kfd_event_page *page)
{
	bool slot = kfd_event_has_slot(ev->type);
	int start = slot ? 1 : KFD_FIRST_NONSIGNAL_EVENT;
	int end = slot ? KFD_SIGNAL_EVENT_LIMIT : KFD_FIRST_NONSIGNAL_EVENT + KFD_MAX_OTHER_EVENTS;
	int id;

	idr_preload(GFP_KERNEL);
	spin_lock(&table->lock);
	id = idr_alloc(&table->idr, ev, start, end, GFP_NOWAIT);
	if (id >= 0) {
		ev->serial = ++table->serial;
		if (page->bo)
			table->page = *page;
		if (slot && table->page.slots)
			WRITE_ONCE(table->page.slots[id], KFD_EVENT_UNSIGNALLED);
	}
	spin_unlock(&table->lock);
	idr_preload_end();
	return id;
}

int kfd_ioctl_create_event(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_create_event_args *args = data;
	bool slot = kfd_event_has_slot(args->event_type);
	struct kfd_event_page page = {};
	struct kfd_event *ev;
	int id = 0;

	if (args->event_type > KFD_IOC_EVENT_MEMORY)
		return -EINVAL;
	ev = kzalloc(sizeof(*ev), GFP_KERNEL_ACCOUNT);
	if (!ev)
		return -ENOMEM;
	ev->type = args->event_type;
	ev->auto_reset = args->auto_reset;
	INIT_LIST_HEAD(&ev->waiters);

	mutex_lock(&p->lock);
	if (args->event_page_offset)
		id = kfd_event_page_get(p, args->event_page_offset, &page);
	if (!id)
		id = kfd_event_publish(p->events, ev, &page);
	mutex_unlock(&p->lock);
	if (id < 0) {
		kfd_event_page_drop(&page);
		kfree(ev);
		return id;
	}
	args->event_id = id;
	args->event_trigger_data = id;
	args->event_slot_index = slot ? id : 0;
	/*
	 * What amdkfd answers for each event with a slot: the thunk takes it for the sign that there is one. Nothing can be
	 * mapped there, nor does anybody who has brought his own page.
	 */
	args->event_page_offset = slot && p->events->page.bo ? KFD_MMAP_TYPE_EVENTS << KFD_MMAP_TYPE_SHIFT : 0;
	return 0;
}

int kfd_ioctl_destroy_event(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_destroy_event_args *args = data;
	struct kfd_event_table *table = p->events;
	struct kfd_waiter *waiter, *next;
	struct kfd_event *ev;

	spin_lock(&table->lock);
	ev = idr_remove(&table->idr, args->event_id);
	if (ev) {
		list_for_each_entry_safe(waiter, next, &ev->waiters, link) {
			list_del_init(&waiter->link);
			WRITE_ONCE(waiter->destroyed, true);
			wake_up_process(waiter->task);
		}
	}
	spin_unlock(&table->lock);
	if (!ev)
		return -EINVAL;
	kfree(ev);
	return 0;
}

static void kfd_event_signal_locked(struct kfd_event *ev)
{
	struct kfd_waiter *waiter, *next;

	ev->signalled = !ev->auto_reset || list_empty(&ev->waiters);
	list_for_each_entry_safe(waiter, next, &ev->waiters, link) {
		list_del_init(&waiter->link);
		waiter->payload = ev->payload;
		WRITE_ONCE(waiter->activated, true);
		wake_up_process(waiter->task);
	}
}

/* Only signal events are signalled from outside; the driver raises the others with their data. */
static struct kfd_event *kfd_event_find_signal(struct kfd_event_table *table, u32 id)
{
	struct kfd_event *ev = idr_find(&table->idr, id);

	return ev && ev->type == KFD_IOC_EVENT_SIGNAL ? ev : NULL;
}

int kfd_event_signal(struct kfd_process *p, u32 id)
{
	struct kfd_event_table *table = p->events;
	struct kfd_event *ev;

	spin_lock(&table->lock);
	ev = kfd_event_find_signal(table, id);
	if (ev)
		kfd_event_signal_locked(ev);
	spin_unlock(&table->lock);
	return ev ? 0 : -EINVAL;
}

/* ---- from interrupts ---- */

/*
 * The slot is made unsignalled first: what the device writes to it from then on comes with an interrupt of its own.
 * Locking: table->lock held.
 */
static void kfd_event_interrupt_locked(struct kfd_event_table *table, u32 id)
{
	struct kfd_event *ev = idr_find(&table->idr, id);

	if (!ev || !kfd_event_has_slot(ev->type))
		return;
	if (table->page.slots)
		WRITE_ONCE(table->page.slots[id], KFD_EVENT_UNSIGNALLED);
	kfd_event_signal_locked(ev);
}

void kfd_event_interrupt(struct kfd_process *p, u32 id)
{
	struct kfd_event_table *table = p->events;

	spin_lock(&table->lock);
	if (id < KFD_SIGNAL_EVENT_LIMIT)
		kfd_event_interrupt_locked(table, id);
	spin_unlock(&table->lock);
}

void kfd_event_interrupt_all(struct kfd_process *p)
{
	struct kfd_event_table *table = p->events;
	u32 id;

	for (id = 1; id < KFD_SIGNAL_EVENT_LIMIT; id++) {
		spin_lock(&table->lock);
		if (!table->page.slots || READ_ONCE(table->page.slots[id]) != KFD_EVENT_UNSIGNALLED)
			kfd_event_interrupt_locked(table, id);
		spin_unlock(&table->lock);
	}
}

/* Signal all events of one of the types that carry a payload. */
static void kfd_event_raise(struct kfd_process *p, u32 type, const union kfd_event_payload *payload)
{
	struct kfd_event_table *table = p->events;
	struct kfd_event *ev;
	int id = KFD_FIRST_NONSIGNAL_EVENT;

	spin_lock(&table->lock);
	idr_for_each_entry_continue(&table->idr, ev, id) {
		if (ev->type != type)
			continue;
		ev->payload = *payload;
		kfd_event_signal_locked(ev);
	}
	spin_unlock(&table->lock);
}

void kfd_event_raise_memory(struct kfd_process *p, const struct kfd_hsa_memory_exception_data *data)
{
	const union kfd_event_payload payload = { .memory = *data };

	kfd_event_raise(p, KFD_IOC_EVENT_MEMORY, &payload);
}

void kfd_event_raise_hw_exception(struct kfd_process *p, const struct kfd_hsa_hw_exception_data *data)
{
	const union kfd_event_payload payload = { .hw = *data };

	kfd_event_raise(p, KFD_IOC_EVENT_HW_EXCEPTION, &payload);
}

/* ---- from user space ---- */

int kfd_ioctl_set_event(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_set_event_args *args = data;

	return kfd_event_signal(p, args->event_id);
}

int kfd_ioctl_reset_event(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_reset_event_args *args = data;
	struct kfd_event_table *table = p->events;
	struct kfd_event *ev;

	spin_lock(&table->lock);
	ev = kfd_event_find_signal(table, args->event_id);
	if (ev)
		ev->signalled = false;
	spin_unlock(&table->lock);
	return ev ? 0 : -EINVAL;
}

/* Begin to wait for event @id. An auto-reset event that is signalled is consumed. */
static int kfd_waiter_begin(struct kfd_event_table *table, struct kfd_waiter *waiter, u32 id)
{
	struct kfd_event *ev;

	INIT_LIST_HEAD(&waiter->link);
	waiter->task = current;
	spin_lock(&table->lock);
	ev = idr_find(&table->idr, id);
	if (ev) {
		waiter->serial = ev->serial;
		waiter->type = ev->type;
		waiter->payload = ev->payload;
		waiter->activated = ev->signalled;
		if (!waiter->activated)
			list_add_tail(&waiter->link, &ev->waiters);
		else if (ev->auto_reset)
			ev->signalled = false;
	}
	spin_unlock(&table->lock);
	return ev ? 0 : -EINVAL;
}

/*
 * An activated waiter is no longer on its event's list, so it is not told when the event is destroyed: @ids finds the
 * event again, or another one that has the id by now, which its serial gives away.
 */
static void kfd_waiters_end(struct kfd_event_table *table, struct kfd_waiter *waiters,
			    const u32 *ids, unsigned int n, bool reported)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct kfd_event *ev;

		spin_lock(&table->lock);
		list_del_init(&waiters[i].link);
		ev = idr_find(&table->idr, ids[i]);
		if (!reported && waiters[i].activated && ev && ev->serial == waiters[i].serial && ev->auto_reset)
			kfd_event_signal_locked(ev);
		spin_unlock(&table->lock);
	}
}

static u32 kfd_wait_result(const struct kfd_waiter *waiters, unsigned int n, bool all)
{
	unsigned int i, activated = 0;

	for (i = 0; i < n; i++) {
		if (READ_ONCE(waiters[i].activated))
			activated++;
		else if (READ_ONCE(waiters[i].destroyed))
			return KFD_IOC_WAIT_RESULT_FAIL;
	}
	return activated == n || (activated && !all) ? KFD_IOC_WAIT_RESULT_COMPLETE :
						       KFD_IOC_WAIT_RESULT_TIMEOUT;
}

static long kfd_wait_jiffies(u32 ms)
{
	if (ms == KFD_WAIT_IMMEDIATE)
		return 0;
	if (ms == KFD_WAIT_FOREVER)
		return MAX_SCHEDULE_TIMEOUT;
	/* One more, since the current jiffy is partly over. */
	return msecs_to_jiffies(min_t(u32, ms, INT_MAX)) + 1;
}

/*
 * Sleep until the waiters are satisfied or the time is up. A signal ends it with -ERESTARTSYS and the time that is
 * left in *ms, which goes back to user space, so that the restarted call waits for the rest only.
 */
static int kfd_wait_sleep(const struct kfd_waiter *waiters, unsigned int n, bool all, u32 *ms, u32 *result)
{
	long left = kfd_wait_jiffies(*ms);
	int ret = 0;

	for (;;) {
		/* Before the look, so that a wake-up after it is not lost. */
		set_current_state(TASK_INTERRUPTIBLE);
		*result = kfd_wait_result(waiters, n, all);
		if (*result != KFD_IOC_WAIT_RESULT_TIMEOUT || left <= 0)
			break;
		if (signal_pending(current)) {
			ret = fatal_signal_pending(current) ? -EINTR : -ERESTARTSYS;
			if (*ms != KFD_WAIT_FOREVER)
				*ms = jiffies_to_msecs(left - 1);
			break;
		}
		left = schedule_timeout(left);
	}
	__set_current_state(TASK_RUNNING);
	return ret;
}

static int kfd_compare_ids(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

/*
 * Make ids[] a set and return its size. So a thread waits for an event once, and signalling, which wakes all waiters
 * under a spinlock, takes no longer than there are threads. The order is nobody's business: no wait tells it.
 */
static unsigned int kfd_unique_ids(u32 *ids, unsigned int n)
{
	unsigned int i, unique = 1;

	sort(ids, n, sizeof(*ids), kfd_compare_ids, NULL);
	for (i = 1; i < n; i++)
		if (ids[i] != ids[unique - 1])
			ids[unique++] = ids[i];
	return unique;
}

static u32 kfd_payload_size(const struct kfd_waiter *waiter)
{
	if (!READ_ONCE(waiter->activated))
		return 0;
	if (waiter->type == KFD_IOC_EVENT_MEMORY)
		return sizeof(waiter->payload.memory);
	return waiter->type == KFD_IOC_EVENT_HW_EXCEPTION ? sizeof(waiter->payload.hw) : 0;
}

/* Tell what happened in the entries of exceptions; ids[] is the sorted set of those that @waiters wait for. */
static int kfd_copy_payloads(struct kfd_event_data __user *events, u32 num_events,
			     const struct kfd_waiter *waiters, const u32 *ids, unsigned int n)
{
	unsigned int i, exceptions = 0;

	for (i = 0; i < n; i++)
		exceptions += kfd_payload_size(&waiters[i]) != 0;
	for (i = 0; exceptions && i < num_events; i++) {
		const u32 *found;
		u32 id, size;

		if (get_user(id, &events[i].event_id))
			return -EFAULT;
		found = bsearch(&id, ids, n, sizeof(id), kfd_compare_ids);
		size = found ? kfd_payload_size(&waiters[found - ids]) : 0;
		if (size && copy_to_user(&events[i], &waiters[found - ids].payload, size))
			return -EFAULT;
	}
	return 0;
}

static int kfd_wait(struct kfd_process *p, struct kfd_ioctl_wait_events_args *args,
		    struct kfd_waiter *waiters, u32 *ids)
{
	struct kfd_event_data __user *events = u64_to_user_ptr(args->events_ptr);
	unsigned int begun, n;
	int ret = 0;

	for (n = 0; n < args->num_events; n++)
		if (get_user(ids[n], &events[n].event_id))
			return -EFAULT;
	n = kfd_unique_ids(ids, n);
	for (begun = 0; begun < n && !ret; begun++)
		ret = kfd_waiter_begin(p->events, &waiters[begun], ids[begun]);
	if (!ret)
		ret = kfd_wait_sleep(waiters, begun, args->wait_for_all, &args->timeout,
				     &args->wait_result);
	if (!ret && args->wait_result == KFD_IOC_WAIT_RESULT_FAIL)
		ret = -EIO;
	if (!ret && args->wait_result == KFD_IOC_WAIT_RESULT_COMPLETE)
		ret = kfd_copy_payloads(events, args->num_events, waiters, ids, n);
	kfd_waiters_end(p->events, waiters, ids, begun,
			!ret && args->wait_result == KFD_IOC_WAIT_RESULT_COMPLETE);
	return ret;
}

/* 0 with COMPLETE or TIMEOUT; -EIO with FAIL when an event was destroyed under the wait; -EINVAL unknown event. */
int kfd_ioctl_wait_events(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_wait_events_args *args = data;
	struct kfd_waiter *waiters;
	int ret = -ENOMEM;
	u32 *ids;

	args->wait_result = KFD_IOC_WAIT_RESULT_FAIL;
	if (!args->num_events || args->num_events > KFD_MAX_WAIT_EVENTS)
		return -EINVAL;
	waiters = kvcalloc(args->num_events, sizeof(*waiters), GFP_KERNEL_ACCOUNT);
	ids = kvcalloc(args->num_events, sizeof(*ids), GFP_KERNEL_ACCOUNT);
	if (waiters && ids)
		ret = kfd_wait(p, args, waiters, ids);
	if (ret)
		args->wait_result = KFD_IOC_WAIT_RESULT_FAIL;
	kvfree(ids);
	kvfree(waiters);
	return ret;
}
