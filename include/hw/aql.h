/* SPDX-License-Identifier: MIT */
/*
 * Packets, queue and signal objects of user-mode AQL queues as the device sees them in guest memory. The layouts are
 * the HSA Runtime Specification's (1.2, 2.9) and AMD's (hsa/amd_hsa_queue.h, amd_hsa_signal.h); a unit test compares
 * them with those headers. Pointers are GPU VAs.
 */
#ifndef KFDLAB_HW_AQL_H
#define KFDLAB_HW_AQL_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#endif

#define AQL_PACKET_BYTES	64u

/* header 7:0 */
enum aql_packet_type {
	AQL_VENDOR_SPECIFIC = 0,
	AQL_INVALID = 1,
	AQL_KERNEL_DISPATCH = 2,
	AQL_BARRIER_AND = 3,
	AQL_AGENT_DISPATCH = 4,
	AQL_BARRIER_OR = 5,
};

#define AQL_HEADER_TYPE_MASK	0xffu
#define AQL_HEADER_BARRIER	(1u << 8)	/* waits until all earlier packets are complete */
/* Fence scopes: 0 none, 1 agent, 2 system. A coherent device needs no more than to complete what came before. */
#define AQL_HEADER_ACQUIRE(h)	((h) >> 9 & 3u)
#define AQL_HEADER_RELEASE(h)	((h) >> 11 & 3u)

struct aql_kernel_dispatch {
	uint16_t header;
	uint16_t setup;			/* dimensions 1:0 */
	uint16_t workgroup_size_x, workgroup_size_y, workgroup_size_z;
	uint16_t reserved0;
	uint32_t grid_size_x, grid_size_y, grid_size_z;	/* work-items */
	uint32_t private_segment_size;	/* bytes of scratch a work-item */
	uint32_t group_segment_size;	/* bytes of LDS a workgroup, static and dynamic */
	uint64_t kernel_object;		/* kernel descriptor, or amd_kernel_code_t */
	uint64_t kernarg_address;
	uint64_t reserved2;
	uint64_t completion_signal;	/* 0: none */
};

struct aql_barrier {			/* AND and OR */
	uint16_t header;
	uint16_t reserved0;
	uint32_t reserved1;
	uint64_t dep_signal[5];		/* 0: not used */
	uint64_t reserved2;
	uint64_t completion_signal;
};

/* Byte 2 of a vendor-specific packet. */
enum aql_vendor_format {
	AQL_FORMAT_PM4_IB = 1,
	AQL_FORMAT_BARRIER_VALUE = 2,
};

/* AQL_FORMAT_PM4_IB: runs an indirect buffer. As ROCr 5.2.3 writes it (captured). */
struct aql_pm4_ib {
	uint16_t header;
	uint16_t ven_hdr;		/* format 7:0 */
	uint32_t ib_jump_cmd[4];	/* PM4 INDIRECT_BUFFER */
	uint32_t dw_cnt_remain;		/* 10 */
	uint32_t reserved[8];
	uint64_t completion_signal;
};

/* AQL_FORMAT_BARRIER_VALUE: waits until (*signal & mask) compares with value. */
struct aql_barrier_value {
	uint16_t header;
	uint8_t amd_format;
	uint8_t reserved;
	uint32_t reserved0;
	uint64_t signal;
	int64_t value;
	int64_t mask;
	uint32_t cond;			/* enum aql_condition, hsa_signal_condition_t */
	uint32_t reserved1;
	uint64_t reserved2;
	uint64_t reserved3;
	uint64_t completion_signal;
};

enum aql_condition {
	AQL_CONDITION_EQ = 0,
	AQL_CONDITION_NE = 1,
	AQL_CONDITION_LT = 2,
	AQL_CONDITION_GTE = 3,
};

/* amd_signal_t */
struct aql_signal {
	int64_t kind;			/* 1: user signal */
	int64_t value;
	uint64_t event_mailbox_ptr;	/* 0: no event */
	uint32_t event_id;
	uint32_t reserved1;
	uint64_t start_ts, end_ts;	/* KFDLAB_CLOCK_HZ */
	uint64_t queue_ptr;
	uint32_t reserved3[2];
};

