/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private header of kfdlab_ttm. One file per noun:
 *
 *   klttm_device   bring-up and teardown         klttm_bo     buffer objects, their kernel mapping
 *   klttm_vram     VRAM manager, blocks          klttm_move   TTM's callbacks: move, evict
 *   klttm_svm      SVM blocks, orphans           klttm_mmap   CPU mappings through the render node
 *   klttm_gtt      GTT (RAM) manager             klttm_drm    DRM driver, ioctl table
 *   klttm_swap     RAM of objects, swap-out      klttm_alloc  one thread at a time makes room
 *   klttm_gem      GEM ioctls, placement         klttm_info   AMDGPU_INFO
 *   klttm_va       GPU address space of a file   klttm_file   open files, what each holds, fdinfo
 *   klttm_userptr  user memory as an object      klttm_prime  dma-buf export and import
 *   klttm_watch    objects that a GPU maps       klttm_reserve VRAM that is nobody's object
 *   klttm_cs.h     command submission: klttm_ctx, klttm_bo_list, klttm_cs, klttm_exec, klttm_job, klttm_fence
 *
 * Locks, outermost first: alloc_lock, dma_resv of an object, then the spinlocks mm_lock, svm_lock and TTM's
 * lru_lock, none of which nests in another. Releasing VRAM takes none of the sleeping ones: a last reference
 * may be dropped in any context, since the work behind it runs on the device's own workqueue.
 */
#ifndef KLTTM_PRIV_H
#define KLTTM_PRIV_H

#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>
#include <drm/drm_mm.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

#include "kernel/compat/kcompat.h"
#include "kernel/ttm/kfdlab_ttm.h"
#include "kernel/ttm/klttm_cs.h"

#ifdef KCOMPAT_HAVE_TTM_BO_H
#include <drm/ttm/ttm_bo.h>
#else
#include <drm/ttm/ttm_bo_driver.h>
#endif

struct dma_buf;
struct drm_amdgpu_info;
struct drm_file;
struct klttm_file;
struct klttm_userptr;
struct seq_file;

/* TTM evicts objects of a lower priority first, and within one priority the least recently used. */
#define KLTTM_PRIORITY_DISCARDABLE	0
#define KLTTM_PRIORITY_NORMAL		1

/* Charged to who asks. At the limit of its cgroup it gets no object; nobody is killed for one. */
#define KLTTM_GFP_METADATA	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/* How long an allocation waits for busy objects; as long as TTM itself would for one. */
#define KLTTM_IDLE_TIMEOUT	(15 * HZ)

/* A memory type without memory: where evict_flags() sends an object that must stay where it is (klttm_alloc.c). */
#define KLTTM_PL_NOWHERE	TTM_PL_PRIV

struct klttm_device {
	struct drm_device *ddev;	/* owns this struct (drmm) */
	struct ttm_device bdev;
	struct ttm_resource_manager vram_man;
	struct ttm_resource_manager gtt_man;
	struct ttm_resource_manager nowhere_man;
	struct klttm_config config;
	const struct klttm_ops *ops;	/* not called once dying is set */
	void *owner;
	void (*release)(void *owner, void *priv);

	/*
	 * Held while an object gets its memory, eviction included. TTM only tries the locks of eviction victims,
	 * so without it one thread sees -EBUSY because another one is in the middle of making room.
	 */
	struct mutex alloc_lock;
	bool dying;			/* alloc_lock: destroy began, contents no longer matter */
	u64 job;			/* alloc_lock: of this allocation, whose blocks are not evicted for it; or 0 */
	bool spare_new;			/* alloc_lock: new blocks of SVM are not evicted for this allocation */
	bool interruptible;		/* alloc_lock: this allocation may be interrupted by any signal */
	unsigned long give_up;		/* alloc_lock: this allocation waits for busy objects until then (jiffies) */
	const struct mm_struct *spared;	/* alloc_lock: what this process watches is not evicted for it; or NULL */
	u64 vain_job;			/* alloc_lock: the last job that waited in vain */
	struct dma_fence *busy;		/* alloc_lock: of the first busy object this search passed over, else NULL */
	struct ttm_buffer_object *held;	/* alloc_lock: one that somebody else had reserved; a reference, or NULL */
	unsigned int holders;		/* alloc_lock: waited for in this allocation */
	bool retry_orphans;		/* alloc_lock: this allocation has not looked at the orphans yet */
	/*
	 * RAM for something that was to leave VRAM could not be had at this time (jiffies, never 0); 0: not
	 * lately. Nothing is evicted for a moment, since each attempt costs a search for RAM. Any lock or none.
	 */
	unsigned long no_ram_since;

