// SPDX-License-Identifier: GPL-2.0
/*
 * SVM ranges in GPU page tables.
 *
 * Without XNACK a GPU that may access a range has all of it mapped, wherever its pages are: what is not, or not any
 * more, is noted in the range (lost_first, lost_last) and the range is on svms->lost until the restore work or an
 * ioctl has mapped it. With XNACK entries are made by faults, and nothing is ever lost.
 *
 * range->mapped_to_gpu has at least the GPUs with an entry. It is set under deferred_lock, where the sequence number of
 * the range's notifier is compared and changed, before entries are written under the VM's lock; the notifier, which
 * reads it under deferred_lock, clears entries under the VM's lock. So it clears whatever it did not prevent.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "kfd_restore.h"
#include "kfd_vm_user.h"
#include "svm_range.h"

/* Under one hold of mmap_lock: 32 MiB. */
#define SVM_MAP_PAGES	(16ul * KFD_VM_BLOCK_PAGES)
/* Ranges whose pages change all the time are left to the next pass. */
#define SVM_MAP_TRIES	16

static_assert(KFD_VM_BLOCK_PAGES == 512);

/* GPUs of the process that have a VM. */
static u32 svm_vms(struct svm_range_list *svms)
{
	struct kfd_process *p = svm_process(svms);
	unsigned int i;
	u32 gpus = 0;

	for (i = 0; i < KFD_MAX_GPUS; i++)
		if (smp_load_acquire(&p->devices[i].vm))
			gpus |= BIT(i);
	return gpus;
}

/* Where the whole range is to be mapped. Locking: svms->lock. */
static u32 svm_range_wanted(struct svm_range *range)
{
	if (svm_process(range->svms)->xnack_enabled)
		return 0;
	return (range->attrs.access | range->attrs.access_in_place) & svm_vms(range->svms);
}

u64 svm_range_pte_flags(const struct svm_range *range)
{
	u64 flags = AMDGPU_PTE_READABLE;

	if (!(range->attrs.flags & KFD_IOCTL_SVM_FLAG_GPU_RO))
		flags |= AMDGPU_PTE_WRITEABLE;
	if (range->attrs.flags & KFD_IOCTL_SVM_FLAG_GPU_EXEC)
		flags |= AMDGPU_PTE_EXECUTABLE;
	if (!(range->attrs.flags & KFD_IOCTL_SVM_FLAG_COHERENT))
		flags |= AMDGPU_PTE_MTYPE_VG10(AMDGPU_MTYPE_RW);
	return flags;
}

/* ---- lost ---- */

void svm_range_lose(struct svm_range *range, unsigned long start, unsigned long last)
{
	struct svm_range_list *svms = range->svms;

	lockdep_assert_held(&svms->deferred_lock);
	/* A huge entry goes as a whole. */
	start = max(ALIGN_DOWN(start, KFD_VM_BLOCK_PAGES), range->it.start);
	last = min(ALIGN(last + 1, KFD_VM_BLOCK_PAGES) - 1, range->it.last);
	if (list_empty(&range->lost)) {
		list_add_tail(&range->lost, &svms->lost);
		range->lost_first = start;
		range->lost_last = last;
	} else {
		range->lost_first = min(range->lost_first, start);
		range->lost_last = max(range->lost_last, last);
	}
}

bool svm_any_lost(struct svm_range_list *svms)
{
	bool any;

	spin_lock(&svms->deferred_lock);
	any = !list_empty(&svms->lost);
	spin_unlock(&svms->deferred_lock);
	return any;
}

void svm_unmap_pages(struct svm_range_list *svms, u32 gpus, unsigned long start, unsigned long last)
{
	struct kfd_process *p = svm_process(svms);
	unsigned long left = gpus;
	unsigned int i;

	for_each_set_bit(i, &left, KFD_MAX_GPUS)
		kfd_vm_take_off(p->devices[i].vm, start, last);
}

/* ---- mapping ---- */

static bool svm_claim(struct kfd_vm_user *request, unsigned long seq)
{
	struct svm_range *range = request->arg;
	bool valid;

	spin_lock(&range->svms->deferred_lock);
	valid = !mmu_interval_read_retry(&range->notifier, seq);
	if (valid)
		range->mapped_to_gpu |= BIT(request->vm->dev->index);
	spin_unlock(&range->svms->deferred_lock);
	return valid;
}

