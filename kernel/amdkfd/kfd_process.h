/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that opened /dev/kfd: one object per mm, found and counted through its MMU notifier
 * (mmu_notifier_get()), torn down when the mm goes away or the last file is closed, whichever is first; but see
 * kfd_process.c for who closes the file and means to go on.
 * An inherited file used by another mm (fork) answers EBADF.
 */
#ifndef KFD_PROCESS_H
#define KFD_PROCESS_H

#include "kfd_interrupt.h"
#include "kfd_priv.h"
#include "kfd_restore.h"
#include "kfd_svm.h"
#include "svm_fault.h"

struct kfd_event_table;
struct drm_file;
struct kfd_vm;

/* What a process has on one GPU. */
struct kfd_process_device {
	struct file *render;		/* ACQUIRE_VM's render file, referenced; NULL before */
	u64 scratch_base;		/* SET_SCRATCH_BACKING_VA, as user space gave it (va >> 16) */
	struct kfd_vm *vm;		/* made with render; kfd_process_vm() */
	u64 tba, tma;			/* SET_TRAP_HANDLER */
	unsigned int doorbells;		/* 1 + its slice, 0 before; set once, by cmpxchg */
	struct page *mmio;		/* kfd_mmio.h; NULL before; set once, by cmpxchg */
	/* Locking: dev->queues->lock */
	struct list_head queues;	/* struct kfd_queue.link */
	unsigned int nqueues;
	unsigned int quiesced;		/* kfd_queue_quiesce() */
};

struct kfd_process {
	struct mmu_notifier notifier;	/* owns the object; mm in notifier.mm */
	pid_t tgid;
	struct kref refs;		/* of the memory: the notifier's and queued release work's */
	unsigned int files;		/* open files of this mm. Locking: kfd_processes_lock */
	bool kept;			/* one more user of the notifier, and of the module. Locking: likewise */
	u64 serial;			/* grows along the list of processes */
	/*
	 * xnack_enabled, the idrs of queues and buffers and what is mapped, the making of the event page, devices[].
	 * Neither buffer_tree, nor the events, nor svms: each has its own.
	 */
	struct mutex lock;
	bool dead;			/* mm is gone or teardown began: ioctls answer ESRCH */
	bool xnack_enabled;
	unsigned int nqueues;		/* SET_XNACK_MODE answers EBUSY while non-zero */

	struct idr queues;		/* queue_id -> struct kfd_queue */
	struct kfd_process_interrupts interrupts;
	struct idr buffers;		/* handle -> struct kfd_buffer (kfd_memory.c) */
	struct rb_root_cached buffer_tree;	/* VA intervals of all buffers, for EADDRINUSE */
	spinlock_t buffer_tree_lock;	/* innermost: nothing is taken under it */
	struct kfd_restore restore;
	u32 pasid;			/* of all its VMs; 0 before ACQUIRE_VM */
	struct kfd_event_table *events;
	struct kfd_process_device devices[KFD_MAX_GPUS];

	struct svm_range_list svms;
	struct svm_faults faults;
	struct work_struct release_work;
	struct list_head node;		/* kfd_processes, for debugfs and counts */
};

int kfd_process_init(void);
/* A reference of the memory, of somebody who has one; drop it. Context: any. */
void kfd_process_get(struct kfd_process *p);
void kfd_process_put(struct kfd_process *p);
void kfd_process_fini(void);
/*
 * fn for every live process under the list lock, a mutex that every open and close takes: fn must not wait for an
 * mmap_lock, nor flush.
 */
void kfd_process_for_each(void (*fn)(struct kfd_process *p, void *arg), void *arg);
/*
 * fn for every live process whose mm is not exiting, with a user reference of it and no lock held, until fn answers
 * something else than 0, which is returned. The process may be torn down meanwhile: svms.dying, read under svms.lock.
 */
int kfd_process_for_each_mm(int (*fn)(struct kfd_process *p, struct mm_struct *mm, void *arg), void *arg);
/*
 * svm_range_list_flush() of every process there is at the call. Context: may sleep for as long as one of them keeps
 * its mmap_lock; no lock held.
 */
void kfd_process_flush_all(void);

/*
 * Users of the GPUs. GPUs come only while there is none, and while one goes there are no new ones and the removal
 * waits for those there are; so users look GPUs up without a lock. Every process is one until its teardown is over.
 * get: -ENODEV while a GPU comes or goes. Context: get may sleep; put any.
 */
int kfd_gpus_get(void);
void kfd_gpus_put(void);
/* Does anybody use the GPUs? A false is to last only between begin_change() and end_change(). */
bool kfd_gpus_in_use(void);
/* No new users until end_change(). -EBUSY: there are some, and @only_unused says not to begin then. */
int kfd_gpus_begin_change(bool only_unused);
void kfd_gpus_end_change(void);

/*
 * The object of current's mm, made on its first open; one more file refers to it. ERR_PTR: -ENOMEM, -EINTR (a fatal
 * signal), -ENODEV (a GPU comes or goes).
 * Balanced by kfd_process_close() when the file goes. Context: process, no mmap lock held.
 */
struct kfd_process *kfd_process_open(void);
void kfd_process_close(struct kfd_process *p);
/* May current use @p? 0, -EBADF for another mm, -ESRCH after teardown. */
int kfd_process_check(const struct kfd_process *p);

/*
 * Does [start, last] (page numbers, inclusive) touch a buffer's VA? Locking: a spinlock that nothing nests in, so
 * any lock of the process may be held. A caller that goes on to register the range holds svms.lock from before the
 * call until the range is in the tree: ALLOC enters its interval first and looks for ranges (under svms.lock) after.
 */
bool kfd_process_va_has_buffer(struct kfd_process *p, unsigned long start, unsigned long last);

#endif
