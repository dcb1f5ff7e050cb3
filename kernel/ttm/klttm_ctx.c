// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts: numbered submissions, and what became of the device meanwhile. A context belongs to the open file; it
 * lives on, without an id, until its last job is done.
 *
 * Errors of CTX: EINVAL unknown operation, flag or context; EACCES a priority above normal without CAP_SYS_NICE;
 * EBUSY another context fixed the power state; ENOSPC MAX_CONTEXTS; ENODEV the GPU is gone.
 */
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>

#include "klttm_priv.h"

/* In one file; amdgpu's number. */
#define MAX_CONTEXTS	4096

/* ---- device and file ---- */

int klttm_cs_device_init(struct klttm_device *dev)
{
	struct klttm_cs_device *cs = &dev->cs;

	spin_lock_init(&cs->lock);
	INIT_LIST_HEAD(&cs->ctxs);
	init_waitqueue_head(&cs->idle);
	/* One at a time: there is one ring, and who copies pages should not compete with every context for it. */
	cs->wq = alloc_workqueue("kfdlab_cs", WQ_MEM_RECLAIM | WQ_UNBOUND | WQ_HIGHPRI, 1);
	return cs->wq ? 0 : -ENOMEM;
}

void klttm_cs_device_fini(struct klttm_device *dev)
{
	destroy_workqueue(dev->cs.wq);
}

static bool klttm_cs_is_idle(struct klttm_cs_device *cs)
{
	bool idle;

	spin_lock(&cs->lock);
	idle = !cs->jobs;
	spin_unlock(&cs->lock);
	return idle;
}

void klttm_cs_drain(struct klttm_device *dev)
{
	struct klttm_cs_device *cs = &dev->cs;
	struct klttm_ctx *ctx;

	spin_lock(&cs->lock);
	cs->draining = true;
	/* One whose last reference is just being dropped has no jobs. */
	list_for_each_entry(ctx, &cs->ctxs, link) {
		if (!kref_get_unless_zero(&ctx->ref))
			continue;
		if (!queue_work(cs->wq, &ctx->work))
			/* Queued before, with a reference of its own: not the last one. */
			klttm_ctx_put(ctx);
	}
	spin_unlock(&cs->lock);
	wait_event(cs->idle, klttm_cs_is_idle(cs));
	/* Works that had nothing to do. */
	flush_workqueue(cs->wq);
}

struct klttm_cs_file *klttm_cs_file(struct drm_file *file)
{
	struct klttm_file *kfile = file->driver_priv;

	return &kfile->cs;
}

void klttm_cs_file_init(struct klttm_cs_file *file)
{
	mutex_init(&file->lock);
	idr_init_base(&file->ctxs, 1);
	idr_init_base(&file->bo_lists, 1);
}

/* Context: the file's last reference is gone, so nobody looks anything up. */
void klttm_cs_file_fini(struct klttm_cs_file *file)
{
	struct klttm_bo_list *list;
	struct klttm_ctx *ctx;
	int id;

	idr_for_each_entry(&file->ctxs, ctx, id)
		klttm_ctx_put(ctx);
	idr_destroy(&file->ctxs);
	idr_for_each_entry(&file->bo_lists, list, id)
		klttm_bo_list_put(list);
	idr_destroy(&file->bo_lists);
	mutex_destroy(&file->lock);
}

/* ---- a context ---- */

static void klttm_ctx_release(struct kref *ref)
{
	struct klttm_ctx *ctx = container_of(ref, struct klttm_ctx, ref);
	struct klttm_cs_device *cs = &ctx->dev->cs;
	unsigned int i;

	spin_lock(&cs->lock);
	list_del(&ctx->link);
	if (cs->pstate_ctx == ctx) {
		cs->pstate_ctx = NULL;
		cs->pstate = AMDGPU_CTX_STABLE_PSTATE_NONE;
	}
	spin_unlock(&cs->lock);
	for (i = 0; i < KLTTM_CTX_FENCES; i++)
		if (ctx->fences[i])
			dma_fence_put(&ctx->fences[i]->base);
	mutex_destroy(&ctx->submit_lock);
	kfree(ctx);
}

