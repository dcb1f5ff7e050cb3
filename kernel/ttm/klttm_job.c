// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs between CS and the device. Each context has a queue and one work that serves it in order, so a job whose
 * dependency is late holds up its own context only. The work never sleeps for a dependency: it leaves a callback
 * with the fence and is queued again by that.
 *
 * A dependency's error is not inherited: as with amdgpu, the job runs all the same.
 */
#include <linux/slab.h>

#include "klttm_priv.h"

struct klttm_job *klttm_job_create(struct klttm_ctx *ctx)
{
	struct klttm_job *job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);

	if (!job)
		return NULL;
	job->fence = klttm_fence_alloc();
	if (!job->fence) {
		kfree(job);
		return NULL;
	}
	klttm_ctx_get(ctx);
	job->ctx = ctx;
	return job;
}

static void klttm_job_put_deps(struct klttm_job *job)
{
	while (job->num_deps)
		dma_fence_put(job->deps[--job->num_deps]);
	kvfree(job->deps);
}

void klttm_job_free(struct klttm_job *job)
{
	klttm_job_put_deps(job);
	klttm_fence_free(job->fence);
	klttm_ctx_put(job->ctx);
	kfree(job);
}

static int klttm_job_grow(struct klttm_job *job)
{
	unsigned int max = job->max_deps ? 2 * job->max_deps : 8;
	struct dma_fence **deps;

	if (job->num_deps < job->max_deps)
		return 0;
	if (max > KLTTM_JOB_MAX_DEPS)
		return -EINVAL;
	deps = kvmalloc_array(max, sizeof(*deps), GFP_KERNEL_ACCOUNT);
	if (!deps)
		return -ENOMEM;
	if (job->num_deps)
		memcpy(deps, job->deps, job->num_deps * sizeof(*deps));
	kvfree(job->deps);
	job->deps = deps;
	job->max_deps = max;
	return 0;
}

/* Where in the dependencies, which are sorted by context, @context is or belongs. */
static unsigned int klttm_job_find(const struct klttm_job *job, u64 context)
{
	unsigned int low = 0, high = job->num_deps, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (job->deps[middle]->context < context)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int klttm_job_depend(struct klttm_job *job, struct dma_fence *fence)
{
	unsigned int at;
	int ret;

	if (fence->context == job->ctx->fence_context || dma_fence_is_signaled(fence)) {
		dma_fence_put(fence);
		return 0;
	}
	at = klttm_job_find(job, fence->context);
	if (at < job->num_deps && job->deps[at]->context == fence->context) {
		if (dma_fence_is_later(fence, job->deps[at]))
			swap(fence, job->deps[at]);
		dma_fence_put(fence);
		return 0;
	}
	ret = klttm_job_grow(job);
	if (ret) {
		dma_fence_put(fence);
		return ret;
	}
	memmove(&job->deps[at + 1], &job->deps[at], (job->num_deps - at) * sizeof(*job->deps));
	job->deps[at] = fence;
	job->num_deps++;
	return 0;
}

u64 klttm_job_commit(struct klttm_job *job)
{
	struct klttm_cs_device *cs = &job->ctx->dev->cs;
	struct klttm_ctx *ctx = job->ctx;
	struct klttm_fence **slot, *old;
	u64 seq;

	lockdep_assert_held(&ctx->submit_lock);
	spin_lock(&cs->lock);
	seq = ctx->next_seq++;
	klttm_fence_init(job->fence, ctx->fence_context, seq);
	slot = &ctx->fences[seq % KLTTM_CTX_FENCES];
	old = *slot;
	*slot = job->fence;
	dma_fence_get(&job->fence->base);
	list_add_tail(&job->link, &ctx->queue);
	cs->jobs++;
	spin_unlock(&cs->lock);
	if (old)
		dma_fence_put(&old->base);
	return seq;
}

/* The end of every job that was committed. Context: process. */
static void klttm_job_done(struct klttm_submission *sub, int error)
{
	struct klttm_job *job = container_of(sub, struct klttm_job, sub);
	struct klttm_cs_device *cs = &job->ctx->dev->cs;
	bool cookie;

	cookie = dma_fence_begin_signalling();
	if (job->error)
		error = job->error;
	if (error)
		dma_fence_set_error(&job->fence->base, error);
	dma_fence_signal(&job->fence->base);
	dma_fence_end_signalling(cookie);

	dma_fence_put(&job->fence->base);
	klttm_job_put_deps(job);
	klttm_ctx_put(job->ctx);
	kfree(job);
	/* The wake-up under the lock: klttm_cs_drain() may return, and the device go, as soon as it is dropped. */
	spin_lock(&cs->lock);
	if (!--cs->jobs)
		wake_up_all(&cs->idle);
	spin_unlock(&cs->lock);
}

/*
 * Context: any, the fence's lock held. The job, and through it the context, stay until that is dropped, since
 * klttm_job_stop_waiting() needs it too.
 */
static void klttm_job_dep_signalled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	klttm_ctx_kick(container_of(cb, struct klttm_job, cb)->ctx);
}

