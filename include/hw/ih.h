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

#define IH_CLIENT_SDMA0		0x08u	/* SOC15_IH_CLIENTID_SDMA0 */
#define IH_SOURCE_SDMA_TRAP	224u	/* SDMA0_4_0__SRCID__SDMA_TRAP */

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

static_assert(sizeof(struct ih_entry) == 32, "IH entry layout");

#endif
