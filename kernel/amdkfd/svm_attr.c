// SPDX-License-Identifier: GPL-2.0
/*
 * AMDKFD_IOC_SVM: SET and GET of attributes.
 *
 * A call is checked as a whole before anything is touched: first its arguments, then the address
 * range, then what is needed is allocated, and only then the tree changes. A prefetch runs after
 * that, without svms->lock, and cannot fail the call.
 *
 * Where we are stricter than upstream: SET_FLAGS with an unknown bit is EINVAL (upstream stores it
 * and never looks again). CLR_FLAGS takes any bit: clearing what is never set changes nothing, and
 * a program may hand back the complement that GET gave it.
 */
#include <linux/overflow.h>
#include <linux/slab.h>

#include "kfd_restore.h"
#include "svm_range.h"

/* Bits 0..7 of both kernels' uAPI; EXT_COHERENT is not in the header of 6.1. */
#define SVM_FLAGS_KNOWN	0xffu

#define SVM_VMA_REFUSED	(VM_IO | VM_PFNMAP | VM_MIXEDMAP)

static bool svm_location_known(u32 location)
{
	return location == KFD_IOCTL_SVM_LOCATION_SYSMEM || kfd_dev_by_id(location);
}

/* The GPU as a bit; 0: no such GPU. */
static u32 svm_gpu_bit(u32 gpu_id)
{
	struct kfd_dev *dev = kfd_dev_by_id(gpu_id);

	return dev ? BIT(dev->index) : 0;
}

static int svm_parse_access(u32 type, u32 gpu_id, struct svm_change *change)
{
	u32 gpu = svm_gpu_bit(gpu_id);

	if (!gpu)
		return -EINVAL;
	svm_bits_remove(&change->access, gpu);
	svm_bits_remove(&change->access_in_place, gpu);
	if (type == KFD_IOCTL_SVM_ATTR_ACCESS)
		svm_bits_add(&change->access, gpu);
	else if (type == KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE)
		svm_bits_add(&change->access_in_place, gpu);
	return 0;
}

static int svm_parse_one(const struct kfd_ioctl_svm_attribute *attr, struct svm_change *change)
{
	switch (attr->type) {
	case KFD_IOCTL_SVM_ATTR_PREFERRED_LOC:
		if (attr->value != KFD_IOCTL_SVM_LOCATION_UNDEFINED &&
		    !svm_location_known(attr->value))
			return -EINVAL;
		change->has_preferred = true;
		change->preferred_loc = attr->value;
		return 0;
	case KFD_IOCTL_SVM_ATTR_PREFETCH_LOC:
		if (!svm_location_known(attr->value))
			return -EINVAL;
		change->has_prefetch = true;
		change->prefetch_loc = attr->value;
		return 0;
	case KFD_IOCTL_SVM_ATTR_ACCESS:
	case KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE:
	case KFD_IOCTL_SVM_ATTR_NO_ACCESS:
		return svm_parse_access(attr->type, attr->value, change);
	case KFD_IOCTL_SVM_ATTR_SET_FLAGS:
		if (attr->value & ~SVM_FLAGS_KNOWN)
			return -EINVAL;
		svm_bits_add(&change->flags, attr->value);
		return 0;
	case KFD_IOCTL_SVM_ATTR_CLR_FLAGS:
		svm_bits_remove(&change->flags, attr->value);
		return 0;
	case KFD_IOCTL_SVM_ATTR_GRANULARITY:
		change->has_granularity = true;
		change->granularity = min_t(u32, attr->value, SVM_GRANULARITY_MAX);
		return 0;
	default:
		return -EINVAL;
	}
}

/* Every page of [start, end) in an ordinary mapping? Locking: mmap_lock. */
static int svm_check_vmas(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	lockdep_assert_held(&mm->mmap_lock);
	while (start < end) {
		struct vm_area_struct *vma = vma_lookup(mm, start);

		if (!vma || vma->vm_flags & SVM_VMA_REFUSED)
			return -EFAULT;
		start = vma->vm_end;
		cond_resched();
	}
	return 0;
}

/* Locking: mmap_lock, svms->lock, so that the answer stays true until they are dropped. */
static int svm_check_range(struct kfd_process *p, unsigned long start, unsigned long end)
{
	int ret = svm_check_vmas(svm_mm(&p->svms), start, end);

	lockdep_assert_held(&p->svms.lock);
	if (ret)
		return ret;
	if (kfd_process_va_has_buffer(p, start >> PAGE_SHIFT, (end - 1) >> PAGE_SHIFT))
		return -EADDRINUSE;
	return 0;
}

static struct svm_range *svm_first(struct svm_range_list *svms, unsigned long start,
				   unsigned long last)
{
	struct interval_tree_node *node = interval_tree_iter_first(&svms->tree, start, last);

	return node ? container_of(node, struct svm_range, it) : NULL;
}

