/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Handlers of /dev/kfd's ioctls. @args is the kernel's copy of the argument structure: fields that user space did
 * not give read as zero, and what the handler leaves in it is copied back, after a failure too (n_success of
 * MAP and UNMAP needs that). Context: process, no lock held, current's mm is the process's.
 */
#ifndef KFD_IOCTL_H
#define KFD_IOCTL_H

#include <linux/kfd_ioctl.h>

struct kfd_process;

/* Came with interface 1.12; not in the header of 6.1. */
#ifndef AMDKFD_IOC_EXPORT_DMABUF
struct kfd_ioctl_export_dmabuf_args {
	__u64 handle;		/* in */
	__u32 flags;		/* in */
	__u32 dmabuf_fd;	/* out */
};
#define AMDKFD_IOC_EXPORT_DMABUF	AMDKFD_IOWR(0x24, struct kfd_ioctl_export_dmabuf_args)
#endif

typedef int kfd_ioctl_fn(struct kfd_process *p, void *args);

/* kfd_device_ioctls.c */
kfd_ioctl_fn kfd_ioctl_get_version;
kfd_ioctl_fn kfd_ioctl_set_memory_policy;
kfd_ioctl_fn kfd_ioctl_get_clock_counters;
kfd_ioctl_fn kfd_ioctl_set_scratch_backing_va;
kfd_ioctl_fn kfd_ioctl_get_tile_config;
kfd_ioctl_fn kfd_ioctl_set_trap_handler;
kfd_ioctl_fn kfd_ioctl_get_apertures;
kfd_ioctl_fn kfd_ioctl_acquire_vm;
kfd_ioctl_fn kfd_ioctl_set_xnack_mode;
kfd_ioctl_fn kfd_ioctl_available_memory;
kfd_ioctl_fn kfd_ioctl_svm;

/* kfd_queue_ioctl.c */
kfd_ioctl_fn kfd_ioctl_create_queue;
kfd_ioctl_fn kfd_ioctl_destroy_queue;
kfd_ioctl_fn kfd_ioctl_update_queue;
kfd_ioctl_fn kfd_ioctl_set_cu_mask;
kfd_ioctl_fn kfd_ioctl_alloc_queue_gws;
kfd_ioctl_fn kfd_ioctl_get_queue_wave_state;

/* kfd_smi.c */
kfd_ioctl_fn kfd_ioctl_smi_events;

/* kfd_event.c */
kfd_ioctl_fn kfd_ioctl_create_event;
kfd_ioctl_fn kfd_ioctl_destroy_event;
kfd_ioctl_fn kfd_ioctl_set_event;
kfd_ioctl_fn kfd_ioctl_reset_event;
kfd_ioctl_fn kfd_ioctl_wait_events;

/* kfd_memory.c */
kfd_ioctl_fn kfd_ioctl_alloc;
kfd_ioctl_fn kfd_ioctl_free;
kfd_ioctl_fn kfd_ioctl_map;
kfd_ioctl_fn kfd_ioctl_unmap;

/* kfd_dmabuf.c */
kfd_ioctl_fn kfd_ioctl_get_dmabuf_info;
kfd_ioctl_fn kfd_ioctl_import_dmabuf;
kfd_ioctl_fn kfd_ioctl_export_dmabuf;

#endif
