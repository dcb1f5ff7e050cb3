// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers in GPU page tables: MAP and UNMAP, and what happens when their memory moves meanwhile.
 *
 * A mapped object is watched (klttm_bo_watch()), user memory has its notifier. Both lead to kfd_buffer_lose(): the
 * part is noted as lost, the process's queues are stopped, the entries are cleared and the TLB is invalidated. The
 * restore work maps it again where it is then, after trying to bring objects back to VRAM.
 *
 * kfd_buffer.mapped says where the buffer is to be mapped; it changes under p->lock, for objects under their dma_resv
 * too, and is set before entries are written and cleared after they are gone.
 */
#include <linux/slab.h>

#include "kfd_doorbell.h"
#include "kfd_memory.h"
#include "kfd_mmio.h"
#include "kfd_restore.h"
#include "kfd_vm_user.h"

/* User memory that changes all the time is left to the restore work. */
#define KFD_MAP_TRIES	8

/* AMD's bits of the memory type do nothing here, but tables read like AMD's. */
static u64 kfd_buffer_pte_flags(const struct kfd_buffer *buf)
{
	u64 flags = AMDGPU_PTE_READABLE;

	if (buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE)
		flags |= AMDGPU_PTE_WRITEABLE;
	if (buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_EXECUTABLE)
		flags |= AMDGPU_PTE_EXECUTABLE;
	if (buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_UNCACHED)
		flags |= AMDGPU_PTE_MTYPE_VG10(AMDGPU_MTYPE_UC);
	else if (buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_VRAM && !(buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_COHERENT))
		flags |= AMDGPU_PTE_MTYPE_VG10(AMDGPU_MTYPE_RW);
	return flags;
}

static void kfd_buffer_clear(struct kfd_buffer *buf, struct kfd_vm *vm, u64 first, u64 last)
{
	kfd_vm_take_off(vm, buf->va.start + first, buf->va.start + last);
}

void kfd_buffer_lose(struct kfd_buffer *buf, u64 first, u64 last)
{
	struct kfd_process *p = buf->process;
	unsigned long mapped = READ_ONCE(buf->mapped);
	unsigned int i;

	/* A huge entry goes as a whole. */
	first = max(ALIGN_DOWN(buf->va.start + first, KFD_VM_BLOCK_PAGES), (u64)buf->va.start) - buf->va.start;
	last = min(ALIGN(buf->va.start + last + 1, KFD_VM_BLOCK_PAGES) - 1, (u64)buf->va.last) - buf->va.start;
	spin_lock(&p->restore.lost_lock);
	if (list_empty(&buf->lost)) {
		list_add_tail(&buf->lost, &p->restore.lost);
		buf->lost_first = first;
		buf->lost_last = last;
	} else {
		buf->lost_first = min(buf->lost_first, first);
		buf->lost_last = max(buf->lost_last, last);
	}
	spin_unlock(&p->restore.lost_lock);
	kfd_restore_stop(p, mapped, buf->user ? KFD_QUEUE_EVICTION_TRIGGER_USERPTR : KFD_QUEUE_EVICTION_TRIGGER_TTM);
	for_each_set_bit(i, &mapped, KFD_MAX_GPUS)
		kfd_buffer_clear(buf, p->devices[i].vm, first, last);
}

void kfd_buffer_moved(struct klttm_watch *watch)
{
	struct kfd_buffer *buf = container_of(watch, struct kfd_buffer, watch);

	kfd_buffer_lose(buf, 0, buf->va.last - buf->va.start);
}

void kfd_buffer_found(struct kfd_buffer *buf)
{
	spin_lock(&buf->process->restore.lost_lock);
	list_del_init(&buf->lost);
	spin_unlock(&buf->process->restore.lost_lock);
}

/* ---- mapping ---- */

/* Physical address of page @i of the buffer's VA. */
static u64 kfd_buffer_phys(const struct kfd_buffer *buf, const struct klttm_location *at, u64 i)
{
	/* AQL_QUEUE_MEM: the second half of the VA is the first once more. */
	if (i >= buf->size >> PAGE_SHIFT)
		i -= buf->size >> PAGE_SHIFT;
	return at->pages ? page_to_phys(at->pages[i]) : at->vram + (i << PAGE_SHIFT);
}

