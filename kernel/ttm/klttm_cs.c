// SPDX-License-Identifier: GPL-2.0
/*
 * AMDGPU_CS. There is one engine, DMA, with one ring, and it takes what needs no GPU page tables: IBs of SDMA NOPs.
 * The driver reads an IB through the file's GPU address space, refuses any other packet, and has the device's copy
 * ring skip as many dwords, behind and before other copies.
 *
 * Everything user space gives is copied and judged before the first lock is taken (klttm_cs_parse()), and all that
 * can fail is done before the fence exists (klttm_cs_submit()).
 *
 * Errors: EINVAL malformed or too large, unknown context, ring, engine, chunk, fence number, or an address without a
 * mapping; EOPNOTSUPP a packet that is no NOP; ENOENT unknown buffer, list or syncobj; EPERM user memory of another
 * process; EFAULT; ENOMEM, also no room in VRAM; ENODEV the GPU is gone.
 */
#include <linux/dma-fence-chain.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_syncobj.h>

#include "hw/sdma.h"
#include "klttm_priv.h"

#define MAX_CHUNKS	256
#define MAX_CHUNK_BYTES	SZ_128K
/* As many as amdgpu lets its SDMA rings take. */
#define MAX_IBS		49
/* Of all IBs of a submission together; amdgpu's limit for each. */
#define MAX_IB_DWORDS	0xfffff
#define IB_FLAGS	(AMDGPU_IB_FLAG_CE | AMDGPU_IB_FLAG_PREAMBLE | AMDGPU_IB_FLAG_PREEMPT |	\
			 AMDGPU_IB_FLAG_TC_WB_NOT_INVALIDATE | AMDGPU_IB_FLAG_RESET_GDS_MAX_WAVE_ID |	\
			 AMDGPU_IB_FLAG_EMIT_MEM_SYNC)

struct klttm_cs_ib {
	struct klttm_bo *bo;		/* a reference */
	u64 offset;			/* bytes into it */
	u32 dwords;
};

struct klttm_cs_signal {
	struct drm_syncobj *syncobj;
	struct dma_fence_chain *chain;	/* for a point of a timeline */
	u64 point;
};

struct klttm_cs {
	struct drm_file *file;
	struct klttm_ctx *ctx;
	struct klttm_job *job;
	struct klttm_bo_list *list;
	unsigned int num_ibs, num_signals;
	u32 ib_dwords;
	bool has_signals;
	struct klttm_cs_signal *signals;
	struct klttm_bo *user_fence;
	u32 user_fence_offset;
	struct klttm_exec exec;
	struct klttm_cs_ib ibs[MAX_IBS];
};

/* ---- chunks ---- */

static int klttm_cs_ib(struct klttm_cs *cs, const void *data, unsigned int count)
{
	const struct drm_amdgpu_cs_chunk_ib *chunk = data;
	struct klttm_cs_ib *ib = &cs->ibs[cs->num_ibs];
	u32 dwords = chunk->ib_bytes / sizeof(u32), flags;
	u64 bytes;
	int ret;

	ret = klttm_cs_check_ring(chunk->ip_type, chunk->ip_instance, chunk->ring);
	if (ret)
		return ret;
	if (cs->num_ibs == MAX_IBS || chunk->flags & ~IB_FLAGS)
		return -EINVAL;
	if (!dwords || (chunk->ib_bytes | chunk->va_start) % sizeof(u32) || dwords > MAX_IB_DWORDS - cs->ib_dwords)
		return -EINVAL;
	ib->bo = klttm_va_find(cs->file, chunk->va_start, &ib->offset, &bytes, &flags);
	if (IS_ERR(ib->bo))
		return PTR_ERR(ib->bo) == -ENOENT ? -EINVAL : PTR_ERR(ib->bo);
	ib->dwords = dwords;
	cs->ib_dwords += dwords;
	cs->num_ibs++;
	return bytes < chunk->ib_bytes ? -EINVAL : 0;
}

