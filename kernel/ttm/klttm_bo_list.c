// SPDX-License-Identifier: GPL-2.0
/*
 * Lists of buffers for command submission. A list never changes: UPDATE puts a new one behind the same handle, so a
 * submission that has found a list may use it without a lock. Priorities are taken and not used: all buffers of a
 * list are reserved together, so their order decides nothing.
 *
 * Errors: ENOENT unknown buffer, or unknown list in UPDATE; EINVAL unknown operation or more than MAX_ENTRIES; ENOSPC
 * MAX_LISTS; EFAULT; ENODEV the GPU is gone. DESTROY of an unknown list succeeds, as in amdgpu.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>

#include "klttm_priv.h"

/* amdgpu's number. */
#define MAX_ENTRIES	(128 * 1024)
/* In one file. */
#define MAX_LISTS	4096

static void klttm_bo_list_release(struct kref *ref)
{
	struct klttm_bo_list *list = container_of(ref, struct klttm_bo_list, ref);

	while (list->count)
		klttm_bo_put(list->bos[--list->count]);
	kvfree(list);
}

void klttm_bo_list_put(struct klttm_bo_list *list)
{
	kref_put(&list->ref, klttm_bo_list_release);
}

struct klttm_bo_list *klttm_bo_list_find(struct drm_file *file, u32 id)
{
	struct klttm_cs_file *cs = klttm_cs_file(file);
	struct klttm_bo_list *list;

	mutex_lock(&cs->lock);
	list = idr_find(&cs->bo_lists, id);
	if (list)
		kref_get(&list->ref);
	mutex_unlock(&cs->lock);
	return list;
}

/* One entry, as much of it as both sides know. */
static int klttm_bo_list_add(struct klttm_bo_list *list, struct drm_file *file, const void __user *entry, u32 size)
{
	struct drm_amdgpu_bo_list_entry known = {};
	struct klttm_bo *bo;

	if (copy_from_user(&known, entry, min_t(u32, size, sizeof(known))))
		return -EFAULT;
	bo = klttm_bo_lookup(file, known.bo_handle);
	if (!bo)
		return -ENOENT;
	list->bos[list->count++] = bo;
	return 0;
}

struct klttm_bo_list *klttm_bo_list_create(struct drm_file *file, const struct drm_amdgpu_bo_list_in *in)
{
	const u8 __user *entry = u64_to_user_ptr(in->bo_info_ptr);
	struct klttm_bo_list *list;
	int ret = 0;
	u32 i;

	if (in->bo_number > MAX_ENTRIES)
		return ERR_PTR(-EINVAL);
	list = kvzalloc(struct_size(list, bos, in->bo_number), GFP_KERNEL_ACCOUNT);
	if (!list)
		return ERR_PTR(-ENOMEM);
	kref_init(&list->ref);
	for (i = 0; i < in->bo_number && !ret; i++, entry += in->bo_info_size) {
		ret = fatal_signal_pending(current) ? -EINTR :
			klttm_bo_list_add(list, file, entry, in->bo_info_size);
		cond_resched();
	}
	if (ret) {
		klttm_bo_list_put(list);
		return ERR_PTR(ret);
	}
	return list;
}

/* Put @list into the table: at @id, or at a new one if that is 0. Takes over the reference. */
static int klttm_bo_list_publish(struct klttm_cs_file *cs, struct klttm_bo_list *list, u32 *id)
{
	struct klttm_bo_list *old = NULL;
	int ret = 0;

	mutex_lock(&cs->lock);
	if (*id) {
		old = idr_replace(&cs->bo_lists, list, *id);
		if (IS_ERR(old))
			ret = PTR_ERR(old);
	} else {
		ret = idr_alloc(&cs->bo_lists, list, 1, MAX_LISTS + 1, GFP_KERNEL_ACCOUNT);
		if (ret > 0) {
			*id = ret;
			ret = 0;
		}
	}
	mutex_unlock(&cs->lock);
	if (ret)
		klttm_bo_list_put(list);
	else if (old)
		klttm_bo_list_put(old);
	return ret;
}

static int klttm_bo_list_destroy(struct klttm_cs_file *cs, u32 id)
{
	struct klttm_bo_list *list;

	mutex_lock(&cs->lock);
	list = idr_remove(&cs->bo_lists, id);
	mutex_unlock(&cs->lock);
	if (list)
		klttm_bo_list_put(list);
	return 0;
}

static int klttm_bo_list_op(struct drm_file *file, const struct drm_amdgpu_bo_list_in *in, u32 *id)
{
	struct klttm_cs_file *cs = klttm_cs_file(file);
	struct klttm_bo_list *list;

	switch (in->operation) {
	case AMDGPU_BO_LIST_OP_DESTROY:
		*id = 0;
		return klttm_bo_list_destroy(cs, in->list_handle);
	case AMDGPU_BO_LIST_OP_UPDATE:
		if (!in->list_handle)
			return -ENOENT;
		*id = in->list_handle;
		break;
	case AMDGPU_BO_LIST_OP_CREATE:
		*id = 0;
		break;
	default:
		return -EINVAL;
	}
	list = klttm_bo_list_create(file, in);
	if (IS_ERR(list))
		return PTR_ERR(list);
	return klttm_bo_list_publish(cs, list, id);
}

int klttm_bo_list_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	union drm_amdgpu_bo_list *args = data;
	u32 id;
	int ret;

	if (drm_dev_is_unplugged(ddev))
		return -ENODEV;
	ret = klttm_bo_list_op(file, &args->in, &id);
	if (ret)
		return ret;
	memset(args, 0, sizeof(*args));
	args->out.list_handle = id;
	return 0;
}