static struct svm_range *svm_next(struct svm_range *range, unsigned long start, unsigned long last)
{
	struct interval_tree_node *node = interval_tree_iter_next(&range->it, start, last);

	return node ? container_of(node, struct svm_range, it) : NULL;
}

/* Memory of one SET, sized by the ranges it may touch. */
struct svm_set {
	struct svm_range **ranges;
	struct svm_piece *old, *new;
	unsigned long nranges;
};

static void svm_set_free(struct svm_set *set)
{
	kvfree(set->ranges);
	kvfree(set->old);
	kvfree(set->new);
}

/* The ranges in [start, last] and the neighbours a merge could take in. */
static int svm_set_collect(struct svm_range_list *svms, struct svm_set *set, unsigned long start,
			   unsigned long last)
{
	unsigned long from = start ? start - 1 : 0, to = last + 1, n = 0;
	struct svm_range *range;

	for (range = svm_first(svms, from, to); range; range = svm_next(range, from, to))
		set->nranges++;

	set->ranges = kvmalloc_array(set->nranges + 1, sizeof(*set->ranges), GFP_KERNEL_ACCOUNT);
	set->old = kvmalloc_array(set->nranges + 1, sizeof(*set->old), GFP_KERNEL_ACCOUNT);
	set->new = kvmalloc_array(svm_plan_room(set->nranges, start, last), sizeof(*set->new),
				  GFP_KERNEL_ACCOUNT);
	if (!set->ranges || !set->old || !set->new)
		return -ENOMEM;

	for (range = svm_first(svms, from, to); range; range = svm_next(range, from, to)) {
		set->ranges[n] = range;
		set->old[n++] = (struct svm_piece){ range->it.start, range->it.last, range->attrs };
	}
	return 0;
}

static unsigned long svm_pieces_pages(const struct svm_piece *pieces, unsigned long n)
{
	unsigned long i, npages = 0;

	for (i = 0; i < n; i++)
		npages += pieces[i].last - pieces[i].start + 1;
	return npages;
}

/* Does the process stay within its limits with @n pieces instead of set->old? */
static int svm_set_check_limits(struct svm_range_list *svms, const struct svm_set *set,
				unsigned long n)
{
	unsigned long old_pages = svm_pieces_pages(set->old, set->nranges);
	unsigned long new_pages = svm_pieces_pages(set->new, n);

	if (n > set->nranges && svms->count - set->nranges + n > SVM_PROCESS_MAX_RANGES)
		return -ENOMEM;
	if (svms->npages - old_pages + new_pages > SVM_PROCESS_MAX_PAGES)
		return -ENOMEM;
	return 0;
}

/* Does the change say who may access the memory, or how? */
static bool svm_changes_mapping(const struct svm_change *change)
{
	const u32 how = KFD_IOCTL_SVM_FLAG_GPU_RO | KFD_IOCTL_SVM_FLAG_GPU_EXEC | KFD_IOCTL_SVM_FLAG_COHERENT;
	u32 touched = (~change->access.keep | change->access.set) |
		      (~change->access_in_place.keep | change->access_in_place.set);

	return touched || (~change->flags.keep | change->flags.set) & how;
}

/* What ranges became is told to the GPUs. Locking: mmap_lock, svms->lock. */
static void svm_set_mapping(struct svm_range_list *svms, unsigned long start, unsigned long last,
			    const struct svm_change *change)
{
	svm_map_split(svms, start);
	svm_map_split(svms, last + 1);
	if (svm_changes_mapping(change))
		svm_map_changed(svms, start, last);
}

/* Locking: mmap_lock for writing, svms->lock. */
static int svm_set_commit(struct svm_range_list *svms, unsigned long start, unsigned long last,
			  const struct svm_change *change)
{
	struct svm_set set = {};
	struct svm_attrs defaults;
	unsigned long n;
	int ret;

	/* Before anything is allocated: the plan itself needs room in proportion. */
	if (last - start >= SVM_PROCESS_MAX_PAGES)
		return -ENOMEM;
	svm_attrs_default(svms, &defaults);
	ret = svm_set_collect(svms, &set, start, last);
	if (!ret) {
		n = svm_plan_set(set.old, set.nranges, start, last, &defaults, change, set.new);
		ret = svm_set_check_limits(svms, &set, n);
		if (!ret)
			ret = svm_ranges_replace(svms, set.ranges, set.nranges, set.new, n);
	}
	svm_set_free(&set);
	return ret;
}

