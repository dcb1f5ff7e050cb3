// SPDX-License-Identifier: GPL-2.0
/*
 * Process objects: one for each mm that has /dev/kfd open, and their teardown.
 *
 * Three things keep an object: its MMU notifier, one user of it per open file (mmu_notifier_get() and _put()
 * balance open and close), and queued work. What the object owns is torn down once, by whoever claims it first, which
 * takes it off the list:
 *
 *   - the mm dies (exit, exec): the notifier's release callback runs in an SRCU section, where interval notifiers
 *     cannot be removed, so it queues work. Files may outlive that: a child that inherited one, or a process that
 *     got it over a socket, holds the empty object until it closes it.
 *   - the last file is closed: in the close itself, so that the process is gone when close() returns. The notifier is
 *     put in the same section of kfd_processes_lock, so an open() by the same mm makes a new object, even while the
 *     old one's teardown is still under way: the two share nothing but the mm.
 *
 *     Unless the process still uses what it had: its event page is mapped on a GPU, and it holds the render file it
 *     acquired. That is how the thunk closes and opens again: it never makes another event page. amdkfd keeps every
 *     process until its mm dies; here those are kept, with a user of the notifier and one of the module.
 *
 * No ioctl can run in either case. An ioctl holds its file, and it runs only with the object's mm as current's,
 * which keeps the mm from dying.
 *
 * Teardown waits for the mmap_lock of its mm, which user space can hold for as long as it likes (a fault on a FUSE
 * file). So nothing that waits for an mmap_lock does it under kfd_processes_lock, or all processes would wait with it.
 *
 * This file also guards the set of GPUs, for which kfd_gpus_get() states the rule.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "kfd_doorbell.h"
#include "kfd_event.h"
#include "kfd_memory.h"
#include "kfd_mmio.h"
#include "kfd_process.h"
#include "kfd_procfs.h"
#include "kfd_queue.h"
#include "kfd_vm.h"

static DEFINE_MUTEX(kfd_processes_lock);	/* what follows but the count going down; files 0 <-> 1; dead */
static LIST_HEAD(kfd_processes);		/* those nobody claimed for teardown, by serial */
static u64 kfd_process_serial;			/* of the last process */
static atomic_t kfd_gpu_users = ATOMIC_INIT(0);	/* processes until they are torn down, and other kfd_gpus_get() */
static unsigned int kfd_gpu_changes;		/* GPUs that come or go just now: no new users */
static struct workqueue_struct *kfd_process_wq;

static void kfd_process_free(struct kref *ref)
{
	kfree(container_of(ref, struct kfd_process, refs));
}

void kfd_process_get(struct kfd_process *p)
{
	kref_get(&p->refs);
}

void kfd_process_put(struct kfd_process *p)
{
	kref_put(&p->refs, kfd_process_free);
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

/* May the caller tear @p down? Then it must, with kfd_process_teardown() and the lock dropped. True only once. */
static bool kfd_process_claim(struct kfd_process *p)
{
	lockdep_assert_held(&kfd_processes_lock);
	if (p->dead)
		return false;
	WRITE_ONCE(p->dead, true);
	list_del(&p->node);
	/* The notifier, which is about to be put, held both. */
	kref_get(&p->refs);
	mmgrab(p->notifier.mm);
	return true;
}

/* Give back all a claimed process has. Context: no lock held, since it waits for the mmap_lock. */
static void kfd_process_teardown(struct kfd_process *p)
{
	kfd_procfs_remove(p);
	/* First what runs on the GPU, then what it runs on. */
	kfd_queue_fini(p);
	kfd_interrupt_fini(p);
	svm_faults_fini(p);
	kfd_restore_fini(p);
	kfd_vm_detach(p);
	svm_range_list_fini(p);
	kfd_event_fini(p);
	kfd_memory_fini(p);
	kfd_vm_fini(p);
	kfd_doorbell_put_all(p);
	kfd_mmio_put_all(p);
	kfd_process_drop_render_files(p);
	mmdrop(p->notifier.mm);
	kfd_process_put(p);
	/* From here on GPUs may go. */
	kfd_gpus_put();
}

/* Let go of the one that was kept. Context: work, or an open file, so the module stays until it is waited for. */
static void kfd_process_unkeep(struct kfd_process *p)
{
	lockdep_assert_held(&kfd_processes_lock);
	if (!p->kept)
		return;
	p->kept = false;
	mmu_notifier_put(&p->notifier);
	module_put(THIS_MODULE);
}

static void kfd_process_release_work(struct work_struct *work)
{
	struct kfd_process *p = container_of(work, struct kfd_process, release_work);
	bool claimed;

	mutex_lock(&kfd_processes_lock);
	claimed = kfd_process_claim(p);
	kfd_process_unkeep(p);
	mutex_unlock(&kfd_processes_lock);
	if (claimed)
		kfd_process_teardown(p);
	kfd_process_put(p);
}

/* Does the process, whose last file is being closed, mean to open it again? No ioctl of it runs. */
static bool kfd_process_goes_on(struct kfd_process *p)
{
	unsigned int i;

	lockdep_assert_held(&kfd_processes_lock);
	/* By a call of its own, not because it ends. */
	if (p->dead || current->mm != p->notifier.mm || !kfd_event_page_is_mapped(p))
		return false;
	for (i = 0; i < KFD_MAX_GPUS; i++)
		if (p->devices[i].render && file_count(p->devices[i].render) < 2)
			return false;
	return true;
}

static void kfd_process_notifier_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct kfd_process *p = container_of(mn, struct kfd_process, notifier);

	kref_get(&p->refs);
	if (!queue_work(kfd_process_wq, &p->release_work))
		kfd_process_put(p);
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

	kfd_process_put(p);
}

