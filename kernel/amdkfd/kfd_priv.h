/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private header of kfdlab_amdgpu: the objects every file of the room shares. One file per noun:
 *
 *   kfd_module    parameters, bring-up              kfd_pci        probe, BARs, expose last
 *   kfd_chardev   /dev/kfd, ioctl table             kfd_ring       rings, fences, reset
 *   kfd_process   process object, teardown          kfd_copy       batched copies, CPU fallback
 *   kfd_topology  sysfs                             kfd_pagemap    coherent pages, page_free
 *   kfd_event     events, waits                     svm_*          kfd_svm.h, svm_range.h
 *   kfd_memory    ALLOC/FREE/MAP/UNMAP records      kfd_debugfs, kfd_test, kfd_trace.h
 *   kfd_dmabuf    buffers from and as dma-bufs      kfd_doorbell   doorbell slices
 *   kfd_smi       SMI event files                 kfd_procfs     proc/PID in sysfs
 *   kfd_queue     user queues, kfd_queue.h        kfd_interrupt  IH entries to processes
 *   kfd_vm        GPU address spaces, kfd_vm.h    kfd_fault_event  exceptions told to processes
 *   kfd_restore   queues that wait for a mapping, kfd_restore.h
 *
 * docs/locking.md lists every lock in order; lockdep_assert_held() states it where it is relied on.
 *
 * Meaning of errors from every ioctl: EINVAL malformed argument, EFAULT bad user pointer or
 * unmapped range, ENOENT/EINVAL unknown id (as upstream's KFD answers), EBADF file of another
 * process, ENODEV device gone, ENOTTY unknown ioctl, EADDRINUSE overlap of a buffer and an SVM
 * range, ENOMEM, EINTR a signal came while waiting. EAGAIN never leaves the driver.
 */
#ifndef KFD_PRIV_H
#define KFD_PRIV_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/idr.h>
#include <linux/interval_tree.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/workqueue.h>

#include "hw/bar_layout.h"
#include "hw/ih.h"
#include "hw/regs.h"
#include "hw/sdma.h"
#include "kernel/compat/kcompat.h"
#include "kernel/ttm/kfdlab_ttm.h"

struct dentry;
struct kfd_process;

#define KFD_MAX_GPUS	16
/* gpu_id of GPU n; user space wants it 16-bit and non-zero (kfd-abi: mmap offsets carry it). */
#define KFD_GPU_ID(index)	(0x8a01u + (index))

/* Processes that can have doorbells on a GPU at a time. */
#define KFD_DOORBELL_SLICES	128

/* Since-load counters of one GPU, by who counts; include/uapi/kfdlab_test.h says what each means. */
struct kfd_counters {
	/* kfd_pagemap.c, when a page is handed out and in page_free */
	atomic64_t svm_pages_occupied;
	atomic64_t pages_left_by_pin, pages_freed, page_free_irq;
	/* svm_migrate.c, after migrate_*_pages() said which pages really moved */
	atomic64_t pages_to_vram, pages_to_ram_prefetch, pages_to_ram_evict;
	atomic64_t pages_to_peer, pages_from_peer;	/* another GPU's VRAM */
	atomic64_t pages_failed, migrations, no_vram;
	/* kfd_copy.c */
	atomic64_t bytes_copied_device, bytes_copied_cpu, bytes_filled_device, bytes_filled_cpu;
	/* kfd_ring.c */
	atomic64_t device_resets;
};

struct kfd_rings;	/* kfd_ring.c */
struct kfd_queues;	/* kfd_queue.h */
struct kfd_vms;		/* kfd_vm.h */

/*
 * One GPU. Lives from PCI probe to remove. Processes hold no reference: as long as there is one, or
 * a page in use, rmmod is refused and an unplug in sysfs lets no new ones in and waits
 * (kfd_gpus_get() in kfd_process.h).
 */
struct kfd_dev {
	struct pci_dev *pdev;
	unsigned int index;
	u32 gpu_id;
	/* Copied at probe and checked: the page itself is shared memory. */
	struct kfdlab_identity identity;

	void __iomem *ivshmem;			/* BAR 0 */
	void *bar;				/* BAR 2 up to KFDLAB_BAR_VRAM, write-back */
	phys_addr_t bar_base;
	phys_addr_t vram_base;
	u64 vram_size;

	struct kfd_rings *rings;
	struct klttm_device *ttm;
	struct dev_pagemap pgmap;
	bool pgmap_registered;
	struct svm_evictor *evictor;		/* svm_evict.c */

	struct kfd_counters counters;
	DECLARE_BITMAP(doorbells, KFD_DOORBELL_SLICES);	/* slices taken; kfd_doorbell.c */
	struct mutex doorbell_lock;		/* mapping doorbells against letting the device sleep */
	struct work_struct doorbell_idle;
	struct kfd_queues *queues;
	struct kfd_vms *vms;
	bool cpu_copy;				/* KFDLAB_TEST_COPY_MODE */
	atomic64_t clock_offset;		/* ns from the GPU's clock to boot time; kfd_device_ioctls.c */
	struct dentry *debugfs;
};

/* kfd_module.c: module parameters */
extern bool kfd_enable_test_ioctls;

/* kfd_pci.c. GPUs appear and vanish only while nobody uses them (kfd_gpus_get()), so users take no lock. */
struct kfd_dev *kfd_dev_by_id(u32 gpu_id);
struct kfd_dev *kfd_dev_by_index(unsigned int index);
unsigned int kfd_dev_count(void);
int kfd_pci_init(void);
void kfd_pci_fini(void);

/* kfd_ring.c. Context: all may sleep unless said. */
int kfd_ring_init(struct kfd_dev *dev);		/* rings, IRQ; returns with no device process too */
void kfd_ring_fini(struct kfd_dev *dev);
/* The number of the last device process, dead or alive; 0 before the first. Any context. */
u32 kfd_ring_generation(struct kfd_dev *dev);
/*
 * Queue a TLB invalidation and wait for its fence, or for the device to be reaped; a device that
 * misses the deadline is reset. 0, or -ENODEV if the device is (or went) dead: either way no stale
 * translation is left.
 */
int kfd_ring_tlb_invalidate(struct kfd_dev *dev, u32 vmid, u64 first_page, u64 npages);
/*
 * Queue a control entry and wait for its completion, or for the device to be reaped; a device that misses the
 * deadline is reset, and so is one that refuses the arguments. 0, or -ENODEV: the device is (or went) dead, and with
 * it all it knew of VMIDs and queues. args: NULL is all 0. _at(): only if @generation is the adopted one, which must
 * be so for what builds on an earlier entry. Locking: takes control_lock, any lock above it may be held; nothing is
 * allocated.
 */
#define KFD_CONTROL_ARGS	7
int kfd_ring_control(struct kfd_dev *dev, enum kfdlab_control_op op, u32 vmid,
		     const u64 args[KFD_CONTROL_ARGS]);
int kfd_ring_control_at(struct kfd_dev *dev, u32 generation, enum kfdlab_control_op op, u32 vmid,
			const u64 args[KFD_CONTROL_ARGS]);
/* The generation that entries queued now go to, 0: there is none. It may be over when this returns. */
u32 kfd_ring_adopted(struct kfd_dev *dev);
/* Wait at most @ms for a generation. -ENODEV: there is none; -EINTR: a fatal signal. Context: process, no lock held. */
int kfd_ring_wait_adopted(struct kfd_dev *dev, unsigned int ms);
/* The GPU clock, KFDLAB_CLOCK_HZ. -ENODEV: the device is dead. */
int kfd_ring_clock(struct kfd_dev *dev, u64 *clock);
/* Dispatch now what the device has put into its interrupt ring so far. Context: process. */
void kfd_ring_drain_ih(struct kfd_dev *dev);
/* Ring the device or, for RESET, the launcher. Context: any. */
void kfd_ring_kick(struct kfd_dev *dev, enum kfdlab_kick vector);

/*
 * kfd_copy.c: batches of page copies and fills over the device's copy ring, by CPU when the device
 * is gone, dies before the batch is done, or when dev->cpu_copy says so. Never fails. Context: may
 * sleep; the pages stay owned by the caller (locked and unmapped, or a fresh allocation) until the
 * wait returns.
 *
 * Runs are page aligned, in order, and do not overlap; adjacent ones are merged into one packet.
 */
struct kfd_copy_run {
	u64 dst, src;		/* guest-physical; src KFD_COPY_ZERO: fill dst with zero */
	u32 bytes;		/* multiple of PAGE_SIZE */
};
#define KFD_COPY_ZERO	(~0ull)

/*
 * A batch under way. submit() queues it and returns; wait() returns when every byte is in place.
 * Between the two the caller may prepare its next batch. runs[] must stay as it is until wait()
 * returned: the CPU redoes the whole batch from it when the device dies. Every submit needs exactly
 * one wait, by the same thread or another.
 */
struct kfd_copy_job {
	struct kfd_dev *dev;
	const struct kfd_copy_run *runs;
	unsigned int nruns;
	u32 generation;		/* 0: nothing was given to the device */
	u32 fence;
};
void kfd_copy_submit(struct kfd_dev *dev, struct kfd_copy_job *job, const struct kfd_copy_run *runs,
		     unsigned int nruns);
void kfd_copy_wait(struct kfd_copy_job *job);
/* submit and wait */
void kfd_copy_batch(struct kfd_dev *dev, const struct kfd_copy_run *runs, unsigned int nruns);

/* kfd_submit.c: submit() and resets() of struct klttm_ops; @owner is the struct kfd_dev. */
void kfd_submit(void *owner, struct klttm_submission *sub);
u32 kfd_submit_resets(void *owner);

/*
 * kfd_pagemap.c: the device-coherent pages of a GPU. The pgmap's owner is the struct kfd_dev, so a
 * collection with .pgmap_owner = dev->pgmap.owner and MIGRATE_VMA_SELECT_DEVICE_COHERENT returns
 * pages of this GPU only, and a MMU_NOTIFY_MIGRATE event with that owner is ours.
 * page->zone_device_data is the page's block.
 */
int kfd_pagemap_init(struct kfd_dev *dev);
void kfd_pagemap_fini(struct kfd_dev *dev);
static inline struct page *kfd_vram_page(struct kfd_dev *dev, unsigned long index)
{
	return pfn_to_page((dev->vram_base >> PAGE_SHIFT) + index);
}
struct kfd_dev *kfd_page_dev(struct page *page); /* NULL if not a page of ours; any context */
/*
 * The GPU whose VRAM the frame is, NULL: none. For frames nobody holds a reference of, whose struct page may be
 * another driver's and going. Context: any; the caller is a user of the GPUs (kfd_gpus_get()).
 */
struct kfd_dev *kfd_frame_dev(unsigned long pfn);

/*
 * Why a device page came back, kept in page->private while the page is in use; see the head of
 * kfd_pagemap.c for why a page that a long-term pin moved away arrives with 0.
 */
enum kfd_page_fate {
	KFD_PAGE_LEFT_BY_PIN = 0, /* never set by us */
	KFD_PAGE_FREED,		  /* munmap, exit, COW, MADV_DONTNEED; set when handed out */
	KFD_PAGE_TO_RAM_PREFETCH, /* our own migration */
	KFD_PAGE_TO_RAM_EVICT,	  /* our own eviction */
	KFD_PAGE_UNUSED,	  /* handed out as destination, but the migration did not take it */
	KFD_PAGE_TO_PEER,	  /* our own migration, to another GPU's VRAM */
};
/*
 * Hand out page @i (0..npages-1) of @block as a migration destination: one reference, locked,
 * counted as occupied, holding a reference of the block and, with all others, of this module.
 * Context: process; the block is referenced.
 */
struct page *kfd_vram_page_init(struct kfd_dev *dev, struct klttm_block *block, unsigned long i);
/*
 * Say why @page is about to come back. Locking: @page locked, between migrate_*_pages() and
 * migrate_*_finalize(). Source page in VRAM that moved (src[i] & MIGRATE_PFN_MIGRATE): PREFETCH,
 * PEER or EVICT. Destination page in VRAM whose source did not move: UNUSED.
 */
static inline void kfd_page_set_fate(struct page *page, enum kfd_page_fate fate)
{
	set_page_private(page, fate);
}
/*
 * Implemented by svm_account.c: a device page of @block is handed out; the last reference of one is gone (the block's
 * own reference is dropped right after). Context: any, hard irq included.
 */
void svm_account_page_init(struct kfd_dev *dev, struct klttm_block *block);
void svm_account_page_free(struct kfd_dev *dev, struct klttm_block *block);

/* kfd_topology.c */
int kfd_topology_init(void);
void kfd_topology_fini(void);
int kfd_topology_add_gpu(struct kfd_dev *dev);
void kfd_topology_remove_gpu(struct kfd_dev *dev);

/* kfd_chardev.c */
int kfd_chardev_init(void);	/* -EBUSY when another driver owns /dev/kfd or class kfd */
void kfd_chardev_fini(void);
int kfd_chardev_expose(void);	/* from here on it can be opened */
void kfd_chardev_hide(void);
struct device *kfd_chardev_device(void);

/* kfd_debugfs.c, kfd_test.c */
void kfd_debugfs_init(void);
void kfd_debugfs_fini(void);
void kfd_debugfs_add_gpu(struct kfd_dev *dev);
void kfd_debugfs_remove_gpu(struct kfd_dev *dev);
int kfd_test_init(void);
void kfd_test_fini(void);

#endif
