// SPDX-License-Identifier: GPL-2.0
/*
 * CPU mappings of buffer objects through the render node. VRAM is mapped write-back by page frame (VM_PFNMAP),
 * although its frames have struct pages: those belong to the SVM side, have no reference here, and
 * get_user_pages() must not find them through such a mapping.
 */
#include <linux/dma-buf.h>
#include <linux/highmem.h>
#include <linux/mm.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem.h>

#include "klttm_priv.h"

static vm_fault_t klttm_vm_fault(struct vm_fault *vmf)
{
	struct ttm_buffer_object *tbo = vmf->vma->vm_private_data;
	vm_fault_t ret;
	int idx;

	if (!drm_dev_enter(tbo->base.dev, &idx))
		return VM_FAULT_SIGBUS;
	ret = ttm_bo_vm_reserve(tbo, vmf);
	if (ret)
		goto out_exit;
	ret = ttm_bo_vm_fault_reserved(vmf, vmf->vma->vm_page_prot, TTM_BO_VM_NUM_PREFAULT);
	/* No RAM to read a swapped object back: 6.1 would have the access tried again without end. */
	if (ret & VM_FAULT_OOM)
		ret = VM_FAULT_SIGBUS;
	/* On a retry that may sleep TTM has already unlocked. */
	if (ret != VM_FAULT_RETRY || (vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		dma_resv_unlock(tbo->base.resv);
out_exit:
	drm_dev_exit(idx);
	return ret;
}

/* Locking: dma_resv held. */
static int klttm_access_pages(struct klttm_bo *bo, u64 offset, void *buf, int len, int write)
{
	int done, bytes, ret;
	struct page *page;
	void *addr;

	ret = klttm_bo_populate(bo);
	for (done = 0; done < len && !ret; done += bytes, offset += bytes) {
		bytes = min_t(int, len - done, PAGE_SIZE - offset_in_page(offset));
		page = klttm_exec_page(bo, offset >> PAGE_SHIFT);
		if (!page)
			return -EIO;
		addr = kmap_local_page(page) + offset_in_page(offset);
		if (write)
			memcpy(addr, buf + done, bytes);
		else
			memcpy(buf + done, addr, bytes);
		kunmap_local(addr);
	}
	return ret ?: len;
}

/*
 * ptrace and /proc/PID/mem. Not TTM's: that of 6.1 looks at the object's resource before it has the reservation, and
 * neither knows that a GPU may be gone.
 */
static int klttm_vm_access(struct vm_area_struct *vma, unsigned long addr, void *buf, int len, int write)
{
	struct ttm_buffer_object *tbo = vma->vm_private_data;
	u64 offset = addr - vma->vm_start +
		     ((u64)(vma->vm_pgoff - drm_vma_node_start(&tbo->base.vma_node)) << PAGE_SHIFT);
	int ret, idx;

	if (len < 1 || offset + len > tbo->base.size)
		return -EIO;
	if (!drm_dev_enter(tbo->base.dev, &idx))
		return -EIO;
	ret = dma_resv_lock_interruptible(tbo->base.resv, NULL);
	if (!ret) {
		ret = klttm_access_pages(to_klttm_bo(tbo), offset, buf, len, write);
		dma_resv_unlock(tbo->base.resv);
	}
	drm_dev_exit(idx);
	return ret;
}

const struct vm_operations_struct klttm_vm_ops = {
	.fault = klttm_vm_fault,
	.open = ttm_bo_vm_open,
	.close = ttm_bo_vm_close,
	.access = klttm_vm_access,
};

int klttm_gem_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	struct ttm_buffer_object *tbo = container_of(obj, struct ttm_buffer_object, base);
	struct klttm_bo *bo = to_klttm_bo(tbo);
	bool access = vma->vm_flags & VM_ACCESS_FLAGS;
	int ret;

	if (bo->userptr || (access && bo->create_flags & AMDGPU_GEM_CREATE_NO_CPU_ACCESS))
		return -EPERM;
	if (bo->create_flags & AMDGPU_GEM_CREATE_NO_CPU_ACCESS)
		kcompat_vm_flags_clear(vma, VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC);
	if (obj->import_attach) {
		/* The mapping is of the exporter's file, which it holds instead of our object. */
		vma->vm_private_data = NULL;
		vma->vm_ops = NULL;
		kcompat_vm_flags_set(vma, VM_DONTEXPAND);
		ret = dma_buf_mmap(obj->import_attach->dmabuf, vma, 0);
		if (!ret)
			drm_gem_object_put(obj);
		return ret;
	}
	/*
	 * The thunk maps VRAM that only the GPU is to use without access and privately. Nothing is ever copied on write
	 * there, but TTM refuses what could be; so it can never become writable.
	 */
	if (is_cow_mapping(vma->vm_flags) && !access)
		kcompat_vm_flags_clear(vma, VM_MAYWRITE);
	ret = ttm_bo_mmap_obj(vma, tbo);
	if (ret)
		return ret;
	/* The mapping holds a reference of the TTM object instead of the one GEM took for it. */
	drm_gem_object_put(obj);
	return 0;
}
