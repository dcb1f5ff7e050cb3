/* SPDX-License-Identifier: MIT */
/*
 * SDMA 4.x packets in use, with AMD's opcodes and layout (vega10_sdma_pkt_open.h in the kernel; the packets
 * that ROCr 5.2.3 emits were also captured from it). Counts of COPY_LINEAR and CONST_FILL are bytes minus one
 * in the low 22 bits. On the driver's copy ring an address is guest-physical: RAM, or inside a GPU's BAR 2.
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
	SDMA_OP_FENCE = 5,
	SDMA_OP_TRAP = 6,
	SDMA_OP_CONST_FILL = 11,
};

#define SDMA_SUBOP_COPY_LINEAR	0u
#define SDMA_COUNT_MASK		0x3fffffu
/* Largest transfer one packet may carry; ROCr keeps to the same limit. */
#define SDMA_MAX_BYTES		0x3fffe0u
/* CONST_FILL header bits 31:30: size of the pattern, 2 = dword. */
#define SDMA_FILL_DWORD		(2u << 30)

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

static_assert(sizeof(struct sdma_copy_linear) == 28, "COPY_LINEAR layout");
static_assert(sizeof(struct sdma_const_fill) == 20, "CONST_FILL layout");
static_assert(sizeof(struct sdma_fence) == 16, "FENCE layout");
static_assert(sizeof(struct sdma_trap) == 8, "TRAP layout");

#endif