int svm_range_map(struct svm_range *range, struct kfd_vm *vm, unsigned long start, unsigned long last,
		  bool for_write, struct kfd_vm_work *work)
{
	struct kfd_vm_user request = {
		.vm = vm,
		.mm = svm_mm(range->svms),
		.notifier = &range->notifier,
		.flags = svm_range_pte_flags(range),
		.for_write = for_write,
		.claim = svm_claim,
		.arg = range,
	};
	unsigned long next;
	int ret = 0;

	lockdep_assert_held(&range->svms->lock);
	for (; !ret && start <= last; start = next) {
		next = min(last, ALIGN(start + 1, KFD_VM_BLOCK_PAGES) - 1) + 1;
		request.page = start;
		request.n = next - start;
		request.address = start << PAGE_SHIFT;
		ret = kfd_vm_map_user(&request, work);
		if (fatal_signal_pending(current))
			ret = ret ?: -EINTR;
		cond_resched();
	}
	return ret;
}

/* On every GPU that wants it. Locking: mmap_lock, svms->lock. */
static int svm_range_map_all(struct svm_range *range, unsigned long start, unsigned long last,
			     struct kfd_vm_work *work)
{
	struct kfd_process *p = svm_process(range->svms);
	unsigned long gpus = svm_range_wanted(range);
	unsigned int i;
	int ret = 0;

	for_each_set_bit(i, &gpus, KFD_MAX_GPUS) {
		ret = svm_range_map(range, p->devices[i].vm, start, last, true, work);
		/* The tables in reserve are this VM's. */
		kfd_vm_stock_drop(p->devices[i].vm, &work->stock);
		if (ret)
			break;
	}
	return ret;
}

/* Locking: svms->lock. */
static struct svm_range *svm_pop_lost(struct svm_range_list *svms, unsigned long *start, unsigned long *last)
{
	struct svm_range *range;

	spin_lock(&svms->deferred_lock);
	range = list_first_entry_or_null(&svms->lost, struct svm_range, lost);
	if (range) {
		list_del_init(&range->lost);
		*start = range->lost_first;
		*last = range->lost_last;
	}
	spin_unlock(&svms->deferred_lock);
	return range;
}

/*
 * One piece of the first range that is lost. *none: there was none. -EBUSY: its pages changed meanwhile, and it is
 * lost still.
 */
static int svm_restore_one(struct svm_range_list *svms, struct kfd_vm_work *work, bool *none)
{
	unsigned long start, last, end;
	struct svm_range *range;
	int ret;

	ret = svm_lock_read(svms);
	if (ret)
		return ret;
	range = svm_pop_lost(svms, &start, &last);
	*none = !range;
	if (range) {
		end = min(last, start + SVM_MAP_PAGES - 1);
		ret = svm_range_map_all(range, start, end, work);
		/* What cannot be mapped for want of tables would be waited for in vain: its use is a fault. */
		if (ret == -ENOSPC)
			ret = 0;
		spin_lock(&svms->deferred_lock);
		if (ret)
			svm_range_lose(range, start, last);
		else if (end < last)
			svm_range_lose(range, end + 1, last);
		spin_unlock(&svms->deferred_lock);
	}
	svm_unlock_read(svms);
	return ret;
}

/*
 * What is lost now, in pieces as svm_restore_one() takes them: a pass does not go on with what is lost while it lasts,
 * which there may always be if memory is short.
 */
static unsigned long svm_lost_pieces(struct svm_range_list *svms)
{
	struct svm_range *range;
	unsigned long n = 0;

	spin_lock(&svms->deferred_lock);
	list_for_each_entry(range, &svms->lost, lost)
		n += DIV_ROUND_UP(range->lost_last - range->lost_first + 1, SVM_MAP_PAGES);
	spin_unlock(&svms->deferred_lock);
	return n;
}

int svm_restore(struct svm_range_list *svms)
{
	struct kfd_restore *restore = &svm_process(svms)->restore;
	unsigned long pieces = svm_lost_pieces(svms);
	unsigned int tries = SVM_MAP_TRIES;
	struct kfd_vm_work *work;
	bool none = false;
	int ret = 0;

	lockdep_assert_held(&restore->run);
	if (!pieces)
		return 0;
	work = kvzalloc(sizeof(*work), GFP_KERNEL);
	if (!work)
		return -ENOMEM;
	while (!ret && !none && tries && pieces && !READ_ONCE(restore->ended)) {
		ret = svm_restore_one(svms, work, &none);
		if (ret == -EBUSY) {
			ret = 0;
			tries--;
		} else {
			pieces--;
		}
	}
	kvfree(work);
	return ret;
}

