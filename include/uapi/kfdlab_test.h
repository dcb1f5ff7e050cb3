/* SPDX-License-Identifier: MIT */
/*
 * Test ioctls of the kfdlab_amdgpu module: /dev/kfdlab_test, root only, present when the module was loaded
 * with enable_test_ioctls=1. They look at pages and force rare paths; no product code uses them. A magic of
 * their own keeps them out of AMD's number range.
 *
 * Errors common to all: ENOTTY unknown command, EFAULT bad user pointer, EINVAL misaligned, zero or wrapping
 * range, unknown flag or non-zero reserved field, ENODEV no such GPU. A failed call changes nothing.
 */
#ifndef KFDLAB_TEST_H
#define KFDLAB_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KFDLAB_TEST_IOC	'k'

/* What PAGES found at one page; 0 means no present PTE (hole, swapped, file page not yet mapped, PROT_NONE). */
#define KFDLAB_PAGE_PRESENT	0x001u
#define KFDLAB_PAGE_VRAM	0x002u	/* device-coherent page of one of our GPUs */
#define KFDLAB_PAGE_ANON	0x004u
#define KFDLAB_PAGE_EXCLUSIVE	0x008u	/* PageAnonExclusive */
#define KFDLAB_PAGE_LRU		0x010u
#define KFDLAB_PAGE_MLOCKED	0x020u
#define KFDLAB_PAGE_DIRTY	0x040u
#define KFDLAB_PAGE_MAYBE_PINNED 0x080u
#define KFDLAB_PAGE_KSM		0x200u	/* merged; kpageflags of 6.12 says so of every anonymous page */
#define KFDLAB_PAGE_PFNMAP	0x100u	/* mapped by frame (buffer objects): nobody can reference the page here */

struct kfdlab_page {
	__u32 flags;		/* KFDLAB_PAGE_* */
	__u32 gpu_id;		/* of the VRAM page, else 0 */
	__u64 pfn;
	__u32 mapcount;
	__u32 refcount;		/* without the reference the look itself took */
};

/*
 * Look at the caller's pages with FOLL_GET, fast only: nothing is faulted, moved or unshared. Where a page is mapped by
 * frame only, which pagemap does not show either, the page table is read under mmap_lock.
 * In: addr (page aligned), npages (1..65536), pages (user array). Out: pages[].
 */
struct kfdlab_test_pages {
	__u64 addr;
	__u64 npages;
	__u64 pages;
};
#define KFDLAB_TEST_PAGES	_IOW(KFDLAB_TEST_IOC, 1, struct kfdlab_test_pages)

/* Numbers of one GPU. Flushes deferred releases first, so that they are exact when nothing runs beside it. */
struct kfdlab_test_counters {
	__u32 gpu_id;			/* in */
	__u32 generation;		/* of the device process */
	__u64 vram_size;		/* bytes usable for allocation */
	__u64 vram_held;		/* bytes of blocks that are not free: objects and orphans */
	__u64 svm_pages_occupied;	/* SVM device pages handed out and not yet back through page_free */
	__u64 buffer_objects;		/* TTM objects alive, SVM's included */
	__u64 orphan_blocks;		/* blocks that outlived their object because a page was held */
	__u64 svm_ranges;		/* of all processes */
	__u64 processes;
	/* Since module load: */
	__u64 pages_to_vram;		/* really moved, per reason; from RAM, holes and other GPUs */
	__u64 pages_to_ram_prefetch;
	__u64 pages_to_ram_evict;
	__u64 pages_left_by_pin;	/* long-term pin took them to RAM behind the driver's back */
	__u64 pages_freed;		/* page_free calls that were no migration: munmap, exit, COW */
	__u64 pages_failed;		/* collected but not moved: held by somebody */
	__u64 migrations;		/* migrate_vma or migrate_device calls that moved at least one page */
	__u64 bytes_copied_device;	/* by the SDMA ring */
	__u64 bytes_copied_cpu;		/* by the fallback */
	__u64 bytes_filled_device;
	__u64 bytes_filled_cpu;
	__u64 no_vram;			/* prefetches cut short because VRAM was full */
	__u64 evictions;		/* buffer objects that TTM asked to leave */
	__u64 device_resets;		/* generations the driver asked to be killed */
	__u64 page_free_irq;		/* page_free calls seen in interrupt context */
	__u64 pages_to_peer;		/* left this GPU's VRAM for another GPU's, without a stop in RAM */
	__u64 pages_from_peer;		/* of pages_to_vram: came from another GPU's VRAM */
	__u64 reserved[6];
};
#define KFDLAB_TEST_COUNTERS	_IOWR(KFDLAB_TEST_IOC, 2, struct kfdlab_test_counters)