static int svm_set_attr(struct kfd_process *p, unsigned long start, unsigned long end, u32 nattr,
			const struct kfd_ioctl_svm_attribute *attrs)
{
	struct svm_mover *mover = NULL;
	struct svm_change change;
	int ret;
	u32 i;

	svm_change_init(&change);
	for (i = 0; i < nattr; i++) {
		ret = svm_parse_one(&attrs[i], &change);
		if (ret)
			return ret;
	}
	if (change.has_prefetch) {
		mover = svm_mover_create();
		if (!mover)
			return -ENOMEM;
	}

	ret = svm_lock_write(&p->svms);
	if (ret)
		goto out;
	ret = svm_check_range(p, start, end);
	if (!ret)
		ret = svm_set_commit(&p->svms, start >> PAGE_SHIFT, (end - 1) >> PAGE_SHIFT,
				     &change);
	if (!ret)
		svm_set_mapping(&p->svms, start >> PAGE_SHIFT, (end - 1) >> PAGE_SHIFT, &change);
	svm_unlock_write(&p->svms);
	if (!ret && mover)
		svm_migrate(p, mover, start, end, change.prefetch_loc, KFD_MIGRATE_TRIGGER_PREFETCH);
	/* The attributes are set. What could not be mapped now is tried again. */
	if (!ret)
		kfd_restore_now(p);
out:
	svm_mover_destroy(mover);
	return ret;
}

static int svm_check_query(const struct kfd_ioctl_svm_attribute *attr)
{
	switch (attr->type) {
	case KFD_IOCTL_SVM_ATTR_PREFERRED_LOC:
	case KFD_IOCTL_SVM_ATTR_PREFETCH_LOC:
	case KFD_IOCTL_SVM_ATTR_SET_FLAGS:
	case KFD_IOCTL_SVM_ATTR_CLR_FLAGS:
	case KFD_IOCTL_SVM_ATTR_GRANULARITY:
		return 0;
	case KFD_IOCTL_SVM_ATTR_ACCESS:
		return svm_gpu_bit(attr->value) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static void svm_answer(const struct svm_gather *gather, struct kfd_ioctl_svm_attribute *attr)
{
	const struct svm_attrs *all = &gather->attrs;
	u32 gpu;

	switch (attr->type) {
	case KFD_IOCTL_SVM_ATTR_PREFERRED_LOC:
		attr->value = all->preferred_loc;
		break;
	case KFD_IOCTL_SVM_ATTR_PREFETCH_LOC:
		attr->value = all->prefetch_loc;
		break;
	case KFD_IOCTL_SVM_ATTR_SET_FLAGS:
		attr->value = all->flags;
		break;
	case KFD_IOCTL_SVM_ATTR_CLR_FLAGS:
		attr->value = ~gather->flags_or;
		break;
	case KFD_IOCTL_SVM_ATTR_GRANULARITY:
		attr->value = all->granularity;
		break;
	case KFD_IOCTL_SVM_ATTR_ACCESS:
		/* The answer is in the type. */
		gpu = svm_gpu_bit(attr->value);
		if (all->access & gpu)
			attr->type = KFD_IOCTL_SVM_ATTR_ACCESS;
		else if (all->access_in_place & gpu)
			attr->type = KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE;
		else
			attr->type = KFD_IOCTL_SVM_ATTR_NO_ACCESS;
		break;
	}
}

static int svm_get_attr(struct kfd_process *p, unsigned long start, unsigned long end, u32 nattr,
			struct kfd_ioctl_svm_attribute *attrs)
{
	unsigned long first = start >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT;
	struct svm_attrs defaults;
	struct svm_gather gather;
	struct svm_range *range;
	int ret;
	u32 i;

	for (i = 0; i < nattr; i++) {
		ret = svm_check_query(&attrs[i]);
		if (ret)
			return ret;
	}

	ret = svm_lock_read(&p->svms);
	if (ret)
		return ret;
	ret = svm_check_range(p, start, end);
	if (!ret) {
		svm_attrs_default(&p->svms, &defaults);
		svm_gather_begin(&gather);
		for (range = svm_first(&p->svms, first, last); range;
		     range = svm_next(range, first, last))
			svm_gather_add(&gather, &range->attrs);
		svm_gather_end(&gather, &defaults);
	}
	svm_unlock_read(&p->svms);

	for (i = 0; !ret && i < nattr; i++)
		svm_answer(&gather, &attrs[i]);
	return ret;
}

int svm_ioctl(struct kfd_process *p, u32 op, u64 start, u64 size, u32 nattr,
	      struct kfd_ioctl_svm_attribute *attrs)
{
	u64 end;

	if (!start || !size || !PAGE_ALIGNED(start) || !PAGE_ALIGNED(size) ||
	    check_add_overflow(start, size, &end))
		return -EINVAL;

	switch (op) {
	case KFD_IOCTL_SVM_OP_SET_ATTR:
		return svm_set_attr(p, start, end, nattr, attrs);
	case KFD_IOCTL_SVM_OP_GET_ATTR:
		return svm_get_attr(p, start, end, nattr, attrs);
	default:
		return -EINVAL;
	}
}
