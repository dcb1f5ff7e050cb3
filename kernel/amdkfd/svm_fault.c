// SPDX-License-Identifier: GPL-2.0
/*
 * Serving retry faults: the hard irq notes a page in its process, the process's work finds or makes the range, moves
 * pages to where they are best, maps them and invalidates the TLB, which makes the access try again. Each process has
 * its own work: one that blocks its mmap_lock keeps nobody else's faults waiting.
 *
 * A fault that cannot be served (nothing is mapped there, no permission, no access for this GPU) is reported to the
 * process as a memory exception, and the page is refused, so that no access waits for it any more; but not before the
 * device has reported the access twice with nothing mapped there in between (suspects, kfd_vm.h), since a report may be
 * older than what became of the memory. For a want of memory that may pass nothing is done: the device reports the
 * access again, at least every half second.
 */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "hw/ih.h"
#include "kfd_interrupt.h"
#include "kfd_memory.h"
#include "kfd_smi.h"
#include "kfd_vm_user.h"
#include "svm_range.h"

/* Against mappings that change all the time; then the device asks again. */
#define SVM_FAULT_TRIES		16
/* A range that nobody registered is as large as a default granule. */
#define SVM_DEFAULT_GRANULE	512ul

static struct workqueue_struct *svm_fault_wq;

/* What one fault is about, and what became of it. */
struct svm_fault_job {
	struct kfd_process *p;
	struct mm_struct *mm;
	struct kfd_vm *vm;
	const struct svm_fault *fault;
	bool write;
	/* Pages to move and map, and where to; in_place: they stay. */
	unsigned long start, last;
	u32 location;
	bool in_place;
	bool migrated;
	/* The last try mapped what can be mapped, and the page is not among it. */
	bool unmapped;
};

/* ---- queue ---- */

/* Locking: faults->lock. */
static void svm_fault_note(struct svm_faults *faults, struct kfd_dev *dev, const struct ih_entry *entry)
{
	u64 page = ih_fault_address(entry) >> PAGE_SHIFT;
	u32 access = entry->src_data[1] & (IH_FAULT_READ | IH_FAULT_WRITE | IH_FAULT_EXECUTE);
	struct svm_fault *fault;
	unsigned int i;

	for (i = 0; i < faults->count; i++) {
		fault = &faults->ring[(faults->first + i) % SVM_FAULTS_MAX];
		if (fault->page == page && fault->gpu == dev->index) {
			fault->access |= access;
			return;
		}
	}
	if (faults->count == SVM_FAULTS_MAX)
		return;
	faults->ring[(faults->first + faults->count++) % SVM_FAULTS_MAX] = (struct svm_fault){
		.page = page,
		.gpu = dev->index,
		.source = entry->source,
		.access = access,
	};
}

void svm_fault_queue(struct kfd_dev *dev, const struct ih_entry *entry)
{
	struct kfd_process *p = kfd_process_by_pasid(entry->pasid & 0xffff);
	unsigned long flags;

	if (!p)
		return;
	spin_lock_irqsave(&p->faults.lock, flags);
	if (!p->faults.closed) {
		svm_fault_note(&p->faults, dev, entry);
		queue_work(svm_fault_wq, &p->faults.work);
	}
	spin_unlock_irqrestore(&p->faults.lock, flags);
	kfd_process_put(p);
}

static bool svm_fault_pop(struct svm_faults *faults, struct svm_fault *fault)
{
	bool found;

	spin_lock_irq(&faults->lock);
	found = faults->count && !faults->closed;
	if (found) {
		*fault = faults->ring[faults->first];
		faults->first = (faults->first + 1) % SVM_FAULTS_MAX;
		faults->count--;
	}
	spin_unlock_irq(&faults->lock);
	return found;
}

/*
 * Forget the reports of a GPU about [start, last] that are queued, those of writes only @with_writes. An invalidation
 * follows, or was before: what still waits is reported again.
 */
static void svm_fault_drop(struct svm_faults *faults, unsigned int gpu, u64 start, u64 last, bool with_writes)
{
	unsigned int i, kept = 0;

	spin_lock_irq(&faults->lock);
	for (i = 0; i < faults->count; i++) {
		const struct svm_fault *queued = &faults->ring[(faults->first + i) % SVM_FAULTS_MAX];

		if (queued->gpu != gpu || queued->page < start || queued->page > last ||
		    (queued->access & IH_FAULT_WRITE && !with_writes))
			faults->ring[(faults->first + kept++) % SVM_FAULTS_MAX] = *queued;
	}
	faults->count = kept;
	spin_unlock_irq(&faults->lock);
}

