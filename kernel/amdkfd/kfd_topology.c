// SPDX-License-Identifier: GPL-2.0
/*
 * The topology under /sys/class/kfd/kfd: node 0 is the CPUs with all of RAM, node 1 and up are the GPUs in the order
 * of their index. Names and order of keys are amdkfd's; what the thunk of ROCm 5.2.3 asks of them is in the comments.
 *
 * Every file is a text written when the tree is built. The tree is built anew when a GPU comes or goes, with a higher
 * generation_id, which makes the thunk start over if it was reading meanwhile.
 */
#include <linux/cpumask.h>
#include <linux/device.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "kfd_priv.h"
#include "kfd_queue.h"

/* One read-only file. */
struct kfd_text {
	struct kobj_attribute attr;
	struct list_head link;
	const char *text;
};

static DEFINE_MUTEX(kfd_topology_lock);		/* everything below */
static struct kobject *kfd_topology;
static LIST_HEAD(kfd_texts);			/* every file of the tree */
static LIST_HEAD(kfd_folders);			/* every folder below topology, children before parents */
static u32 kfd_generation;
static struct kfd_dev *kfd_gpus[KFD_MAX_GPUS];	/* by index; NULL: absent */

struct kfd_folder {
	struct kobject *kobj;
	struct list_head link;
};

/*
 * Types of heaps and links, and what they mean together: large BAR is FB public and a link from the CPU. GPUs are linked
 * with one another as in a hive of MI250: one hop of XGMI each, and one hive_id, so VRAM is coherent among them.
 */
#define KFD_HEAP_SYSTEM		0
#define KFD_HEAP_FB_PUBLIC	1
#define KFD_LINK_PCIE		2
#define KFD_LINK_XGMI		11
#define KFD_LINK_ENABLED	1u
#define KFD_WEIGHT_PCIE		20
#define KFD_WEIGHT_XGMI		15	/* one hop */

#define KFD_CACHE_DATA		1u
#define KFD_CACHE_INSTRUCTION	2u
#define KFD_CACHE_HSACU		8u

#define KFD_CAP_ASIC_REVISION_SHIFT	22
#define KFD_CAP_ASIC_REVISION_MASK	0xfu
#define KFD_CAP_DOORBELL_TYPE_2		(2u << 12)	/* 64-bit doorbells; HIP hangs with another type */
#define KFD_CAP_SRAM_ECC		(1u << 26)
#define KFD_CAP_SVM			(1u << 27)
#define KFD_CAP_COHERENT_HOST_ACCESS	(1u << 28)

/* gfx90a. A CU has 4 SIMDs; simd_arrays_per_engine is a divisor in the thunk and must not be 0. */
#define KFD_SIMD_PER_CU		4
#define KFD_CU_PER_ARRAY	16
#define KFD_WAVES_PER_SIMD	8
#define KFD_WAVE_SIZE		64
#define KFD_LDS_KB		64
#define KFD_SCRATCH_SLOTS_PER_CU 32
#define KFD_SDMA_ENGINES	2
#define KFD_SDMA_XGMI_ENGINES	3
#define KFD_SDMA_QUEUES_PER_ENGINE 8
#define KFD_CP_QUEUES		24
#define KFD_SIMD_ID_BASE	0x80001000u
#define KFD_VENDOR_AMD		0x1002
/* A firmware that ROCr knows nothing against; none runs here. */
#define KFD_FW_VERSION		71
#define KFD_SDMA_FW_VERSION	8
#define KFD_ENGINE_MHZ		1700
#define KFD_CPU_MHZ		3000

/* All caches of a GPU; sizes in KiB. ROCr insists on a data cache of a compute unit. */
static const struct kfd_cache {
	unsigned int level, size, line, type;
} kfd_caches[] = {
	{ 1, 16, 64, KFD_CACHE_DATA | KFD_CACHE_HSACU },
	{ 1, 32, 64, KFD_CACHE_INSTRUCTION | KFD_CACHE_HSACU },
	{ 2, 8192, 128, KFD_CACHE_DATA | KFD_CACHE_HSACU },
};

/* ---- files and folders ---- */

static ssize_t kfd_text_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", container_of(attr, struct kfd_text, attr)->text);
}