	spinlock_t mm_lock;		/* mm, vram_held, vram_reserved, vram_top */
	struct drm_mm mm;		/* in pages from vram_base */
	u64 vram_held;
	u64 vram_reserved;
	u64 vram_top;			/* of those, klttm_vram_reserve_top(); read without the lock */
	u64 vram_given_back;		/* mm_lock: of objects that TTM has in VRAM, pages whose VRAM is free already */
	bool trim_again;		/* a block could not be trimmed for want of memory. Any lock or none. */

	/* alloc_lock: the task that empties a manager by debugfs, and why it stopped early. */
	struct task_struct *evict_all;
	int evict_all_error;

	spinlock_t svm_lock;		/* lists, counts and klttm_block.bo; process context only */
	struct list_head svm_blocks;	/* newest first, so that a walk does not chase new ones */
	struct list_head orphans;	/* longest untried first */
	u64 orphan_blocks;

	struct llist_head idle;		/* SVM blocks whose last page came back */
	struct llist_head dead;		/* blocks without references */
	struct workqueue_struct *wq;
	struct work_struct reap_work;

	struct klttm_cs_device cs;	/* command submission */

	atomic64_t ram_pages;		/* of objects in RAM, swapped out ones not */
	atomic64_t swapouts;		/* objects */
	struct klttm_shrinker *shrinker;
	struct ttm_tt *swap_tt;		/* being swapped out, or that failed; compared only */
	unsigned long swap_pause;	/* jiffies: nothing is swapped out for so long, until swap_after; or 0 */
	unsigned long swap_after;

	atomic64_t vram_committed;	/* bytes of plain objects created for VRAM, at most vram_size */
	atomic64_t buffer_objects;
	atomic64_t evictions;
	atomic64_t bytes_moved;		/* contents of plain objects copied between VRAM and RAM */
	atomic_t va_mappings;		/* of all files */
};

struct klttm_block {
	struct ttm_resource base;
	unsigned long first_page, npages;	/* as it was handed out */
	struct drm_mm_node node;	/* mm_lock: all of it, unless it was trimmed */
	struct drm_mm_node *held;	/* mm_lock: what is left after klttm_block_trim(), else NULL */
	unsigned int held_count;
	bool used_known;		/* mm_lock: used is valid */
	DECLARE_BITMAP(used, SZ_2M >> PAGE_SHIFT);	/* mm_lock: SVM, pages that may be in use; bits only go */
	unsigned long busy_pages;	/* mm_lock: in all nodes */
	unsigned long given_back;	/* mm_lock: pages, its part of vram_given_back */
	bool left_ttm;			/* mm_lock: the resource is gone */
	struct klttm_device *dev;
	/*
	 * One of the TTM resource, one that all SVM pages share while any is in use, and one per borrower
	 * (klttm_for_each_svm_block, retry of orphans). At zero the block goes to dev->dead.
	 */
	refcount_t refs;
	refcount_t pages;		/* SVM: references of klttm_page_get() */
	struct klttm_bo *bo;		/* svm_lock: SVM, the object whose reference the pages own */
	bool filled;			/* SVM: no page of it will be handed out any more */
	unsigned long filled_at;	/* SVM: when filled became true (jiffies) */
	u64 job;			/* SVM: who brought or wanted it last (klttm_svm_block_touch()) */
	void *priv;
	struct list_head svm_link;
	struct list_head orphan_link;
	struct llist_node reap_link;
};

