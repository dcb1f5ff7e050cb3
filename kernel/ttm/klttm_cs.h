/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Command submission, for the files of kfdlab_ttm that make it up:
 *
 *   klttm_ctx      contexts, their numbered fences     klttm_job    jobs: queue, dependencies, end
 *   klttm_bo_list  lists of buffers                    klttm_fence  the fence itself, waiting, export
 *   klttm_cs       the CS ioctl: chunks, IBs        klttm_exec   objects of a submission
 *
 * A job is a submission on its way: CS puts it at the end of its context's queue, the context's work hands it to
 * the GPU's owner when its dependencies are signalled, and the owner calls back when the device has passed it or
 * is gone. A context's jobs reach the device in the order of their numbers, so a fence of the same context is
 * never a dependency.
 *
 * Invariant: from the moment a fence can be seen by anybody else until it is signalled, nothing is waited for but
 * older fences and the device, whose waits are bounded by its reset; no memory is allocated and no lock is taken
 * under which somebody may wait for a fence (submit_lock, alloc_lock, dma_resv, mmap_lock).
 */
#ifndef KLTTM_CS_H
#define KLTTM_CS_H

#include <linux/dma-fence.h>
#include <linux/idr.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/ww_mutex.h>
#include <linux/workqueue.h>

#include "kernel/ttm/kfdlab_ttm.h"

struct drm_device;
struct drm_file;
struct klttm_bo;
struct klttm_device;

/* Fences a context remembers, and so jobs it may have in flight; amdgpu's default. */
#define KLTTM_CTX_FENCES	32
/* Fences one job may depend on, and syncobjs one job may signal. */
#define KLTTM_JOB_MAX_DEPS	1024

/* Part of struct klttm_device. */
struct klttm_cs_device {
	spinlock_t lock;		/* all below, the queues and fences of all contexts; process context only */
	struct list_head ctxs;
	unsigned long jobs;		/* accepted and not done */
	bool draining;			/* jobs that the device does not have yet do nothing and end with -ENODEV */
	wait_queue_head_t idle;		/* jobs became 0 */
	struct workqueue_struct *wq;	/* hands jobs over */
	struct klttm_ctx *pstate_ctx;	/* who fixed the power state; compared only */
	u32 pstate;			/* AMDGPU_CTX_STABLE_PSTATE_* */
};

/* Part of what an open render file has. */
struct klttm_cs_file {
	struct mutex lock;		/* both tables, and klttm_ctx.resets_seen; nothing is taken under it */
	struct idr ctxs;
	struct idr bo_lists;
};

struct klttm_fence {
	struct dma_fence base;
	spinlock_t lock;		/* base.lock */
};

struct klttm_ctx {
	struct kref ref;		/* of the file's table, of each job, of the work while it is queued or runs */
	struct klttm_device *dev;
	struct list_head link;		/* cs.lock: in cs.ctxs */
	u32 resets_before;		/* device processes that had died when the context was made */
	u32 resets_seen;		/* klttm_cs_file.lock: when QUERY_STATE was asked last */
	struct mutex submit_lock;	/* makes one job of the context at a time; outside of alloc_lock */
	u64 fence_context;
	u64 next_seq;			/* cs.lock and submit_lock to write; of the next job, from 1 */
	struct klttm_fence *fences[KLTTM_CTX_FENCES];	/* cs.lock: of number n in slot n % KLTTM_CTX_FENCES */
	struct list_head queue;		/* cs.lock: jobs not yet handed over */
	struct work_struct work;
};

struct klttm_job {
	struct klttm_submission sub;
	struct klttm_ctx *ctx;
	struct klttm_fence *fence;
	struct list_head link;		/* cs.lock: in ctx->queue */
	int error;			/* of its fence, whatever the device says; or 0 */
	/* Sorted by context. What must be signalled before it is handed over; next_dep is the first that may not be. */
	struct dma_fence **deps;
	unsigned int num_deps, max_deps, next_dep;
	struct dma_fence_cb cb;		/* on deps[next_dep] while waiting */
	bool waiting;			/* the context's work only */
};

struct klttm_bo_list {
	struct kref ref;
	unsigned int count;
	struct klttm_bo *bos[];		/* a reference each */
};

