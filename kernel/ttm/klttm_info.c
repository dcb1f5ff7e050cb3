// SPDX-License-Identifier: GPL-2.0
/*
 * AMDGPU_INFO: what the GPU looks like to libdrm_amdgpu. One row per query: how many bytes the answer has and
 * the function that fills it. Answers are built in zeroed memory and the smaller of both sides' sizes is copied
 * out, so a caller with an older or newer struct gets what it knows and no stray byte.
 *
 * Errors, as amdgpu gives them: EINVAL no buffer, no size, unknown query or argument; EFAULT bad pointer or a
 * register that may not be read; ENODEV the GPU is gone.
 */
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include <drm/amdgpu_drm.h>
#include <drm/drm_drv.h>

#include "klttm_priv.h"

/* MI200: shader engines of one array each, memory and clocks of the MI210 (kHz). */
#define SHADER_ENGINES		8
#define ENGINE_CLOCK_KHZ	1700000
#define MEMORY_CLOCK_KHZ	1600000
#define COUNTER_KHZ		100000
/* The only register family AI user space asks for. */
#define GB_ADDR_CONFIG		0x263e
#define MAX_REGISTERS		128
/* SDMA of MI200. */
#define SDMA_MAJOR		4
#define SDMA_MINOR		4

static int klttm_info_accel_working(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	*(u32 *)out = 1;
	return 0;
}

static void klttm_info_fill_cus(const struct klttm_device *dev, struct drm_amdgpu_info_device *info)
{
	unsigned int left = dev->config.compute_units;
	unsigned int se, cus;

	info->cu_active_number = left;
	info->num_cu_per_sh = DIV_ROUND_UP(left, SHADER_ENGINES);
	/* The bitmap is [4][4]: engines beyond the fourth go to the second column. */
	for (se = 0; se < SHADER_ENGINES; se++) {
		cus = DIV_ROUND_UP(left, SHADER_ENGINES - se);
		info->cu_bitmap[se % 4][se / 4] = cus < 32 ? BIT(cus) - 1 : ~0u;
		left -= cus;
	}
}

static int klttm_info_device(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	struct drm_amdgpu_info_device *info = out;

	info->device_id = dev->config.device_id;
	info->pci_rev = dev->config.revision_id;
	info->family = AMDGPU_FAMILY_AI;
	info->num_shader_engines = SHADER_ENGINES;
	info->num_shader_arrays_per_engine = 1;
	info->gpu_counter_freq = COUNTER_KHZ;
	info->max_engine_clock = ENGINE_CLOCK_KHZ;
	info->max_memory_clock = MEMORY_CLOCK_KHZ;
	klttm_info_fill_cus(dev, info);
	info->virtual_address_offset = KLTTM_VA_RESERVED;
	info->virtual_address_max = KLTTM_VA_HOLE_START;
	info->virtual_address_alignment = PAGE_SIZE;
	info->high_va_offset = KLTTM_VA_HOLE_END;
	info->high_va_max = -(u64)KLTTM_VA_RESERVED;
	info->pte_fragment_size = SZ_2M;
	info->gart_page_size = PAGE_SIZE;
	info->vram_type = AMDGPU_VRAM_TYPE_HBM;
	info->vram_bit_width = 4096;
	info->wave_front_size = 64;
	info->num_shader_visible_vgprs = 512;
	info->num_tcc_blocks = 16;
	return 0;
}

static int klttm_info_registers(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	/* The buffer is zero, which is the answer; only the question is checked. */
	if (in->read_mmr_reg.count > MAX_REGISTERS)
		return -EINVAL;
	if (in->read_mmr_reg.dword_offset != GB_ADDR_CONFIG || in->read_mmr_reg.count != 1)
		return -EFAULT;
	return 0;
}

static int klttm_info_vram_usage(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	struct klttm_stats stats;

	klttm_get_stats(dev, &stats);
	*(u64 *)out = stats.vram_held;
	return 0;
}

static int klttm_info_gtt_usage(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	*(u64 *)out = ttm_resource_manager_usage(&dev->gtt_man);
	return 0;
}

static int klttm_info_evictions(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	*(u64 *)out = atomic64_read(&dev->evictions);
	return 0;
}

static int klttm_info_bytes_moved(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	*(u64 *)out = atomic64_read(&dev->bytes_moved);
	return 0;
}

static int klttm_info_timestamp(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	*(u64 *)out = div_u64(ktime_get_ns(), NSEC_PER_MSEC / COUNTER_KHZ);
	return 0;
}

static int klttm_info_vram_gtt(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	struct drm_amdgpu_info_vram_gtt *info = out;

	info->vram_size = dev->config.vram_size;
	info->vram_cpu_accessible_size = dev->config.vram_size;
	info->gtt_size = dev->gtt_man.size;
	return 0;
}

static void klttm_info_heap(struct drm_amdgpu_heap_info *heap, u64 size, u64 usage)
{
	heap->total_heap_size = size;
	heap->usable_heap_size = size;
	heap->heap_usage = usage;
	heap->max_allocation = size / 4 * 3;
}

static int klttm_info_memory(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	struct drm_amdgpu_memory_info *info = out;
	struct klttm_stats stats;

	klttm_get_stats(dev, &stats);
	klttm_info_heap(&info->vram, stats.vram_size, stats.vram_held);
	klttm_info_heap(&info->cpu_accessible_vram, stats.vram_size, stats.vram_held);
	klttm_info_heap(&info->gtt, dev->gtt_man.size, stats.gtt_used);
	return 0;
}