struct klttm_bo {
	struct ttm_buffer_object tbo;
	struct klttm_device *dev;
	bool svm;
	bool foreign;			/* the memory is somebody else's: user pages, or another exporter's */
	u32 preferred_domains;		/* dma_resv; AMDGPU_GEM_DOMAIN_*: what was asked for */
	u32 allowed_domains;		/* dma_resv; where the object may be besides */
	const struct klttm_file *only_file;	/* VM_ALWAYS_VALID: the one that may use it; only compared */
	u64 create_flags;		/* AMDGPU_GEM_CREATE_* as GEM_OP tells them */
	void *metadata;			/* dma_resv, as the three below */
	u32 metadata_size;		/* bytes */
	u64 metadata_flags;
	u64 tiling_flags;
	struct klttm_userptr *userptr;	/* user memory, else NULL */
	struct dma_buf *import;		/* from another exporter: a reference, dropped last; else NULL */
	struct sg_table *sgt;		/* of it */
	struct list_head watches;	/* dma_resv: struct klttm_watch.link */
	/* klttm_prime.c: the dma-buf of the object; a reference while a file holds the object; how many do */
	struct dma_buf *exported, *own;
	unsigned int holders;
	/* What the object was charged for, wherever it is now; committed_to is NULL without a charge. */
	atomic64_t *committed_to;
	bool leaving;			/* without references, and counted so */
	/*
	 * What TTM gets when it wants a struct ttm_tt for an SVM object it has just evicted: embedded, so that
	 * an eviction cannot fail for lack of memory. It never has pages.
	 */
	struct ttm_tt no_pages;
	struct ttm_bo_kmap_obj kmap;	/* dma_resv */
	unsigned int kmap_count;	/* dma_resv */
};

static inline struct klttm_device *to_klttm_device(struct ttm_device *bdev)
{
	return container_of(bdev, struct klttm_device, bdev);
}

static inline struct klttm_device *drm_to_klttm_device(struct drm_device *ddev)
{
	return ddev->dev_private;
}

static inline struct klttm_block *to_klttm_block(struct ttm_resource *res)
{
	return container_of(res, struct klttm_block, base);
}

static inline struct klttm_bo *to_klttm_bo(struct ttm_buffer_object *tbo)
{
	return container_of(tbo, struct klttm_bo, tbo);
}

static inline u64 klttm_block_phys(const struct klttm_block *block)
{
	return block->dev->config.vram_base + (block->first_page << PAGE_SHIFT);
}

/* klttm_vram.c */
void klttm_vram_init(struct klttm_device *dev);
void klttm_vram_fini(struct klttm_device *dev);
bool klttm_block_get_unless_zero(struct klttm_block *block);
void klttm_block_put(struct klttm_block *block);	/* any context */
/* Give back what is not in use of an orphan. May sleep; the block is referenced. */
void klttm_block_trim(struct klttm_block *block);

/* klttm_svm.c */
void klttm_svm_init(struct klttm_device *dev);
/* A block lost its TTM resource by eviction: an orphan from now on, its object is let go. */
void klttm_svm_block_evicted(struct klttm_block *block);
/* The last page of a block came back. Context: reap work. */
void klttm_svm_block_idle(struct klttm_block *block);
/* The block is about to be freed. Context: reap work. */
void klttm_svm_block_forget(struct klttm_block *block);
/* Filled less than half a second ago, or not yet. Any context. */
bool klttm_svm_block_is_new(const struct klttm_block *block);
/* Ask the owner once more to empty orphans, at most @limit of them. Locking: alloc_lock. */
void klttm_svm_retry_orphans(struct klttm_device *dev, u64 limit);
u64 klttm_svm_orphans(struct klttm_device *dev);
void klttm_svm_orphan_stats(struct klttm_device *dev, struct klttm_stats *stats);

/* klttm_alloc.c */
/*
 * Everything that may make room goes between these two, so that one thread of a GPU does it at a time. -ENODEV: the
 * GPU is going; -ERESTARTSYS: a signal came, any if @interruptible, else a fatal one. Locking: takes alloc_lock, so
 * call it before any dma_resv is taken.
 */
int klttm_alloc_begin(struct klttm_device *dev, bool interruptible);
void klttm_alloc_end(struct klttm_device *dev);
/*
 * What a failed ttm_bo_init_reserved() or ttm_bo_validate() means: TTM's -ERESTARTSYS also stands for an eviction that
 * we refused. -ENOMEM: no room, or no RAM for what should leave; -ERESTARTSYS: a signal is pending.
 */