/* Locking: kfd_topology_lock. What was made before a failure goes with kfd_topology_clear(). */
static __printf(3, 4) int kfd_add_file(struct kobject *dir, const char *name, const char *fmt, ...)
{
	struct kfd_text *file = kzalloc(sizeof(*file), GFP_KERNEL);
	va_list ap;
	int ret;

	if (!file)
		return -ENOMEM;
	va_start(ap, fmt);
	file->text = kvasprintf(GFP_KERNEL, fmt, ap);
	va_end(ap);
	if (!file->text) {
		kfree(file);
		return -ENOMEM;
	}
	sysfs_attr_init(&file->attr.attr);
	file->attr.attr.name = name;
	file->attr.attr.mode = 0444;
	file->attr.show = kfd_text_show;
	ret = sysfs_create_file(dir, &file->attr.attr);
	if (ret) {
		kfree(file->text);
		kfree(file);
		return ret;
	}
	list_add(&file->link, &kfd_texts);
	return 0;
}

static struct kobject *kfd_add_folder(struct kobject *parent, const char *name)
{
	struct kfd_folder *folder = kzalloc(sizeof(*folder), GFP_KERNEL);

	if (!folder)
		return NULL;
	folder->kobj = kobject_create_and_add(name, parent);
	if (!folder->kobj) {
		kfree(folder);
		return NULL;
	}
	list_add(&folder->link, &kfd_folders);
	return folder->kobj;
}

static struct kobject *kfd_add_numbered(struct kobject *parent, unsigned int number)
{
	char name[12];

	snprintf(name, sizeof(name), "%u", number);
	return kfd_add_folder(parent, name);
}

/* parent/name/number, the place of one bank, cache or link; @number 0 makes the folder @name too. */
static struct kobject *kfd_add_item(struct kobject **list, struct kobject *node, const char *name,
				    unsigned int number)
{
	if (!*list)
		*list = kfd_add_folder(node, name);
	return *list ? kfd_add_numbered(*list, number) : NULL;
}

/* Take down the tree. Removing a folder waits for readers of its files, so their texts go last. */
static void kfd_topology_clear(void)
{
	struct kfd_folder *folder, *next_folder;
	struct kfd_text *file, *next_file;

	list_for_each_entry_safe(folder, next_folder, &kfd_folders, link) {
		kobject_del(folder->kobj);
		kobject_put(folder->kobj);
		kfree(folder);
	}
	INIT_LIST_HEAD(&kfd_folders);
	list_for_each_entry_safe(file, next_file, &kfd_texts, link) {
		kfree(file->text);
		kfree(file);
	}
	INIT_LIST_HEAD(&kfd_texts);
}

/* ---- what a node has ---- */

static int kfd_add_bank(struct kobject *node, unsigned int heap, u64 bytes, unsigned int width, unsigned int mhz)
{
	struct kobject *list = NULL, *dir = kfd_add_item(&list, node, "mem_banks", 0);

	if (!dir)
		return -ENOMEM;
	return kfd_add_file(dir, "properties",
			    "heap_type %u\nsize_in_bytes %llu\nflags 0\nwidth %u\nmem_clk_max %u",
			    heap, bytes, width, mhz);
}

static int kfd_add_caches(struct kobject *node)
{
	struct kobject *dir, *list = NULL;
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < ARRAY_SIZE(kfd_caches); i++) {
		const struct kfd_cache *cache = &kfd_caches[i];

		dir = kfd_add_item(&list, node, "caches", i);
		if (!dir)
			return -ENOMEM;
		ret = kfd_add_file(dir, "properties",
				   "processor_id_low %u\nlevel %u\nsize %u\ncache_line_size %u\n"
				   "cache_lines_per_tag 1\nassociation 16\nlatency 1\ntype %u\nsibling_map 1",
				   KFD_SIMD_ID_BASE, cache->level, cache->size, cache->line, cache->type);
	}
	return ret;
}

/* Node 0 is the CPU. */
static int kfd_add_link(struct kobject **list, struct kobject *node, unsigned int number,
			unsigned int from, unsigned int to)
{
	struct kobject *dir = kfd_add_item(list, node, "io_links", number);
	bool peers = from && to;

	if (!dir)
		return -ENOMEM;
	return kfd_add_file(dir, "properties",
			    "type %u\nversion_major 0\nversion_minor 0\nnode_from %u\nnode_to %u\nweight %u\n"
			    "min_latency 0\nmax_latency 0\nmin_bandwidth 312\nmax_bandwidth 63000\n"
			    "recommended_transfer_size 0\nflags %u",
			    peers ? KFD_LINK_XGMI : KFD_LINK_PCIE, from, to,
			    peers ? KFD_WEIGHT_XGMI : KFD_WEIGHT_PCIE, KFD_LINK_ENABLED);
}

