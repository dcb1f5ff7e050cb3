// SPDX-License-Identifier: GPL-2.0
/*
 * The fence of a submission, and the ioctls that wait for fences or hand them out. A fence may live on in a
 * sync_file or a syncobj of any driver long after its file, context and GPU are gone, so it points to none of them
 * and holds this module until it is freed.
 *
 * Errors: EINVAL unknown context, ring or number; no fences or more than MAX_FENCES; EFAULT; what the fence ended
 * with (ECANCELED: the device died before it passed the submission; ENODEV: the GPU went away).
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sync_file.h>
#include <linux/uaccess.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_syncobj.h>

#include "klttm_priv.h"

/* In one WAIT_FENCES. */
#define MAX_FENCES	4096

/* ---- the fence ---- */

static const char *klttm_fence_driver(struct dma_fence *fence)
{
	return "kfdlab";
}

static const char *klttm_fence_timeline(struct dma_fence *fence)
{
	return "dma";
}

static void klttm_fence_free_rcu(struct rcu_head *rcu)
{
	struct dma_fence *base = container_of(rcu, struct dma_fence, rcu);

	kfree(container_of(base, struct klttm_fence, base));
	/* The module's exit waits for this function to return. */
	module_put(THIS_MODULE);
}

static void klttm_fence_release(struct dma_fence *fence)
{
	call_rcu(&fence->rcu, klttm_fence_free_rcu);
}

static const struct dma_fence_ops klttm_fence_ops = {
	.get_driver_name = klttm_fence_driver,
	.get_timeline_name = klttm_fence_timeline,
	.release = klttm_fence_release,
};

struct klttm_fence *klttm_fence_alloc(void)
{
	struct klttm_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL_ACCOUNT);

	if (!fence)
		return NULL;
	spin_lock_init(&fence->lock);
	/* The caller's open file holds the module already. */
	__module_get(THIS_MODULE);
	return fence;
}

void klttm_fence_free(struct klttm_fence *fence)
{
	kfree(fence);
	module_put(THIS_MODULE);
}

void klttm_fence_init(struct klttm_fence *fence, u64 context, u64 seq)
{
	dma_fence_init(&fence->base, &klttm_fence_ops, &fence->lock, context, seq);
}

/* ---- waiting ---- */

/* 1 signalled, 0 the time is over, or what the fence ended with, or -ERESTARTSYS. */
static long klttm_fence_wait(struct dma_fence *fence, u64 timeout)
{
	long ret = dma_fence_wait_timeout(fence, true, klttm_timeout(timeout));

	if (ret <= 0)
		return ret;
	return fence->error ? fence->error : 1;
}

/* As klttm_ctx_fence(), for a fence as user space names it. */
static struct dma_fence *klttm_find_fence(struct drm_file *file, const struct drm_amdgpu_fence *name)
{
	struct dma_fence *fence;
	struct klttm_ctx *ctx;
	int ret;

	ret = klttm_cs_check_ring(name->ip_type, name->ip_instance, name->ring);
	if (ret)
		return ERR_PTR(ret);
	ctx = klttm_ctx_find(file, name->ctx_id);
	if (!ctx)
		return ERR_PTR(-EINVAL);
	fence = klttm_ctx_fence(ctx, name->seq_no);
	klttm_ctx_put(ctx);
	return fence;
}

int klttm_wait_cs_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	union drm_amdgpu_wait_cs *args = data;
	struct drm_amdgpu_fence name = {
		.ctx_id = args->in.ctx_id,
		.ip_type = args->in.ip_type,
		.ip_instance = args->in.ip_instance,
		.ring = args->in.ring,
		.seq_no = args->in.handle,
	};
	struct dma_fence *fence = klttm_find_fence(file, &name);
	long ret = 1;

	if (IS_ERR(fence))
		return PTR_ERR(fence);
	if (fence) {
		ret = klttm_fence_wait(fence, args->in.timeout);
		dma_fence_put(fence);
	}
	if (ret < 0)
		return ret;
	memset(args, 0, sizeof(*args));
	args->out.status = !ret;
	return 0;
}

