// SPDX-License-Identifier: GPL-2.0
/*
 * ALLOC_MEMORY_OF_GPU, FREE, MAP and UNMAP.
 *
 * A buffer's VA interval enters the tree before svm_range_overlaps() is asked, and SVM asks about buffers with
 * svms.lock held until its range is entered. So of two that race for an address at least one sees the other.
 *
 * MAP and UNMAP are kfd_vm_buffer.c's work, here is what user space says and is told.
 */
#include <drm/amdgpu_drm.h>
#include <linux/file.h>
#include <linux/kfd_ioctl.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kfd_doorbell.h"
#include "kfd_ioctl.h"
#include "kfd_memory.h"
#include "kfd_mmio.h"

#define KFD_ALLOC_TYPES	(KFD_IOC_ALLOC_MEM_FLAGS_VRAM | KFD_IOC_ALLOC_MEM_FLAGS_GTT | \
			 KFD_IOC_ALLOC_MEM_FLAGS_USERPTR | KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL | \
			 KFD_IOC_ALLOC_MEM_FLAGS_MMIO_REMAP)
#define KFD_ALLOC_ATTRIBUTES \
	(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE | KFD_IOC_ALLOC_MEM_FLAGS_EXECUTABLE | \
	 KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC | KFD_IOC_ALLOC_MEM_FLAGS_NO_SUBSTITUTE | \
	 KFD_IOC_ALLOC_MEM_FLAGS_AQL_QUEUE_MEM | KFD_IOC_ALLOC_MEM_FLAGS_COHERENT | \
	 KFD_IOC_ALLOC_MEM_FLAGS_UNCACHED)

/* Handles of one process end here; a bound on what a record that costs the user nothing (USERPTR) can take. */
#define KFD_MAX_BUFFERS		(1 << 16)

static_assert(KFD_MAX_GPUS <= 32, "kfd_buffer.mapped is one word");

static atomic64_t kfd_user_bytes;

/*
 * All USERPTR buffers together end at three quarters of RAM: the same memory may be registered again and again, each
 * time with page tables of its own, and a program that asks how much there is gets an answer before the OOM killer's.
 * (amdkfd's limit is 15/16, of machines with more RAM.)
 */
u64 kfd_memory_user_limit(void)
{
	return ((u64)totalram_pages() << PAGE_SHIFT) / 4 * 3;
}

u64 kfd_memory_user_bytes(void)
{
	return atomic64_read(&kfd_user_bytes);
}

static int kfd_user_bytes_charge(u64 size)
{
	u64 limit = kfd_memory_user_limit();

	if (size > limit)
		return -ENOMEM;
	if (atomic64_add_return(size, &kfd_user_bytes) <= limit)
		return 0;
	atomic64_sub(size, &kfd_user_bytes);
	return -ENOMEM;
}

bool kfd_process_va_has_buffer(struct kfd_process *p, unsigned long start, unsigned long last)
{
	struct file *render;
	unsigned int i;
	bool found;

	for (i = 0; i < ARRAY_SIZE(p->devices); i++) {
		/* Pairs with the release store in kfd_ioctl_acquire_vm(). */
		render = smp_load_acquire(&p->devices[i].render);
		if (render && klttm_va_busy(render, (u64)start << PAGE_SHIFT, (u64)last << PAGE_SHIFT))
			return true;
	}

	spin_lock(&p->buffer_tree_lock);
	found = interval_tree_iter_first(&p->buffer_tree, start, last);
	spin_unlock(&p->buffer_tree_lock);
	return found;
}

static int kfd_buffer_take_va(struct kfd_process *p, struct kfd_buffer *buf)
{
	bool taken;

	spin_lock(&p->buffer_tree_lock);
	taken = interval_tree_iter_first(&p->buffer_tree, buf->va.start, buf->va.last);
	if (!taken)
		interval_tree_insert(&buf->va, &p->buffer_tree);
	spin_unlock(&p->buffer_tree_lock);
	return taken ? -EADDRINUSE : 0;
}

static void kfd_buffer_drop_va(struct kfd_process *p, struct kfd_buffer *buf)
{
	spin_lock(&p->buffer_tree_lock);
	interval_tree_remove(&buf->va, &p->buffer_tree);
	spin_unlock(&p->buffer_tree_lock);
}

/* Is [addr, addr + size) all mapped memory of current, nothing of it device registers? */
static int kfd_check_user_memory(u64 addr, u64 size)
{
	struct mm_struct *mm = current->mm;
	u64 at = addr, end = addr + size;
	int ret = 0;

	if (!PAGE_ALIGNED(addr) || end < addr || end > TASK_SIZE_MAX)
		return -EINVAL;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	while (at < end) {
		struct vm_area_struct *vma = find_vma(mm, at);

		if (!vma || vma->vm_start > at || vma->vm_flags & (VM_IO | VM_PFNMAP)) {
			ret = -EFAULT;
			break;
		}
		at = vma->vm_end;
	}
	mmap_read_unlock(mm);
	return ret;
}

