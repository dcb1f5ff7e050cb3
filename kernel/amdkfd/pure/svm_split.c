// SPDX-License-Identifier: GPL-2.0
/*
 * See svm_split.h. The plan is made in one pass over the old ranges: each part is emitted in
 * address order, and emit() cuts at SVM_RANGE_MAX_PAGES and joins equal neighbours. A range that a
 * call does not change is emitted whole, so setting what is already set splits nothing.
 */
#include "svm_split.h"

void svm_change_init(struct svm_change *change)
{
	*change = (struct svm_change){
		.flags.keep = ~0u,
		.access.keep = ~0u,
		.access_in_place.keep = ~0u,
	};
}

void svm_bits_add(struct svm_bits_change *bits, __u32 mask)
{
	bits->set |= mask;
}

void svm_bits_remove(struct svm_bits_change *bits, __u32 mask)
{
	bits->keep &= ~mask;
	bits->set &= ~mask;
}

static __u32 svm_bits_apply(const struct svm_bits_change *bits, __u32 old)
{
	return (old & bits->keep) | bits->set;
}

void svm_change_apply(const struct svm_change *change, struct svm_attrs *attrs)
{
	if (change->has_preferred)
		attrs->preferred_loc = change->preferred_loc;
	if (change->has_prefetch)
		attrs->prefetch_loc = change->prefetch_loc;
	if (change->has_granularity)
		attrs->granularity = change->granularity;
	attrs->flags = svm_bits_apply(&change->flags, attrs->flags);
	attrs->access = svm_bits_apply(&change->access, attrs->access);
	attrs->access_in_place = svm_bits_apply(&change->access_in_place, attrs->access_in_place);
}

bool svm_attrs_equal(const struct svm_attrs *a, const struct svm_attrs *b)
{
	return a->preferred_loc == b->preferred_loc && a->prefetch_loc == b->prefetch_loc &&
	       a->flags == b->flags && a->granularity == b->granularity && a->access == b->access &&
	       a->access_in_place == b->access_in_place;
}

struct svm_plan {
	struct svm_piece *out;
	unsigned long n;
	unsigned long window;		/* pages of the SET call */
};

/* Make the last piece of the plan longer, if it ends before @start and the rules allow it. */
static bool svm_merge(struct svm_plan *plan, unsigned long start, unsigned long last,
		      const struct svm_attrs *attrs)
{
	struct svm_piece *prev;
	unsigned long pages;

	if (!plan->n)
		return false;
	prev = &plan->out[plan->n - 1];
	pages = last - prev->start + 1;
	if (prev->last + 1 != start ||
	    prev->start / SVM_RANGE_MAX_PAGES != last / SVM_RANGE_MAX_PAGES)
		return false;
	if (pages > SVM_MERGE_ALWAYS && pages / SVM_MERGE_FACTOR > plan->window)
		return false;
	if (!svm_attrs_equal(&prev->attrs, attrs))
		return false;
	prev->last = last;
	return true;
}

static void svm_emit(struct svm_plan *plan, unsigned long start, unsigned long last,
		     const struct svm_attrs *attrs)
{
	for (;;) {
		unsigned long block_last = start | (SVM_RANGE_MAX_PAGES - 1);
		unsigned long end = last < block_last ? last : block_last;

		if (!svm_merge(plan, start, end, attrs))
			plan->out[plan->n++] = (struct svm_piece){ start, end, *attrs };
		if (end == last)
			return;
		start = end + 1;
	}
}

/* An old range that shares pages with [start, last]. */
static void svm_emit_changed(struct svm_plan *plan, const struct svm_piece *old,
			     unsigned long start, unsigned long last,
			     const struct svm_change *change)
{
	struct svm_attrs attrs = old->attrs;

	svm_change_apply(change, &attrs);
	if (svm_attrs_equal(&attrs, &old->attrs)) {
		svm_emit(plan, old->start, old->last, &attrs);
		return;
	}
	if (old->start < start)
		svm_emit(plan, old->start, start - 1, &old->attrs);
	svm_emit(plan, old->start < start ? start : old->start, old->last < last ? old->last : last,
		 &attrs);
	if (old->last > last)
		svm_emit(plan, last + 1, old->last, &old->attrs);
}

/*
 * Each old range is at most three parts with a hole before it; a part is cut once per block
 * boundary in it.
 */
unsigned long svm_plan_room(unsigned long nin, unsigned long start, unsigned long last)
{
	return 3 * nin + 2 * (nin + 1) + (last - start) / SVM_RANGE_MAX_PAGES + 1;
}

unsigned long svm_plan_set(const struct svm_piece *in, unsigned long nin, unsigned long start,
			   unsigned long last, const struct svm_attrs *defaults,
			   const struct svm_change *change, struct svm_piece *out)
{
	struct svm_plan plan = { .out = out, .window = last - start + 1 };
	struct svm_attrs fresh = *defaults;
	unsigned long next = start;	/* first page of the window not yet planned */
	unsigned long i;

	svm_change_apply(change, &fresh);
	for (i = 0; i < nin; i++) {
		const struct svm_piece *old = &in[i];

		if (old->last < start) {
			svm_emit(&plan, old->start, old->last, &old->attrs);
			continue;
		}
		if (next <= last && old->start > next)
			svm_emit(&plan, next, old->start > last ? last : old->start - 1, &fresh);
		if (old->start > last)
			svm_emit(&plan, old->start, old->last, &old->attrs);
		else
			svm_emit_changed(&plan, old, start, last, change);
		next = old->last + 1;
	}
	if (next <= last)
		svm_emit(&plan, next, last, &fresh);
	return plan.n;
}

void svm_gather_begin(struct svm_gather *gather)
{
	*gather = (struct svm_gather){ .attrs.flags = ~0u };
}

static void svm_gather_location(__u32 *location, __u32 other)
{
	if (*location != other)
		*location = SVM_LOCATION_UNDEFINED;
}

void svm_gather_add(struct svm_gather *gather, const struct svm_attrs *attrs)
{
	struct svm_attrs *all = &gather->attrs;

	if (!gather->any) {
		gather->any = true;
		*all = *attrs;
		gather->flags_or = attrs->flags;
		return;
	}
	svm_gather_location(&all->preferred_loc, attrs->preferred_loc);
	svm_gather_location(&all->prefetch_loc, attrs->prefetch_loc);
	all->flags &= attrs->flags;
	gather->flags_or |= attrs->flags;
	all->access &= attrs->access;
	all->access_in_place &= attrs->access_in_place;
	if (attrs->granularity < all->granularity)
		all->granularity = attrs->granularity;
}

void svm_gather_end(struct svm_gather *gather, const struct svm_attrs *defaults)
{
	if (!gather->any)
		svm_gather_add(gather, defaults);
}
