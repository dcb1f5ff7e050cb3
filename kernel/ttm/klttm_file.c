// SPDX-License-Identifier: GPL-2.0
/*
 * An open file of the render node: which objects it may use, by a handle or because KFD allows it, and what they add
 * up to. An object is entered once per file however many ways lead to it, so that sums over files count it once
 * each. A file is one GPU address space (klttm_va.c).
 */
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>

#include "klttm_priv.h"

static atomic64_t klttm_clients = ATOMIC64_INIT(0);

int klttm_file_open(struct drm_device *ddev, struct drm_file *file)
{
	struct klttm_file *kfile = kzalloc(sizeof(*kfile), GFP_KERNEL_ACCOUNT);

	if (!kfile)
		return -ENOMEM;
	kfile->dev = drm_to_klttm_device(ddev);
	kfile->client_id = atomic64_inc_return(&klttm_clients);
	spin_lock_init(&kfile->va_lock);
	kfile->mappings = RB_ROOT_CACHED;
	kfile->held = RB_ROOT;
	klttm_cs_file_init(&kfile->cs);
	file->driver_priv = kfile;
	return 0;
}

void klttm_file_postclose(struct drm_device *ddev, struct drm_file *file)
{
	struct klttm_file *kfile = file->driver_priv;

	klttm_cs_file_fini(&kfile->cs);
	klttm_va_fini(kfile);
	/* Handles are closed by now, and KFD keeps the file open while it allows it something. */
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&kfile->held));
	kfree(kfile);
}

static int klttm_held_order(const struct klttm_bo *bo, const struct klttm_held *held)
{
	return bo == held->bo ? 0 : bo < held->bo ? -1 : 1;
}

static int klttm_held_cmp(const void *key, const struct rb_node *node)
{
	return klttm_held_order(key, rb_entry(node, struct klttm_held, node));
}

static int klttm_held_cmp_node(struct rb_node *new, const struct rb_node *node)
{
	return klttm_held_cmp(rb_entry(new, struct klttm_held, node)->bo, node);
}

struct klttm_held *klttm_file_find(struct klttm_file *kfile, const struct klttm_bo *bo)
{
	struct rb_node *node = rb_find(bo, &kfile->held, klttm_held_cmp);

	lockdep_assert_held(&kfile->va_lock);
	return node ? rb_entry(node, struct klttm_held, node) : NULL;
}

int klttm_file_hold(struct klttm_file *kfile, struct klttm_bo *bo)
{
	struct klttm_held *held, *new;

	if (bo->userptr && !klttm_userptr_is_mine(bo->userptr))
		return -EPERM;
	if (bo->only_file && bo->only_file != kfile)
		return -EPERM;
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->bo = bo;
	new->count = 1;
	INIT_LIST_HEAD(&new->mappings);

	spin_lock(&kfile->va_lock);
	held = klttm_file_find(kfile, bo);
	if (held)
		held->count++;
	else
		rb_find_add(&new->node, &kfile->held, klttm_held_cmp_node);
	spin_unlock(&kfile->va_lock);
	if (held)
		kfree(new);
	else
		klttm_prime_held(bo);
	return 0;
}

void klttm_file_drop(struct klttm_file *kfile, struct klttm_bo *bo)
{
	struct klttm_held *held;

	spin_lock(&kfile->va_lock);
	held = klttm_file_find(kfile, bo);
	/* Not found when _hold() refused the object: DRM undoes a handle that way. */
	if (held && !--held->count)
		rb_erase(&held->node, &kfile->held);
	else
		held = NULL;
	spin_unlock(&kfile->va_lock);
	if (!held)
		return;
	klttm_va_drop_held(kfile, held);
	kfree(held);
	klttm_prime_dropped(bo);
}

long klttm_file_objects(struct klttm_file *kfile, struct klttm_bo ***objects)
{
	struct klttm_bo **array = NULL;
	struct rb_node *node;
	long room = 0, n;

	for (;;) {
		n = 0;
		spin_lock(&kfile->va_lock);
		for (node = rb_first(&kfile->held); node; node = rb_next(node), n++)
			if (n < room)
				array[n] = rb_entry(node, struct klttm_held, node)->bo;
		if (n <= room)
			break;
		spin_unlock(&kfile->va_lock);
		kvfree(array);
		room = n + n / 8;
		array = kvmalloc_array(room, sizeof(*array), GFP_KERNEL_ACCOUNT);
		if (!array)
			return -ENOMEM;
	}
	for (room = 0; room < n; room++)
		klttm_bo_get(array[room]);
	spin_unlock(&kfile->va_lock);
	*objects = array;
	return n;
}

