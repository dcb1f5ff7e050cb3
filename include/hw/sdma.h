/* SPDX-License-Identifier: MIT */
/*
 * SDMA 4.x packets in use, with AMD's opcodes and layout (vega10_sdma_pkt_open.h in the kernel; the packets
 * that ROCr 5.2.3 emits were also captured from it). Counts of COPY_LINEAR and CONST_FILL are bytes minus one
 * in the low 22 bits. On the driver's copy ring an address is guest-physical: RAM, or inside a GPU's BAR 2; on a user
 * queue it is a GPU VA of the queue's VMID. The copy ring takes NOP, COPY_LINEAR, FENCE, TRAP and CONST_FILL of dwords
 * only; user queues take everything here.
 */
#ifndef KFDLAB_HW_SDMA_H
#define KFDLAB_HW_SDMA_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/types.h>
#else
#include <assert.h>
#include <stdint.h>
#endif

enum kfdlab_sdma_op {
	SDMA_OP_NOP = 0,
	SDMA_OP_COPY = 1,
	SDMA_OP_WRITE = 2,
	SDMA_OP_FENCE = 5,
	SDMA_OP_TRAP = 6,
	SDMA_OP_POLL_REGMEM = 8,
	SDMA_OP_ATOMIC = 10,
	SDMA_OP_CONST_FILL = 11,
	SDMA_OP_TIMESTAMP = 13,
};

#define SDMA_SUBOP_COPY_LINEAR	0u
#define SDMA_SUBOP_COPY_LINEAR_RECT	4u	/* SUB_WIND in AMD's header */
#define SDMA_SUBOP_WRITE_LINEAR		0u
#define SDMA_SUBOP_TIMESTAMP_GET_GLOBAL	2u
#define SDMA_COUNT_MASK		0x3fffffu
/* COPY_LINEAR header: a second destination follows. */
#define SDMA_COPY_BROADCAST	(1u << 27)
/* COPY_LINEAR_RECT header 31:29: log2 of an element's bytes, 0 to 4. */
#define SDMA_RECT_ELEMENT(header)	((header) >> 29)
/* Largest transfer one packet may carry; ROCr keeps to the same limit. */
#define SDMA_MAX_BYTES		0x3fffe0u
/* CONST_FILL header bits 31:30: size of the pattern, 2 = dword. */
#define SDMA_FILL_DWORD		(2u << 30)
#define SDMA_FILL_BYTE		0u

/* POLL_REGMEM header: memory instead of a register, HDP flush instead of polling, comparison 30:28. */
#define SDMA_POLL_MEMORY	(1u << 31)
#define SDMA_POLL_HDP_FLUSH	(1u << 26)
#define SDMA_POLL_FUNCTION(header)	((header) >> 28 & 7u)	/* 0 always, 1 <, 2 <=, 3 ==, 4 !=, 5 >=, 6 > */
/* ATOMIC header 31:25. */
#define SDMA_ATOMIC_OP(header)	((header) >> 25)
#define SDMA_ATOMIC_ADD64	0x2fu	/* TC_OP_ATOMIC_ADD_RTN_64 */

/* NOP header bits 29:16: dwords behind the header that belong to the packet and are skipped. */
#define SDMA_NOP_COUNT_SHIFT	16
#define SDMA_NOP_COUNT_MASK	(0x3fffu << SDMA_NOP_COUNT_SHIFT)

static inline uint32_t sdma_header(uint32_t op, uint32_t subop)
{
	return op | subop << 8;
}

struct sdma_copy_linear {
	uint32_t header;
	uint32_t count;			/* bytes - 1 */
	uint32_t parameter;		/* 0 */
	uint32_t src_lo, src_hi;
	uint32_t dst_lo, dst_hi;
};

struct sdma_const_fill {
	uint32_t header;		/* | SDMA_FILL_DWORD */
	uint32_t dst_lo, dst_hi;
	uint32_t data;
	uint32_t count;			/* bytes - 1; bytes a multiple of 4 */
};

struct sdma_fence {
	uint32_t header;
	uint32_t addr_lo, addr_hi;	/* 4-byte aligned */
	uint32_t data;
};

struct sdma_trap {
	uint32_t header;
	uint32_t context;		/* shown in the IH entry's src_data[0] */
};

struct sdma_copy_broadcast {
	uint32_t header;		/* | SDMA_COPY_BROADCAST */
	uint32_t count;			/* bytes - 1 */
	uint32_t parameter;		/* 0 */
	uint32_t src_lo, src_hi;
	uint32_t dst_lo, dst_hi;
	uint32_t dst2_lo, dst2_hi;
};

/* Offsets, pitches and sizes count elements; pitches and sizes are stored minus one. */
struct sdma_copy_linear_rect {
	uint32_t header;
	uint32_t src_lo, src_hi;
	uint32_t src_xy;		/* x 13:0, y 29:16 */
	uint32_t src_z_pitch;		/* z 10:0, pitch 31:13 */
	uint32_t src_slice_pitch;	/* 27:0 */
	uint32_t dst_lo, dst_hi;
	uint32_t dst_xy;
	uint32_t dst_z_pitch;
	uint32_t dst_slice_pitch;
	uint32_t rect_xy;		/* width 13:0, height 29:16 */
	uint32_t rect_z;		/* depth 10:0; swap modes 17:16 and 25:24 are 0 */
};

struct sdma_write_linear {
	uint32_t header;
	uint32_t dst_lo, dst_hi;	/* 4-byte aligned */
	uint32_t count;			/* dwords - 1, 19:0; the dwords follow */
};

struct sdma_poll_regmem {
	uint32_t header;
	uint32_t addr_lo, addr_hi;	/* 4-byte aligned */
	uint32_t value;
	uint32_t mask;
	uint32_t interval_retries;	/* interval 15:0, retries 27:16, 0xfff for ever */
};

struct sdma_atomic {
	uint32_t header;
	uint32_t addr_lo, addr_hi;	/* 8-byte aligned */
	uint32_t src_lo, src_hi;
	uint32_t cmp_lo, cmp_hi;
	uint32_t loop_interval;
};

struct sdma_timestamp {
	uint32_t header;
	uint32_t addr_lo, addr_hi;	/* 8-byte aligned; the GPU clock, KFDLAB_CLOCK_HZ */
};

static_assert(sizeof(struct sdma_copy_linear) == 28, "COPY_LINEAR layout");
static_assert(sizeof(struct sdma_const_fill) == 20, "CONST_FILL layout");
static_assert(sizeof(struct sdma_fence) == 16, "FENCE layout");
static_assert(sizeof(struct sdma_trap) == 8, "TRAP layout");
static_assert(sizeof(struct sdma_copy_broadcast) == 36, "COPY_LINEAR broadcast layout");
static_assert(sizeof(struct sdma_copy_linear_rect) == 52, "COPY_LINEAR_RECT layout");
static_assert(sizeof(struct sdma_write_linear) == 16, "WRITE_LINEAR layout");
static_assert(sizeof(struct sdma_poll_regmem) == 24, "POLL_REGMEM layout");
static_assert(sizeof(struct sdma_atomic) == 32, "ATOMIC layout");
static_assert(sizeof(struct sdma_timestamp) == 12, "TIMESTAMP layout");

#endif