/*
 * Evict by page frame every SVM page of a GPU, whoever owns it, without VMA or mmap lock.
 * Out: pages moved to RAM, pages that stayed because somebody holds them.
 */
struct kfdlab_test_evict {
	__u32 gpu_id;			/* in */
	__u32 reserved;			/* in, 0 */
	__u64 moved;
	__u64 stayed;
};
#define KFDLAB_TEST_EVICT	_IOWR(KFDLAB_TEST_IOC, 3, struct kfdlab_test_evict)

/* A control-ring round trip (TLB_INVALIDATE of an unused VMID). Out: nanoseconds. ENODEV: device dead. */
struct kfdlab_test_ping {
	__u32 gpu_id;			/* in */
	__u32 reserved;			/* in, 0 */
	__u64 ns;
};
#define KFDLAB_TEST_PING	_IOWR(KFDLAB_TEST_IOC, 4, struct kfdlab_test_ping)

/* Prints one WARN: the negative control of the judge that watches the kernel log. */
#define KFDLAB_TEST_WARN	_IO(KFDLAB_TEST_IOC, 5)

/* Copy method of migrations on a GPU: 0 device ring in batches (default), 1 CPU, page by page. For bench. */
struct kfdlab_test_copy_mode {
	__u32 gpu_id;
	__u32 cpu;
};
#define KFDLAB_TEST_COPY_MODE	_IOW(KFDLAB_TEST_IOC, 6, struct kfdlab_test_copy_mode)

/*
 * Take free VRAM away until this file is closed, so that little is left: nothing is evicted for it. Counted in
 * vram_held. ENOSPC: no free run of that size, or 16 reservations of this file already.
 */
struct kfdlab_test_reserve {
	__u32 gpu_id;			/* in */
	__u32 reserved;			/* in, 0 */
	__u64 bytes;			/* in, multiple of the page size, not 0 */
};
#define KFDLAB_TEST_RESERVE	_IOW(KFDLAB_TEST_IOC, 7, struct kfdlab_test_reserve)

/*
 * Hold a lock and sleep: writes 1 to the 32-bit word at @word as soon as the lock is held, and returns when the
 * word is no longer 1. EINTR: a signal came. ETIMEDOUT: timeout_ms are over. The word should be shared memory, so
 * that another process can end the hold.
 */
#define KFDLAB_HOLD_MMAP_READ	1u	/* the caller's mmap lock for reading */
#define KFDLAB_HOLD_MMAP_WRITE	2u	/* the same for writing */
#define KFDLAB_HOLD_PAGE	3u	/* the page lock of the caller's page at addr, and a reference */
#define KFDLAB_HOLD_PROCESS	4u	/* the lock of what /dev/kfd knows of the caller; ESRCH: it has not opened it */

struct kfdlab_test_hold {
	__u32 what;			/* in, KFDLAB_HOLD_* */
	__u32 timeout_ms;		/* in, 1..60000 */
	__u64 addr;			/* in, page aligned; 0 unless KFDLAB_HOLD_PAGE */
	__u64 word;			/* in, aligned user pointer */
};
#define KFDLAB_TEST_HOLD	_IOW(KFDLAB_TEST_IOC, 8, struct kfdlab_test_hold)

/* One page as a GPU's page tables have it. */
struct kfdlab_translation {
	__u64 entry;		/* the leaf, include/hw/gpuvm.h; 0: nothing is mapped */
	__u64 pfn;		/* of this page; 0 unless the leaf is valid */
	__u32 level;		/* of the leaf: 0 PTB, 1 PDB0 */
	__u32 reserved;
};

/*
 * Walk the page tables that the caller's process has on a GPU, as the device does; nothing is mapped by it. ESRCH: the
 * caller has not opened /dev/kfd, or not acquired a VM there.
 * In: gpu_id, va (page aligned, below 2^48), npages (1..65536), translations (user array). Out: translations[].
 */
struct kfdlab_test_translate {
	__u32 gpu_id;
	__u32 reserved;		/* 0 */
	__u64 va;
	__u64 npages;
	__u64 translations;
};
#define KFDLAB_TEST_TRANSLATE	_IOW(KFDLAB_TEST_IOC, 9, struct kfdlab_test_translate)

#endif