static bool kfd_va_is_valid(u64 va, u64 size)
{
	u64 last = va + size - 1;

	return size && PAGE_ALIGNED(size) && PAGE_ALIGNED(va) && va >= KFD_GPUVM_BASE && last > va &&
	       last <= KFD_GPUVM_LIMIT;
}

static int kfd_check_alloc(const struct kfd_ioctl_alloc_memory_of_gpu_args *args)
{
	if (args->flags & ~(KFD_ALLOC_TYPES | KFD_ALLOC_ATTRIBUTES))
		return -EINVAL;
	if (hweight32(args->flags & KFD_ALLOC_TYPES) != 1)
		return -EINVAL;
	if (!kfd_va_is_valid(args->va_addr, args->size))
		return -EINVAL;
	if (args->flags & KFD_IOC_ALLOC_MEM_FLAGS_AQL_QUEUE_MEM && args->size % (2 * PAGE_SIZE))
		return -EINVAL;
	if (args->flags & KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL && args->size != KFD_DOORBELL_SLICE_BYTES)
		return -EINVAL;
	if (args->flags & KFD_IOC_ALLOC_MEM_FLAGS_MMIO_REMAP && args->size != PAGE_SIZE)
		return -EINVAL;
	return 0;
}

int kfd_buffer_allow_mmap(struct kfd_process *p, struct kfd_buffer *buf)
{
	struct file *render = p->devices[buf->dev->index].render;
	int ret = klttm_bo_allow(buf->bo, render);

	if (!ret)
		buf->render = render;
	return ret;
}

/*
 * VRAM and GTT: a TTM object that the process's render file may mmap; without PUBLIC a mapping has no access. The thunk
 * maps such buffers too, for debuggers, and gives up when it cannot.
 */
static int kfd_buffer_create_bo(struct kfd_process *p, struct kfd_buffer *buf)
{
	bool vram = buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_VRAM;
	bool cpu_access = !vram || buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC;
	struct klttm_bo *bo;

	/* Refused here rather than by trying: TTM would evict everything, or reclaim, before it gave up. */
	if (buf->size > (vram ? buf->dev->vram_size : (u64)totalram_pages() << PAGE_SHIFT))
		return -ENOMEM;
	bo = klttm_bo_create(buf->dev->ttm, buf->size,
			     vram ? AMDGPU_GEM_DOMAIN_VRAM : AMDGPU_GEM_DOMAIN_GTT, cpu_access);
	if (IS_ERR(bo))
		return PTR_ERR(bo) == -ENOSPC ? -ENOMEM : PTR_ERR(bo);
	buf->bo = bo;
	return kfd_buffer_allow_mmap(p, buf);
}

static int kfd_buffer_create_user(struct kfd_process *p, struct kfd_buffer *buf)
{
	int ret;

	ret = kfd_check_user_memory(buf->user_addr, buf->size);
	if (ret)
		return ret;
	ret = kfd_user_bytes_charge(buf->size);
	if (ret)
		return ret;
	ret = kfd_userptr_create(p, buf);
	if (ret)
		atomic64_sub(buf->size, &kfd_user_bytes);
	return ret;
}

static int kfd_buffer_create_backing(struct kfd_process *p, struct kfd_buffer *buf)
{
	if (buf->flags & (KFD_IOC_ALLOC_MEM_FLAGS_VRAM | KFD_IOC_ALLOC_MEM_FLAGS_GTT))
		return kfd_buffer_create_bo(p, buf);
	if (buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_USERPTR)
		return kfd_buffer_create_user(p, buf);
	if (buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL)
		return kfd_doorbell_get(p, buf->dev);
	return kfd_mmio_get(p, buf->dev);
}

void kfd_buffer_destroy(struct kfd_process *p, struct kfd_buffer *buf)
{
	unsigned long mapped = buf->mapped;
	unsigned int i;

	/* Teardown: else it is not mapped any more. */
	for_each_set_bit(i, &mapped, KFD_MAX_GPUS)
		kfd_buffer_unmap_on(buf, p->devices[i].vm);
	if (buf->user) {
		kfd_userptr_destroy(buf);
		atomic64_sub(buf->size, &kfd_user_bytes);
	}
	/* Its notifier may have come between, and the restore work may be at it. */
	mutex_lock(&p->lock);
	kfd_buffer_found(buf);
	mutex_unlock(&p->lock);
	kfd_buffer_drop_va(p, buf);
	if (!IS_ERR_OR_NULL(buf->reserved))
		klttm_va_unreserve(p->devices[buf->dev->index].render, buf->reserved);
	if (buf->render)
		klttm_bo_revoke(buf->bo, buf->render);
	if (buf->bo)
		klttm_bo_put(buf->bo);
	kfree(buf);
}

