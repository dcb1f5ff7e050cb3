// SPDX-License-Identifier: GPL-2.0
/*
 * The GPU address space of a file (GEM_VA): which piece of which object is where. Mappings never overlap, and one
 * lives at most as long as the file may use its object. Rules and errors are amdgpu's, limits those of
 * AMDGPU_INFO_DEV_INFO.
 *
 * Addresses are 48 bits with a hole in the middle; inside the tree they are GPU pages without it.
 */
#include <linux/interval_tree.h>
#include <linux/slab.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>

#include "klttm_priv.h"

#define VA_MASK			0x0000ffffffffffffull

#define VA_FLAGS	(AMDGPU_VM_DELAY_UPDATE | AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE | \
			 AMDGPU_VM_PAGE_EXECUTABLE | AMDGPU_VM_MTYPE_MASK | AMDGPU_VM_PAGE_NOALLOC)
#define VA_PRT_FLAGS	(AMDGPU_VM_DELAY_UPDATE | AMDGPU_VM_PAGE_PRT)

/* Of all files of a GPU: bounds what records take, which cost the user no memory of an object. */
#define KLTTM_MAX_MAPPINGS	(1 << 18)

struct klttm_mapping {
	struct interval_tree_node va;	/* klttm_file.mappings; GPU pages */
	struct list_head link;		/* klttm_held.mappings, or a list of what is to be freed */
	struct klttm_held *held;	/* NULL: PRT or KFD's, nothing of the file's behind it */
	u64 offset;			/* bytes into the object */
	u32 flags;			/* AMDGPU_VM_* */
	bool kfd;			/* klttm_va_reserve(): not GEM_VA's to change */
};

static struct klttm_mapping *klttm_mapping_alloc(struct klttm_device *dev)
{
	struct klttm_mapping *m;

	if (atomic_inc_return(&dev->va_mappings) > KLTTM_MAX_MAPPINGS)
		goto err_dec;
	m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	if (!m)
		goto err_dec;
	INIT_LIST_HEAD(&m->link);
	return m;
err_dec:
	atomic_dec(&dev->va_mappings);
	return NULL;
}

static void klttm_mapping_free(struct klttm_device *dev, struct klttm_mapping *m)
{
	if (!m)
		return;
	atomic_dec(&dev->va_mappings);
	kfree(m);
}

static void klttm_mapping_free_list(struct klttm_device *dev, struct list_head *list)
{
	struct klttm_mapping *m, *next;

	list_for_each_entry_safe(m, next, list, link) {
		klttm_mapping_free(dev, m);
		cond_resched();
	}
}

static struct klttm_mapping *klttm_mapping_first(struct klttm_file *kfile, unsigned long first,
						 unsigned long last)
{
	struct interval_tree_node *node = interval_tree_iter_first(&kfile->mappings, first, last);

	return node ? container_of(node, struct klttm_mapping, va) : NULL;
}

static void klttm_mapping_insert(struct klttm_file *kfile, struct klttm_mapping *m)
{
	interval_tree_insert(&m->va, &kfile->mappings);
	if (m->held)
		list_add(&m->link, &m->held->mappings);
	else
		INIT_LIST_HEAD(&m->link);
}

static void klttm_mapping_remove(struct klttm_file *kfile, struct klttm_mapping *m)
{
	interval_tree_remove(&m->va, &kfile->mappings);
	list_del_init(&m->link);
}

/*
 * Cut [first, last] out of what is mapped; *spare is used if that leaves two pieces of one mapping. Locking: va_lock,
 * which it may let go of for a moment; only KFD's are left there when it returns.
 */
static void klttm_va_clear(struct klttm_file *kfile, unsigned long first, unsigned long last,
			   struct klttm_mapping **spare, struct list_head *removed)
{
	struct klttm_mapping *m, *after;
	unsigned long at = first;

	while (at <= last && (m = klttm_mapping_first(kfile, at, last))) {
		if (m->kfd) {
			at = m->va.last + 1;
			continue;
		}
		klttm_mapping_remove(kfile, m);
		after = m->va.last > last ? (m->va.start < first ? *spare : m) : NULL;
		if (after && after != m) {
			/* Only the one mapping that covers all of the range gets here. */
			*spare = NULL;
			after->held = m->held;
			after->flags = m->flags;
			after->va.last = m->va.last;
		}
		if (after) {
			after->offset = m->offset + ((u64)(last + 1 - m->va.start) << PAGE_SHIFT);
			after->va.start = last + 1;
			klttm_mapping_insert(kfile, after);
		}
		if (after != m && m->va.start < first) {
			m->va.last = first - 1;
			klttm_mapping_insert(kfile, m);
		} else if (after != m) {
			list_add(&m->link, removed);
		}
		cond_resched_lock(&kfile->va_lock);
	}
}

/* Is anything of [first, last] KFD's? Locking: va_lock. */
static bool klttm_va_is_kfds(struct klttm_file *kfile, unsigned long first, unsigned long last)
{
	struct interval_tree_node *node;

	for (node = interval_tree_iter_first(&kfile->mappings, first, last); node;
	     node = interval_tree_iter_next(node, first, last))
		if (container_of(node, struct klttm_mapping, va)->kfd)
			return true;
	return false;
}