static const struct mmu_notifier_ops kfd_process_notifier_ops = {
	.release = kfd_process_notifier_release,
	.alloc_notifier = kfd_process_alloc_notifier,
	.free_notifier = kfd_process_free_notifier,
};

/* Second half of the making: what may sleep on other locks, and needs the mm that the notifier now has. */
static int kfd_process_setup(struct kfd_process *p)
{
	unsigned int i;
	int ret;

	lockdep_assert_held(&kfd_processes_lock);
	p->files = 1;
	p->tgid = task_tgid_nr(current);
	kfd_memory_init(p);
	kfd_restore_init(p);
	svm_faults_init(p);
	idr_init(&p->queues);
	for (i = 0; i < KFD_MAX_GPUS; i++)
		INIT_LIST_HEAD(&p->devices[i].queues);
	kfd_interrupt_init(p);
	ret = kfd_event_init(p);
	if (ret)
		return ret;
	ret = svm_range_list_init(p);
	if (ret) {
		kfd_event_fini(p);
		return ret;
	}
	p->dead = false;
	p->serial = ++kfd_process_serial;
	list_add_tail(&p->node, &kfd_processes);
	atomic_inc(&kfd_gpu_users);
	return 0;
}

static struct kfd_process *kfd_process_get_locked(struct mm_struct *mm)
{
	struct mmu_notifier *mn;
	struct kfd_process *p;
	int ret = 0;

	lockdep_assert_held(&kfd_processes_lock);
	if (kfd_gpu_changes)
		return ERR_PTR(-ENODEV);
	mn = mmu_notifier_get_locked(&kfd_process_notifier_ops, mm);
	/* mm_take_all_locks() gives up for any signal, one that is ignored included: open() then starts again. */
	if (mn == ERR_PTR(-EINTR))
		return ERR_PTR(-ERESTARTSYS);
	if (IS_ERR(mn))
		return ERR_CAST(mn);
	p = container_of(mn, struct kfd_process, notifier);
	/* Listed means made; only the first open of an mm finds it not so, since its mm is alive: it is current's. */
	if (list_empty(&p->node))
		ret = kfd_process_setup(p);
	else
		p->files++;
	if (ret)
		mmu_notifier_put(mn);
	return ret ? ERR_PTR(ret) : p;
}

struct kfd_process *kfd_process_open(void)
{
	struct mm_struct *mm = current->mm;
	struct kfd_process *p;

	if (!mm)
		return ERR_PTR(-EINVAL);
	/* First, and killable: others of this process may hold it for long, and must then not hold up the rest. */
	if (mmap_write_lock_killable(mm))
		return ERR_PTR(-EINTR);
	mutex_lock(&kfd_processes_lock);
	p = kfd_process_get_locked(mm);
	mutex_unlock(&kfd_processes_lock);
	mmap_write_unlock(mm);
	if (!IS_ERR(p))
		kfd_procfs_add(p);
	return p;
}

void kfd_process_close(struct kfd_process *p)
{
	bool claimed = false, keep = false;

	mutex_lock(&kfd_processes_lock);
	if (!--p->files) {
		keep = kfd_process_goes_on(p);
		if (!keep) {
			claimed = kfd_process_claim(p);
			kfd_process_unkeep(p);
		}
	}
	/* Under the lock, so that an open() that follows never finds the dead object's notifier. */
	if (!keep || p->kept) {
		mmu_notifier_put(&p->notifier);
	} else {
		/* The file's user of the notifier is the kept one. */
		__module_get(THIS_MODULE);
		p->kept = true;
	}
	mutex_unlock(&kfd_processes_lock);
	if (claimed)
		kfd_process_teardown(p);
}