static int klttm_cs_user_fence(struct klttm_cs *cs, const void *data, unsigned int count)
{
	const struct drm_amdgpu_cs_chunk_fence *chunk = data;

	if (cs->user_fence)
		return -EINVAL;
	cs->user_fence = klttm_bo_lookup(cs->file, chunk->handle);
	if (!cs->user_fence)
		return -EINVAL;
	cs->user_fence_offset = chunk->offset;
	if (cs->user_fence->tbo.base.size != PAGE_SIZE || cs->user_fence->foreign ||
	    chunk->offset > PAGE_SIZE - sizeof(u64) || chunk->offset % sizeof(u64))
		return -EINVAL;
	return 0;
}

static int klttm_cs_bo_handles(struct klttm_cs *cs, const void *data, unsigned int count)
{
	struct klttm_bo_list *list;

	if (cs->list)
		return -EINVAL;
	list = klttm_bo_list_create(cs->file, data);
	if (IS_ERR(list))
		return PTR_ERR(list);
	cs->list = list;
	return 0;
}

static int klttm_cs_dependencies(struct klttm_cs *cs, const void *data, unsigned int count)
{
	const struct drm_amdgpu_cs_chunk_dep *dep = data;
	struct dma_fence *fence;
	struct klttm_ctx *ctx;
	int ret = 0;

	for (; count && !ret; count--, dep++) {
		ret = klttm_cs_check_ring(dep->ip_type, dep->ip_instance, dep->ring);
		if (ret)
			break;
		ctx = klttm_ctx_find(cs->file, dep->ctx_id);
		if (!ctx)
			return -EINVAL;
		fence = klttm_ctx_fence(ctx, dep->handle);
		klttm_ctx_put(ctx);
		if (IS_ERR(fence))
			return PTR_ERR(fence);
		if (fence)
			ret = klttm_job_depend(cs->job, fence);
	}
	return ret;
}

/* Context: no lock, not even drm_dev_enter(): WAIT_FOR_SUBMIT waits for other programs, for seconds. */
static int klttm_cs_wait_point(struct klttm_cs *cs, u32 handle, u64 point, u32 flags)
{
	struct dma_fence *fence;
	int ret;

	if (flags & ~DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT)
		return -EINVAL;
	ret = drm_syncobj_find_fence(cs->file, handle, point, flags, &fence);
	return ret ? ret : klttm_job_depend(cs->job, fence);
}

static int klttm_cs_syncobj_in(struct klttm_cs *cs, const void *data, unsigned int count)
{
	const struct drm_amdgpu_cs_chunk_sem *sem = data;
	int ret = 0;

	for (; count && !ret; count--, sem++)
		ret = klttm_cs_wait_point(cs, sem->handle, 0, 0);
	return ret;
}

static int klttm_cs_timeline_wait(struct klttm_cs *cs, const void *data, unsigned int count)
{
	const struct drm_amdgpu_cs_chunk_syncobj *wait = data;
	int ret = 0;

	for (; count && !ret; count--, wait++)
		ret = klttm_cs_wait_point(cs, wait->handle, wait->point, wait->flags);
	return ret;
}

/* Room for @count syncobjs to signal. Only one chunk may name some. */
static int klttm_cs_begin_signals(struct klttm_cs *cs, unsigned int count)
{
	if (cs->has_signals || count > KLTTM_JOB_MAX_DEPS)
		return -EINVAL;
	cs->signals = kvcalloc(count, sizeof(*cs->signals), GFP_KERNEL_ACCOUNT);
	if (!cs->signals)
		return -ENOMEM;
	cs->has_signals = true;
	return 0;
}

static int klttm_cs_signal_point(struct klttm_cs *cs, u32 handle, u64 point)
{
	struct klttm_cs_signal *signal = &cs->signals[cs->num_signals];

	signal->syncobj = drm_syncobj_find(cs->file, handle);
	if (!signal->syncobj)
		return -EINVAL;
	cs->num_signals++;
	signal->point = point;
	if (!point)
		return 0;
	signal->chain = dma_fence_chain_alloc();
	return signal->chain ? 0 : -ENOMEM;
}