/* Pages [first, last] of the VA. Locking: dma_resv, if it is an object. */
static int kfd_buffer_map_located(struct kfd_buffer *buf, struct kfd_vm *vm, const struct klttm_location *at,
				  u64 first, u64 last, struct kfd_vm_work *work)
{
	u64 flags = kfd_buffer_pte_flags(buf), next, i, page;
	int ret;

	for (; first <= last; first = next) {
		page = buf->va.start + first;
		next = min(last + 1, ALIGN(page + 1, KFD_VM_BLOCK_PAGES) - buf->va.start);
		for (i = first; i < next; i++)
			work->entries[i - first] = kfd_vm_entry(vm, kfd_buffer_phys(buf, at, i), flags);
		ret = kfd_vm_stock_fill(vm, &work->stock);
		if (ret)
			return ret;
		mutex_lock(&vm->lock);
		kfd_vm_set_block(vm, &work->stock, page, next - first, work->entries);
		mutex_unlock(&vm->lock);
		cond_resched();
	}
	return 0;
}

/* Locking: p->lock, and dma_resv if it is an object. */
static int kfd_buffer_map_part(struct kfd_buffer *buf, struct kfd_vm *vm, u64 first, u64 last,
			       struct kfd_vm_work *work)
{
	struct klttm_location at = {};
	int ret;

	if (buf->user)
		return kfd_userptr_map(buf, vm, first, last, kfd_buffer_pte_flags(buf), work);
	if (buf->bo) {
		ret = klttm_bo_locate(buf->bo, &at);
		if (ret)
			return ret;
	} else if (buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_MMIO_REMAP) {
		at.vram = kfd_mmio_phys(buf->process, buf->dev);
	} else {
		at.vram = kfd_doorbell_phys(buf->process, buf->dev);
	}
	return kfd_buffer_map_located(buf, vm, &at, first, last, work);
}

static struct kfd_vm_work *kfd_vm_work_alloc(void)
{
	return kvzalloc(sizeof(struct kfd_vm_work), GFP_KERNEL);
}

static void kfd_vm_work_free(struct kfd_vm *vm, struct kfd_vm_work *work)
{
	kfd_vm_stock_drop(vm, &work->stock);
	kvfree(work);
}

static void kfd_buffer_set_mapped(struct kfd_buffer *buf, struct kfd_vm *vm)
{
	if (buf->bo && !buf->mapped)
		klttm_bo_watch(buf->bo, &buf->watch);
	WRITE_ONCE(buf->mapped, buf->mapped | BIT(vm->dev->index));
}

static void kfd_buffer_set_unmapped(struct kfd_buffer *buf, struct kfd_vm *vm)
{
	WRITE_ONCE(buf->mapped, buf->mapped & ~BIT(vm->dev->index));
	if (buf->mapped)
		return;
	if (buf->bo)
		klttm_bo_unwatch(buf->bo, &buf->watch);
	kfd_buffer_found(buf);
}

int kfd_buffer_map_on(struct kfd_buffer *buf, struct kfd_vm *vm)
{
	u64 last = buf->va.last - buf->va.start;
	struct kfd_vm_work *work;
	unsigned int tries;
	int ret = 0;

	lockdep_assert_held(&buf->process->lock);
	work = kfd_vm_work_alloc();
	if (!work)
		return -ENOMEM;
	if (buf->bo)
		ret = klttm_bo_lock(buf->bo, true);
	if (ret)
		goto out_free;
	kfd_buffer_set_mapped(buf, vm);
	for (tries = 0; tries < KFD_MAP_TRIES; tries++) {
		ret = kfd_buffer_map_part(buf, vm, 0, last, work);
		if (ret != -EBUSY)
			break;
	}
	if (ret == -EBUSY) {
		kfd_buffer_lose(buf, 0, last);
		ret = 0;
	}
	if (ret) {
		kfd_buffer_clear(buf, vm, 0, last);
		kfd_buffer_set_unmapped(buf, vm);
	}
	if (buf->bo)
		klttm_bo_unlock(buf->bo);
	if (ret == -ENOSPC)
		ret = -ENOMEM;
out_free:
	kfd_vm_work_free(vm, work);
	return ret;
}