/* Bytes by where objects are and where they were asked to be. */
struct klttm_memory {
	u64 vram, gtt, cpu;
	u64 shared_vram, shared_gtt, shared_cpu;
	u64 evicted_vram, requested_vram, requested_gtt;
};

static void klttm_memory_add(struct klttm_memory *sum, struct klttm_bo *bo)
{
	u64 size = bo->tbo.base.size;
	u64 shared = bo->tbo.base.handle_count > 1 || bo->tbo.base.dma_buf ? size : 0;
	u32 mem_type;

	if (ttm_bo_reserve(&bo->tbo, true, false, NULL))
		return;
	/* Without a resource the contents were thrown away (DISCARDABLE). */
	mem_type = bo->tbo.resource ? bo->tbo.resource->mem_type : TTM_PL_SYSTEM;
	if (mem_type == TTM_PL_VRAM) {
		sum->vram += size;
		sum->shared_vram += shared;
	} else if (mem_type == TTM_PL_TT) {
		sum->gtt += size;
		sum->shared_gtt += shared;
	} else if (bo->tbo.resource) {
		sum->cpu += size;
		sum->shared_cpu += shared;
	}
	if (bo->preferred_domains & AMDGPU_GEM_DOMAIN_VRAM) {
		sum->requested_vram += size;
		sum->evicted_vram += mem_type == TTM_PL_VRAM ? 0 : size;
	} else if (bo->preferred_domains & AMDGPU_GEM_DOMAIN_GTT) {
		sum->requested_gtt += size;
	}
	/* Not ttm_bo_unreserve(): who looks at an object does not use it. */
	dma_resv_unlock(bo->tbo.base.resv);
}

static void klttm_memory_print(struct seq_file *m, const struct klttm_memory *sum)
{
	const struct { const char *key; u64 bytes; } lines[] = {
		{ "drm-memory-vram", sum->vram },
		{ "drm-memory-gtt", sum->gtt },
		{ "drm-memory-cpu", sum->cpu },
		{ "amd-memory-visible-vram", sum->vram },
		{ "amd-evicted-vram", sum->evicted_vram },
		{ "amd-evicted-visible-vram", 0 },
		{ "amd-requested-vram", sum->requested_vram },
		/* As with amdgpu: CPU_ACCESS_REQUIRED is forgotten once an object exists. */
		{ "amd-requested-visible-vram", 0 },
		{ "amd-requested-gtt", sum->requested_gtt },
		{ "drm-shared-vram", sum->shared_vram },
		{ "drm-shared-gtt", sum->shared_gtt },
		{ "drm-shared-cpu", sum->shared_cpu },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lines); i++)
		seq_printf(m, "%s:\t%llu KiB\n", lines[i].key, lines[i].bytes / SZ_1K);
}

/* Same keys on every kernel, those of 6.12's amdgpu. Context: reading fdinfo; the file is open. */
void klttm_show_fdinfo(struct seq_file *m, struct file *filp)
{
	struct drm_file *file = filp->private_data;
	struct klttm_file *kfile = file->driver_priv;
	struct device *parent = kfile->dev->ddev->dev;
	struct klttm_memory sum = {};
	struct klttm_bo **objects;
	long n, i;

	seq_puts(m, "drm-driver:\tamdgpu\n");
	seq_printf(m, "drm-client-id:\t%llu\n", kfile->client_id);
	if (dev_is_pci(parent))
		seq_printf(m, "drm-pdev:\t%s\n", pci_name(to_pci_dev(parent)));
	n = klttm_file_objects(kfile, &objects);
	if (n < 0)
		return;
	for (i = 0; i < n; i++) {
		klttm_memory_add(&sum, objects[i]);
		klttm_bo_put(objects[i]);
		cond_resched();
	}
	kvfree(objects);
	klttm_memory_print(m, &sum);
}
