// SPDX-License-Identifier: GPL-2.0
/*
 * What the render node shows in /sys/kernel/debug/dri/<minor>, under amdgpu's names where they mean the same:
 *
 *   amdgpu_evict_vram   reading it moves everything out of VRAM that can leave
 *   amdgpu_evict_gtt    reading it moves every object out of GTT, which here is a change of books
 *   amdgpu_vm_info      who holds which objects, and where they are
 *
 * Both evictions answer TTM's result in text, 0 when nothing is left that could go. They hold off allocations, so they
 * end after what there was when they began; a signal ends them earlier, between two objects, with EINTR. They stop with
 * -12 (ENOMEM) before RAM gets short. Nothing is lost either way: an object is in the old place or in the new one.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>

#include "klttm_priv.h"

/* RAM that an eviction of everything leaves free. */
#define KLTTM_EVICT_ALL_RESERVE_PAGES	(SZ_64M >> PAGE_SHIFT)

bool klttm_evict_all_stops(struct klttm_bo *bo)
{
	struct klttm_device *dev = bo->dev;
	long pages = bo->tbo.base.size >> PAGE_SHIFT;

	if (READ_ONCE(dev->evict_all) != current)
		return false;
	if (signal_pending(current))
		dev->evict_all_error = -EINTR;
	else if (si_mem_available() < pages + KLTTM_EVICT_ALL_RESERVE_PAGES)
		dev->evict_all_error = -ENOMEM;
	return dev->evict_all_error;
}

/* TTM's loop of 6.1 answers with an uninitialised variable when there is nothing to do. */
static bool klttm_lru_is_empty(struct klttm_device *dev, struct ttm_resource_manager *man)
{
	bool empty = true;
	unsigned int i;

	spin_lock(&dev->bdev.lru_lock);
	for (i = 0; i < TTM_MAX_BO_PRIORITY; i++)
		empty &= list_empty(&man->lru[i]);
	spin_unlock(&dev->bdev.lru_lock);
	return empty;
}

static int klttm_evict_all(struct klttm_device *dev, struct ttm_resource_manager *man, u64 *result)
{
	int ret = 0, idx;

	if (!drm_dev_enter(dev->ddev, &idx))
		return -ENODEV;
	ret = klttm_alloc_begin(dev, true);
	if (ret) {
		drm_dev_exit(idx);
		return ret == -ERESTARTSYS ? -EINTR : ret;
	}
	dev->evict_all_error = 0;
	WRITE_ONCE(dev->evict_all, current);
	if (!klttm_lru_is_empty(dev, man))
		ret = ttm_resource_manager_evict_all(&dev->bdev, man);
	WRITE_ONCE(dev->evict_all, NULL);
	ret = dev->evict_all_error ?: klttm_alloc_error(ret);
	klttm_alloc_end(dev);
	klttm_flush(dev);
	drm_dev_exit(idx);
	if (ret == -EINTR || ret == -ERESTARTSYS)
		return -EINTR;
	*result = ret;
	return 0;
}

static int klttm_evict_vram_get(void *data, u64 *result)
{
	struct klttm_device *dev = data;

	return klttm_evict_all(dev, &dev->vram_man, result);
}

int klttm_evict_vram(struct klttm_device *dev)
{
	u64 result = 0;
	int ret = klttm_evict_all(dev, &dev->vram_man, &result);

	return ret ?: (int)result;
}
EXPORT_SYMBOL_GPL(klttm_evict_vram);

DEFINE_DEBUGFS_ATTRIBUTE(klttm_evict_vram_fops, klttm_evict_vram_get, NULL, "%lld\n");

static int klttm_evict_gtt_get(void *data, u64 *result)
{
	struct klttm_device *dev = data;

	return klttm_evict_all(dev, &dev->gtt_man, result);
}
DEFINE_DEBUGFS_ATTRIBUTE(klttm_evict_gtt_fops, klttm_evict_gtt_get, NULL, "%lld\n");

/* ---- amdgpu_vm_info ---- */