/* klttm_ctx.c */
int klttm_cs_device_init(struct klttm_device *dev);
void klttm_cs_device_fini(struct klttm_device *dev);
/*
 * End every job: those the device has not been given with -ENODEV, the others when the device has passed them or is
 * gone. Context: no ioctl of this device runs or will run. May sleep; bounded by the reset of the device.
 */
void klttm_cs_drain(struct klttm_device *dev);
void klttm_cs_file_init(struct klttm_cs_file *file);
void klttm_cs_file_fini(struct klttm_cs_file *file);
/* What the open file has. */
struct klttm_cs_file *klttm_cs_file(struct drm_file *file);

struct klttm_ctx *klttm_ctx_find(struct drm_file *file, u32 id);	/* a reference, or NULL */
void klttm_ctx_get(struct klttm_ctx *ctx);
void klttm_ctx_put(struct klttm_ctx *ctx);
/* 0 if there is such a ring, else -EINVAL. */
int klttm_cs_check_ring(u32 ip_type, u32 ip_instance, u32 ring);
/*
 * The fence of number @seq: a reference; NULL if it was signalled long ago, or was never used (0); ERR_PTR(-EINVAL)
 * for a number not handed out. ~0 means the latest one.
 */
struct dma_fence *klttm_ctx_fence(struct klttm_ctx *ctx, u64 seq);
int klttm_ctx_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);

/* klttm_bo_list.c */
struct drm_amdgpu_bo_list_in;
struct klttm_bo_list *klttm_bo_list_create(struct drm_file *file, const struct drm_amdgpu_bo_list_in *in);
struct klttm_bo_list *klttm_bo_list_find(struct drm_file *file, u32 id);	/* a reference, or NULL */
void klttm_bo_list_put(struct klttm_bo_list *list);
int klttm_bo_list_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);

/* klttm_fence.c */
/* Not yet initialised as a dma_fence: that comes with its number. NULL: no memory. */
struct klttm_fence *klttm_fence_alloc(void);
void klttm_fence_free(struct klttm_fence *fence);	/* one that never got its number */
void klttm_fence_init(struct klttm_fence *fence, u64 context, u64 seq);
int klttm_wait_cs_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);
int klttm_wait_fences_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);
int klttm_fence_to_handle_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);

/* klttm_job.c */
struct klttm_job *klttm_job_create(struct klttm_ctx *ctx);
void klttm_job_free(struct klttm_job *job);		/* one that was not committed */
/*
 * Let the job wait for @fence, whose reference it takes over, also on failure. -EINVAL: too many, -ENOMEM. Fences of
 * the job's own context and signalled ones are dropped, and of each other context only the latest is kept.
 */
int klttm_job_depend(struct klttm_job *job, struct dma_fence *fence);
/*
 * Give the job its number and fence and put it at the end of the context's queue. Returns the number. Locking:
 * submit_lock; the slot of that number is free. From here to klttm_job_kick() is a signalling section.
 */
u64 klttm_job_commit(struct klttm_job *job);
/* Have the context's work look at the queue. Any context. */
void klttm_ctx_kick(struct klttm_ctx *ctx);
void klttm_ctx_work(struct work_struct *work);

/* klttm_exec.c */
struct klttm_exec {
	struct klttm_device *dev;
	struct ww_acquire_ctx ticket;
	struct klttm_exec_bo {
		struct klttm_bo *bo;
		bool locked;		/* by this entry; another one may name the same reservation */
	} *bos;				/* references and memory are the caller's */
	unsigned int count;
};

/*
 * Reserve all objects and move those that are not where they were asked to be. -ERESTARTSYS, -ENOMEM no room, or what
 * klttm_bo_validate() says; then nothing is reserved. Locking: takes alloc_lock if something has to move.
 */
int klttm_exec_reserve(struct klttm_exec *exec);
void klttm_exec_backoff(struct klttm_exec *exec);
/* Let the job wait for what is under way on the objects, and make room for its fence. Locking: reserved. */
int klttm_exec_prepare(struct klttm_exec *exec, struct klttm_job *job);
/* Add the job's fence, mark the objects as used last, let go of them. */
void klttm_exec_finish(struct klttm_exec *exec, struct dma_fence *fence);
/* Page @index of a reserved object; NULL if its memory is not ours to read. */
struct page *klttm_exec_page(struct klttm_bo *bo, unsigned long index);

/* klttm_cs.c */
int klttm_cs_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);

#endif