/* p2p_links_count is there, although 0, because the thunk makes up links without it. */
static int kfd_add_cpu_properties(struct kobject *node, unsigned int gpus)
{
	return kfd_add_file(node, "properties",
			    "cpu_cores_count %u\nsimd_count 0\nmem_banks_count 1\ncaches_count 0\n"
			    "io_links_count %u\np2p_links_count 0\ncpu_core_id_base 0\nsimd_id_base 0\n"
			    "max_waves_per_simd 0\nlds_size_in_kb 0\ngds_size_in_kb 0\nnum_gws 0\n"
			    "wave_front_size 0\narray_count 0\nsimd_arrays_per_engine 0\ncu_per_simd_array 0\n"
			    "simd_per_cu 0\nmax_slots_scratch_cu 0\ngfx_target_version 0\nvendor_id 0\n"
			    "device_id 0\nlocation_id 0\ndomain 0\ndrm_render_minor 0\nhive_id 0\n"
			    "num_sdma_engines 0\nnum_sdma_xgmi_engines 0\nnum_sdma_queues_per_engine 0\n"
			    "num_cp_queues 0\nmax_engine_clk_ccompute %u",
			    num_online_cpus(), gpus, KFD_CPU_MHZ);
}

static u32 kfd_capability(const struct kfd_dev *gpu)
{
	return KFD_CAP_DOORBELL_TYPE_2 | KFD_CAP_SRAM_ECC | KFD_CAP_SVM | KFD_CAP_COHERENT_HOST_ACCESS |
	       (gpu->identity.revision_id & KFD_CAP_ASIC_REVISION_MASK) << KFD_CAP_ASIC_REVISION_SHIFT;
}

/* One hive of all GPUs; one alone is in none, as on a PCIe card. */
static u64 kfd_hive_id(unsigned int gpus)
{
	unsigned int i;

	for (i = 0; gpus > 1 && i < KFD_MAX_GPUS; i++)
		if (kfd_gpus[i])
			return kfd_gpus[i]->identity.unique_id;
	return 0;
}

/* Engines and queues as MI200 has them: nothing here runs out of them, but programs size their work by these numbers. */
static int kfd_add_gpu_properties(struct kobject *node, struct kfd_dev *gpu, unsigned int gpus)
{
	const struct kfdlab_identity *id = &gpu->identity;
	unsigned int arrays = max(1u, DIV_ROUND_UP(id->compute_units, KFD_CU_PER_ARRAY));

	return kfd_add_file(node, "properties",
			    "cpu_cores_count 0\nsimd_count %u\nmem_banks_count 1\ncaches_count %zu\n"
			    "io_links_count %u\np2p_links_count 0\ncpu_core_id_base 0\nsimd_id_base %u\n"
			    "max_waves_per_simd %u\nlds_size_in_kb %u\ngds_size_in_kb 0\nnum_gws %u\n"
			    "wave_front_size %u\narray_count %u\nsimd_arrays_per_engine 1\ncu_per_simd_array %u\n"
			    "simd_per_cu %u\nmax_slots_scratch_cu %u\ngfx_target_version %u\nvendor_id %u\n"
			    "device_id %u\nlocation_id %u\ndomain %u\ndrm_render_minor %d\nhive_id %llu\n"
			    "num_sdma_engines %u\nnum_sdma_xgmi_engines %u\nnum_sdma_queues_per_engine %u\n"
			    "num_cp_queues %u\nmax_engine_clk_fcompute %u\nlocal_mem_size 0\nfw_version %u\n"
			    "capability %u\ndebug_prop 0\nsdma_fw_version %u\nunique_id %llu\n"
			    "max_engine_clk_ccompute %u",
			    id->compute_units * KFD_SIMD_PER_CU, ARRAY_SIZE(kfd_caches), gpus, KFD_SIMD_ID_BASE,
			    KFD_WAVES_PER_SIMD, KFD_LDS_KB, KFD_GWS_COUNT, KFD_WAVE_SIZE, arrays,
			    DIV_ROUND_UP(id->compute_units, arrays), KFD_SIMD_PER_CU, KFD_SCRATCH_SLOTS_PER_CU,
			    id->gfx_target_version, KFD_VENDOR_AMD, id->device_id, pci_dev_id(gpu->pdev),
			    pci_domain_nr(gpu->pdev->bus), klttm_device_render_minor(gpu->ttm), kfd_hive_id(gpus),
			    KFD_SDMA_ENGINES, KFD_SDMA_XGMI_ENGINES, KFD_SDMA_QUEUES_PER_ENGINE, KFD_CP_QUEUES,
			    KFD_ENGINE_MHZ, KFD_FW_VERSION, kfd_capability(gpu), KFD_SDMA_FW_VERSION, id->unique_id, KFD_CPU_MHZ);
}

/* ---- nodes ---- */