/* Everything the device has reported so far is old; then make it try again. */
static void svm_fault_set_suspect(struct kfd_process *p, struct kfd_vm *vm, const struct svm_fault *fault)
{
	if (!kfd_vm_suspect_add(vm, fault->page))
		return;
	kfd_vm_flush(vm, fault->page, 1);
	kfd_ring_drain_ih(vm->dev);
	svm_fault_drop(&p->faults, fault->gpu, fault->page, fault->page, true);
}

/* ---- the range ---- */

static struct svm_range *svm_fault_range(struct svm_range_list *svms, unsigned long page)
{
	struct interval_tree_node *node = interval_tree_iter_first(&svms->tree, page, page);

	return node ? container_of(node, struct svm_range, it) : NULL;
}

static bool svm_is_heap_or_stack(const struct vm_area_struct *vma)
{
	const struct mm_struct *mm = vma->vm_mm;

	return (vma->vm_start < mm->brk && vma->vm_end > mm->start_brk) ||
	       (vma->vm_start <= mm->start_stack && vma->vm_end >= mm->start_stack);
}

/* The gap between ranges around @page, inside the mapping and the granule. Locking: svms->lock. */
static void svm_fault_gap(struct svm_range_list *svms, const struct vm_area_struct *vma, unsigned long page,
			  unsigned long *start, unsigned long *last)
{
	struct interval_tree_node *node;

	*start = max(vma->vm_start >> PAGE_SHIFT, ALIGN_DOWN(page, SVM_DEFAULT_GRANULE));
	*last = min(vma->vm_end >> PAGE_SHIFT, ALIGN(page + 1, SVM_DEFAULT_GRANULE)) - 1;
	for (node = interval_tree_iter_first(&svms->tree, *start, *last); node;
	     node = interval_tree_iter_next(node, *start, *last)) {
		if (node->last < page)
			*start = node->last + 1;
		else
			*last = min(*last, node->start - 1);
	}
}

/* A range with default attributes around a page that has none. Locking: mmap_lock for writing, svms->lock. */
static int svm_fault_make_range(struct svm_fault_job *job)
{
	struct svm_range_list *svms = &job->p->svms;
	unsigned long page = job->fault->page;
	struct svm_piece piece = {};
	struct vm_area_struct *vma;

	vma = vma_lookup(job->mm, page << PAGE_SHIFT);
	if (!vma || vma->vm_flags & (VM_IO | VM_PFNMAP | VM_MIXEDMAP))
		return -EFAULT;
	svm_fault_gap(svms, vma, page, &piece.start, &piece.last);
	if (kfd_process_va_has_buffer(job->p, piece.start, piece.last)) {
		if (kfd_process_va_has_buffer(job->p, page, page))
			return -EFAULT;
		piece.start = page;
		piece.last = page;
	}
	if (svms->count >= SVM_PROCESS_MAX_RANGES ||
	    svms->npages + piece.last - piece.start + 1 > SVM_PROCESS_MAX_PAGES)
		return -ENOSPC;
	svm_attrs_default(svms, &piece.attrs);
	if (svm_is_heap_or_stack(vma))
		piece.attrs.preferred_loc = KFD_IOCTL_SVM_LOCATION_SYSMEM;
	return svm_ranges_replace(svms, NULL, 0, &piece, 1);
}

/* mmap_lock and svms->lock, with a range at the page. */
static int svm_fault_lock(struct svm_fault_job *job, struct svm_range **range)
{
	struct svm_range_list *svms = &job->p->svms;
	int ret;

	ret = svm_lock_read(svms);
	if (ret)
		return ret;
	*range = svm_fault_range(svms, job->fault->page);
	if (*range)
		return 0;
	svm_unlock_read(svms);
	ret = svm_lock_write(svms);
	if (ret)
		return ret;
	if (!svm_fault_range(svms, job->fault->page))
		ret = svm_fault_make_range(job);
	if (ret) {
		svm_unlock_write(svms);
		return ret;
	}
	*range = svm_fault_range(svms, job->fault->page);
	mmap_write_downgrade(job->mm);
	return 0;
}

