// SPDX-License-Identifier: GPL-2.0
/*
 * Process objects: one for each mm that has /dev/kfd open, and their teardown.
 *
 * Three things keep an object: its MMU notifier, one user of it per open file (mmu_notifier_get() and _put()
 * balance open and close), and queued work. What the object owns is torn down once, under kfd_processes_lock, by
 * whoever comes first:
 *
 *   - the mm dies (exit, exec): the notifier's release callback runs in an SRCU section, where interval notifiers
 *     cannot be removed, so it queues work. Files may outlive that: a child that inherited one, or a process that
 *     got it over a socket, holds the empty object until it closes it.
 *   - the last file is closed: in the close itself, so that the process is gone when close() returns, and the next
 *     open() by the same mm, which waits for the lock, finds no notifier and makes a new object.
 *
 * No ioctl can run in either case. An ioctl holds its file, and it runs only with the object's mm as current's,
 * which keeps the mm from dying.
 */
#include <linux/file.h>
#include <linux/slab.h>

#include "kfd_event.h"
#include "kfd_memory.h"
#include "kfd_process.h"

static DEFINE_MUTEX(kfd_processes_lock);	/* the list, files 0 <-> 1, teardown */
static LIST_HEAD(kfd_processes);
static atomic_t kfd_processes_count = ATOMIC_INIT(0);
static struct workqueue_struct *kfd_process_wq;

static void kfd_process_free(struct kref *ref)
{
	kfree(container_of(ref, struct kfd_process, refs));
}

static void kfd_process_drop_render_files(struct kfd_process *p)
{
	unsigned int i;

	for (i = 0; i < KFD_MAX_GPUS; i++) {
		if (p->devices[i].render)
			fput(p->devices[i].render);
		p->devices[i].render = NULL;
	}
}

/* Give back all the process has. Does nothing the second time. */
static void kfd_process_teardown(struct kfd_process *p)
{
	lockdep_assert_held(&kfd_processes_lock);
	if (p->dead)
		return;
	WRITE_ONCE(p->dead, true);
	svm_range_list_fini(p);
	kfd_event_fini(p);
	kfd_memory_fini(p);
	kfd_process_drop_render_files(p);
	list_del(&p->node);
	atomic_dec(&kfd_processes_count);
}

static void kfd_process_release_work(struct work_struct *work)
{
	struct kfd_process *p = container_of(work, struct kfd_process, release_work);

	mutex_lock(&kfd_processes_lock);
	kfd_process_teardown(p);
	mutex_unlock(&kfd_processes_lock);
	kref_put(&p->refs, kfd_process_free);
}

static void kfd_process_notifier_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct kfd_process *p = container_of(mn, struct kfd_process, notifier);

	kref_get(&p->refs);
	if (!queue_work(kfd_process_wq, &p->release_work))
		kref_put(&p->refs, kfd_process_free);
}

static struct mmu_notifier *kfd_process_alloc_notifier(struct mm_struct *mm)
{
	struct kfd_process *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return ERR_PTR(-ENOMEM);
	kref_init(&p->refs);
	mutex_init(&p->lock);
	INIT_LIST_HEAD(&p->node);
	INIT_WORK(&p->release_work, kfd_process_release_work);
	/* Nothing to tear down before kfd_process_setup(), not even for an mm that dies right here. */
	p->dead = true;
	return &p->notifier;
}

/* Context: SRCU callback, softirqs off. */
static void kfd_process_free_notifier(struct mmu_notifier *mn)
{
	struct kfd_process *p = container_of(mn, struct kfd_process, notifier);

	kref_put(&p->refs, kfd_process_free);
}

static const struct mmu_notifier_ops kfd_process_notifier_ops = {
	.release = kfd_process_notifier_release,
	.alloc_notifier = kfd_process_alloc_notifier,
	.free_notifier = kfd_process_free_notifier,
};

/* Second half of the making: what may sleep on other locks, and needs the mm that the notifier now has. */
static int kfd_process_setup(struct kfd_process *p)
{
	int ret;

	lockdep_assert_held(&kfd_processes_lock);
	kref_init(&p->files);
	p->tgid = task_tgid_nr(current);
	kfd_memory_init(p);
	ret = kfd_event_init(p);
	if (ret)
		return ret;
	ret = svm_range_list_init(p);
	if (ret) {
		kfd_event_fini(p);
		return ret;
	}
	p->dead = false;
	list_add_tail(&p->node, &kfd_processes);
	atomic_inc(&kfd_processes_count);
	return 0;
}

struct kfd_process *kfd_process_open(void)
{
	struct mmu_notifier *mn;
	struct kfd_process *p;
	int ret = 0;

	if (!current->mm)
		return ERR_PTR(-EINVAL);
	mutex_lock(&kfd_processes_lock);
	mn = mmu_notifier_get(&kfd_process_notifier_ops, current->mm);
	if (IS_ERR(mn)) {
		mutex_unlock(&kfd_processes_lock);
		return ERR_CAST(mn);
	}
	p = container_of(mn, struct kfd_process, notifier);
	/* Listed means made; only the first open of an mm finds it not so, since its mm is alive: it is current's. */
	if (list_empty(&p->node))
		ret = kfd_process_setup(p);
	else
		kref_get(&p->files);
	if (ret)
		mmu_notifier_put(mn);
	mutex_unlock(&kfd_processes_lock);
	return ret ? ERR_PTR(ret) : p;
}

static void kfd_process_last_close(struct kref *ref)
{
	kfd_process_teardown(container_of(ref, struct kfd_process, files));
}

void kfd_process_close(struct kfd_process *p)
{
	mutex_lock(&kfd_processes_lock);
	kref_put(&p->files, kfd_process_last_close);
	/* Under the lock, so that an open() that follows teardown never finds the dead object's notifier. */
	mmu_notifier_put(&p->notifier);
	mutex_unlock(&kfd_processes_lock);
}

int kfd_process_check(const struct kfd_process *p)
{
	if (!current->mm || p->notifier.mm != current->mm)
		return -EBADF;
	return READ_ONCE(p->dead) ? -ESRCH : 0;
}

unsigned int kfd_process_count(void)
{
	return atomic_read(&kfd_processes_count);
}

void kfd_process_for_each(void (*fn)(struct kfd_process *p, void *arg), void *arg)
{
	struct kfd_process *p;

	mutex_lock(&kfd_processes_lock);
	list_for_each_entry(p, &kfd_processes, node)
		fn(p, arg);
	mutex_unlock(&kfd_processes_lock);
}

int kfd_process_init(void)
{
	kfd_process_wq = alloc_workqueue("kfdlab_process", WQ_UNBOUND, 0);
	return kfd_process_wq ? 0 : -ENOMEM;
}

/* Context: module exit; no file is open, so every notifier was put, but its callbacks may still be on their way. */
void kfd_process_fini(void)
{
	mmu_notifier_synchronize();
	destroy_workqueue(kfd_process_wq);
}
