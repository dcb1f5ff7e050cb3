/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SMI events: lines of text, in upstream's numbers and formats, for whoever opened a file with
 * AMDKFD_IOC_SMI_EVENTS and wrote the mask of events it wants.
 */
#ifndef KFD_SMI_H
#define KFD_SMI_H

#include <linux/kfd_ioctl.h>
#include <linux/printk.h>
#include <linux/types.h>

struct kfd_dev;
struct seq_file;

/* OR of all masks ever written to files that are open now; read without a lock. */
extern u64 kfd_smi_wanted;

/* Does anybody want @event? Cheap: one load. Worth asking before its words are put together. */
static inline bool kfd_smi_listened(enum kfd_smi_event event)
{
	return unlikely(READ_ONCE(kfd_smi_wanted) & KFD_SMI_EVENT_MASK_FROM_INDEX(event));
}

/*
 * Tell those who listen to one of @gpus (a bit per index) about @event of process @pid; 0: everybody's business. The
 * line is "<event in hex> " and @fmt, which ends in a newline. A reader that has no room for all of it gets nothing of
 * it. Context: process, spinlocks may be held; allocates nothing, so it may be called from MMU notifiers.
 */
__printf(4, 5)
void kfd_smi_event(pid_t pid, u32 gpus, enum kfd_smi_event event, const char *fmt, ...);

/* A migration of SVM pages; the interval in page numbers, as user space mapped it. */
struct kfd_smi_migration {
	pid_t pid;
	struct kfd_dev *from, *to;	/* NULL: RAM */
	unsigned long start, npages;
	u32 prefetch_loc, preferred_loc;	/* of the range; start only */
	enum KFD_MIGRATE_TRIGGERS trigger;
};
/* Each start is followed by one end. Context: as kfd_smi_event(). */
void kfd_smi_migrate_start(const struct kfd_smi_migration *m);
void kfd_smi_migrate_end(const struct kfd_smi_migration *m);
/* Pages of an SVM range are about to leave a GPU's page table. Context: as kfd_smi_event(). */
void kfd_smi_unmap_from_gpu(pid_t pid, const struct kfd_dev *dev, unsigned long start, unsigned long npages,
			    enum KFD_SVM_UNMAP_TRIGGERS trigger);

/* The queues of @pid on @dev stop because its memory moves; go on; shall wait longer. Context: as kfd_smi_event(). */
void kfd_smi_queue_eviction(pid_t pid, const struct kfd_dev *dev, enum KFD_QUEUE_EVICTION_TRIGGERS trigger);
void kfd_smi_queue_restore(pid_t pid, const struct kfd_dev *dev, bool rescheduled);

/* A line per open file, for debugfs. */
void kfd_smi_show(struct seq_file *m);

#endif