static int klttm_cs_syncobj_out(struct klttm_cs *cs, const void *data, unsigned int count)
{
	const struct drm_amdgpu_cs_chunk_sem *sem = data;
	int ret = klttm_cs_begin_signals(cs, count);

	for (; count && !ret; count--, sem++)
		ret = klttm_cs_signal_point(cs, sem->handle, 0);
	return ret;
}

static int klttm_cs_timeline_signal(struct klttm_cs *cs, const void *data, unsigned int count)
{
	const struct drm_amdgpu_cs_chunk_syncobj *signal = data;
	int ret = klttm_cs_begin_signals(cs, count);

	for (; count && !ret; count--, signal++)
		ret = signal->flags ? -EINVAL : klttm_cs_signal_point(cs, signal->handle, signal->point);
	return ret;
}

/* Of a chunk without @array only the first entry counts, and it must be whole. */
static const struct klttm_cs_chunk {
	u32 id;			/* AMDGPU_CHUNK_ID_* */
	u32 entry;		/* bytes */
	bool array;
	int (*parse)(struct klttm_cs *cs, const void *data, unsigned int count);
} klttm_cs_chunks[] = {
	{ AMDGPU_CHUNK_ID_IB, sizeof(struct drm_amdgpu_cs_chunk_ib), false, klttm_cs_ib },
	{ AMDGPU_CHUNK_ID_FENCE, sizeof(struct drm_amdgpu_cs_chunk_fence), false, klttm_cs_user_fence },
	{ AMDGPU_CHUNK_ID_BO_HANDLES, sizeof(struct drm_amdgpu_bo_list_in), false, klttm_cs_bo_handles },
	{ AMDGPU_CHUNK_ID_DEPENDENCIES, sizeof(struct drm_amdgpu_cs_chunk_dep), true, klttm_cs_dependencies },
	/* Started is not told apart from done, which is later. */
	{ AMDGPU_CHUNK_ID_SCHEDULED_DEPENDENCIES, sizeof(struct drm_amdgpu_cs_chunk_dep), true,
	  klttm_cs_dependencies },
	{ AMDGPU_CHUNK_ID_SYNCOBJ_IN, sizeof(struct drm_amdgpu_cs_chunk_sem), true, klttm_cs_syncobj_in },
	{ AMDGPU_CHUNK_ID_SYNCOBJ_OUT, sizeof(struct drm_amdgpu_cs_chunk_sem), true, klttm_cs_syncobj_out },
	{ AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_WAIT, sizeof(struct drm_amdgpu_cs_chunk_syncobj), true,
	  klttm_cs_timeline_wait },
	{ AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_SIGNAL, sizeof(struct drm_amdgpu_cs_chunk_syncobj), true,
	  klttm_cs_timeline_signal },
};

static int klttm_cs_parse_chunk(struct klttm_cs *cs, const struct drm_amdgpu_cs_chunk *head)
{
	u64 bytes = (u64)head->length_dw * sizeof(u32);
	const struct klttm_cs_chunk *chunk;
	unsigned int i, count;
	void *data;
	int ret;

	for (i = 0; i < ARRAY_SIZE(klttm_cs_chunks); i++)
		if (klttm_cs_chunks[i].id == head->chunk_id)
			break;
	if (i == ARRAY_SIZE(klttm_cs_chunks) || bytes > MAX_CHUNK_BYTES)
		return -EINVAL;
	chunk = &klttm_cs_chunks[i];
	count = bytes / chunk->entry;
	if (!chunk->array && !count)
		return -EINVAL;
	data = vmemdup_user(u64_to_user_ptr(head->chunk_data), bytes);
	if (IS_ERR(data))
		return PTR_ERR(data);
	ret = chunk->parse(cs, data, count);
	kvfree(data);
	return ret;
}

static int klttm_cs_parse(struct klttm_cs *cs, const struct drm_amdgpu_cs_in *in)
{
	const u64 __user *pointers = u64_to_user_ptr(in->chunks);
	struct drm_amdgpu_cs_chunk head;
	u64 pointer;
	int ret = 0;
	u32 i;

	for (i = 0; i < in->num_chunks && !ret; i++) {
		if (get_user(pointer, &pointers[i]) ||
		    copy_from_user(&head, u64_to_user_ptr(pointer), sizeof(head)))
			return -EFAULT;
		ret = klttm_cs_parse_chunk(cs, &head);
	}
	if (ret)
		return ret;
	if (!cs->num_ibs || (in->bo_list_handle && cs->list))
		return -EINVAL;
	if (in->bo_list_handle) {
		cs->list = klttm_bo_list_find(cs->file, in->bo_list_handle);
		if (!cs->list)
			return -ENOENT;
	}
	return 0;
}