void klttm_ctx_get(struct klttm_ctx *ctx)
{
	kref_get(&ctx->ref);
}

void klttm_ctx_put(struct klttm_ctx *ctx)
{
	kref_put(&ctx->ref, klttm_ctx_release);
}

struct klttm_ctx *klttm_ctx_find(struct drm_file *file, u32 id)
{
	struct klttm_cs_file *cs = klttm_cs_file(file);
	struct klttm_ctx *ctx;

	mutex_lock(&cs->lock);
	ctx = idr_find(&cs->ctxs, id);
	if (ctx)
		klttm_ctx_get(ctx);
	mutex_unlock(&cs->lock);
	return ctx;
}

int klttm_cs_check_ring(u32 ip_type, u32 ip_instance, u32 ring)
{
	return ip_type == AMDGPU_HW_IP_DMA && !ip_instance && !ring ? 0 : -EINVAL;
}

struct dma_fence *klttm_ctx_fence(struct klttm_ctx *ctx, u64 seq)
{
	struct klttm_cs_device *cs = &ctx->dev->cs;
	struct dma_fence *fence = NULL;
	struct klttm_fence *found;

	spin_lock(&cs->lock);
	if (seq == ~0ull)
		seq = ctx->next_seq - 1;
	if (seq >= ctx->next_seq) {
		fence = ERR_PTR(-EINVAL);
	} else if (seq && ctx->next_seq - seq <= KLTTM_CTX_FENCES) {
		found = ctx->fences[seq % KLTTM_CTX_FENCES];
		fence = dma_fence_get(&found->base);
	}
	spin_unlock(&cs->lock);
	return fence;
}

/* ---- CTX ---- */

static bool klttm_ctx_priority_valid(s32 priority)
{
	switch (priority) {
	case AMDGPU_CTX_PRIORITY_VERY_LOW:
	case AMDGPU_CTX_PRIORITY_LOW:
	case AMDGPU_CTX_PRIORITY_NORMAL:
	case AMDGPU_CTX_PRIORITY_HIGH:
	case AMDGPU_CTX_PRIORITY_VERY_HIGH:
		return true;
	}
	return false;
}

static int klttm_ctx_alloc(struct klttm_device *dev, struct klttm_cs_file *file, s32 priority,
			   union drm_amdgpu_ctx_out *out)
{
	struct klttm_ctx *ctx;
	int id;

	/* Old programs leave garbage there. A valid one is judged, and has no effect: there is one ring, in order. */
	if (klttm_ctx_priority_valid(priority) && priority > AMDGPU_CTX_PRIORITY_NORMAL && !capable(CAP_SYS_NICE))
		return -EACCES;
	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return -ENOMEM;
	kref_init(&ctx->ref);
	ctx->dev = dev;
	ctx->resets_before = dev->ops->resets(dev->owner);
	ctx->resets_seen = ctx->resets_before;
	mutex_init(&ctx->submit_lock);
	ctx->fence_context = dma_fence_context_alloc(1);
	ctx->next_seq = 1;
	INIT_LIST_HEAD(&ctx->queue);
	INIT_WORK(&ctx->work, klttm_ctx_work);
	spin_lock(&dev->cs.lock);
	list_add_tail(&ctx->link, &dev->cs.ctxs);
	spin_unlock(&dev->cs.lock);

	mutex_lock(&file->lock);
	id = idr_alloc(&file->ctxs, ctx, 1, MAX_CONTEXTS, GFP_KERNEL_ACCOUNT);
	mutex_unlock(&file->lock);
	if (id < 0) {
		klttm_ctx_put(ctx);
		return id;
	}
	out->alloc.ctx_id = id;
	return 0;
}

static int klttm_ctx_free(struct klttm_cs_file *file, u32 id)
{
	struct klttm_ctx *ctx;

	mutex_lock(&file->lock);
	ctx = idr_remove(&file->ctxs, id);
	mutex_unlock(&file->lock);
	if (!ctx)
		return -EINVAL;
	klttm_ctx_put(ctx);
	return 0;
}