static int klttm_wait_all(struct dma_fence **fences, u32 count, u64 timeout, struct drm_amdgpu_wait_fences_out *out)
{
	long ret = 1;
	u32 i;

	for (i = 0; i < count && ret > 0; i++)
		if (fences[i])
			ret = klttm_fence_wait(fences[i], timeout);
	if (ret < 0)
		return ret;
	memset(out, 0, sizeof(*out));
	out->status = ret;
	return 0;
}

static int klttm_wait_any(struct dma_fence **fences, u32 count, u64 timeout, struct drm_amdgpu_wait_fences_out *out)
{
	u32 first = ~0u;
	long ret = 1;
	u32 i;

	for (i = 0; i < count && fences[i]; i++)
		;
	if (i < count)
		first = i;
	else
		ret = dma_fence_wait_any_timeout(fences, count, true, klttm_timeout(timeout), &first);
	if (ret < 0)
		return ret;
	memset(out, 0, sizeof(*out));
	out->status = ret > 0;
	out->first_signaled = first;
	return ret > 0 && fences[first] ? fences[first]->error : 0;
}

int klttm_wait_fences_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	union drm_amdgpu_wait_fences *args = data;
	u32 count = args->in.fence_count, found;
	struct drm_amdgpu_fence *names;
	struct dma_fence **fences;
	int ret = 0;

	if (!count || count > MAX_FENCES)
		return -EINVAL;
	names = vmemdup_user(u64_to_user_ptr(args->in.fences), array_size(count, sizeof(*names)));
	if (IS_ERR(names))
		return PTR_ERR(names);
	fences = kvcalloc(count, sizeof(*fences), GFP_KERNEL);
	if (!fences) {
		kvfree(names);
		return -ENOMEM;
	}
	for (found = 0; found < count; found++) {
		fences[found] = klttm_find_fence(file, &names[found]);
		if (IS_ERR(fences[found])) {
			ret = PTR_ERR(fences[found]);
			break;
		}
	}
	if (!ret) {
		if (args->in.wait_all)
			ret = klttm_wait_all(fences, count, args->in.timeout_ns, &args->out);
		else
			ret = klttm_wait_any(fences, count, args->in.timeout_ns, &args->out);
	}
	while (found)
		dma_fence_put(fences[--found]);
	kvfree(fences);
	kvfree(names);
	return ret;
}

/* ---- giving fences away ---- */

static int klttm_fence_to_syncobj(struct drm_file *file, struct dma_fence *fence, bool fd, u32 *handle)
{
	struct drm_syncobj *syncobj;
	int ret;

	ret = drm_syncobj_create(&syncobj, 0, fence);
	if (ret)
		return ret;
	if (fd)
		ret = drm_syncobj_get_fd(syncobj, (int *)handle);
	else
		ret = drm_syncobj_get_handle(file, syncobj, handle);
	drm_syncobj_put(syncobj);
	return ret;
}

static int klttm_fence_to_sync_file(struct dma_fence *fence, u32 *handle)
{
	struct sync_file *sync_file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	sync_file = sync_file_create(fence);
	if (!sync_file) {
		put_unused_fd(fd);
		return -ENOMEM;
	}
	fd_install(fd, sync_file->file);
	*handle = fd;
	return 0;
}

int klttm_fence_to_handle_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	union drm_amdgpu_fence_to_handle *args = data;
	u32 what = args->in.what;
	struct dma_fence *fence;
	u32 handle;
	int ret;

	if (what > AMDGPU_FENCE_TO_HANDLE_GET_SYNC_FILE_FD || args->in.pad)
		return -EINVAL;
	fence = klttm_find_fence(file, &args->in.fence);
	if (IS_ERR(fence))
		return PTR_ERR(fence);
	if (!fence)
		fence = dma_fence_get_stub();
	if (what == AMDGPU_FENCE_TO_HANDLE_GET_SYNC_FILE_FD)
		ret = klttm_fence_to_sync_file(fence, &handle);
	else
		ret = klttm_fence_to_syncobj(file, fence, what == AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ_FD, &handle);
	dma_fence_put(fence);
	if (ret)
		return ret;
	memset(args, 0, sizeof(*args));
	args->out.handle = handle;
	return 0;
}