struct kfd_buffer *kfd_buffer_create(struct kfd_process *p, struct kfd_dev *dev, u64 va, u64 size)
{
	struct kfd_buffer *buf;
	int ret;

	if (!kfd_va_is_valid(va, size))
		return ERR_PTR(-EINVAL);
	buf = kzalloc(sizeof(*buf), GFP_KERNEL_ACCOUNT);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	buf->process = p;
	buf->dev = dev;
	buf->watch.mm = p->notifier.mm;
	buf->watch.moved = kfd_buffer_moved;
	INIT_LIST_HEAD(&buf->lost);
	buf->size = size;
	buf->va.start = va >> PAGE_SHIFT;
	buf->va.last = (va + size - 1) >> PAGE_SHIFT;
	ret = kfd_buffer_take_va(p, buf);
	if (ret) {
		kfree(buf);
		return ERR_PTR(ret);
	}
	if (svm_range_overlaps(p, buf->va.start, buf->va.last)) {
		kfd_buffer_destroy(p, buf);
		return ERR_PTR(-EADDRINUSE);
	}
	/* GEM_VA maps into the same address space. */
	buf->reserved = klttm_va_reserve(p->devices[dev->index].render, va, size);
	if (IS_ERR(buf->reserved)) {
		ret = PTR_ERR(buf->reserved);
		kfd_buffer_destroy(p, buf);
		return ERR_PTR(ret);
	}
	return buf;
}

struct kfd_dev *kfd_acquired_dev(struct kfd_process *p, u32 gpu_id)
{
	struct kfd_dev *dev = kfd_dev_by_id(gpu_id);

	if (!dev)
		return ERR_PTR(-EINVAL);
	/* Pairs with the release store in kfd_ioctl_acquire_vm(). */
	return smp_load_acquire(&p->devices[dev->index].render) ? dev : ERR_PTR(-ENODEV);
}

int kfd_buffer_publish(struct kfd_process *p, struct kfd_buffer *buf, u64 *handle)
{
	u32 gpu_id = buf->dev->gpu_id;
	int id;

	mutex_lock(&p->lock);
	id = idr_alloc(&p->buffers, buf, 1, KFD_MAX_BUFFERS, GFP_KERNEL);
	mutex_unlock(&p->lock);
	if (id < 0) {
		kfd_buffer_destroy(p, buf);
		return -ENOMEM;
	}
	*handle = (u64)gpu_id << 32 | id;
	return 0;
}

int kfd_ioctl_alloc(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_alloc_memory_of_gpu_args *args = data;
	u64 mmap_offset = args->mmap_offset;
	struct kfd_buffer *buf;
	struct kfd_dev *dev;
	int ret;

	ret = kfd_check_alloc(args);
	if (ret)
		return ret;
	dev = kfd_acquired_dev(p, args->gpu_id);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	buf = kfd_buffer_create(p, dev, args->va_addr, args->size);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	buf->flags = args->flags;
	buf->user_addr = args->mmap_offset;
	if (args->flags & KFD_IOC_ALLOC_MEM_FLAGS_AQL_QUEUE_MEM)
		buf->size /= 2;
	ret = kfd_buffer_create_backing(p, buf);
	if (ret) {
		kfd_buffer_destroy(p, buf);
		return ret;
	}

	/* As long as nobody can name the buffer: with its handle, which can be guessed, it may be freed. */
	if (buf->bo)
		mmap_offset = klttm_bo_mmap_offset(buf->bo);
	else if (buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL)
		mmap_offset = kfd_doorbell_mmap_offset(dev);
	else if (buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_MMIO_REMAP)
		mmap_offset = kfd_mmio_mmap_offset(dev);
	ret = kfd_buffer_publish(p, buf, &args->handle);
	if (!ret)
		args->mmap_offset = mmap_offset;
	return ret;
}

struct kfd_buffer *kfd_buffer_find(struct kfd_process *p, u64 handle)
{
	struct kfd_buffer *buf = idr_find(&p->buffers, lower_32_bits(handle));

	lockdep_assert_held(&p->lock);
	return buf && buf->dev->gpu_id == upper_32_bits(handle) ? buf : NULL;
}

int kfd_ioctl_free(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_free_memory_of_gpu_args *args = data;
	struct kfd_buffer *buf;
	int ret = 0;

	mutex_lock(&p->lock);
	buf = kfd_buffer_find(p, args->handle);
	if (!buf)
		ret = -EINVAL;
	else if (buf->mapped)
		ret = -EBUSY;
	else
		idr_remove(&p->buffers, lower_32_bits(args->handle));
	mutex_unlock(&p->lock);
	if (!ret)
		kfd_buffer_destroy(p, buf);
	return ret;
}

