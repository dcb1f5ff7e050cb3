/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events of kfdlab_amdgpu (events/kfdlab): where SVM pages go and why, and what the device
 * process does. Field names are a contract for scripts; add, do not rename.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kfdlab

#if !defined(KFD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KFD_TRACE_H

#include <linux/string.h>
#include <linux/tracepoint.h>

#ifndef KFD_TRACE_ENUMS
#define KFD_TRACE_ENUMS
enum kfd_trace_trigger {
	KFD_TRIGGER_PREFETCH,
	KFD_TRIGGER_EVICT,	/* TTM, or the test ioctl */
};
#endif

/* One call of migrate_vma_*() or migrate_device_*(). addr is 0 for migration by page frame. */
TRACE_EVENT(kfdlab_migrate,
	TP_PROTO(u32 gpu_id, bool to_vram, enum kfd_trace_trigger trigger, unsigned long addr,
		 unsigned long pages, unsigned long failed),
	TP_ARGS(gpu_id, to_vram, trigger, addr, pages, failed),
	TP_STRUCT__entry(
		__field(u32, gpu_id)
		__field(u32, to_vram)
		__field(u32, trigger)
		__field(unsigned long, addr)
		__field(unsigned long, pages)
		__field(unsigned long, failed)
		__field(u64, bytes)
	),
	TP_fast_assign(
		__entry->gpu_id = gpu_id;
		__entry->to_vram = to_vram;
		__entry->trigger = trigger;
		__entry->addr = addr;
		__entry->pages = pages;
		__entry->failed = failed;
		__entry->bytes = (u64)pages << PAGE_SHIFT;
	),
	TP_printk("gpu_id=0x%x direction=%s trigger=%s addr=0x%lx pages=%lu failed=%lu bytes=%llu",
		  __entry->gpu_id, __entry->to_vram ? "to_vram" : "to_ram",
		  __print_symbolic(__entry->trigger, { 0, "prefetch" }, { 1, "evict" }),
		  __entry->addr, __entry->pages, __entry->failed, __entry->bytes)
);

/* A process is told that something of it has ended on a GPU. va: of a fault, page aligned; else 0. */
TRACE_EVENT(kfdlab_exception,
	TP_PROTO(u32 gpu_id, const char *what, u64 va),
	TP_ARGS(gpu_id, what, va),
	TP_STRUCT__entry(
		__field(u32, gpu_id)
		__array(char, what, 24)
		__field(u64, va)
	),
	TP_fast_assign(
		__entry->gpu_id = gpu_id;
		strscpy(__entry->what, what, sizeof(__entry->what));
		__entry->va = va;
	),
	TP_printk("gpu_id=0x%x what=%s va=0x%llx", __entry->gpu_id, __entry->what, __entry->va)
);

/* A block's or a GPU's eviction is over. */
TRACE_EVENT(kfdlab_evict,
	TP_PROTO(u32 gpu_id, unsigned long first_page, unsigned long moved, unsigned long stayed),
	TP_ARGS(gpu_id, first_page, moved, stayed),
	TP_STRUCT__entry(
		__field(u32, gpu_id)
		__field(unsigned long, first_page)
		__field(unsigned long, moved)
		__field(unsigned long, stayed)
	),
	TP_fast_assign(
		__entry->gpu_id = gpu_id;
		__entry->first_page = first_page;
		__entry->moved = moved;
		__entry->stayed = stayed;
	),
	TP_printk("gpu_id=0x%x first_page=%lu moved=%lu stayed=%lu",
		  __entry->gpu_id, __entry->first_page, __entry->moved, __entry->stayed)
);

/*
 * A long-term pin moved a page to RAM behind the driver's back. Nearly always the running task is
 * the one that pinned.
 */
TRACE_EVENT(kfdlab_pin_departure,
	TP_PROTO(u32 gpu_id, unsigned long pfn),
	TP_ARGS(gpu_id, pfn),
	TP_STRUCT__entry(
		__field(u32, gpu_id)
		__field(unsigned long, pfn)
	),
	TP_fast_assign(
		__entry->gpu_id = gpu_id;
		__entry->pfn = pfn;
	),
	TP_printk("gpu_id=0x%x pfn=0x%lx", __entry->gpu_id, __entry->pfn)
);

/* Every page that comes back, with its fate (enum kfd_page_fate). */
TRACE_EVENT(kfdlab_page_free,
	TP_PROTO(u32 gpu_id, unsigned long pfn, unsigned int fate, bool irq),
	TP_ARGS(gpu_id, pfn, fate, irq),
	TP_STRUCT__entry(
		__field(u32, gpu_id)
		__field(unsigned long, pfn)
		__field(u32, fate)
		__field(u32, irq)
	),
	TP_fast_assign(
		__entry->gpu_id = gpu_id;
		__entry->pfn = pfn;
		__entry->fate = fate;
		__entry->irq = irq;
	),
	TP_printk("gpu_id=0x%x pfn=0x%lx fate=%s irq=%u", __entry->gpu_id, __entry->pfn,
		  __print_symbolic(__entry->fate, { 0, "left_by_pin" }, { 1, "freed" },
				   { 2, "to_ram_prefetch" }, { 3, "to_ram_evict" },
				   { 4, "unused" }, { 5, "to_peer" }),
		  __entry->irq)
);

/* The driver asked the launcher to kill this generation. */
TRACE_EVENT(kfdlab_reset,
	TP_PROTO(u32 gpu_id, u32 generation, const char *why),
	TP_ARGS(gpu_id, generation, why),
	TP_STRUCT__entry(
		__field(u32, gpu_id)
		__field(u32, generation)
		__array(char, why, 48)
	),
	TP_fast_assign(
		__entry->gpu_id = gpu_id;
		__entry->generation = generation;
		strscpy(__entry->why, why, sizeof(__entry->why));
	),
	TP_printk("gpu_id=0x%x generation=%u why=%s", __entry->gpu_id, __entry->generation,
		  __entry->why)
);

/* The driver began to use another device process; 0 means none. */
TRACE_EVENT(kfdlab_generation,
	TP_PROTO(u32 gpu_id, u32 from, u32 to),
	TP_ARGS(gpu_id, from, to),
	TP_STRUCT__entry(
		__field(u32, gpu_id)
		__field(u32, from)
		__field(u32, to)
	),
	TP_fast_assign(
		__entry->gpu_id = gpu_id;
		__entry->from = from;
		__entry->to = to;
	),
	TP_printk("gpu_id=0x%x from=%u to=%u", __entry->gpu_id, __entry->from, __entry->to)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH kernel/amdkfd
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE kfd_trace
#include <trace/define_trace.h>