static int kfd_add_cpu_node(struct kobject *nodes, unsigned int gpus)
{
	struct kobject *node = kfd_add_numbered(nodes, 0);
	struct kobject *links = NULL;
	unsigned int i;
	int ret;

	if (!node)
		return -ENOMEM;
	ret = kfd_add_file(node, "gpu_id", "0");
	ret = ret ?: kfd_add_file(node, "name", "%s", "");
	ret = ret ?: kfd_add_cpu_properties(node, gpus);
	ret = ret ?: kfd_add_bank(node, KFD_HEAP_SYSTEM, (u64)totalram_pages() << PAGE_SHIFT, 64, 3200);
	for (i = 0; !ret && i < gpus; i++)
		ret = kfd_add_link(&links, node, i, 0, i + 1);
	return ret;
}

/* Nodes 1 to @gpus are GPUs, this one is @number. */
static int kfd_add_gpu_node(struct kobject *nodes, unsigned int number, struct kfd_dev *gpu, unsigned int gpus)
{
	struct kobject *node = kfd_add_numbered(nodes, number);
	struct kobject *links = NULL;
	unsigned int to, link = 0;
	int ret;

	if (!node)
		return -ENOMEM;
	ret = kfd_add_file(node, "gpu_id", "%u", gpu->gpu_id);
	ret = ret ?: kfd_add_file(node, "name", "aldebaran");
	ret = ret ?: kfd_add_gpu_properties(node, gpu, gpus);
	ret = ret ?: kfd_add_bank(node, KFD_HEAP_FB_PUBLIC, gpu->vram_size, 4096, 1600);
	ret = ret ?: kfd_add_caches(node);
	for (to = 0; !ret && to <= gpus; to++)
		if (to != number)
			ret = kfd_add_link(&links, node, link++, number, to);
	return ret;
}

/* The files beside nodes/ belong to the topology folder itself, which stays, so they are removed by hand. */
static const char * const kfd_top_files[] = { "generation_id", "system_properties" };

static void kfd_topology_take_down(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kfd_top_files); i++) {
		struct attribute attr = { .name = kfd_top_files[i] };

		sysfs_remove_file(kfd_topology, &attr);
	}
	kfd_topology_clear();
}

static int kfd_topology_build(void)
{
	unsigned int i, gpus = 0, number = 1;
	struct kobject *nodes;
	int ret;

	lockdep_assert_held(&kfd_topology_lock);
	kfd_topology_take_down();
	kfd_generation++;
	for (i = 0; i < KFD_MAX_GPUS; i++)
		gpus += !!kfd_gpus[i];

	nodes = kfd_add_folder(kfd_topology, "nodes");
	ret = nodes ? kfd_add_cpu_node(nodes, gpus) : -ENOMEM;
	for (i = 0; !ret && i < KFD_MAX_GPUS; i++)
		if (kfd_gpus[i])
			ret = kfd_add_gpu_node(nodes, number++, kfd_gpus[i], gpus);
	ret = ret ?: kfd_add_file(kfd_topology, "system_properties",
				  "platform_oem 0\nplatform_id 0\nplatform_rev 0");
	/* Last: without it the thunk sees no nodes at all, rather than half of them. */
	ret = ret ?: kfd_add_file(kfd_topology, "generation_id", "%u", kfd_generation);
	if (ret)
		kfd_topology_take_down();
	return ret;
}

int kfd_topology_add_gpu(struct kfd_dev *dev)
{
	int ret;

	mutex_lock(&kfd_topology_lock);
	kfd_gpus[dev->index] = dev;
	ret = kfd_topology_build();
	if (ret)
		kfd_gpus[dev->index] = NULL;
	mutex_unlock(&kfd_topology_lock);
	return ret;
}

/* Should memory be too short to build the smaller tree, there is none until the next GPU comes. */
void kfd_topology_remove_gpu(struct kfd_dev *dev)
{
	mutex_lock(&kfd_topology_lock);
	kfd_gpus[dev->index] = NULL;
	kfd_topology_build();
	mutex_unlock(&kfd_topology_lock);
}

int kfd_topology_init(void)
{
	int ret;

	kfd_topology = kobject_create_and_add("topology", &kfd_chardev_device()->kobj);
	if (!kfd_topology)
		return -ENOMEM;
	mutex_lock(&kfd_topology_lock);
	ret = kfd_topology_build();
	mutex_unlock(&kfd_topology_lock);
	if (ret)
		kobject_put(kfd_topology);
	return ret;
}

void kfd_topology_fini(void)
{
	mutex_lock(&kfd_topology_lock);
	kfd_topology_take_down();
	mutex_unlock(&kfd_topology_lock);
	kobject_del(kfd_topology);
	kobject_put(kfd_topology);
}