int kfd_process_check(const struct kfd_process *p)
{
	if (!current->mm || p->notifier.mm != current->mm)
		return -EBADF;
	return READ_ONCE(p->dead) ? -ESRCH : 0;
}

int kfd_gpus_get(void)
{
	int ret = 0;

	mutex_lock(&kfd_processes_lock);
	if (kfd_gpu_changes)
		ret = -ENODEV;
	else
		atomic_inc(&kfd_gpu_users);
	mutex_unlock(&kfd_processes_lock);
	return ret;
}

void kfd_gpus_put(void)
{
	atomic_dec(&kfd_gpu_users);
}

bool kfd_gpus_in_use(void)
{
	return atomic_read(&kfd_gpu_users);
}

int kfd_gpus_begin_change(bool only_unused)
{
	int ret = 0;

	mutex_lock(&kfd_processes_lock);
	if (only_unused && kfd_gpus_in_use())
		ret = -EBUSY;
	else
		kfd_gpu_changes++;
	mutex_unlock(&kfd_processes_lock);
	return ret;
}

void kfd_gpus_end_change(void)
{
	mutex_lock(&kfd_processes_lock);
	kfd_gpu_changes--;
	mutex_unlock(&kfd_processes_lock);
}

void kfd_process_for_each(void (*fn)(struct kfd_process *p, void *arg), void *arg)
{
	struct kfd_process *p;

	mutex_lock(&kfd_processes_lock);
	list_for_each_entry(p, &kfd_processes, node)
		fn(p, arg);
	mutex_unlock(&kfd_processes_lock);
}

/*
 * The first process after number @after and up to @last, with a reference of its memory; NULL: there is none. *@mm, if
 * it is wanted, is a user reference of its mm, or NULL when that is exiting.
 */
static struct kfd_process *kfd_process_next(u64 after, u64 last, struct mm_struct **mm)
{
	struct kfd_process *p, *found = NULL;

	mutex_lock(&kfd_processes_lock);
	list_for_each_entry(p, &kfd_processes, node) {
		if (p->serial <= after)
			continue;
		if (p->serial <= last) {
			kref_get(&p->refs);
			/* Listed, so its notifier is registered, which holds the structure. */
			if (mm)
				*mm = mmget_not_zero(p->notifier.mm) ? p->notifier.mm : NULL;
			found = p;
		}
		break;
	}
	mutex_unlock(&kfd_processes_lock);
	return found;
}

int kfd_process_for_each_mm(int (*fn)(struct kfd_process *p, struct mm_struct *mm, void *arg), void *arg)
{
	struct kfd_process *p;
	struct mm_struct *mm;
	u64 at = 0, last;
	int ret = 0;

	mutex_lock(&kfd_processes_lock);
	last = kfd_process_serial;
	mutex_unlock(&kfd_processes_lock);
	while (!ret && (p = kfd_process_next(at, last, &mm))) {
		at = p->serial;
		if (mm) {
			ret = fn(p, mm, arg);
			mmput(mm);
		}
		kfd_process_put(p);
	}
	return ret;
}

void kfd_process_flush_all(void)
{
	struct kfd_process *p;
	u64 at = 0, last;

	mutex_lock(&kfd_processes_lock);
	last = kfd_process_serial;
	mutex_unlock(&kfd_processes_lock);
	while ((p = kfd_process_next(at, last, NULL))) {
		at = p->serial;
		svm_range_list_flush(p);
		kfd_process_put(p);
	}
}

int kfd_process_init(void)
{
	int ret = kfd_restore_module_init();

	if (ret)
		return ret;
	ret = svm_fault_module_init();
	if (ret)
		goto err_restore;
	kfd_process_wq = alloc_workqueue("kfdlab_process", WQ_UNBOUND, 0);
	if (kfd_process_wq)
		return 0;
	ret = -ENOMEM;
	svm_fault_module_fini();
err_restore:
	kfd_restore_module_fini();
	return ret;
}

/* Context: module exit; no file is open, so every notifier was put, but its callbacks may still be on their way. */
void kfd_process_fini(void)
{
	mmu_notifier_synchronize();
	destroy_workqueue(kfd_process_wq);
	svm_fault_module_fini();
	kfd_restore_module_fini();
}