/* ---- IBs ---- */

/* Every packet of the IB must be a NOP that ends inside. Each header is read once: user space may write it. */
static int klttm_cs_check_ib(const struct klttm_cs_ib *ib)
{
	u64 at = ib->offset, end = ib->offset + (u64)ib->dwords * sizeof(u32), next;
	struct page *page;
	u32 header = 0;
	void *map;

	while (at < end) {
		page = klttm_exec_page(ib->bo, at >> PAGE_SHIFT);
		if (!page)
			return -EINVAL;
		next = min(end, (at | ~PAGE_MASK) + 1);
		map = kmap_local_page(page);
		while (at < next) {
			header = READ_ONCE(*(u32 *)(map + offset_in_page(at)));
			if (header & ~SDMA_NOP_COUNT_MASK)
				break;
			at += (1 + (u64)(header >> SDMA_NOP_COUNT_SHIFT)) * sizeof(u32);
		}
		kunmap_local(map);
		if (header & ~SDMA_NOP_COUNT_MASK)
			return -EOPNOTSUPP;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return at > end ? -EINVAL : 0;
}

/* ---- objects ---- */

static void klttm_cs_add_bo(struct klttm_cs *cs, struct klttm_bo *bo)
{
	cs->exec.bos[cs->exec.count++].bo = bo;
}

/* References stay with the list, the IBs and the user fence. */
static int klttm_cs_collect_bos(struct klttm_cs *cs)
{
	unsigned int listed = cs->list ? cs->list->count : 0, i;
	struct klttm_bo *bo;
	int ret;

	cs->exec.dev = cs->ctx->dev;
	cs->exec.bos = kvcalloc(listed + cs->num_ibs + 1, sizeof(*cs->exec.bos), GFP_KERNEL_ACCOUNT);
	if (!cs->exec.bos)
		return -ENOMEM;
	if (cs->user_fence)
		klttm_cs_add_bo(cs, cs->user_fence);
	for (i = 0; i < cs->num_ibs; i++)
		klttm_cs_add_bo(cs, cs->ibs[i].bo);
	for (i = 0; i < listed; i++) {
		bo = cs->list->bos[i];
		if (bo->userptr) {
			ret = klttm_userptr_is_mine(bo->userptr) ? klttm_userptr_validate(bo) : -EPERM;
			if (ret)
				return ret;
		}
		klttm_cs_add_bo(cs, bo);
	}
	return 0;
}

static int klttm_cs_prepare(struct klttm_cs *cs)
{
	unsigned int i;
	struct page *page;
	int ret;

	for (i = 0; i < cs->num_ibs; i++) {
		ret = klttm_bo_populate(cs->ibs[i].bo) ?: klttm_cs_check_ib(&cs->ibs[i]);
		if (ret)
			return ret;
	}
	cs->job->sub.nop_dwords = cs->ib_dwords;
	if (cs->user_fence) {
		ret = klttm_bo_populate(cs->user_fence);
		if (ret)
			return ret;
		page = klttm_exec_page(cs->user_fence, 0);
		if (!page)
			return -EINVAL;
		/* It stays there until the fence is signalled. */
		cs->job->sub.fence_phys = page_to_phys(page) + cs->user_fence_offset;
		cs->job->sub.fence_value = cs->ctx->next_seq;
	}
	return klttm_exec_prepare(&cs->exec, cs->job);
}

/* ---- submission ---- */

/* The fence that the new one will take the place of must be signalled. Locking: submit_lock. */
static int klttm_cs_wait_for_slot(struct klttm_ctx *ctx)
{
	struct dma_fence *fence;
	long ret;

	if (ctx->next_seq <= KLTTM_CTX_FENCES)
		return 0;
	fence = klttm_ctx_fence(ctx, ctx->next_seq - KLTTM_CTX_FENCES);
	ret = dma_fence_wait(fence, true);
	dma_fence_put(fence);
	return ret;
}

/* Nothing here can fail, allocates or takes a lock that somebody may hold while waiting for a fence. */
static u64 klttm_cs_publish(struct klttm_cs *cs)
{
	struct dma_fence *ours = &cs->job->fence->base;
	bool cookie = dma_fence_begin_signalling();
	unsigned int i;
	u64 seq;

	seq = klttm_job_commit(cs->job);
	klttm_exec_finish(&cs->exec, ours);
	for (i = 0; i < cs->num_signals; i++) {
		struct klttm_cs_signal *signal = &cs->signals[i];

		if (signal->chain)
			drm_syncobj_add_point(signal->syncobj, signal->chain, ours, signal->point);
		else
			drm_syncobj_replace_fence(signal->syncobj, ours);
		signal->chain = NULL;
	}
	/* From here on the job may be gone. */
	cs->job = NULL;
	klttm_ctx_kick(cs->ctx);
	dma_fence_end_signalling(cookie);
	return seq;
}

/* Locking: submit_lock. */
static int klttm_cs_submit_locked(struct klttm_cs *cs, u64 *seq)
{
	int ret, idx;

	ret = klttm_cs_wait_for_slot(cs->ctx);
	if (ret)
		return ret;
	if (!drm_dev_enter(cs->ctx->dev->ddev, &idx))
		return -ENODEV;
	ret = klttm_exec_reserve(&cs->exec);
	if (!ret) {
		ret = klttm_cs_prepare(cs);
		if (ret)
			klttm_exec_backoff(&cs->exec);
		else
			*seq = klttm_cs_publish(cs);
	}
	drm_dev_exit(idx);
	return ret;
}

static int klttm_cs_submit(struct klttm_cs *cs, u64 *seq)
{
	int ret;

	ret = klttm_cs_collect_bos(cs);
	if (ret)
		return ret;
	if (mutex_lock_interruptible(&cs->ctx->submit_lock))
		return -ERESTARTSYS;
	ret = klttm_cs_submit_locked(cs, seq);
	mutex_unlock(&cs->ctx->submit_lock);
	return ret;
}

static void klttm_cs_free(struct klttm_cs *cs)
{
	while (cs->num_signals) {
		struct klttm_cs_signal *signal = &cs->signals[--cs->num_signals];

		drm_syncobj_put(signal->syncobj);
		dma_fence_chain_free(signal->chain);
	}
	kvfree(cs->signals);
	while (cs->num_ibs)
		klttm_bo_put(cs->ibs[--cs->num_ibs].bo);
	if (cs->user_fence)
		klttm_bo_put(cs->user_fence);
	if (cs->list)
		klttm_bo_list_put(cs->list);
	kvfree(cs->exec.bos);
	if (cs->job)
		klttm_job_free(cs->job);
	klttm_ctx_put(cs->ctx);
	kfree(cs);
}

int klttm_cs_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	union drm_amdgpu_cs *args = data;
	struct klttm_cs *cs;
	u64 seq;
	int ret;

	if (drm_dev_is_unplugged(ddev))
		return -ENODEV;
	if (!args->in.num_chunks || args->in.num_chunks > MAX_CHUNKS || args->in.flags)
		return -EINVAL;
	cs = kzalloc(sizeof(*cs), GFP_KERNEL_ACCOUNT);
	if (!cs)
		return -ENOMEM;
	cs->file = file;
	cs->ctx = klttm_ctx_find(file, args->in.ctx_id);
	if (!cs->ctx) {
		kfree(cs);
		return -EINVAL;
	}
	cs->job = klttm_job_create(cs->ctx);
	ret = cs->job ? klttm_cs_parse(cs, &args->in) : -ENOMEM;
	if (!ret)
		ret = klttm_cs_submit(cs, &seq);
	klttm_cs_free(cs);
	if (ret)
		return ret;
	memset(args, 0, sizeof(*args));
	args->out.handle = seq;
	return 0;
}