struct klttm_vm_sum {
	u64 bytes;
	unsigned int objects;
};

static const char *klttm_place_name(u32 mem_type)
{
	switch (mem_type) {
	case TTM_PL_VRAM:
		return "VRAM";
	case TTM_PL_TT:
		return "GTT";
	default:
		return "CPU";
	}
}

/* Locking: takes dma_resv. Idle: where it was asked to be; evicted: not in VRAM, although it was asked for. */
static int klttm_show_bo(struct seq_file *m, unsigned int number, struct klttm_bo *bo, struct klttm_vm_sum sums[2])
{
	bool evicted;
	u32 place;
	int ret;

	ret = ttm_bo_reserve(&bo->tbo, true, false, NULL);
	if (ret)
		return ret;
	place = bo->tbo.resource ? bo->tbo.resource->mem_type : TTM_PL_SYSTEM;
	evicted = bo->preferred_domains & AMDGPU_GEM_DOMAIN_VRAM && place != TTM_PL_VRAM;
	seq_printf(m, "\t\t0x%08x: %12llu byte %s%s%s%s\n", number, (u64)bo->tbo.base.size,
		   bo->userptr ? "USERPTR" : klttm_place_name(place), evicted ? " EVICTED" : "",
		   bo->create_flags & AMDGPU_GEM_CREATE_NO_CPU_ACCESS ? " NO_CPU_ACCESS" : "",
		   bo->exported ? " exported" : "");
	dma_resv_unlock(bo->tbo.base.resv);
	sums[evicted].bytes += bo->tbo.base.size;
	sums[evicted].objects++;
	return 0;
}

static int klttm_show_file(struct seq_file *m, struct drm_file *file)
{
	struct klttm_vm_sum sums[2] = {};
	struct klttm_bo **objects;
	struct task_struct *task;
	int ret = 0;
	long i, n;

	n = klttm_file_objects(file->driver_priv, &objects);
	if (n < 0)
		return n;
	rcu_read_lock();
	task = pid_task(rcu_dereference(file->pid), PIDTYPE_PID);
	seq_printf(m, "pid:%d\tProcess:%s ----------\n", task ? task->pid : 0, task ? task->comm : "");
	rcu_read_unlock();
	for (i = 0; i < n; i++) {
		if (!ret)
			ret = klttm_show_bo(m, i, objects[i], sums);
		klttm_bo_put(objects[i]);
	}
	kvfree(objects);
	seq_printf(m, "\tTotal idle size:    %12llu\tobjs:\t%u\n", sums[0].bytes, sums[0].objects);
	seq_printf(m, "\tTotal evicted size: %12llu\tobjs:\t%u\n", sums[1].bytes, sums[1].objects);
	return ret;
}

static int klttm_vm_info_show(struct seq_file *m, void *unused)
{
	struct klttm_device *dev = m->private;
	struct drm_file *file;
	int ret;

	ret = mutex_lock_interruptible(&dev->ddev->filelist_mutex);
	if (ret)
		return ret;
	list_for_each_entry(file, &dev->ddev->filelist, lhead) {
		ret = klttm_show_file(m, file);
		if (ret)
			break;
	}
	mutex_unlock(&dev->ddev->filelist_mutex);
	return ret;
}
DEFINE_SHOW_ATTRIBUTE(klttm_vm_info);

/* 6.1 asks for each minor, 6.12 once for the device; either way the files show under the render node's number. */
void klttm_debugfs_init(struct drm_minor *minor)
{
	struct klttm_device *dev = drm_to_klttm_device(minor->dev);
	struct dentry *root = minor->debugfs_root;

	debugfs_create_file("amdgpu_evict_vram", 0400, root, dev, &klttm_evict_vram_fops);
	debugfs_create_file("amdgpu_evict_gtt", 0400, root, dev, &klttm_evict_gtt_fops);
	debugfs_create_file("amdgpu_vm_info", 0400, root, dev, &klttm_vm_info_fops);
}
