// SPDX-License-Identifier: GPL-2.0
/*
 * GEM_USERPTR: memory of a process as an object. Its pages are never pinned and no reference to them is kept: an MMU
 * interval notifier watches the addresses, and the frames that hmm_range_fault() found are valid until it fires.
 * What works on the frames has a fence in the object's dma_resv, and the notifier waits for it, so nobody uses a
 * page after its owner gave it to somebody else. mmap_lock comes before any dma_resv, so frames are looked up first
 * and asked about (klttm_userptr_valid()) when the object is locked.
 */
#include <linux/dma-resv.h>
#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>

#include "klttm_priv.h"

#define KLTTM_USERPTR_FLAGS \
	(AMDGPU_GEM_USERPTR_READONLY | AMDGPU_GEM_USERPTR_ANONONLY | \
	 AMDGPU_GEM_USERPTR_VALIDATE | AMDGPU_GEM_USERPTR_REGISTER)
/* Pages looked up under one mmap_lock, and for how long it is tried against somebody who keeps changing them. */
#define KLTTM_USERPTR_CHUNK	512
#define KLTTM_USERPTR_PATIENCE	HZ

struct klttm_userptr {
	struct mmu_interval_notifier notifier;
	struct klttm_bo *bo;
	struct mm_struct *mm;		/* mmgrab() */
	u64 addr;			/* page aligned */
	u64 npages;
	u32 flags;			/* AMDGPU_GEM_USERPTR_* */
	struct mutex lock;		/* one lookup at a time */
	spinlock_t seq_lock;		/* seq, valid; the notifier's sequence number changes under it */
	unsigned long seq;
	bool valid;
	unsigned long *pfns;		/* as hmm_range_fault() gives them; lock */
};

static bool klttm_userptr_invalidate(struct mmu_interval_notifier *notifier,
				     const struct mmu_notifier_range *range, unsigned long seq)
{
	struct klttm_userptr *user = container_of(notifier, struct klttm_userptr, notifier);
	struct dma_resv *resv = user->bo->tbo.base.resv;

	if (!mmu_notifier_range_blockable(range) && !dma_resv_test_signaled(resv, DMA_RESV_USAGE_BOOKKEEP))
		return false;
	spin_lock(&user->seq_lock);
	mmu_interval_set_seq(notifier, seq);
	user->valid = false;
	spin_unlock(&user->seq_lock);
	/* Ends with the fences, which end by themselves or with their GPU. */
	if (mmu_notifier_range_blockable(range))
		dma_resv_wait_timeout(resv, DMA_RESV_USAGE_BOOKKEEP, false, MAX_SCHEDULE_TIMEOUT);
	return true;
}

static const struct mmu_interval_notifier_ops klttm_userptr_ops = {
	.invalidate = klttm_userptr_invalidate,
};

bool klttm_userptr_is_mine(const struct klttm_userptr *user)
{
	return user->mm == current->mm;
}

/* Do the mappings keep what the flags promise? Locking: mmap_lock. */
static int klttm_userptr_check_vmas(const struct klttm_userptr *user, u64 start, u64 end)
{
	struct vm_area_struct *vma;

	for (; start < end; start = vma->vm_end) {
		vma = vma_lookup(user->mm, start);
		if (!vma)
			return -EFAULT;
		if (user->flags & AMDGPU_GEM_USERPTR_ANONONLY && vma->vm_file)
			return -EPERM;
	}
	return 0;
}

/* -EBUSY: changed meanwhile. Locking: user->lock. */
static int klttm_userptr_fault_chunk(struct klttm_userptr *user, unsigned long seq, u64 first, u64 n)
{
	struct hmm_range range = {
		.notifier = &user->notifier,
		.notifier_seq = seq,
		.start = user->addr + (first << PAGE_SHIFT),
		.end = user->addr + ((first + n) << PAGE_SHIFT),
		.hmm_pfns = user->pfns + first,
		.default_flags = HMM_PFN_REQ_FAULT,
	};
	int ret;

	if (!(user->flags & AMDGPU_GEM_USERPTR_READONLY))
		range.default_flags |= HMM_PFN_REQ_WRITE;
	if (mmap_read_lock_killable(user->mm))
		return -EINTR;
	ret = klttm_userptr_check_vmas(user, range.start, range.end);
	if (!ret)
		ret = hmm_range_fault(&range);
	mmap_read_unlock(user->mm);
	return ret;
}