static int klttm_ctx_query(struct klttm_device *dev, struct klttm_cs_file *file, u32 id, bool second,
			   union drm_amdgpu_ctx_out *out)
{
	u32 resets = dev->ops->resets(dev->owner);
	struct klttm_ctx *ctx;

	mutex_lock(&file->lock);
	ctx = idr_find(&file->ctxs, id);
	if (!ctx) {
		mutex_unlock(&file->lock);
		return -EINVAL;
	}
	/*
	 * Nobody is called guilty: a submission cannot bring the device down, only what is outside of it can. VRAM
	 * outlives the device process.
	 */
	if (second) {
		if (ctx->resets_before != resets)
			out->state.flags = AMDGPU_CTX_QUERY2_FLAGS_RESET;
	} else {
		out->state.reset_status =
			ctx->resets_seen == resets ? AMDGPU_CTX_NO_RESET : AMDGPU_CTX_UNKNOWN_RESET;
		ctx->resets_seen = resets;
	}
	mutex_unlock(&file->lock);
	return 0;
}

/* The virtual GPU has no clocks; what is kept is whose wish it was. */
static int klttm_ctx_set_pstate(struct klttm_device *dev, struct klttm_ctx *ctx, u32 pstate)
{
	int ret = 0;

	spin_lock(&dev->cs.lock);
	if (dev->cs.pstate_ctx && dev->cs.pstate_ctx != ctx) {
		ret = -EBUSY;
	} else if (dev->cs.pstate != pstate) {
		dev->cs.pstate = pstate;
		dev->cs.pstate_ctx = ctx;
	}
	spin_unlock(&dev->cs.lock);
	return ret;
}

static int klttm_ctx_pstate(struct klttm_device *dev, struct drm_file *file, const struct drm_amdgpu_ctx_in *in,
			    union drm_amdgpu_ctx_out *out)
{
	struct klttm_ctx *ctx = klttm_ctx_find(file, in->ctx_id);
	int ret = 0;

	if (!ctx)
		return -EINVAL;
	if (in->op == AMDGPU_CTX_OP_SET_STABLE_PSTATE)
		ret = klttm_ctx_set_pstate(dev, ctx, in->flags);
	else
		out->pstate.flags = READ_ONCE(dev->cs.pstate);
	klttm_ctx_put(ctx);
	return ret;
}

static int klttm_ctx_op(struct klttm_device *dev, struct drm_file *file, const struct drm_amdgpu_ctx_in *in,
			union drm_amdgpu_ctx_out *out)
{
	struct klttm_cs_file *cs = klttm_cs_file(file);
	bool set = in->op == AMDGPU_CTX_OP_SET_STABLE_PSTATE;

	if (set ? in->flags > AMDGPU_CTX_STABLE_PSTATE_PEAK : in->flags)
		return -EINVAL;
	switch (in->op) {
	case AMDGPU_CTX_OP_ALLOC_CTX:
		return klttm_ctx_alloc(dev, cs, in->priority, out);
	case AMDGPU_CTX_OP_FREE_CTX:
		return klttm_ctx_free(cs, in->ctx_id);
	case AMDGPU_CTX_OP_QUERY_STATE:
		return klttm_ctx_query(dev, cs, in->ctx_id, false, out);
	case AMDGPU_CTX_OP_QUERY_STATE2:
		return klttm_ctx_query(dev, cs, in->ctx_id, true, out);
	case AMDGPU_CTX_OP_GET_STABLE_PSTATE:
	case AMDGPU_CTX_OP_SET_STABLE_PSTATE:
		return klttm_ctx_pstate(dev, file, in, out);
	}
	return -EINVAL;
}

int klttm_ctx_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	union drm_amdgpu_ctx_out out = {};
	union drm_amdgpu_ctx *args = data;
	int ret, idx;

	if (!drm_dev_enter(ddev, &idx))
		return -ENODEV;
	ret = klttm_ctx_op(drm_to_klttm_device(ddev), file, &args->in, &out);
	drm_dev_exit(idx);
	if (ret)
		return ret;
	memset(args, 0, sizeof(*args));
	args->out = out;
	return 0;
}