/* amd_queue_t */
struct aql_queue {
	uint32_t type, features;
	uint64_t base_address;
	uint64_t doorbell_signal;
	uint32_t size;			/* packets */
	uint32_t reserved0;
	uint64_t id;
	uint32_t reserved1[4];
	uint64_t write_dispatch_id;
	uint32_t group_segment_aperture_base_hi;
	uint32_t private_segment_aperture_base_hi;
	uint32_t max_cu_id;
	uint32_t max_wave_id;
	uint64_t max_legacy_doorbell_dispatch_id_plus_1;
	uint32_t legacy_doorbell_lock;
	uint32_t reserved2[9];
	uint64_t read_dispatch_id;
	uint32_t read_dispatch_id_field_base_byte_offset;
	uint32_t compute_tmpring_size;	/* waves 11:0, KiB a wave 24:12 */
	uint32_t scratch_resource_descriptor[4];
	uint64_t scratch_backing_memory_location;
	uint64_t scratch_backing_memory_byte_size;
	uint32_t scratch_wave64_lane_byte_size;
	uint32_t queue_properties;
	uint32_t reserved3[2];
	uint64_t queue_inactive_signal;
	uint32_t reserved4[14];
};

#define AQL_QUEUE_ENABLE_PROFILING	(1u << 3)	/* queue_properties */
#define AQL_QUEUE_USE_SCRATCH_ONCE	(1u << 4)

#define COMPUTE_TMPRING_WAVES(v)	((v) & 0xfffu)
#define COMPUTE_TMPRING_WAVESIZE(v)	((v) >> 12 & 0x1fffu)	/* units of 256 dwords */

/* Values the device stores in queue_inactive_signal; the signal's event is raised with each. */
enum aql_inactive {
	AQL_INACTIVE_SCRATCH = 0x1,	/* a dispatch needs more; goes on once the runtime has set the signal to 0 */
	AQL_INACTIVE_DIMENSION = 0x2,
	AQL_INACTIVE_GROUP_MEMORY = 0x4,
	AQL_INACTIVE_CODE_OBJECT = 0x8,
	AQL_INACTIVE_PACKET_FORMAT = 0x20,
	AQL_INACTIVE_WORKGROUP_SIZE = 0x40,
	AQL_INACTIVE_REGISTERS = 0x80,
	AQL_INACTIVE_VENDOR_PACKET = 0x100,
	AQL_INACTIVE_SCRATCH_RECLAIM = 0x200,	/* scratch to be used once was used; goes on once the signal is 0 */
	AQL_INACTIVE_APERTURE = 0x20000000,
	AQL_INACTIVE_ILLEGAL_INSTRUCTION = 0x40000000,
	AQL_INACTIVE_TRAP = (-0x7fffffff - 1),	/* the runtime looks at bit 31 */
};

static_assert(sizeof(struct aql_kernel_dispatch) == AQL_PACKET_BYTES, "KERNEL_DISPATCH layout");
static_assert(sizeof(struct aql_barrier) == AQL_PACKET_BYTES, "BARRIER layout");
static_assert(sizeof(struct aql_pm4_ib) == AQL_PACKET_BYTES, "PM4_IB layout");
static_assert(sizeof(struct aql_barrier_value) == AQL_PACKET_BYTES, "BARRIER_VALUE layout");
static_assert(sizeof(struct aql_signal) == 64, "amd_signal_t layout");
static_assert(offsetof(struct aql_queue, write_dispatch_id) == 0x38, "amd_queue_t layout");
static_assert(offsetof(struct aql_queue, read_dispatch_id) == 0x80, "amd_queue_t layout");
static_assert(offsetof(struct aql_queue, queue_inactive_signal) == 0xc0, "amd_queue_t layout");
static_assert(sizeof(struct aql_queue) == 256, "amd_queue_t layout");

#endif
