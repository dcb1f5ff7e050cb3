/* SPDX-License-Identifier: MIT */
/*
 * Interrupt-handler (IH) ring entry of SOC15 parts: eight dwords, AMD's layout (amdgpu_ih_decode_iv_helper).
 *
 *   dw0  client id 7:0 | source id 15:8 | ring id 23:16 | vmid 27:24
 *   dw1  timestamp, low        dw2  timestamp 47:32 in 15:0
 *   dw3  pasid 15:0            dw4..dw7  source data
 */
#ifndef KFDLAB_HW_IH_H
#define KFDLAB_HW_IH_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/types.h>
#else
#include <assert.h>
#include <stdint.h>
#endif

/* Clients, SOC15_IH_CLIENTID_*. */
#define IH_CLIENT_SDMA0		0x08u	/* the driver's copy ring and user SDMA queues */
#define IH_CLIENT_SE0SH		0x0au	/* waves */
#define IH_CLIENT_GRBM_CP	0x14u	/* packet processors of AQL and PM4 queues */
#define IH_CLIENT_UTCL2		0x1bu	/* translations for everybody on user queues */

/* Sources, SOC15_INTSRC_*. */
#define IH_SOURCE_VM_FAULT		0u	/* UTCL2 */
#define IH_SOURCE_CP_END_OF_PIPE	181u	/* GRBM_CP: src_data[0] is the event id of a signal or RELEASE_MEM */
#define IH_SOURCE_CP_BAD_OPCODE		183u	/* GRBM_CP, SDMA0, SE0SH: ih_queue_error() */
#define IH_SOURCE_SDMA_TRAP		224u	/* SDMA0: src_data[0] is the packet's context; VMID 0: the copy ring */
#define IH_SOURCE_SQ_INTERRUPT_MSG	239u	/* SE0SH: s_sendmsg(MSG_INTERRUPT), ih_sq_message() */

/*
 * UTCL2, VM_FAULT: page number 31:0 in src_data[0], 35:32 in src_data[1] 3:0. What the access was is in src_data[1],
 * where AMD's driver looks at bits 5 and 7; what it lacked is in the ring field of dw0, where AMD's driver has them.
 */
#define IH_FAULT_PAGE_HI_MASK	0xfu
#define IH_FAULT_READ		(1u << 4)
#define IH_FAULT_WRITE		(1u << 5)
#define IH_FAULT_EXECUTE	(1u << 6)
#define IH_FAULT_RETRY		(1u << 7)	/* the access waits and is tried again */
#define IH_FAULT_RING_NOT_PRESENT	0x08u	/* no valid PTE */
#define IH_FAULT_RING_NO_READ		0x10u
#define IH_FAULT_RING_NO_WRITE		0x20u
#define IH_FAULT_RING_NO_EXECUTE	0x40u

struct ih_entry {
	uint32_t source;		/* dw0 */
	uint32_t timestamp_lo;
	uint32_t timestamp_hi;
	uint32_t pasid;
	uint32_t src_data[4];
};

static inline uint32_t ih_source(uint32_t client, uint32_t source, uint32_t ring, uint32_t vmid)
{
	return client | source << 8 | ring << 16 | vmid << 24;
}

/* Byte address of the page of a VM_FAULT entry, 48 bits. */
static inline uint64_t ih_fault_address(const struct ih_entry *entry)
{
	return ((uint64_t)entry->src_data[0] | (uint64_t)(entry->src_data[1] & IH_FAULT_PAGE_HI_MASK) << 32) << 12;
}

/*
 * Queue error: src_data[0] as AMD's compute firmware has it, doorbell number in its page 9:0 and code 25:10 (enum
 * kfdlab_queue_error); src_data[1] the queue number, src_data[2], [3] what it was about (packet header, PC low).
 */
static inline uint32_t ih_queue_error(uint32_t doorbell, uint32_t error)
{
	return (doorbell & 0x3ffu) | (error & 0xffffu) << 10;
}

/*
 * A wave's message, M0 23:0: bits 11:0 in src_data[0] 11:0, 15:12 in its 31:28, 23:16 in src_data[1] 7:0; src_data[0]
 * 27:26 is 1 (sent by an instruction). An id of a signal event is below 4096 and so just src_data[0] & 0xffffff, which
 * is what AMD's driver takes.
 */
#define IH_SQ_ENCODING_INST	(1u << 26)

static inline uint32_t ih_sq_message_data(const struct ih_entry *entry)
{
	return (entry->src_data[0] & 0xfffu) | (entry->src_data[0] >> 16 & 0xf000u) |
	       (entry->src_data[1] & 0xffu) << 16;
}

static_assert(sizeof(struct ih_entry) == 32, "IH entry layout");

#endif
