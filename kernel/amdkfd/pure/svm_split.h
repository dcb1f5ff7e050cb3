/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The arithmetic of SVM attributes: what one SET call does to a list of ranges, and what GET
 * answers over several. Nothing here locks, allocates or calls the kernel; tests/unit/svm compiles
 * the same files in user space and checks them against a model that knows every page.
 *
 * Page numbers, intervals inclusive. GPUs are bits (bit n: GPU number n).
 */
#ifndef SVM_SPLIT_H
#define SVM_SPLIT_H

#include <linux/types.h>
#ifndef __KERNEL__
#include <stdbool.h>
#endif

/*
 * No range crosses a multiple of this many pages (1 GiB): it bounds what one MMU notifier callback
 * may have to record, one bit per page.
 */
#define SVM_RANGE_MAX_PAGES	(1ul << 18)
/* Equal neighbours up to this size are merged whatever it costs: 2 MiB. */
#define SVM_MERGE_ALWAYS	512ul
/*
 * Larger ones only when the call that makes them neighbours is within this factor, so that no call
 * pays much.
 */
#define SVM_MERGE_FACTOR	8ul

#define SVM_LOCATION_UNDEFINED	0xffffffffu
/* GRANULARITY is stored as min(value, this); upstream since 6.0. */
#define SVM_GRANULARITY_MAX	0x3fu

struct svm_attrs {
	__u32 preferred_loc, prefetch_loc;	/* 0 RAM, SVM_LOCATION_UNDEFINED, else a gpu_id */
	__u32 flags;
	__u32 granularity;			/* log2 of pages */
	__u32 access, access_in_place;		/* GPUs; disjoint */
};

/*
 * One SET call in normal form. Attributes given twice: the later one wins, as upstream applies them
 * in order.
 */
struct svm_bits_change {
	__u32 keep, set;			/* new = (old & keep) | set */
};

struct svm_change {
	bool has_preferred, has_prefetch, has_granularity;
	__u32 preferred_loc, prefetch_loc, granularity;
	struct svm_bits_change flags, access, access_in_place;
};

void svm_change_init(struct svm_change *change);
void svm_bits_add(struct svm_bits_change *bits, __u32 mask);
void svm_bits_remove(struct svm_bits_change *bits, __u32 mask);
void svm_change_apply(const struct svm_change *change, struct svm_attrs *attrs);
bool svm_attrs_equal(const struct svm_attrs *a, const struct svm_attrs *b);

struct svm_piece {
	unsigned long start, last;
	struct svm_attrs attrs;
};

/*
 * Plan a SET on [start, last]. @in: the existing ranges that touch [start - 1, last + 1], in
 * address order. @out gets, in address order, what they become: pages of [start, last] get @change,
 * over @defaults where no range was; all others keep theirs. A piece equal in interval to one of
 * @in stands for the same range. @out has room for svm_plan_room() pieces. Returns their number.
 */
unsigned long svm_plan_room(unsigned long nin, unsigned long start, unsigned long last);
unsigned long svm_plan_set(const struct svm_piece *in, unsigned long nin, unsigned long start,
			   unsigned long last, const struct svm_attrs *defaults,
			   const struct svm_change *change, struct svm_piece *out);

/*
 * GET: the intersection of the attributes of every range in the interval; kfd-abi 1.9 of upstream's
 * behaviour.
 */
struct svm_gather {
	/* flags: AND; granularity: minimum; locations: undefined unless all are equal */
	struct svm_attrs attrs;
	__u32 flags_or;
	bool any;
};

void svm_gather_begin(struct svm_gather *gather);
void svm_gather_add(struct svm_gather *gather, const struct svm_attrs *attrs);
/* No range in the interval: the answer is @defaults. */
void svm_gather_end(struct svm_gather *gather, const struct svm_attrs *defaults);

#endif
