/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that opened /dev/kfd: one object per mm, found and counted through its MMU notifier
 * (mmu_notifier_get()), torn down when the mm goes away or the last file is closed, whichever is first.
 * An inherited file used by another mm (fork) answers EBADF.
 */
#ifndef KFD_PROCESS_H
#define KFD_PROCESS_H

#include "kfd_priv.h"
#include "kfd_svm.h"

struct kfd_event_table;
struct drm_file;

/* What a process has on one GPU. */
struct kfd_process_device {
	struct file *render;		/* ACQUIRE_VM's render file, referenced; NULL before */
	u64 scratch_base;		/* SET_SCRATCH_BACKING_VA, as user space gave it (va >> 16) */
	u64 tba, tma;			/* SET_TRAP_HANDLER */
};

struct kfd_process {
	struct mmu_notifier notifier;	/* owns the object; mm in notifier.mm */
	pid_t tgid;
	struct kref refs;		/* of the memory: the notifier's and queued release work's */
	struct kref files;		/* open files of this mm */
	struct mutex lock;		/* buffers, events, XNACK mode, devices: everything below but svms */
	bool dead;			/* mm is gone or teardown began: ioctls answer ESRCH */
	bool xnack_enabled;
	unsigned int nqueues;		/* SET_XNACK_MODE answers EBUSY while non-zero */

	struct idr buffers;		/* handle -> struct kfd_buffer (kfd_memory.c) */
	struct rb_root_cached buffer_tree;	/* VA intervals of all buffers, for EADDRINUSE */
	spinlock_t buffer_tree_lock;	/* innermost: nothing is taken under it */
	struct kfd_event_table *events;
	struct kfd_process_device devices[KFD_MAX_GPUS];

	struct svm_range_list svms;
	struct work_struct release_work;
	struct list_head node;		/* kfd_processes, for debugfs and counts */
};

int kfd_process_init(void);
void kfd_process_fini(void);
/* Processes not yet torn down. Any context. */
unsigned int kfd_process_count(void);
/* fn for every live process under the list lock (a mutex). */
void kfd_process_for_each(void (*fn)(struct kfd_process *p, void *arg), void *arg);

/*
 * The object of current's mm, made on its first open; one more file refers to it. ERR_PTR: -ENOMEM.
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
