// SPDX-License-Identifier: GPL-2.0
/*
 * What queues wait for: see kfd_restore.h.
 */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "kfd_memory.h"
#include "kfd_process.h"
#include "kfd_queue.h"
#include "kfd_restore.h"
#include "kfd_smi.h"
#include "svm_range.h"

/* The first try is soon: whoever changed mappings mostly changes more of them. */
#define KFD_RESTORE_DELAY_MS	1
#define KFD_RESTORE_MAX_SHIFT	8

static struct workqueue_struct *kfd_restore_wq;

static void kfd_restore_queue(struct kfd_process *p)
{
	unsigned int shift = min(READ_ONCE(p->restore.failures), KFD_RESTORE_MAX_SHIFT);

	queue_delayed_work(kfd_restore_wq, &p->restore.work, msecs_to_jiffies(KFD_RESTORE_DELAY_MS << shift));
}

void kfd_restore_stop(struct kfd_process *p, u32 gpus, enum KFD_QUEUE_EVICTION_TRIGGERS trigger)
{
	struct kfd_restore *restore = &p->restore;
	unsigned long stop;
	unsigned int i;

	mutex_lock(&restore->lock);
	stop = restore->ended ? 0 : gpus & ~restore->quiesced;
	for_each_set_bit(i, &stop, KFD_MAX_GPUS) {
		kfd_smi_queue_eviction(p->tgid, kfd_dev_by_index(i), trigger);
		kfd_queue_quiesce(p, kfd_dev_by_index(i));
	}
	restore->quiesced |= stop;
	if (!restore->ended)
		kfd_restore_queue(p);
	mutex_unlock(&restore->lock);
}

static bool kfd_restore_is_done(struct kfd_process *p)
{
	bool done;

	spin_lock(&p->restore.lost_lock);
	done = list_empty(&p->restore.lost);
	spin_unlock(&p->restore.lost_lock);
	return done && !svm_any_lost(&p->svms);
}

bool kfd_restore_pending(struct kfd_process *p)
{
	return READ_ONCE(p->restore.quiesced) || !kfd_restore_is_done(p);
}

static void kfd_restore_resume(struct kfd_process *p)
{
	unsigned long gpus = p->restore.quiesced;
	unsigned int i;

	lockdep_assert_held(&p->restore.lock);
	for_each_set_bit(i, &gpus, KFD_MAX_GPUS) {
		kfd_queue_resume(p, kfd_dev_by_index(i));
		kfd_smi_queue_restore(p->tgid, kfd_dev_by_index(i), false);
	}
	p->restore.quiesced = 0;
}

/* Not yet: later. */
static void kfd_restore_again(struct kfd_process *p)
{
	unsigned long gpus = p->restore.quiesced;
	unsigned int i;

	lockdep_assert_held(&p->restore.lock);
	for_each_set_bit(i, &gpus, KFD_MAX_GPUS)
		kfd_smi_queue_restore(p->tgid, kfd_dev_by_index(i), true);
	kfd_restore_queue(p);
}

/* Locking: restore.run. @p's mm has a user. */
static int kfd_restore_pass(struct kfd_process *p)
{
	struct kfd_restore *restore = &p->restore;
	bool done;
	int ret;

	lockdep_assert_held(&restore->run);
	ret = kfd_buffers_restore(p);
	if (!ret)
		ret = svm_restore(&p->svms);
	mutex_lock(&restore->lock);
	done = kfd_restore_is_done(p);
	if (done)
		kfd_restore_resume(p);
	WRITE_ONCE(restore->failures, done ? 0 : restore->failures + 1);
	if (!done && !restore->ended)
		kfd_restore_again(p);
	mutex_unlock(&restore->lock);
	return ret;
}

static void kfd_restore_work(struct work_struct *work)
{
	struct kfd_process *p = container_of(to_delayed_work(work), struct kfd_process, restore.work);
	struct mm_struct *mm = p->notifier.mm;
	struct mem_cgroup *memcg, *old;

	/* Exiting: the teardown is under way, and queues wait for that. */
	if (!mmget_not_zero(mm))
		return;
	/* Page tables are the process's, whoever makes them. */
	memcg = get_mem_cgroup_from_mm(mm);
	old = set_active_memcg(memcg);
	mutex_lock(&p->restore.run);
	kfd_restore_pass(p);
	mutex_unlock(&p->restore.run);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	/* The last user may be us, and the process's teardown waits for this work. */
	mmput_async(mm);
}

/* GPUs on which the process has a VM. */
static u32 kfd_restore_vms(struct kfd_process *p)
{
	unsigned int i;
	u32 gpus = 0;

	for (i = 0; i < KFD_MAX_GPUS; i++)
		if (smp_load_acquire(&p->devices[i].vm))
			gpus |= BIT(i);
	return gpus;
}

int kfd_restore_now(struct kfd_process *p)
{
	int ret;

	/* Even if nothing is lost: somebody may be about to map what was. */
	if (mutex_lock_killable(&p->restore.run))
		return -EINTR;
	ret = kfd_restore_is_done(p) ? 0 : kfd_restore_pass(p);
	/* What was never mapped stopped no queue. */
	if (svm_any_lost(&p->svms))
		kfd_restore_stop(p, kfd_restore_vms(p), KFD_QUEUE_EVICTION_TRIGGER_SVM);
	mutex_unlock(&p->restore.run);
	return ret == -EINTR && fatal_signal_pending(current) ? -EINTR : 0;
}

void kfd_restore_init(struct kfd_process *p)
{
	struct kfd_restore *restore = &p->restore;

	mutex_init(&restore->run);
	mutex_init(&restore->lock);
	spin_lock_init(&restore->lost_lock);
	INIT_LIST_HEAD(&restore->lost);
	INIT_DELAYED_WORK(&restore->work, kfd_restore_work);
}

void kfd_restore_fini(struct kfd_process *p)
{
	mutex_lock(&p->restore.lock);
	p->restore.ended = true;
	mutex_unlock(&p->restore.lock);
	cancel_delayed_work_sync(&p->restore.work);
}

int kfd_restore_module_init(void)
{
	kfd_restore_wq = alloc_workqueue("kfdlab_restore", WQ_UNBOUND, 0);
	return kfd_restore_wq ? 0 : -ENOMEM;
}

void kfd_restore_module_fini(void)
{
	destroy_workqueue(kfd_restore_wq);
}
