// SPDX-License-Identifier: GPL-2.0
/*
 * How a process is told that something of it on the GPU has ended: memory exception events, which ROCr listens to and
 * aborts on, and hardware exception events.
 *
 * A device process that died is both: the second is what AMD's driver raises for a reset, but ROCr 5.2.3 listens to the
 * first only, and would wait for ever.
 */
#include <linux/kfd_ioctl.h>

#include "kfd_event.h"
#include "kfd_interrupt.h"
#include "kfd_trace.h"

/* ErrorType of a memory exception (reference: libhsakmt's HSA_EVENTID_MEMORY_FLAGS). */
#define KFD_MEMORY_ERROR_FAULT	0
#define KFD_MEMORY_ERROR_HANG	3

void kfd_fault_event_memory(struct kfd_process *p, struct kfd_dev *dev, const struct kfd_fault *fault)
{
	const struct kfd_hsa_memory_exception_data data = {
		.failure.NotPresent = !!(fault->ring & IH_FAULT_RING_NOT_PRESENT),
		.failure.ReadOnly = !!(fault->ring & IH_FAULT_RING_NO_WRITE),
		.failure.NoExecute = !!(fault->ring & IH_FAULT_RING_NO_EXECUTE),
		.va = fault->va,
		.gpu_id = dev->gpu_id,
		.ErrorType = KFD_MEMORY_ERROR_FAULT,
	};

	trace_kfdlab_exception(dev->gpu_id, "memory fault", fault->va);
	kfd_event_raise_memory(p, &data);
}

static void kfd_raise_hw_exception(struct kfd_process *p, struct kfd_dev *dev, bool memory_lost)
{
	const struct kfd_hsa_hw_exception_data data = {
		.reset_type = KFD_HW_EXCEPTION_WHOLE_GPU_RESET,
		.reset_cause = KFD_HW_EXCEPTION_GPU_HANG,
		.memory_lost = memory_lost,
		.gpu_id = dev->gpu_id,
	};

	kfd_event_raise_hw_exception(p, &data);
}

void kfd_fault_event_queue(struct kfd_process *p, struct kfd_dev *dev)
{
	trace_kfdlab_exception(dev->gpu_id, "queue error", 0);
	kfd_raise_hw_exception(p, dev, false);
}

void kfd_fault_event_lost(struct kfd_process *p, struct kfd_dev *dev)
{
	const struct kfd_hsa_memory_exception_data data = {
		.failure.imprecise = 1,
		.gpu_id = dev->gpu_id,
		.ErrorType = KFD_MEMORY_ERROR_HANG,
	};

	trace_kfdlab_exception(dev->gpu_id, "device lost", 0);
	kfd_raise_hw_exception(p, dev, true);
	kfd_event_raise_memory(p, &data);
}
