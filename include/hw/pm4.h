/* SPDX-License-Identifier: MIT */
/*
 * PM4 type-3 packets that compute queues of user space use, in AMD's numbers (soc15d.h, gc_9_0_offset.h in the
 * kernel). dw0 of a packet is its header; the dwords named below count from the one behind it.
 */
#ifndef KFDLAB_HW_PM4_H
#define KFDLAB_HW_PM4_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/* Header: type 31:30, dwords behind the header minus one 29:16, opcode 15:8, shader type 1. */
#define PM4_TYPE(header)	((header) >> 30)
#define PM4_COUNT(header)	((header) >> 16 & 0x3fffu)
#define PM4_OPCODE(header)	((header) >> 8 & 0xffu)
#define PM4_TYPE2_FILLER	0x80000000u	/* one dword of nothing */
/* A NOP with this count is one dword long. */
#define PM4_NOP_ONE_DWORD	0x3fffu

static inline uint32_t pm4_header(uint32_t opcode, uint32_t dwords_behind)
{
	return 3u << 30 | (dwords_behind - 1) << 16 | opcode << 8;
}

enum pm4_opcode {
	PM4_NOP = 0x10,
	PM4_DISPATCH_DIRECT = 0x15,	/* x, y, z in workgroups, initiator */
	PM4_WRITE_DATA = 0x37,		/* control, address, data... */
	PM4_WAIT_REG_MEM = 0x3c,	/* control, address, reference, mask, interval */
	PM4_INDIRECT_BUFFER = 0x3f,	/* address, control with dwords 19:0 */
	PM4_EVENT_WRITE = 0x46,		/* control: partial flushes and cache events */
	PM4_RELEASE_MEM = 0x49,		/* control, select, address, data, (interrupt context) */
	PM4_ACQUIRE_MEM = 0x58,		/* control, size, address, interval */
	PM4_SET_SH_REG = 0x76,		/* offset, values... */
};

/* WRITE_DATA control */
#define PM4_WRITE_DATA_DST_SEL(v)	((v) >> 8 & 0xfu)	/* 1, 2, 5: memory */
#define PM4_WRITE_DATA_ONE_ADDRESS	(1u << 16)

/* WAIT_REG_MEM control */
#define PM4_WAIT_FUNCTION(v)	((v) & 7u)	/* 0 always, 1 <, 2 <=, 3 ==, 4 !=, 5 >=, 6 > */
#define PM4_WAIT_MEM_SPACE(v)	((v) >> 4 & 3u)	/* 1: memory */

/* INDIRECT_BUFFER control */
#define PM4_IB_DWORDS(v)	((v) & 0xfffffu)

/* RELEASE_MEM select */
#define PM4_RELEASE_INT_SEL(v)	((v) >> 24 & 7u)
#define PM4_RELEASE_DATA_SEL(v)	((v) >> 29 & 7u)
enum pm4_release_data {
	PM4_RELEASE_DATA_NONE = 0,
	PM4_RELEASE_DATA_32 = 1,
	PM4_RELEASE_DATA_64 = 2,
	PM4_RELEASE_DATA_CLOCK = 3,	/* GPU clock, KFDLAB_CLOCK_HZ */
	PM4_RELEASE_DATA_SYSTEM_CLOCK = 4,
};
enum pm4_release_interrupt {
	PM4_RELEASE_INT_NONE = 0,
	PM4_RELEASE_INT_ONLY = 1,	/* no data */
	PM4_RELEASE_INT_CONFIRM = 2,	/* behind the data */
	PM4_RELEASE_CONFIRM_ONLY = 3,	/* data, no interrupt */
};

/* SET_SH_REG: its first dword is the register's number minus this. */
#define PM4_SH_REG_START	0x2c00u
#define PM4_SH_REG_COUNT	0x400u

/* Registers as SET_SH_REG numbers them. */
enum pm4_sh_reg {
	COMPUTE_DISPATCH_INITIATOR = 0x200,
	COMPUTE_START_X = 0x204,
	COMPUTE_START_Y = 0x205,
	COMPUTE_START_Z = 0x206,
	COMPUTE_NUM_THREAD_X = 0x207,	/* full 15:0, partial 31:16 */
	COMPUTE_NUM_THREAD_Y = 0x208,
	COMPUTE_NUM_THREAD_Z = 0x209,
	COMPUTE_PGM_LO = 0x20c,		/* address >> 8 */
	COMPUTE_PGM_HI = 0x20d,
	COMPUTE_DISPATCH_PKT_ADDR_LO = 0x20e,
	COMPUTE_DISPATCH_PKT_ADDR_HI = 0x20f,
	COMPUTE_DISPATCH_SCRATCH_BASE_LO = 0x210,	/* address >> 8 */
	COMPUTE_DISPATCH_SCRATCH_BASE_HI = 0x211,
	COMPUTE_PGM_RSRC1 = 0x212,
	COMPUTE_PGM_RSRC2 = 0x213,
	COMPUTE_VMID = 0x214,
	COMPUTE_RESOURCE_LIMITS = 0x215,
	COMPUTE_STATIC_THREAD_MGMT_SE0 = 0x216,
	COMPUTE_STATIC_THREAD_MGMT_SE1 = 0x217,
	COMPUTE_TMPRING_SIZE = 0x218,
	COMPUTE_STATIC_THREAD_MGMT_SE2 = 0x219,
	COMPUTE_STATIC_THREAD_MGMT_SE3 = 0x21a,
	COMPUTE_RESTART_X = 0x21b,
	COMPUTE_RESTART_Y = 0x21c,
	COMPUTE_RESTART_Z = 0x21d,
	COMPUTE_PGM_RSRC3 = 0x22d,
	COMPUTE_USER_DATA_0 = 0x240,
	COMPUTE_USER_DATA_15 = 0x24f,
};

/* DISPATCH_DIRECT initiator */
#define COMPUTE_DISPATCH_SHADER_EN		(1u << 0)
#define COMPUTE_DISPATCH_PARTIAL_TG_EN		(1u << 1)
#define COMPUTE_DISPATCH_FORCE_START_AT_000	(1u << 2)
#define COMPUTE_DISPATCH_USE_THREAD_DIMENSIONS	(1u << 5)

#endif
