/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events of a process. Signal and debug events have the ids 1..4095, which are also their slots in the event page;
 * all others count from KFD_FIRST_NONSIGNAL_EVENT on. User space relies on both (reference: libhsakmt events.c).
 */
#ifndef KFD_EVENT_H
#define KFD_EVENT_H

#include <linux/kfd_ioctl.h>

#include "kfd_process.h"

#define KFD_FIRST_NONSIGNAL_EVENT	0x40000000
#define KFD_MAX_OTHER_EVENTS		4096

int kfd_event_init(struct kfd_process *p);
/* Context: teardown; no ioctl of the process runs, so nobody waits. */
void kfd_event_fini(struct kfd_process *p);
/* Does a GPU write to the process's event page? Context: no ioctl of the process runs. */
bool kfd_event_page_is_mapped(struct kfd_process *p);

/*
 * Signal event @id, as SET_EVENT and a queue's interrupt do. -EINVAL: no such event, or one that is not of a type
 * that may be signalled this way. Context: any that may take a spinlock with interrupts on.
 */
int kfd_event_signal(struct kfd_process *p, u32 id);

/* The device signalled event @id; one that does not exist is nothing. _all: any may have been. Context: process. */
void kfd_event_interrupt(struct kfd_process *p, u32 id);
void kfd_event_interrupt_all(struct kfd_process *p);
/* Signal all events of the type, for WAIT_EVENTS to tell @data. Context: process. */
void kfd_event_raise_memory(struct kfd_process *p, const struct kfd_hsa_memory_exception_data *data);
void kfd_event_raise_hw_exception(struct kfd_process *p, const struct kfd_hsa_hw_exception_data *data);

#endif