int klttm_alloc_error(int ret);
/* This allocation is for @job, see klttm_svm_block_create(). Locking: alloc_lock. */
void klttm_alloc_for(struct klttm_device *dev, u64 job);
/*
 * Does somebody work on the object? Then klttm_alloc_again() may wait for that. Context: 6.1 holds the LRU spinlock.
 * Locking: alloc_lock, dma_resv.
 */
bool klttm_alloc_is_busy(struct klttm_device *dev, struct ttm_buffer_object *tbo);
/*
 * After a search for room that gave @ret. -EAGAIN: there was none because of busy objects, one of which was waited for:
 * search again; -ERESTARTSYS: a signal ended that; else @ret. Locking: alloc_lock.
 */
int klttm_alloc_again(struct klttm_device *dev, int ret);
/*
 * Has somebody else reserved an object in VRAM that the search had to pass over? Who may be waiting for what we have
 * reserved, @ticket's or the only one: let go of that and call _wait_for_holder(), 0 if the search may succeed now.
 * False from the KLTTM_HOLDERS'th time on. Locking: alloc_lock; for _wait_for_holder() no dma_resv.
 */
bool klttm_alloc_is_held(struct klttm_device *dev, struct ww_acquire_ctx *ticket);
int klttm_alloc_wait_for_holder(struct klttm_device *dev);
/* Try all orphans and wait for everything that is being released. True: something came free. Locking: alloc_lock. */
bool klttm_alloc_last_resort(struct klttm_device *dev);
/* Before an object leaves VRAM: idle, and RAM for it at hand. Else 0 is not returned. Locking: dma_resv. */
int klttm_ready_to_leave(struct klttm_bo *bo);
/* RAM for an object of so many pages may be had without hurting anybody. Any context. */
bool klttm_ram_for(u64 npages);
/* RAM was looked for in vain just now. Any context. */
bool klttm_ram_short(struct klttm_device *dev);
void klttm_alloc_init(struct klttm_device *dev);
void klttm_alloc_fini(struct klttm_device *dev);

/* klttm_swap.c */
int klttm_tt_populate(struct ttm_device *bdev, struct ttm_tt *tt, struct ttm_operation_ctx *ctx);
void klttm_tt_unpopulate(struct ttm_device *bdev, struct ttm_tt *tt);
void klttm_swap_notify(struct ttm_buffer_object *tbo);
/* The object's pages may go for another reason than having been swapped out. Locking: dma_resv. */
void klttm_swap_forget(struct ttm_buffer_object *tbo);
/* May an object in RAM be swapped out? Context: 6.1 holds the LRU spinlock. */
bool klttm_swap_valuable(struct klttm_device *dev, struct ttm_buffer_object *tbo);
int klttm_swap_init(struct klttm_device *dev);
void klttm_swap_fini(struct klttm_device *dev);

/* klttm_gtt.c */
void klttm_gtt_init(struct klttm_device *dev);
void klttm_gtt_fini(struct klttm_device *dev);
/* Bytes of the GTT objects of all GPUs: they share one RAM. */
extern atomic64_t klttm_gtt_committed;

/* klttm_bo.c */
#define KLTTM_MAX_PLACES	3

struct klttm_bo_params {
	u64 size;			/* bytes, a multiple of the page size */
	u32 domains;			/* AMDGPU_GEM_DOMAIN_*: tried in the order VRAM, GTT, CPU; 0 is CPU */
	u64 flags;			/* AMDGPU_GEM_CREATE_* */
	u32 page_align;			/* VRAM starts at a multiple of so many pages; 0: anywhere */
	bool svm;
	u64 job;			/* SVM, see klttm_svm_block_create() */
	bool spare_new;			/* SVM, see there */
	bool foreign;
	struct dma_buf *import;		/* whose reservation it shares, and of which it gets a reference; or NULL */
	atomic64_t *committed_to;	/* from klttm_commit(); NULL: not charged */
};

