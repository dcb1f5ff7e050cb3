/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between the kernels kfdlab builds for, each as one named feature. Code elsewhere tests a feature
 * or calls a kcompat_ function; it never looks at LINUX_VERSION_CODE.
 *
 * A block has three parts: a comment saying what changed, in which release and by which commit; the macro
 * KCOMPAT_HAVE_..., defined to 1 when this kernel has the newer form; and, where callers should not care,
 * the shim. The file includes little, so a shim is a macro when its types come from a subsystem header.
 */
#ifndef KCOMPAT_H
#define KCOMPAT_H

#include <linux/types.h>
#include <linux/version.h>

#define KCOMPAT_SINCE(major, minor)	(LINUX_VERSION_CODE >= KERNEL_VERSION(major, minor, 0))

/* ---- TTM and DRM ---- */

/* One TTM header: ttm_bo_api.h and ttm_bo_driver.h became ttm_bo.h. 6.3, a3185f91d057. */
#if KCOMPAT_SINCE(6, 3)
#define KCOMPAT_HAVE_TTM_BO_H	1
#endif

/*
 * struct ttm_placement lost its second array for busy placements; flags of each place say when it applies.
 * 6.9, a78a8da51b36. The shim sets the same places for both.
 */
#if KCOMPAT_SINCE(6, 9)
#define KCOMPAT_HAVE_TTM_SINGLE_PLACEMENT	1
#define kcompat_ttm_placement_set(p, places, n) do {	\
	(p)->placement = (places);			\
	(p)->num_placement = (n);			\
} while (0)
#else
#define kcompat_ttm_placement_set(p, places, n) do {	\
	(p)->placement = (places);			\
	(p)->num_placement = (n);			\
	(p)->busy_placement = (places);			\
	(p)->num_busy_placement = (n);			\
} while (0)
#endif

/* ttm_device_init() takes its callbacks const; seen in 6.12, not in 6.1, which never writes them either. */
#if KCOMPAT_SINCE(6, 12)
#define KCOMPAT_HAVE_TTM_CONST_FUNCS	1
#define kcompat_ttm_funcs(f)	(f)
#else
#define kcompat_ttm_funcs(f)	((struct ttm_device_funcs *)(f))
#endif

/*
 * Dying objects sit on a per-device list served by bdev->wq, a delayed work; from 6.3 (9bff18d13473) bdev->wq
 * is a workqueue with one work per object. The shim waits until objects that could not be freed at once are.
 */
#if KCOMPAT_SINCE(6, 3)
#define KCOMPAT_HAVE_TTM_WORKQUEUE	1
#define kcompat_ttm_flush_delayed_delete(bdev)	flush_workqueue((bdev)->wq)
#else
#define kcompat_ttm_flush_delayed_delete(bdev)	flush_delayed_work(&(bdev)->wq)
#endif

/*
 * Between the resources in a manager's LRU there may be places where walks stopped. Seen in 6.12, not in 6.1. The shim
 * gives the resource of a list entry, or NULL.
 */
#if KCOMPAT_SINCE(6, 12)
#define KCOMPAT_HAVE_TTM_LRU_ITEM	1
#define kcompat_ttm_lru_res(entry) ({							\
	struct ttm_lru_item *item_ = list_entry(entry, struct ttm_lru_item, link);	\
											\
	ttm_lru_item_is_res(item_) ? ttm_lru_item_to_res(item_) : NULL;			\
})
#else
#define kcompat_ttm_lru_res(entry)	list_entry(entry, struct ttm_resource, lru)
#endif

/* struct drm_driver.date is gone. 6.14, cb2e1c2136f7. */
#if KCOMPAT_SINCE(6, 14)
#define KCOMPAT_DRM_DRIVER_DATE(text)
#else
#define KCOMPAT_DRM_DRIVER_DATE(text)	.date = (text),
#endif

/*
 * PRIME works without the driver naming the helpers for handles and mmap, and naming them is for exceptions only.
 * 6.6, 6b85aa68d9d5 and 0adec22702d4.
 */
#if KCOMPAT_SINCE(6, 6)
#define KCOMPAT_HAVE_DRM_PRIME_DEFAULT	1
#define KCOMPAT_DRM_PRIME_HANDLES
#else
#define KCOMPAT_DRM_PRIME_HANDLES	.prime_handle_to_fd = drm_gem_prime_handle_to_fd,	\
					.prime_fd_to_handle = drm_gem_prime_fd_to_handle,	\
					.gem_prime_mmap = drm_gem_prime_mmap,
#endif