static int klttm_va_check(const struct drm_amdgpu_gem_va *args, const struct klttm_bo *bo)
{
	u64 end;

	if (!args->map_size || !PAGE_ALIGNED(args->va_address | args->offset_in_bo | args->map_size))
		return -EINVAL;
	if (check_add_overflow(args->offset_in_bo, args->map_size, &end))
		return -EINVAL;
	return bo && end > bo->tbo.base.size ? -EINVAL : 0;
}

/* MAP and REPLACE. */
static int klttm_va_map(struct klttm_file *kfile, const struct drm_amdgpu_gem_va *args, struct klttm_bo *bo)
{
	bool replace = args->operation == AMDGPU_VA_OP_REPLACE;
	struct klttm_mapping *m, *spare = NULL;
	struct klttm_device *dev = kfile->dev;
	LIST_HEAD(removed);
	int ret;

	ret = klttm_va_check(args, bo);
	if (ret)
		return ret;
	m = klttm_mapping_alloc(dev);
	if (m && replace)
		spare = klttm_mapping_alloc(dev);
	if (!m || (replace && !spare)) {
		klttm_mapping_free(dev, m);
		return -ENOMEM;
	}
	m->va.start = args->va_address >> PAGE_SHIFT;
	m->va.last = m->va.start + (args->map_size >> PAGE_SHIFT) - 1;
	m->offset = args->offset_in_bo;
	m->flags = args->flags & ~AMDGPU_VM_DELAY_UPDATE;

	spin_lock(&kfile->va_lock);
	if (bo && !klttm_file_find(kfile, bo))
		ret = -ENOENT;
	else if (replace && klttm_va_is_kfds(kfile, m->va.start, m->va.last))
		ret = -EINVAL;
	else if (replace)
		klttm_va_clear(kfile, m->va.start, m->va.last, &spare, &removed);
	/* The lock may have been let go of. */
	m->held = bo ? klttm_file_find(kfile, bo) : NULL;
	if (!ret && bo && !m->held)
		ret = -ENOENT;
	else if (!ret && klttm_mapping_first(kfile, m->va.start, m->va.last))
		ret = -EINVAL;
	else if (!ret)
		klttm_mapping_insert(kfile, m);
	spin_unlock(&kfile->va_lock);
	if (ret)
		klttm_mapping_free(dev, m);
	klttm_mapping_free(dev, spare);
	klttm_mapping_free_list(dev, &removed);
	return ret;
}

struct klttm_mapping *klttm_va_reserve(struct file *filp, u64 start, u64 bytes)
{
	struct klttm_file *kfile = ((struct drm_file *)filp->private_data)->driver_priv;
	struct klttm_mapping *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	bool taken;

	if (!m)
		return ERR_PTR(-ENOMEM);
	m->kfd = true;
	m->va.start = start >> PAGE_SHIFT;
	m->va.last = (start + bytes - 1) >> PAGE_SHIFT;
	spin_lock(&kfile->va_lock);
	taken = klttm_mapping_first(kfile, m->va.start, m->va.last);
	if (!taken)
		klttm_mapping_insert(kfile, m);
	spin_unlock(&kfile->va_lock);
	if (!taken)
		return m;
	kfree(m);
	return ERR_PTR(-EADDRINUSE);
}
EXPORT_SYMBOL_GPL(klttm_va_reserve);

void klttm_va_unreserve(struct file *filp, struct klttm_mapping *m)
{
	struct klttm_file *kfile = ((struct drm_file *)filp->private_data)->driver_priv;

	spin_lock(&kfile->va_lock);
	klttm_mapping_remove(kfile, m);
	spin_unlock(&kfile->va_lock);
	kfree(m);
}
EXPORT_SYMBOL_GPL(klttm_va_unreserve);

bool klttm_va_busy(struct file *filp, u64 start, u64 last)
{
	struct klttm_file *kfile = ((struct drm_file *)filp->private_data)->driver_priv;
	bool busy;

	spin_lock(&kfile->va_lock);
	busy = klttm_mapping_first(kfile, start >> PAGE_SHIFT, last >> PAGE_SHIFT);
	spin_unlock(&kfile->va_lock);
	return busy;
}
EXPORT_SYMBOL_GPL(klttm_va_busy);

static int klttm_va_unmap(struct klttm_file *kfile, const struct drm_amdgpu_gem_va *args, struct klttm_bo *bo)
{
	unsigned long first = args->va_address >> PAGE_SHIFT;
	struct klttm_mapping *m;

	spin_lock(&kfile->va_lock);
	m = klttm_mapping_first(kfile, first, first);
	if (m && !m->kfd && m->va.start == first && (m->held ? m->held->bo : NULL) == bo)
		klttm_mapping_remove(kfile, m);
	else
		m = NULL;
	spin_unlock(&kfile->va_lock);
	if (!m)
		return -ENOENT;
	klttm_mapping_free(kfile->dev, m);
	return 0;
}