/* ---- attributes ---- */

static struct svm_range *svm_node_range(struct interval_tree_node *node)
{
	return node ? container_of(node, struct svm_range, it) : NULL;
}

static struct svm_range *svm_first_range(struct svm_range_list *svms, unsigned long start, unsigned long last)
{
	return svm_node_range(interval_tree_iter_first(&svms->tree, start, last));
}

static struct svm_range *svm_next_range(struct svm_range *range, unsigned long start, unsigned long last)
{
	return svm_node_range(interval_tree_iter_next(&range->it, start, last));
}

/*
 * Take [start, last] off the GPUs that have it, and with XNACK off note it as lost. All ranges there are looked at,
 * so a huge entry must not reach beyond.
 */
static void svm_drop_pages(struct svm_range_list *svms, unsigned long start, unsigned long last)
{
	struct kfd_process *p = svm_process(svms);
	struct svm_range *range;
	u32 gpus = 0;

	lockdep_assert_held(&svms->lock);
	spin_lock(&svms->deferred_lock);
	for (range = svm_first_range(svms, start, last); range; range = svm_next_range(range, start, last)) {
		gpus |= range->mapped_to_gpu;
		if (range->mapped_to_gpu && !p->xnack_enabled)
			svm_range_lose(range, max(start, range->it.start), min(last, range->it.last));
	}
	spin_unlock(&svms->deferred_lock);
	if (!gpus)
		return;
	if (!p->xnack_enabled)
		kfd_restore_stop(p, gpus, KFD_QUEUE_EVICTION_TRIGGER_SVM);
	/* Between ranges there are buffers, which keep what they have. */
	for (range = svm_first_range(svms, start, last); range; range = svm_next_range(range, start, last)) {
		svm_unmap_pages(svms, gpus, max(start, range->it.start), min(last, range->it.last));
		cond_resched();
	}
}

/* Is the block of @page mapped by one entry on any GPU? */
static bool svm_is_huge(struct svm_range_list *svms, unsigned long page)
{
	struct kfd_process *p = svm_process(svms);
	unsigned long gpus = svm_vms(svms);
	unsigned int i, level;
	bool huge = false;

	for_each_set_bit(i, &gpus, KFD_MAX_GPUS) {
		struct kfd_vm *vm = p->devices[i].vm;

		mutex_lock(&vm->lock);
		huge |= kfd_vm_lookup(vm, page, &level) && level == KFDLAB_GPUVM_PDB0;
		mutex_unlock(&vm->lock);
	}
	return huge;
}

void svm_map_split(struct svm_range_list *svms, unsigned long page)
{
	unsigned long block = ALIGN_DOWN(page, KFD_VM_BLOCK_PAGES);

	if (block != page && svm_is_huge(svms, page))
		svm_drop_pages(svms, block, block + KFD_VM_BLOCK_PAGES - 1);
}

void svm_map_changed(struct svm_range_list *svms, unsigned long start, unsigned long last)
{
	struct svm_range *range;

	svm_drop_pages(svms, start, last);
	spin_lock(&svms->deferred_lock);
	for (range = svm_first_range(svms, start, last); range; range = svm_next_range(range, start, last))
		if (svm_range_wanted(range))
			svm_range_lose(range, max(start, range->it.start), min(last, range->it.last));
	spin_unlock(&svms->deferred_lock);
}

void svm_map_everything(struct kfd_process *p)
{
	struct svm_range_list *svms = &p->svms;

	/* A fatal signal, or no memory: what is not mapped is a fault when it is used. */
	if (svm_lock_write(svms))
		return;
	svm_map_changed(svms, 0, ULONG_MAX >> PAGE_SHIFT);
	svm_unlock_write(svms);
	kfd_restore_now(p);
}

void svm_range_inherit(struct svm_range *range, struct svm_range *old)
{
	unsigned long start = max(range->it.start, old->it.start), last = min(range->it.last, old->it.last);

	if (start > last)
		return;
	spin_lock(&range->svms->deferred_lock);
	range->mapped_to_gpu |= old->mapped_to_gpu;
	if (!list_empty(&old->lost) && old->lost_first <= last && old->lost_last >= start)
		svm_range_lose(range, max(start, old->lost_first), min(last, old->lost_last));
	spin_unlock(&range->svms->deferred_lock);
}
