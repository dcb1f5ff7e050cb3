/* SPDX-License-Identifier: MIT */
/*
 * User queues: what the driver tells the device about them through the control ring, and the descriptor (MQD) that
 * carries the rest. Fields keep AMD's register names where AMD has such a register (v9_structs.h, gc_9_0_offset.h);
 * addresses that AMD splits into halves are whole here, and sizes are bytes instead of logarithms.
 * docs/device.md gives the meaning of every operation.
 */
#ifndef KFDLAB_HW_QUEUE_H
#define KFDLAB_HW_QUEUE_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/types.h>
#else
#include <assert.h>
#include <stdint.h>
#endif

#include "hw/gpuvm.h"

/* Queue numbers of one GPU, chosen by the driver. */
#define KFDLAB_QUEUE_COUNT	1024u
/* args[0] of UNMAP_QUEUE, QUIESCE and RESUME: every queue of the entry's VMID. */
#define KFDLAB_QUEUE_ALL	(~0ull)

/* args[] of KFDLAB_CONTROL_SET_VMID. */
enum kfdlab_vmid_arg {
	KFDLAB_VMID_ROOT = 0,		/* root PDE in the format of hw/gpuvm.h; VALID clear: the VMID is taken away */
	KFDLAB_VMID_CONFIG = 1,		/* kfdlab_vmid_config() */
	KFDLAB_VMID_SHARED_BASE = 2,	/* LDS aperture of flat instructions, a multiple of 2^32; 4 GiB long */
	KFDLAB_VMID_PRIVATE_BASE = 3,	/* scratch aperture, likewise */
	KFDLAB_VMID_TBA = 4,		/* GPU VA of the trap handler's code, 256-byte aligned; 0: none */
	KFDLAB_VMID_TMA = 5,		/* GPU VA of the trap handler's memory, 256-byte aligned */
};

#define KFDLAB_VMID_PASID_MASK	0xffffull
/* XNACK: a translation that fails is a retry fault and the access waits; else it ends the queue. */
#define KFDLAB_VMID_RETRY	(1ull << 16)

static inline uint64_t kfdlab_vmid_config(uint32_t pasid, int retry)
{
	return (pasid & KFDLAB_VMID_PASID_MASK) | (retry ? KFDLAB_VMID_RETRY : 0);
}

/* args[] of KFDLAB_CONTROL_MAP_QUEUE and KFDLAB_CONTROL_UPDATE_QUEUE. */
enum kfdlab_queue_arg {
	KFDLAB_QUEUE_NUMBER = 0,	/* below KFDLAB_QUEUE_COUNT; UNMAP_QUEUE, QUIESCE, RESUME: or KFDLAB_QUEUE_ALL */
	KFDLAB_QUEUE_MQD = 1,		/* guest-physical address of struct kfdlab_mqd, in RAM or VRAM, 256-byte aligned */
};

/* Same numbers as KFD_IOC_QUEUE_TYPE_*. */
enum kfdlab_queue_type {
	KFDLAB_QUEUE_PM4 = 0,
	KFDLAB_QUEUE_SDMA = 1,
	KFDLAB_QUEUE_AQL = 2,
	KFDLAB_QUEUE_SDMA_XGMI = 3,	/* as SDMA */
};

/*
 * Queue descriptor. The device reads it while it executes MAP_QUEUE or UPDATE_QUEUE and writes the words marked
 * "device" while the queue is mapped, so it stays where it is until UNMAP_QUEUE has completed.
 *
 * The unit of rptr and wptr is what AMD's is for the type: AQL packets of 64 bytes, PM4 dwords, SDMA bytes. The
 * wptr is 64 bits wide and does not wrap.
 */
struct kfdlab_mqd {
	uint32_t queue_type;			/* enum kfdlab_queue_type */
	uint32_t cp_hqd_active;			/* device: 1 while mapped */
	uint64_t cp_hqd_pq_base;		/* GPU VA of the ring, 256-byte aligned */
	uint64_t cp_hqd_pq_size;		/* bytes, a power of two from 256 B to 4 GiB */
	/*
	 * GPU VA of the read pointer the device reports: AQL 64 bits, amd_queue_t.read_dispatch_id, behind which the
	 * rest of amd_queue_t is found; PM4 32 bits, dwords modulo the ring; SDMA 64 bits, bytes, never wrapping.
	 */
	uint64_t cp_hqd_pq_rptr_report_addr;
	uint64_t cp_hqd_pq_wptr_poll_addr;	/* GPU VA of the 64-bit write pointer */
	/* Where the queue begins, never wrapping; device: where it stopped, once UNMAP_QUEUE has completed. */
	uint64_t cp_hqd_pq_rptr;
	/* Bytes from KFDLAB_BAR_DOORBELLS, a multiple of 8. The driver clears that word when it creates a queue. */
	uint32_t cp_hqd_pq_doorbell_offset;
	uint32_t cp_hqd_queue_priority;		/* 0 to 15, the highest is served first */
	uint64_t cp_hqd_eop_base_addr;		/* GPU VA, not used by this device */
	uint64_t cp_hqd_eop_size;
	uint64_t cp_hqd_ctx_save_base_addr;	/* GPU VA, not used: a stopped wave stays in the device */
	uint64_t cp_hqd_ctx_save_size;
	uint32_t gws_count;			/* global wave sync resources of the queue: 0 or 64 */
	uint32_t cp_hqd_error;			/* device: enum kfdlab_queue_error, with the IH entry of the error */
	/* Bits of compute units the queue may use, AMD's order; all zero: all of them. */
	uint32_t compute_static_thread_mgmt[8];
	uint32_t reserved[32];			/* 0 */
};

/*
 * Why a queue stopped; it stays mapped and does nothing until UNMAP_QUEUE. In the IH entry and in cp_hqd_error.
 * What AMD reports to the user of an AQL queue through queue_inactive_signal is stored there as well.
 */
enum kfdlab_queue_error {
	KFDLAB_QUEUE_OK = 0,
	KFDLAB_QUEUE_BAD_PACKET = 1,		/* no such packet, or one with impossible fields */
	KFDLAB_QUEUE_BAD_POINTER = 2,		/* write pointer misaligned, gone back or more than a ring ahead */
	KFDLAB_QUEUE_BAD_DISPATCH = 3,		/* dimensions, registers, LDS or code object that cannot be run */
	KFDLAB_QUEUE_MEMORY_FAULT = 4,		/* no-retry fault; its IH entry came before this one */
	KFDLAB_QUEUE_ILLEGAL_INSTRUCTION = 5,
	KFDLAB_QUEUE_TRAP = 6,			/* s_trap or an exception without a trap handler */
	KFDLAB_QUEUE_APERTURE = 7,		/* access to LDS, scratch or the hole beyond its limits */
};

static_assert(sizeof(struct kfdlab_mqd) == 256, "MQD layout");

#endif
