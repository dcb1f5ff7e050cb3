/* SPDX-License-Identifier: GPL-2.0 */
/* Where the pages of a range are, looked up in the page table of its process, never remembered. */
#ifndef SVM_LOOK_H
#define SVM_LOOK_H

#include "svm_range.h"

struct svm_residency {
	unsigned long vram[KFD_MAX_GPUS];	/* pages, by GPU */
	unsigned long ram;			/* of any kind, huge pages and the zero page too */
	unsigned long none;			/* holes, swapped out, on their way */
};

#define SVM_LOOK_PAGES	512ul

/*
 * Count the pages of @range; @pfns is room for SVM_LOOK_PAGES. Moves, faults and references nothing. The pages may
 * move while it looks: each is counted where it was then. 0, -EINTR a fatal signal, -EBUSY the page table changes all
 * the time. Locking: mmap_lock for reading and svms->lock held.
 */
int svm_range_look(struct svm_range *range, unsigned long *pfns, struct svm_residency *count);

#endif