static int klttm_userptr_fault(struct klttm_userptr *user)
{
	unsigned long seq = mmu_interval_read_begin(&user->notifier);
	u64 first, n;
	int ret;

	for (first = 0; first < user->npages; first += n) {
		n = min_t(u64, user->npages - first, KLTTM_USERPTR_CHUNK);
		ret = klttm_userptr_fault_chunk(user, seq, first, n);
		if (ret)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	spin_lock(&user->seq_lock);
	ret = mmu_interval_read_retry(&user->notifier, seq) ? -EBUSY : 0;
	user->valid = !ret;
	user->seq = seq;
	spin_unlock(&user->seq_lock);
	return ret;
}

int klttm_userptr_validate(struct klttm_bo *bo)
{
	struct klttm_userptr *user = bo->userptr;
	unsigned long deadline = jiffies + KLTTM_USERPTR_PATIENCE;
	int ret;

	if (!klttm_userptr_is_mine(user))
		return -EPERM;
	if (klttm_userptr_valid(bo))
		return 0;
	if (mutex_lock_interruptible(&user->lock))
		return -ERESTARTSYS;
	if (!user->pfns)
		user->pfns = kvcalloc(user->npages, sizeof(*user->pfns), GFP_KERNEL_ACCOUNT);
	ret = user->pfns ? 0 : -ENOMEM;
	while (!ret) {
		ret = klttm_userptr_fault(user);
		if (ret != -EBUSY || time_after(jiffies, deadline))
			break;
		ret = 0;
	}
	mutex_unlock(&user->lock);
	return ret == -EBUSY ? -EAGAIN : ret;
}

bool klttm_userptr_valid(struct klttm_bo *bo)
{
	struct klttm_userptr *user = bo->userptr;
	bool valid;

	spin_lock(&user->seq_lock);
	valid = user->valid && !mmu_interval_read_retry(&user->notifier, user->seq);
	spin_unlock(&user->seq_lock);
	return valid;
}

void klttm_userptr_free(struct klttm_userptr *user)
{
	if (user->notifier.mm)
		mmu_interval_notifier_remove(&user->notifier);
	mmdrop(user->mm);
	kvfree(user->pfns);
	kfree(user);
}

/* Turn @bo into the memory of current. What fails is undone with the object. */
static int klttm_userptr_attach(struct klttm_bo *bo, const struct drm_amdgpu_gem_userptr *args)
{
	struct klttm_userptr *user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!user)
		return -ENOMEM;
	user->bo = bo;
	user->mm = current->mm;
	mmgrab(user->mm);
	user->addr = args->addr;
	user->npages = args->size >> PAGE_SHIFT;
	user->flags = args->flags;
	mutex_init(&user->lock);
	spin_lock_init(&user->seq_lock);
	bo->userptr = user;
	ret = mmu_interval_notifier_insert(&user->notifier, user->mm, args->addr, args->size, &klttm_userptr_ops);
	if (ret)
		user->notifier.mm = NULL;
	return ret;
}

static struct klttm_bo *klttm_userptr_create(struct klttm_device *dev, const struct drm_amdgpu_gem_userptr *args)
{
	struct klttm_bo_params params = { .size = args->size, .foreign = true };
	struct klttm_bo *bo;
	int ret;

	params.committed_to = klttm_commit(dev, AMDGPU_GEM_DOMAIN_GTT, params.size);
	if (!params.committed_to)
		return ERR_PTR(-ENOMEM);
	bo = klttm_bo_alloc(dev, &params);
	if (IS_ERR(bo))
		return bo;
	bo->preferred_domains = AMDGPU_GEM_DOMAIN_GTT;
	bo->allowed_domains = AMDGPU_GEM_DOMAIN_GTT;
	ttm_bo_unreserve(&bo->tbo);
	ret = klttm_userptr_attach(bo, args);
	if (!ret && args->flags & AMDGPU_GEM_USERPTR_VALIDATE)
		ret = klttm_userptr_validate(bo);
	if (ret) {
		klttm_bo_put(bo);
		return ERR_PTR(ret);
	}
	return bo;
}

int klttm_gem_userptr_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	struct drm_amdgpu_gem_userptr *args = data;
	struct klttm_bo *bo;
	u32 handle;
	int ret;

	if (!args->size || !PAGE_ALIGNED(args->addr | args->size))
		return -EINVAL;
	if (args->flags & ~KLTTM_USERPTR_FLAGS)
		return -EINVAL;
	/* What the GPU may write must be watched. */
	if (!(args->flags & (AMDGPU_GEM_USERPTR_READONLY | AMDGPU_GEM_USERPTR_REGISTER)))
		return -EACCES;
	if (!access_ok(u64_to_user_ptr(args->addr), args->size))
		return -EFAULT;
	bo = klttm_userptr_create(drm_to_klttm_device(ddev), args);
	if (IS_ERR(bo))
		return PTR_ERR(bo);
	ret = drm_gem_handle_create(file, &bo->tbo.base, &handle);
	klttm_bo_put(bo);
	if (!ret)
		args->handle = handle;
	return ret;
}