/*
 * Charge @size bytes to the heap of @domains, VRAM if it has room. NULL: all of them are full, or a fatal signal came.
 * Waits for what is being freed, but not longer than a second. Context: may sleep, no dma_resv held.
 */
atomic64_t *klttm_commit(struct klttm_device *dev, u32 domains, u64 size);
/*
 * Allocate and place an object; returns reserved, ERR_PTR on failure. The charge is undone by the end of the object
 * or by a failure. Locking: takes alloc_lock, then the object's dma_resv.
 */
struct klttm_bo *klttm_bo_alloc(struct klttm_device *dev, const struct klttm_bo_params *params);
/* The places of @domains in order of preference; returns how many. */
unsigned int klttm_domain_places(u32 domains, struct ttm_place places[KLTTM_MAX_PLACES]);
extern const struct drm_gem_object_funcs klttm_gem_funcs;
/* TTM: the last reference of an object is gone. */
void klttm_release_notify(struct ttm_buffer_object *tbo);

/* klttm_gem.c */
/* The object of a handle with a reference (drop with klttm_bo_put()), NULL if there is none. */
struct klttm_bo *klttm_bo_lookup(struct drm_file *file, u32 handle);
/*
 * Bring the object to where it was asked to be, else to where it may be; others are evicted for it. For command
 * submission. -ENOMEM no room, -ENODEV the GPU is gone, -EBUSY let go of all reservations and call
 * klttm_alloc_wait_for_holder(), or what TTM says. User memory is not looked at, see klttm_userptr_validate(). Locking:
 * alloc_lock and then the object's dma_resv are held.
 */
int klttm_bo_validate(struct klttm_bo *bo, struct ttm_operation_ctx *ctx);
int klttm_gem_create_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);
int klttm_gem_mmap_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);
int klttm_gem_wait_idle_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);
int klttm_gem_metadata_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);
int klttm_gem_op_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);
/*
 * -EBUSY: somebody works on it all the time; -ERESTARTSYS any signal; or what TTM says. Context: the GPU is there
 * (drm_dev_enter()). Locking: dma_resv.
 */
int klttm_bo_move_to_gtt(struct klttm_bo *bo);
/* Pages for an object that has none yet, or was swapped out; VRAM has them. Locking: dma_resv. */
int klttm_bo_populate(struct klttm_bo *bo);
/* Jiffies until an absolute CLOCK_MONOTONIC time in ns; as amdgpu, what is negative as s64 means for ever. */
unsigned long klttm_timeout(u64 deadline_ns);

/* klttm_file.c */
/* drm_file->driver_priv of every open file of the render node. */
struct klttm_file {
	struct klttm_device *dev;
	u64 client_id;			/* unique among the open files of all GPUs */
	struct klttm_cs_file cs;	/* contexts, lists of buffers */
	bool vmid_reserved;		/* va_lock */
	spinlock_t va_lock;		/* innermost, process context: mappings, held and what hangs on them */
	struct rb_root_cached mappings;	/* GPU pages */
	struct rb_root held;		/* klttm_held by object: those the file may use */
};

/* That a file may use an object: by a handle, or since KFD allows it. Mappings of the object hang on it. */
struct klttm_held {
	struct rb_node node;		/* klttm_file.held */
	struct klttm_bo *bo;		/* the reference is the handle's or KFD's */
	unsigned int count;
	struct list_head mappings;
};

int klttm_file_open(struct drm_device *ddev, struct drm_file *file);
void klttm_file_postclose(struct drm_device *ddev, struct drm_file *file);
/* Balanced. -EPERM: the object belongs to another process or file; -ENOMEM. _drop() takes its mappings away. */
int klttm_file_hold(struct klttm_file *kfile, struct klttm_bo *bo);
void klttm_file_drop(struct klttm_file *kfile, struct klttm_bo *bo);
/* Locking: va_lock. */
struct klttm_held *klttm_file_find(struct klttm_file *kfile, const struct klttm_bo *bo);
/* All objects of the file, each with a reference; frees with kvfree(). Returns how many, or -ENOMEM. */
long klttm_file_objects(struct klttm_file *kfile, struct klttm_bo ***objects);
void klttm_show_fdinfo(struct seq_file *m, struct file *filp);