static int klttm_va_clear_range(struct klttm_file *kfile, const struct drm_amdgpu_gem_va *args)
{
	unsigned long first = args->va_address >> PAGE_SHIFT;
	struct klttm_mapping *spare;
	LIST_HEAD(removed);

	if (!args->map_size || !PAGE_ALIGNED(args->va_address | args->map_size))
		return -EINVAL;
	spare = klttm_mapping_alloc(kfile->dev);
	if (!spare)
		return -ENOMEM;
	spin_lock(&kfile->va_lock);
	klttm_va_clear(kfile, first, first + (args->map_size >> PAGE_SHIFT) - 1, &spare, &removed);
	spin_unlock(&kfile->va_lock);
	klttm_mapping_free(kfile->dev, spare);
	klttm_mapping_free_list(kfile->dev, &removed);
	return 0;
}

/* Is the address one that DEV_INFO offers? Takes the hole out of it. */
static int klttm_va_check_address(struct drm_amdgpu_gem_va *args)
{
	u64 end;

	if (args->va_address < KLTTM_VA_RESERVED)
		return -EINVAL;
	if (args->va_address >= KLTTM_VA_HOLE_START && args->va_address < KLTTM_VA_HOLE_END)
		return -EINVAL;
	args->va_address &= VA_MASK;
	if (check_add_overflow(args->va_address, args->map_size, &end) || end > VA_MASK + 1 - KLTTM_VA_RESERVED)
		return -EINVAL;
	return 0;
}

int klttm_gem_va_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	struct klttm_file *kfile = file->driver_priv;
	struct drm_amdgpu_gem_va *args = data;
	struct klttm_bo *bo = NULL;
	int ret;

	ret = klttm_va_check_address(args);
	if (ret)
		return ret;
	if (args->flags & ~VA_FLAGS && args->flags & ~VA_PRT_FLAGS)
		return -EINVAL;
	if (args->operation < AMDGPU_VA_OP_MAP || args->operation > AMDGPU_VA_OP_REPLACE)
		return -EINVAL;
	if (args->operation == AMDGPU_VA_OP_CLEAR)
		return klttm_va_clear_range(kfile, args);
	if (!(args->flags & AMDGPU_VM_PAGE_PRT)) {
		bo = klttm_bo_lookup(file, args->handle);
		if (!bo)
			return -ENOENT;
	}
	if (args->operation == AMDGPU_VA_OP_UNMAP)
		ret = klttm_va_unmap(kfile, args, bo);
	else
		ret = klttm_va_map(kfile, args, bo);
	if (bo)
		klttm_bo_put(bo);
	return ret;
}

int klttm_vm_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	struct klttm_file *kfile = file->driver_priv;
	union drm_amdgpu_vm *args = data;

	if (args->in.flags)
		return -EINVAL;
	if (args->in.op != AMDGPU_VM_OP_RESERVE_VMID && args->in.op != AMDGPU_VM_OP_UNRESERVE_VMID)
		return -EINVAL;
	/* Address spaces are not numbered here, so a file that wants a number for itself can always have one. */
	WRITE_ONCE(kfile->vmid_reserved, args->in.op == AMDGPU_VM_OP_RESERVE_VMID);
	return 0;
}

struct klttm_bo *klttm_va_find(struct drm_file *file, u64 va, u64 *offset, u64 *bytes, u32 *flags)
{
	struct klttm_file *kfile = file->driver_priv;
	struct klttm_bo *bo = ERR_PTR(-ENOENT);
	struct klttm_mapping *m;
	u64 skip;

	va &= VA_MASK;
	spin_lock(&kfile->va_lock);
	m = klttm_mapping_first(kfile, va >> PAGE_SHIFT, va >> PAGE_SHIFT);
	if (m && m->held) {
		bo = m->held->bo;
		klttm_bo_get(bo);
		skip = va - ((u64)m->va.start << PAGE_SHIFT);
		*offset = m->offset + skip;
		*bytes = ((u64)(m->va.last - m->va.start + 1) << PAGE_SHIFT) - skip;
		*flags = m->flags;
	}
	spin_unlock(&kfile->va_lock);
	return bo;
}

void klttm_va_drop_held(struct klttm_file *kfile, struct klttm_held *held)
{
	struct klttm_mapping *m;
	LIST_HEAD(removed);

	spin_lock(&kfile->va_lock);
	while ((m = list_first_entry_or_null(&held->mappings, struct klttm_mapping, link))) {
		klttm_mapping_remove(kfile, m);
		list_add(&m->link, &removed);
		cond_resched_lock(&kfile->va_lock);
	}
	spin_unlock(&kfile->va_lock);
	klttm_mapping_free_list(kfile->dev, &removed);
}

void klttm_va_fini(struct klttm_file *kfile)
{
	struct klttm_mapping *spare = NULL;
	LIST_HEAD(removed);

	spin_lock(&kfile->va_lock);
	klttm_va_clear(kfile, 0, ULONG_MAX, &spare, &removed);
	spin_unlock(&kfile->va_lock);
	klttm_mapping_free_list(kfile->dev, &removed);
}