void kfd_buffer_unmap_on(struct kfd_buffer *buf, struct kfd_vm *vm)
{
	u64 last = buf->va.last - buf->va.start;

	if (buf->bo)
		klttm_bo_lock(buf->bo, false);
	kfd_buffer_clear(buf, vm, 0, last);
	kfd_buffer_set_unmapped(buf, vm);
	if (buf->bo)
		klttm_bo_unlock(buf->bo);
	kfd_vm_prune(vm, buf->va.start, buf->va.last);
}

/* ---- restoring ---- */

/* Locking: p->lock; it may be let go of. */
static int kfd_buffer_restore_one(struct kfd_buffer *buf, u64 first, u64 last)
{
	unsigned long mapped = buf->mapped;
	struct kfd_vm_work *work;
	unsigned int i;
	int ret = 0;

	if (buf->bo && buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_VRAM)
		klttm_bo_restore(buf->bo);
	work = kfd_vm_work_alloc();
	if (!work)
		return -ENOMEM;
	if (buf->bo)
		klttm_bo_lock(buf->bo, false);
	for_each_set_bit(i, &mapped, KFD_MAX_GPUS) {
		ret = kfd_buffer_map_part(buf, buf->process->devices[i].vm, first, last, work);
		kfd_vm_stock_drop(buf->process->devices[i].vm, &work->stock);
		if (ret)
			break;
	}
	if (buf->bo)
		klttm_bo_unlock(buf->bo);
	kvfree(work);
	return ret;
}

/* Note the part as lost once more. */
static void kfd_buffer_still_lost(struct kfd_buffer *buf, u64 first, u64 last)
{
	spin_lock(&buf->process->restore.lost_lock);
	if (list_empty(&buf->lost)) {
		list_add_tail(&buf->lost, &buf->process->restore.lost);
		buf->lost_first = first;
		buf->lost_last = last;
	}
	buf->lost_first = min(buf->lost_first, first);
	buf->lost_last = max(buf->lost_last, last);
	spin_unlock(&buf->process->restore.lost_lock);
}

static struct kfd_buffer *kfd_buffer_pop_lost(struct kfd_process *p, u64 *first, u64 *last)
{
	struct kfd_buffer *buf;

	spin_lock(&p->restore.lost_lock);
	buf = list_first_entry_or_null(&p->restore.lost, struct kfd_buffer, lost);
	if (buf) {
		list_del_init(&buf->lost);
		*first = buf->lost_first;
		*last = buf->lost_last;
	}
	spin_unlock(&p->restore.lost_lock);
	return buf;
}

/* A pass does not go on with what is lost while it lasts: buffers may push each other out of VRAM for ever. */
int kfd_buffers_restore(struct kfd_process *p)
{
	unsigned int tries = KFD_MAP_TRIES;
	struct list_head *entry;
	struct kfd_buffer *buf;
	unsigned long n = 0;
	u64 first, last;
	int ret = 0;

	lockdep_assert_held(&p->restore.run);
	spin_lock(&p->restore.lost_lock);
	list_for_each(entry, &p->restore.lost)
		n++;
	spin_unlock(&p->restore.lost_lock);
	while (!ret && tries && n && !READ_ONCE(p->restore.ended)) {
		mutex_lock(&p->lock);
		buf = kfd_buffer_pop_lost(p, &first, &last);
		if (buf)
			ret = kfd_buffer_restore_one(buf, first, last);
		/* What cannot be mapped for want of tables would be waited for in vain: its use is a fault. */
		if (ret && ret != -ENOSPC && ret != -EINVAL)
			kfd_buffer_still_lost(buf, first, last);
		else
			ret = 0;
		mutex_unlock(&p->lock);
		if (!buf)
			break;
		if (ret == -EBUSY) {
			ret = 0;
			tries--;
		} else {
			n--;
		}
	}
	return ret;
}