/* One DMA engine with one ring takes command submissions (klttm_cs.c). The others have no version and no ring. */
static int klttm_info_hw_ip(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	struct drm_amdgpu_info_hw_ip *info = out;

	if (in->query_hw_ip.type >= AMDGPU_HW_IP_NUM ||
	    in->query_hw_ip.ip_instance >= AMDGPU_HW_IP_INSTANCE_MAX_COUNT)
		return -EINVAL;
	if (in->query_hw_ip.type != AMDGPU_HW_IP_DMA || in->query_hw_ip.ip_instance)
		return 0;
	info->hw_ip_version_major = SDMA_MAJOR;
	info->hw_ip_version_minor = SDMA_MINOR;
	info->ib_start_alignment = 256;
	info->ib_size_alignment = sizeof(u32);
	info->available_rings = 1;
	info->ip_discovery_version = SDMA_MAJOR << 16 | SDMA_MINOR << 8;
	return 0;
}

static int klttm_info_hw_ip_count(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	if (in->query_hw_ip.type >= AMDGPU_HW_IP_NUM)
		return -EINVAL;
	*(u32 *)out = in->query_hw_ip.type == AMDGPU_HW_IP_DMA;
	return 0;
}

static int klttm_info_firmware(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	if (!in->query_fw.fw_type || in->query_fw.fw_type > AMDGPU_INFO_FW_IMU)
		return -EINVAL;
	return 0;
}

static int klttm_info_zero(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out)
{
	return 0;
}

struct klttm_info_query {
	u32 query;		/* AMDGPU_INFO_* */
	u32 size;		/* bytes of the answer */
	int (*fill)(struct klttm_device *dev, const struct drm_amdgpu_info *in, void *out);
};

static const struct klttm_info_query klttm_info_queries[] = {
	{ AMDGPU_INFO_ACCEL_WORKING, sizeof(u32), klttm_info_accel_working },
	{ AMDGPU_INFO_HW_IP_INFO, sizeof(struct drm_amdgpu_info_hw_ip), klttm_info_hw_ip },
	{ AMDGPU_INFO_HW_IP_COUNT, sizeof(u32), klttm_info_hw_ip_count },
	{ AMDGPU_INFO_TIMESTAMP, sizeof(u64), klttm_info_timestamp },
	{ AMDGPU_INFO_FW_VERSION, sizeof(struct drm_amdgpu_info_firmware), klttm_info_firmware },
	{ AMDGPU_INFO_VRAM_USAGE, sizeof(u64), klttm_info_vram_usage },
	{ AMDGPU_INFO_GTT_USAGE, sizeof(u64), klttm_info_gtt_usage },
	{ AMDGPU_INFO_VRAM_GTT, sizeof(struct drm_amdgpu_info_vram_gtt), klttm_info_vram_gtt },
	{ AMDGPU_INFO_READ_MMR_REG, sizeof(u32), klttm_info_registers },
	{ AMDGPU_INFO_DEV_INFO, sizeof(struct drm_amdgpu_info_device), klttm_info_device },
	{ AMDGPU_INFO_VIS_VRAM_USAGE, sizeof(u64), klttm_info_vram_usage },
	{ AMDGPU_INFO_NUM_BYTES_MOVED, sizeof(u64), klttm_info_bytes_moved },
	{ AMDGPU_INFO_NUM_EVICTIONS, sizeof(u64), klttm_info_evictions },
	{ AMDGPU_INFO_MEMORY, sizeof(struct drm_amdgpu_memory_info), klttm_info_memory },
	/* All VRAM is visible: no CPU access ever had to move an object. */
	{ AMDGPU_INFO_NUM_VRAM_CPU_PAGE_FAULTS, sizeof(u64), klttm_info_zero },
	{ AMDGPU_INFO_GDS_CONFIG, sizeof(struct drm_amdgpu_info_gds), klttm_info_zero },
	{ AMDGPU_INFO_VRAM_LOST_COUNTER, sizeof(u32), klttm_info_zero },
};

static int klttm_info_answer(struct klttm_device *dev, const struct klttm_info_query *query,
			     const struct drm_amdgpu_info *in)
{
	void __user *user = u64_to_user_ptr(in->return_pointer);
	void *out;
	int ret;

	out = kzalloc(query->size, GFP_KERNEL);
	if (!out)
		return -ENOMEM;
	ret = query->fill(dev, in, out);
	if (!ret && copy_to_user(user, out, min(in->return_size, query->size)))
		ret = -EFAULT;
	kfree(out);
	return ret;
}

int klttm_info_ioctl(struct drm_device *ddev, void *data, struct drm_file *file)
{
	const struct drm_amdgpu_info *in = data;
	int ret = -EINVAL;
	unsigned int i;
	int idx;

	if (!in->return_size || !in->return_pointer)
		return -EINVAL;
	if (!drm_dev_enter(ddev, &idx))
		return -ENODEV;
	for (i = 0; i < ARRAY_SIZE(klttm_info_queries); i++)
		if (klttm_info_queries[i].query == in->query)
			ret = klttm_info_answer(drm_to_klttm_device(ddev), &klttm_info_queries[i], in);
	drm_dev_exit(idx);
	return ret;
}
