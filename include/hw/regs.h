/* SPDX-License-Identifier: MIT */
/*
 * The three register pages of BAR 2: identity (launcher), device, driver. Each word has exactly one writer.
 * All values are little-endian; 64-bit words are naturally aligned and are read and written whole.
 * Ring pointers count bytes (copy, IH) or entries (control) since the current generation began, never wrap,
 * and are reduced modulo the ring size only to form an offset.
 */
#ifndef KFDLAB_HW_REGS_H
#define KFDLAB_HW_REGS_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/types.h>
#else
#include <assert.h>
#include <stdint.h>
#endif

#define KFDLAB_IDENTITY_MAGIC	0x75706762616c6466ull	/* "fdlabgpu" in memory order */
#define KFDLAB_LAYOUT_VERSION	1u

/* Identity page: KFDLAB_BAR_IDENTITY. Constant once the VM runs. */
struct kfdlab_identity {
	uint64_t magic;			/* KFDLAB_IDENTITY_MAGIC */
	uint32_t layout_version;	/* KFDLAB_LAYOUT_VERSION */
	uint32_t gpu_index;		/* 0-based number of this GPU in the VM */
	uint32_t gpu_count;		/* GPUs in the VM */
	uint32_t device_id;		/* AMD device id shown to user space, 0x740f */
	uint32_t revision_id;		/* AMD revision id shown to user space */
	uint32_t gfx_target_version;	/* major * 10000 + minor * 100 + step: 90010 for gfx90a */
	uint64_t bar_size;		/* bytes, power of two */
	uint64_t vram_size;		/* bytes from KFDLAB_BAR_VRAM on, multiple of 2 MiB */
	uint32_t compute_units;		/* CUs shown to user space */
	uint32_t reserved;
	uint64_t unique_id;
};

/* Low half of kfdlab_device_regs.state. */
enum kfdlab_state {
	KFDLAB_STATE_ABSENT = 0,	/* no device process has run yet */
	KFDLAB_STATE_READY = 1,		/* the process of this generation serves its rings */
	KFDLAB_STATE_DEAD = 2,		/* it was reaped: nothing of it will touch memory again */
};

static inline uint64_t kfdlab_state_word(uint32_t generation, uint32_t state)
{
	return (uint64_t)generation << 32 | state;
}

/* Why a ring stopped; kept until the next generation. */
enum kfdlab_ring_error {
	KFDLAB_RING_OK = 0,
	KFDLAB_RING_BAD_OPCODE = 1,
	KFDLAB_RING_BAD_ADDRESS = 2,	/* outside guest RAM and every GPU's BAR */
	KFDLAB_RING_BAD_LENGTH = 3,	/* a count or packet runs past the write pointer or a limit */
	KFDLAB_RING_BAD_POINTER = 4,	/* write pointer misaligned or more than a ring ahead */
};

/*
 * Device page: KFDLAB_BAR_DEVICE_REGS.
 *
 * *_awake is the device's promise to look at the ring's write pointer again before it sleeps: a driver that
 * stored the pointer, issued a full barrier and then reads a non-zero awake may leave out the doorbell. The
 * device clears it, issues a full barrier and re-reads the pointer before it blocks.
 */
struct kfdlab_device_regs {
	uint64_t state;			/* kfdlab_state_word() */
	uint64_t control_done;		/* entries completed, in order: this is the control fence */
	uint32_t control_awake;
	uint32_t control_error;		/* enum kfdlab_ring_error */
	uint64_t copy_rptr;		/* bytes consumed */
	uint32_t copy_awake;
	uint32_t copy_error;		/* enum kfdlab_ring_error */
	uint32_t copy_fence;		/* target of the driver's FENCE packets; wraps, compare by difference */
	uint32_t reserved0;
	uint64_t ih_wptr;		/* bytes produced */
	uint64_t ih_dropped;		/* entries left out because they were duplicates or the ring was full */
	/* Work done since this generation began; tests assert on it. */
	uint64_t copy_bytes;
	uint64_t fill_bytes;
	uint64_t copy_packets;
	uint64_t tlb_invalidations;
	/*
	 * 0 while user queues are looked at; else the number of this period of idleness, which the driver answers in
	 * queue_armed. KFDLAB_IRQ_QUEUE_IDLE is raised with each new number. docs/device.md, "Doorbells".
	 */
	uint32_t queue_idle;
	uint32_t reserved1;
	uint64_t clock_counter;		/* GPU clock, KFDLAB_CLOCK_HZ, when KFDLAB_CONTROL_CLOCK was last executed */
	/* Work of user queues since this generation began. */
	uint64_t queue_packets;		/* packets completed, of all types */
	uint64_t queue_dispatches;	/* kernels launched */
	uint64_t queue_copy_bytes;	/* bytes written by SDMA queues' copies and fills */
	uint64_t queue_faults;		/* translations that failed; retries count again */
	uint64_t queue_wakeups;		/* times the device went from sleeping to looking at doorbells */
};