/* Locking: mmap_lock, svms->lock. */
static int svm_fault_check(struct svm_fault_job *job, const struct svm_range *range)
{
	struct vm_area_struct *vma = vma_lookup(job->mm, job->fault->page << PAGE_SHIFT);

	if (!vma)
		return -EFAULT;
	if (!(vma->vm_flags & VM_READ) || (job->write && !(vma->vm_flags & VM_WRITE)))
		return -EACCES;
	if (job->write && range->attrs.flags & KFD_IOCTL_SVM_FLAG_GPU_RO)
		return -EACCES;
	if (job->fault->access & IH_FAULT_EXECUTE && !(range->attrs.flags & KFD_IOCTL_SVM_FLAG_GPU_EXEC))
		return -EACCES;
	return 0;
}

/* Where the pages are best, as AMD's driver decides. Every GPU here reaches every other's VRAM. */
static int svm_fault_choose(struct svm_fault_job *job, const struct svm_range *range)
{
	u32 gpu = BIT(job->fault->gpu), preferred = range->attrs.preferred_loc;
	unsigned long granule = 1ul << min(range->attrs.granularity, 18u), page = job->fault->page;

	if (!((range->attrs.access | range->attrs.access_in_place) & gpu))
		return -EACCES;
	job->start = max(range->it.start, ALIGN_DOWN(page, granule));
	job->last = min(range->it.last, ALIGN(page + 1, granule) - 1);
	job->in_place = false;
	if (preferred == KFD_IOCTL_SVM_LOCATION_SYSMEM || kfd_dev_by_id(preferred))
		job->location = preferred;
	else if (range->attrs.access & gpu)
		job->location = job->vm->dev->gpu_id;
	else
		job->in_place = true;
	return 0;
}

/* ---- serving ---- */

/* Is there something at the page that is of no range, and waited for or wrong? 1: neither. */
static int svm_fault_buffer(struct svm_fault_job *job)
{
	if (!kfd_process_va_has_buffer(job->p, job->fault->page, job->fault->page))
		return 1;
	/* Lost buffers are mapped by the restore work, which ends with an invalidation. */
	return kfd_restore_pending(job->p) ? -EAGAIN : -EFAULT;
}

static int svm_fault_map(struct svm_fault_job *job, struct kfd_vm_work *work)
{
	struct svm_range *range;
	int ret;

	ret = svm_fault_lock(job, &range);
	if (ret)
		return ret;
	ret = svm_fault_check(job, range);
	if (!ret)
		ret = svm_range_map(range, job->vm, max(job->start, range->it.start), min(job->last, range->it.last),
				    job->write, work);
	svm_unlock_read(&job->p->svms);
	/* Taken away again already, or not to be had at all: trying again tells. */
	job->unmapped = !ret && !kfd_vm_is_mapped(job->vm, job->fault->page, job->write);
	return job->unmapped ? -EBUSY : ret;
}

static void svm_fault_tell_start(const struct svm_fault_job *job)
{
	if (kfd_smi_listened(KFD_SMI_EVENT_PAGE_FAULT_START))
		kfd_smi_event(job->p->tgid, BIT(job->fault->gpu), KFD_SMI_EVENT_PAGE_FAULT_START,
			      "%lld -%d @%llx(%x) %c\n", ktime_get_boottime_ns(), job->p->tgid, job->fault->page,
			      job->vm->dev->gpu_id, job->write ? 'W' : 'R');
}

static void svm_fault_tell_end(const struct svm_fault_job *job)
{
	if (kfd_smi_listened(KFD_SMI_EVENT_PAGE_FAULT_END))
		kfd_smi_event(job->p->tgid, BIT(job->fault->gpu), KFD_SMI_EVENT_PAGE_FAULT_END,
			      "%lld -%d @%llx(%x) %c\n", ktime_get_boottime_ns(), job->p->tgid, job->fault->page,
			      job->vm->dev->gpu_id, job->migrated ? 'M' : 'U');
}

static int svm_fault_migrate(struct svm_fault_job *job)
{
	struct svm_mover *mover;

	if (job->in_place)
		return 0;
	mover = svm_mover_create();
	if (!mover)
		return -ENOMEM;
	svm_migrate(job->p, mover, job->start << PAGE_SHIFT, (job->last + 1) << PAGE_SHIFT, job->location,
		    KFD_MIGRATE_TRIGGER_PAGEFAULT_GPU);
	job->migrated = svm_mover_moved(mover);
	svm_mover_destroy(mover);
	return 0;
}