/* klttm_va.c */
/* GPU virtual addresses have 48 bits with a hole in the middle; amdgpu keeps 2 MiB free at either end. */
#define KLTTM_VA_RESERVED	SZ_2M
#define KLTTM_VA_HOLE_START	0x0000800000000000ull
#define KLTTM_VA_HOLE_END	0xffff800000000000ull

/*
 * The object mapped at GPU address @va for @file, with a reference. *offset is where @va is inside it, *bytes how much
 * of it follows in this mapping, *flags its AMDGPU_VM_PAGE_*. ERR_PTR(-ENOENT): nothing, or a PRT mapping, is there.
 */
struct klttm_bo *klttm_va_find(struct drm_file *file, u64 va, u64 *offset, u64 *bytes, u32 *flags);
int klttm_gem_va_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);
int klttm_vm_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);
/* Take all mappings of @held away. */
void klttm_va_drop_held(struct klttm_file *kfile, struct klttm_held *held);
/* The file is closing: take what is left. */
void klttm_va_fini(struct klttm_file *kfile);

/* klttm_userptr.c */
int klttm_gem_userptr_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);
/* May current use the object? Only the process whose memory it is. */
bool klttm_userptr_is_mine(const struct klttm_userptr *user);
/*
 * Fault in the user's pages and remember their frames until the mapping changes. -EFAULT nothing mapped there,
 * -EPERM not what the flags promised, -EAGAIN it changes all the time. Context: the owner; no dma_resv held.
 */
int klttm_userptr_validate(struct klttm_bo *bo);
/* Are the frames still right? What uses them adds its fence to the dma_resv before it asks, and is waited for. */
bool klttm_userptr_valid(struct klttm_bo *bo);
void klttm_userptr_free(struct klttm_userptr *user);

/* klttm_prime.c */
struct dma_buf *klttm_gem_export(struct drm_gem_object *obj, int flags);
struct drm_gem_object *klttm_gem_import(struct drm_device *ddev, struct dma_buf *dma_buf);
/* The object goes somewhere else: importers that asked to be told are. Locking: dma_resv held. */
void klttm_prime_moved(struct klttm_bo *bo);
/* The end of an object with klttm_bo.import. */
void klttm_prime_release(struct klttm_bo *bo);
/* One more file may use the object, or one less. Context: the caller has a reference to it. */
void klttm_prime_held(struct klttm_bo *bo);
void klttm_prime_dropped(struct klttm_bo *bo);

/* klttm_watch.c */
/* Does a GPU map it? Any context; exact with dma_resv held. */
bool klttm_bo_is_watched(const struct klttm_bo *bo);
/* Does @mm watch it? Locking: dma_resv held. */
bool klttm_bo_is_watched_by(const struct klttm_bo *bo, const struct mm_struct *mm);
/* Who watches it, one of them if they are many; NULL: nobody. Locking: dma_resv held. */
const struct mm_struct *klttm_bo_watcher(struct klttm_bo *bo);
/* The memory is about to go somewhere else: tell who watches. Locking: dma_resv held. */
void klttm_bo_moved(struct klttm_bo *bo);

/* klttm_debugfs.c */
struct drm_minor;
void klttm_debugfs_init(struct drm_minor *minor);
/*
 * Is current emptying a manager, and has it to stop before this object? Then evict_flags() asks for a place and move()
 * answers -ERESTARTSYS, which TTM passes on without a word. Locking: dma_resv held.
 */
bool klttm_evict_all_stops(struct klttm_bo *bo);

/* klttm_move.c */
struct ttm_tt *klttm_tt_create(struct ttm_buffer_object *tbo, u32 page_flags);
void klttm_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt);
bool klttm_bo_is_discardable(const struct klttm_bo *bo);
extern const struct ttm_device_funcs klttm_ttm_funcs;

/* klttm_mmap.c */
extern const struct vm_operations_struct klttm_vm_ops;
int klttm_gem_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma);

/* klttm_drm.c */
extern const struct drm_driver klttm_drm_driver;

/* klttm_info.c */
int klttm_info_ioctl(struct drm_device *ddev, void *data, struct drm_file *file);

#endif