/* GPU clock: signals' time stamps, s_memrealtime, SDMA TIMESTAMP and RELEASE_MEM. */
#define KFDLAB_CLOCK_HZ		100000000u

/* Driver page: KFDLAB_BAR_DRIVER_REGS. */
struct kfdlab_driver_regs {
	/*
	 * Generation whose rings the driver has prepared; the device consumes nothing before it equals its own.
	 * Written last, with release order, after every other word of this page was reset.
	 */
	uint32_t generation;
	/* Generation the driver wants killed; followed by KFDLAB_KICK_RESET. The launcher ignores other values. */
	uint32_t reset_request;
	uint64_t bar_base;		/* guest-physical address of BAR 2: peers' copies resolve through it */
	uint64_t control_wptr;		/* entries produced */
	uint64_t copy_wptr;		/* bytes produced */
	uint64_t ih_rptr;		/* bytes consumed */
	/* The queue_idle number for which no doorbell page is mapped any more; 0: some may be. */
	uint32_t queue_armed;
	uint32_t reserved0;
};

/* Control ring entry: KFDLAB_BAR_CONTROL_RING. Completion is control_done passing the entry's index. */
enum kfdlab_control_op {
	KFDLAB_CONTROL_NOP = 0,
	/*
	 * args[0] first page of the GPU VA range (va >> 12), args[1] pages (0: the whole VMID). When it completes
	 * no thread of the device uses a translation older than the entry.
	 */
	KFDLAB_CONTROL_TLB_INVALIDATE = 1,
	/* args[]: enum kfdlab_vmid_arg of hw/queue.h. The VMID has no queue that is not quiesced. Implies an invalidation. */
	KFDLAB_CONTROL_SET_VMID = 2,
	/* args[]: enum kfdlab_queue_arg. The queue number is free. From now on the device looks at its doorbell. */
	KFDLAB_CONTROL_MAP_QUEUE = 3,
	/* Same arguments; reads ring, priority and CU mask again. The queue is mapped and quiesced; rptr stays. */
	KFDLAB_CONTROL_UPDATE_QUEUE = 4,
	/*
	 * args[0] queue or KFDLAB_QUEUE_ALL. Its waves and packets end where they are and are lost. When it completes
	 * nothing of them will read or write memory, doorbells and MQD any more. A queue that is not mapped is no error.
	 */
	KFDLAB_CONTROL_UNMAP_QUEUE = 5,
	/*
	 * args[0] queue or KFDLAB_QUEUE_ALL. Waves and packets stop where they are. When it completes none of them
	 * reads or writes memory until RESUME. Does not count: one RESUME undoes any number.
	 */
	KFDLAB_CONTROL_QUIESCE = 6,
	KFDLAB_CONTROL_RESUME = 7,
	/* Stores the GPU clock to clock_counter. */
	KFDLAB_CONTROL_CLOCK = 8,
};

struct kfdlab_control_entry {
	uint32_t op;
	uint32_t vmid;
	uint64_t args[7];
};

static_assert(sizeof(struct kfdlab_identity) == 64, "identity layout");
static_assert(sizeof(struct kfdlab_device_regs) == 152, "device register layout");
static_assert(sizeof(struct kfdlab_driver_regs) == 48, "driver register layout");
static_assert(sizeof(struct kfdlab_control_entry) == 64, "control entry layout");

#endif