static int svm_fault_try(struct svm_fault_job *job, struct kfd_vm_work *work)
{
	struct svm_range *range;
	int ret;

	if (kfd_vm_is_mapped(job->vm, job->fault->page, job->write) &&
	    !(job->fault->access & IH_FAULT_EXECUTE))
		return 0;
	ret = svm_fault_buffer(job);
	if (ret <= 0)
		return ret;
	ret = svm_fault_lock(job, &range);
	if (ret)
		return ret;
	ret = svm_fault_check(job, range);
	if (!ret)
		ret = svm_fault_choose(job, range);
	svm_unlock_read(&job->p->svms);
	if (ret)
		return ret;
	svm_fault_tell_start(job);
	ret = svm_fault_migrate(job);
	if (!ret)
		ret = svm_fault_map(job, work);
	svm_fault_tell_end(job);
	return ret;
}

/* It will not be served: the process is told why, as the device reported it. */
static void svm_fault_refuse(struct svm_fault_job *job)
{
	const struct svm_fault *fault = job->fault;
	struct ih_entry entry = {
		.source = fault->source,
		.pasid = job->vm->pasid,
		.src_data = { lower_32_bits(fault->page), (upper_32_bits(fault->page) & IH_FAULT_PAGE_HI_MASK) | fault->access },
	};

	kfd_interrupt_entry(job->vm->dev, &entry);
	kfd_vm_refuse(job->vm, fault->page, job->write);
}

static void svm_fault_serve(struct kfd_process *p, struct mm_struct *mm, const struct svm_fault *fault,
			    struct kfd_vm_work *work)
{
	struct svm_fault_job job = {
		.p = p,
		.mm = mm,
		.vm = p->devices[fault->gpu].vm,
		.fault = fault,
		.write = fault->access & IH_FAULT_WRITE,
		.start = fault->page,
		.last = fault->page,
	};
	unsigned int tries;
	int ret = -EBUSY;

	if (!job.vm)
		return;
	if (fault->page >= TASK_SIZE_MAX >> PAGE_SHIFT)
		ret = -EFAULT;
	for (tries = 0; ret == -EBUSY && tries < SVM_FAULT_TRIES; tries++) {
		job.unmapped = false;
		ret = svm_fault_try(&job, work);
		cond_resched();
	}
	if (ret == -EBUSY && job.unmapped)
		ret = -EFAULT;
	kfd_vm_stock_drop(job.vm, &work->stock);
	switch (ret) {
	case 0:
		/*
		 * Other waves wait for the same pages: the invalidation is for all of them. Served later, when their
		 * kernel has ended, their reports would bring pages back that have left VRAM since.
		 */
		svm_fault_drop(&p->faults, fault->gpu, job.start, job.last, job.write);
		kfd_vm_flush(job.vm, job.start, job.last - job.start + 1);
		break;
	case -EBUSY:
	case -EAGAIN:
	case -EINTR:
	case -ENOMEM:
		break;
	default:
		if (kfd_vm_suspect_take(job.vm, fault->page))
			svm_fault_refuse(&job);
		else
			svm_fault_set_suspect(p, job.vm, fault);
	}
}

/* What is allocated on the way is the process's, and charged to it. */
static void svm_fault_serve_all(struct kfd_process *p, struct mm_struct *mm)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(mm), *old = set_active_memcg(memcg);
	struct kfd_vm_work *work = kvzalloc(sizeof(*work), GFP_KERNEL);
	struct svm_fault fault;

	kthread_use_mm(mm);
	while (work && svm_fault_pop(&p->faults, &fault))
		svm_fault_serve(p, mm, &fault, work);
	kthread_unuse_mm(mm);
	kvfree(work);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
}

static void svm_fault_work(struct work_struct *work)
{
	struct kfd_process *p = container_of(work, struct kfd_process, faults.work);
	struct mm_struct *mm = p->notifier.mm;

	/* Exiting: its queues are about to go. */
	if (!mmget_not_zero(mm))
		return;
	svm_fault_serve_all(p, mm);
	/* The last user may be us, and the process's teardown waits for this work. */
	mmput_async(mm);
}

/* ---- life ---- */

void svm_faults_init(struct kfd_process *p)
{
	spin_lock_init(&p->faults.lock);
	INIT_WORK(&p->faults.work, svm_fault_work);
}

void svm_faults_fini(struct kfd_process *p)
{
	spin_lock_irq(&p->faults.lock);
	p->faults.closed = true;
	spin_unlock_irq(&p->faults.lock);
	cancel_work_sync(&p->faults.work);
}

int svm_fault_module_init(void)
{
	svm_fault_wq = alloc_workqueue("kfdlab_fault", WQ_UNBOUND | WQ_HIGHPRI, 0);
	return svm_fault_wq ? 0 : -ENOMEM;
}

void svm_fault_module_fini(void)
{
	destroy_workqueue(svm_fault_wq);
}
