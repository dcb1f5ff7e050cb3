/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Retry faults: a GPU waits for pages that its page tables do not have.
 */
#ifndef SVM_FAULT_H
#define SVM_FAULT_H

#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct ih_entry;
struct kfd_dev;
struct kfd_process;

/* Of one process. More are dropped: the device reports an access again for as long as it waits. */
#define SVM_FAULTS_MAX	64

struct svm_fault {
	u64 page;
	unsigned int gpu;		/* index */
	u32 source;			/* dw0 of the IH entry */
	u32 access;			/* IH_FAULT_READ, _WRITE, _EXECUTE */
};

/* Part of struct kfd_process. */
struct svm_faults {
	spinlock_t lock;		/* irqsave: what follows, up to the ring */
	bool closed;
	unsigned int first, count;
	struct svm_fault ring[SVM_FAULTS_MAX];
	struct work_struct work;
};

void svm_faults_init(struct kfd_process *p);
/* Teardown: no fault of the process is served any more. */
void svm_faults_fini(struct kfd_process *p);
int svm_fault_module_init(void);
void svm_fault_module_fini(void);

/*
 * A VM_FAULT entry with IH_FAULT_RETRY. A page that is queued already is left out. Context: any, hard irq included.
 */
void svm_fault_queue(struct kfd_dev *dev, const struct ih_entry *entry);

#endif