/* A symbol namespace is named by a string. 6.13, cdd30ebb1b9f. Needs <linux/module.h>. */
#if KCOMPAT_SINCE(6, 13)
#define KCOMPAT_MODULE_IMPORT_NS(ns)	MODULE_IMPORT_NS(#ns)
#define KCOMPAT_EXPORT_SYMBOL_NS_GPL(sym, ns)	EXPORT_SYMBOL_NS_GPL(sym, #ns)
#else
#define KCOMPAT_MODULE_IMPORT_NS(ns)	MODULE_IMPORT_NS(ns)
#define KCOMPAT_EXPORT_SYMBOL_NS_GPL(sym, ns)	EXPORT_SYMBOL_NS_GPL(sym, ns)
#endif

/* ---- memory management ---- */

/*
 * follow_pfn() became follow_pfnmap_start() and _end(), for it gave a frame out of the lock that kept it. 6.12,
 * 6da8e9634bb7 and b1b46751671b. The shim tells the frame as of the call. Needs <linux/mm.h>; mmap_lock is held.
 */
#if KCOMPAT_SINCE(6, 12)
#define KCOMPAT_HAVE_FOLLOW_PFNMAP	1
#define kcompat_follow_pfn(v, addr, pfnp) ({					\
	struct follow_pfnmap_args args_ = { .vma = (v), .address = (addr) };	\
	int ret_ = follow_pfnmap_start(&args_);					\
										\
	if (!ret_) {								\
		*(pfnp) = args_.pfn;						\
		follow_pfnmap_end(&args_);					\
	}									\
	ret_;									\
})
#else
#define kcompat_follow_pfn(v, addr, pfnp)	follow_pfn(v, addr, pfnp)
#endif

/* vm_area_struct.vm_flags is read-only. 6.3, bc292ab00f6c. Needs <linux/mm.h>; for a VMA in mmap(). */
#if KCOMPAT_SINCE(6, 3)
#define KCOMPAT_HAVE_VM_FLAGS_SET	1
#define kcompat_vm_flags_set(vma, flags)	vm_flags_set(vma, flags)
#define kcompat_vm_flags_clear(vma, flags)	vm_flags_clear(vma, flags)
#else
#define kcompat_vm_flags_set(vma, flags)	((vma)->vm_flags |= (flags))
#define kcompat_vm_flags_clear(vma, flags)	((vma)->vm_flags &= ~(flags))
#endif

/*
 * The vmas argument of pin_user_pages*() and get_user_pages*() is gone. 6.5: 4c630f307455, 0b295316b3a9,
 * 54d020692b34, ca5e863233e8.
 */
#if KCOMPAT_SINCE(6, 5)
#define KCOMPAT_HAVE_GUP_WITHOUT_VMAS	1
#endif

/*
 * pin_user_pages_unlocked() takes FOLL_LONGTERM; before 6.3 it refused the flag with a warning. Came with "mm/gup:
 * have internal functions get the mmap_read_lock()", which let all callers share the long-term loop.
 */
#if KCOMPAT_SINCE(6, 3)
#define KCOMPAT_HAVE_PIN_UNLOCKED_LONGTERM	1
#endif

/*
 * Shrinkers are allocated by the kernel (shrinker_alloc(), shrinker_register()), not embedded. 6.7, c42d50aefd17 and
 * the commits behind it.
 */
#if KCOMPAT_SINCE(6, 7)
#define KCOMPAT_HAVE_SHRINKER_ALLOC	1
#endif

/* ---- driver core ---- */

/* class_create() takes the name only. 6.4, 1aaba11da9aa. Needs <linux/device.h> and <linux/module.h>. */
#if KCOMPAT_SINCE(6, 4)
#define KCOMPAT_HAVE_CLASS_CREATE_NAME	1
#define kcompat_class_create(name)	class_create(name)
#else
#define kcompat_class_create(name)	class_create(THIS_MODULE, name)
#endif

/* class->devnode() takes a const device. 6.2, ff62b8e6588f. Needs <linux/device.h>. */
#if KCOMPAT_SINCE(6, 2)
#define KCOMPAT_HAVE_DEVNODE_CONST	1
typedef const struct device kcompat_devnode_device;
#else
typedef struct device kcompat_devnode_device;
#endif

/* kernfs_node.parent is under RCU and was renamed. 6.15, 633488947ef6. For nodes that do not move. */
#if KCOMPAT_SINCE(6, 15)
#define KCOMPAT_HAVE_KERNFS_PARENT_RCU	1
#define kcompat_kernfs_parent(kn)	rcu_dereference_protected((kn)->__parent, true)
#else
#define kcompat_kernfs_parent(kn)	((kn)->parent)
#endif

#endif