/* Take the callback back, or wait until it has run. */
static void klttm_job_stop_waiting(struct klttm_job *job)
{
	if (job->waiting)
		dma_fence_remove_callback(job->deps[job->next_dep], &job->cb);
	job->waiting = false;
}

/* Are all dependencies signalled? If not, the context is kicked when the next one is. */
static bool klttm_job_ready(struct klttm_job *job)
{
	if (job->waiting && !dma_fence_is_signaled(job->deps[job->next_dep]))
		return false;
	klttm_job_stop_waiting(job);
	for (; job->next_dep < job->num_deps; job->next_dep++) {
		if (!dma_fence_add_callback(job->deps[job->next_dep], &job->cb, klttm_job_dep_signalled)) {
			job->waiting = true;
			return false;
		}
	}
	return true;
}

/*
 * The device is being drained: the job does nothing any more. It still goes through the ring, behind the jobs before it:
 * a later fence of a context says that the earlier ones are signalled, and objects are let go by it.
 */
static void klttm_job_cancel(struct klttm_job *job)
{
	klttm_job_stop_waiting(job);
	job->error = -ENODEV;
	job->sub.nop_dwords = 1;
	job->sub.fence_phys = 0;
}

static struct klttm_job *klttm_ctx_first_job(struct klttm_ctx *ctx, bool *draining)
{
	struct klttm_cs_device *cs = &ctx->dev->cs;
	struct klttm_job *job;

	spin_lock(&cs->lock);
	job = list_first_entry_or_null(&ctx->queue, struct klttm_job, link);
	*draining = cs->draining;
	spin_unlock(&cs->lock);
	return job;
}

void klttm_ctx_work(struct work_struct *work)
{
	struct klttm_ctx *ctx = container_of(work, struct klttm_ctx, work);
	struct klttm_device *dev = ctx->dev;
	bool cookie = dma_fence_begin_signalling();
	struct klttm_job *job;
	bool draining;

	/* Only this work takes jobs off the queue, so the first one stays the first. */
	while ((job = klttm_ctx_first_job(ctx, &draining))) {
		if (draining)
			klttm_job_cancel(job);
		else if (!klttm_job_ready(job))
			break;
		spin_lock(&dev->cs.lock);
		list_del(&job->link);
		spin_unlock(&dev->cs.lock);
		job->sub.done = klttm_job_done;
		dev->ops->submit(dev->owner, &job->sub);
	}
	dma_fence_end_signalling(cookie);
	klttm_ctx_put(ctx);
}

void klttm_ctx_kick(struct klttm_ctx *ctx)
{
	klttm_ctx_get(ctx);
	if (!queue_work(ctx->dev->cs.wq, &ctx->work))
		klttm_ctx_put(ctx);
}