/* A GPU may be named twice, and mapping again what is mapped is no error. Locking: p->lock. */
static int kfd_buffer_map_one(struct kfd_process *p, struct kfd_buffer *buf, u32 gpu_id, bool map)
{
	struct kfd_dev *dev = kfd_acquired_dev(p, gpu_id);
	bool mapped;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	mapped = buf->mapped & BIT(dev->index);
	if (map)
		return mapped ? 0 : kfd_buffer_map_on(buf, kfd_process_vm(p, dev));
	if (!mapped)
		return -EINVAL;
	kfd_buffer_unmap_on(buf, kfd_process_vm(p, dev));
	return 0;
}

/* MAP and UNMAP of ids[*n_success..n_devices): *n_success tells how far it came, also when it fails. */
static int kfd_buffer_map(struct kfd_process *p, u64 handle, u64 ids_ptr, u32 n_devices,
			  u32 *n_success, bool map)
{
	u32 ids[KFD_MAX_GPUS];
	struct kfd_buffer *buf;
	int ret = 0;

	if (!n_devices || n_devices > KFD_MAX_GPUS || *n_success > n_devices)
		return -EINVAL;
	if (copy_from_user(ids, u64_to_user_ptr(ids_ptr), n_devices * sizeof(ids[0])))
		return -EFAULT;
	mutex_lock(&p->lock);
	buf = kfd_buffer_find(p, handle);
	if (!buf)
		ret = -EINVAL;
	while (!ret && *n_success < n_devices) {
		ret = kfd_buffer_map_one(p, buf, ids[*n_success], map);
		if (!ret)
			++*n_success;
	}
	mutex_unlock(&p->lock);
	return ret;
}

/*
 * A buffer that was evicted comes back before it is mapped. If it cannot, it is used where it is: in RAM the GPU
 * reaches it too.
 */
static void kfd_buffer_restore(struct kfd_process *p, u64 handle)
{
	struct klttm_bo *bo = NULL;
	struct kfd_buffer *buf;

	mutex_lock(&p->lock);
	buf = kfd_buffer_find(p, handle);
	if (buf && buf->bo && buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_VRAM) {
		bo = buf->bo;
		klttm_bo_get(bo);
	}
	mutex_unlock(&p->lock);
	if (!bo)
		return;
	klttm_bo_restore(bo);
	klttm_bo_put(bo);
}

int kfd_ioctl_map(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_map_memory_to_gpu_args *args = data;

	kfd_buffer_restore(p, args->handle);
	return kfd_buffer_map(p, args->handle, args->device_ids_array_ptr, args->n_devices, &args->n_success,
			      true);
}

int kfd_ioctl_unmap(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_unmap_memory_from_gpu_args *args = data;

	return kfd_buffer_map(p, args->handle, args->device_ids_array_ptr, args->n_devices,
			      &args->n_success, false);
}

struct klttm_bo *kfd_memory_get_gtt(struct kfd_process *p, u64 handle, u64 *size)
{
	struct kfd_buffer *buf = kfd_buffer_find(p, handle);

	if (!buf || !(buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_GTT) || buf->imported)
		return ERR_PTR(-EINVAL);
	klttm_bo_get(buf->bo);
	*size = buf->size;
	return buf->bo;
}

bool kfd_memory_is_mapped(struct kfd_process *p, const struct klttm_bo *bo)
{
	struct kfd_buffer *buf;
	int id;

	idr_for_each_entry(&p->buffers, buf, id)
		if (buf->bo == bo && READ_ONCE(buf->mapped))
			return true;
	return false;
}

u64 kfd_memory_vram_bytes(struct kfd_process *p, struct kfd_dev *dev)
{
	struct kfd_buffer *buf;
	u64 bytes = 0;
	int id;

	mutex_lock(&p->lock);
	idr_for_each_entry(&p->buffers, buf, id)
		if (buf->dev == dev && !buf->imported && buf->flags & KFD_IOC_ALLOC_MEM_FLAGS_VRAM)
			bytes += klttm_bo_vram_bytes(buf->bo);
	mutex_unlock(&p->lock);
	return bytes;
}

void kfd_memory_init(struct kfd_process *p)
{
	idr_init(&p->buffers);
	p->buffer_tree = RB_ROOT_CACHED;
	spin_lock_init(&p->buffer_tree_lock);
}

void kfd_memory_fini(struct kfd_process *p)
{
	struct kfd_buffer *buf;
	int id;

	idr_for_each_entry(&p->buffers, buf, id) {
		kfd_buffer_destroy(p, buf);
		cond_resched();
	}
	idr_destroy(&p->buffers);
}
