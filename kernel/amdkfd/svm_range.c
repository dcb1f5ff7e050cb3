// SPDX-License-Identifier: GPL-2.0
/*
 * Ranges: the interval tree of a process, the making and freeing of ranges, and the locks around
 * both.
 *
 * Invariants: ranges in the tree do not overlap, none crosses a multiple of SVM_RANGE_MAX_PAGES,
 * and each has an interval notifier of exactly its interval that mm already calls. All edits go
 * through svm_ranges_replace(), which does what can fail first.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "svm_range.h"

static struct svm_range *to_svm_range(struct interval_tree_node *node)
{
	return node ? container_of(node, struct svm_range, it) : NULL;
}

static void svm_range_free(struct svm_range *range)
{
	kvfree(range->unmapped);
	kfree(range);
}

/* A range that mm calls back but that is in no tree yet. */
static struct svm_range *svm_range_create(struct svm_range_list *svms,
					  const struct svm_piece *piece)
{
	unsigned long npages = piece->last - piece->start + 1;
	struct svm_range *range;
	int ret;

	range = kzalloc(sizeof(*range), GFP_KERNEL_ACCOUNT);
	if (!range)
		return ERR_PTR(-ENOMEM);
	range->unmapped = kvcalloc(BITS_TO_LONGS(npages), sizeof(long), GFP_KERNEL_ACCOUNT);
	if (!range->unmapped) {
		svm_range_free(range);
		return ERR_PTR(-ENOMEM);
	}
	range->it.start = piece->start;
	range->it.last = piece->last;
	range->attrs = piece->attrs;
	range->svms = svms;
	INIT_LIST_HEAD(&range->deferred);
	INIT_LIST_HEAD(&range->lost);
	ret = mmu_interval_notifier_insert_locked(&range->notifier, svm_mm(svms),
						  piece->start << PAGE_SHIFT, npages << PAGE_SHIFT,
						  &svm_notifier_ops);
	if (ret) {
		svm_range_free(range);
		/* The first of an mm takes all its locks, which any signal interrupts; nothing was changed. */
		return ERR_PTR(ret == -EINTR && !fatal_signal_pending(current) ? -ERESTARTNOINTR : ret);
	}
	return range;
}

/* It is told of nothing any more when this returns, so nothing queues it any more. */
static void svm_range_silence(struct svm_range *range)
{
	mmu_interval_notifier_remove(&range->notifier);
}

static void svm_range_destroy_silent(struct svm_range *range)
{
	spin_lock(&range->svms->deferred_lock);
	list_del_init(&range->deferred);
	list_del_init(&range->lost);
	spin_unlock(&range->svms->deferred_lock);
	svm_range_free(range);
}

static void svm_range_destroy(struct svm_range *range)
{
	svm_range_silence(range);
	svm_range_destroy_silent(range);
}

static bool svm_same_interval(const struct svm_range *range, const struct svm_piece *piece)
{
	return range->it.start == piece->start && range->it.last == piece->last;
}

/* One range per piece, in @made: NULL where an old range stays. Both lists are in address order. */
static int svm_make_missing(struct svm_range_list *svms, struct svm_range **ranges,
			    unsigned long nranges, const struct svm_piece *pieces,
			    unsigned long npieces, struct svm_range **made)
{
	unsigned long i, old = 0;

	for (i = 0; i < npieces; i++) {
		while (old < nranges && ranges[old]->it.start < pieces[i].start)
			old++;
		if (old < nranges && svm_same_interval(ranges[old], &pieces[i]))
			continue;
		if (fatal_signal_pending(current))
			return -EINTR;
		made[i] = svm_range_create(svms, &pieces[i]);
		if (IS_ERR(made[i]))
			return PTR_ERR(made[i]);
		cond_resched();
	}
	/*
	 * A notifier inserted while some invalidation is under way is called only after that has
	 * ended; a munmap in between would go unseen. This waits until mm really has it.
	 */
	for (i = 0; i < npieces; i++)
		if (made[i])
			mmu_interval_read_begin(&made[i]->notifier);
	return 0;
}

/*
 * What is mapped on GPUs passes to the new ranges before the old ones go: an event in between reaches both. Those are
 * in address order and do not overlap, so each is looked at once or twice.
 */
static void svm_hand_over(struct svm_range **ranges, unsigned long nranges, struct svm_range **made,
			  unsigned long nmade)
{
	unsigned long i, old = 0, at;

	for (i = 0; i < nmade; i++) {
		if (!made[i])
			continue;
		while (old < nranges && ranges[old]->it.last < made[i]->it.start)
			old++;
		for (at = old; at < nranges && ranges[at]->it.start <= made[i]->it.last; at++)
			svm_range_inherit(made[i], ranges[at]);
	}
}

/* The piece that is just @range, NULL: none. *@i walks along with ranges in address order. */
static const struct svm_piece *svm_piece_of(const struct svm_range *range, const struct svm_piece *pieces,
					    unsigned long npieces, unsigned long *i)
{
	while (*i < npieces && pieces[*i].start < range->it.start)
		++*i;
	return *i < npieces && svm_same_interval(range, &pieces[*i]) ? &pieces[*i] : NULL;
}

static void svm_silence_unmatched(struct svm_range **ranges, unsigned long nranges, const struct svm_piece *pieces,
				  unsigned long npieces)
{
	unsigned long old, i = 0;

	for (old = 0; old < nranges; old++)
		if (!svm_piece_of(ranges[old], pieces, npieces, &i))
			svm_range_silence(ranges[old]);
}

static void svm_drop_unmatched(struct svm_range_list *svms, struct svm_range **ranges,
			       unsigned long nranges, const struct svm_piece *pieces,
			       unsigned long npieces)
{
	const struct svm_piece *piece;
	unsigned long old, i = 0;

	for (old = 0; old < nranges; old++) {
		piece = svm_piece_of(ranges[old], pieces, npieces, &i);
		if (piece) {
			ranges[old]->attrs = piece->attrs;
			continue;
		}
		interval_tree_remove(&ranges[old]->it, &svms->tree);
		svms->count--;
		svms->npages -= svm_range_npages(ranges[old]);
		svm_range_destroy_silent(ranges[old]);
	}
}

int svm_ranges_replace(struct svm_range_list *svms, struct svm_range **ranges,
		       unsigned long nranges, const struct svm_piece *pieces, unsigned long npieces)
{
	struct svm_range **made = NULL;
	unsigned long i;
	int ret = 0;

	lockdep_assert_held_write(&svm_mm(svms)->mmap_lock);
	lockdep_assert_held(&svms->lock);
	if (npieces) {
		made = kvcalloc(npieces, sizeof(*made), GFP_KERNEL_ACCOUNT);
		if (!made)
			return -ENOMEM;
		ret = svm_make_missing(svms, ranges, nranges, pieces, npieces, made);
	}
	if (ret) {
		for (i = 0; i < npieces; i++)
			if (!IS_ERR_OR_NULL(made[i]))
				svm_range_destroy(made[i]);
		goto out;
	}

	svm_hand_over(ranges, nranges, made, made ? npieces : 0);
	/* An event may call the new range before it had this from the old one, and the old one after: so once more. */
	svm_silence_unmatched(ranges, nranges, pieces, npieces);
	svm_hand_over(ranges, nranges, made, made ? npieces : 0);
	svm_drop_unmatched(svms, ranges, nranges, pieces, npieces);
	for (i = 0; i < npieces; i++) {
		if (!made[i])
			continue;
		interval_tree_insert(&made[i]->it, &svms->tree);
		svms->count++;
		svms->npages += svm_range_npages(made[i]);
	}
out:
	kvfree(made);
	return ret;
}

void svm_attrs_default(struct svm_range_list *svms, struct svm_attrs *attrs)
{
	unsigned int i;
	u32 all = 0;

	for (i = 0; i < KFD_MAX_GPUS; i++)
		if (kfd_dev_by_index(i))
			all |= BIT(i);
	*attrs = (struct svm_attrs){
		.preferred_loc = KFD_IOCTL_SVM_LOCATION_UNDEFINED,
		.prefetch_loc = KFD_IOCTL_SVM_LOCATION_UNDEFINED,
		.flags = KFD_IOCTL_SVM_FLAG_HOST_ACCESS | KFD_IOCTL_SVM_FLAG_COHERENT,
		.granularity = 9,
		.access = READ_ONCE(svm_process(svms)->xnack_enabled) ? all : 0,
	};
}

u32 svm_preferred_location(struct kfd_process *p, unsigned long page)
{
	u32 location = KFD_IOCTL_SVM_LOCATION_UNDEFINED;
	struct svm_range *range;

	mutex_lock(&p->svms.lock);
	range = to_svm_range(interval_tree_iter_first(&p->svms.tree, page, page));
	if (range)
		location = range->attrs.preferred_loc;
	mutex_unlock(&p->svms.lock);
	return location;
}

int svm_lock_write(struct svm_range_list *svms)
{
	struct mm_struct *mm = svm_mm(svms);
	int ret;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	mutex_lock(&svms->lock);
	ret = svm_deferred_flush(svms);
	if (ret)
		svm_unlock_write(svms);
	return ret;
}

int svm_lock_read(struct svm_range_list *svms)
{
	struct mm_struct *mm = svm_mm(svms);
	int ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	mutex_lock(&svms->lock);
	if (!svm_deferred_pending(svms))
		return 0;
	svm_unlock_read(svms);

	ret = svm_lock_write(svms);
	if (!ret)
		mmap_write_downgrade(mm);
	return ret;
}

void svm_unlock_write(struct svm_range_list *svms)
{
	mutex_unlock(&svms->lock);
	mmap_write_unlock(svm_mm(svms));
}

void svm_unlock_read(struct svm_range_list *svms)
{
	mutex_unlock(&svms->lock);
	mmap_read_unlock(svm_mm(svms));
}

bool svm_range_overlaps(struct kfd_process *p, unsigned long start, unsigned long last)
{
	struct svm_range_list *svms = &p->svms;
	struct svm_range *range;
	bool found = false;

	mutex_lock(&svms->lock);
	/* Not flushed: that needs mmap_lock. What the notifier noted counts as gone. */
	for (range = to_svm_range(interval_tree_iter_first(&svms->tree, start, last));
	     range && !found;
	     range = to_svm_range(interval_tree_iter_next(&range->it, start, last)))
		found = svm_range_covers(range, start, last);
	mutex_unlock(&svms->lock);
	return found;
}

void svm_range_list_flush(struct kfd_process *p)
{
	flush_work(&p->svms.deferred_work);
}

int svm_range_list_init(struct kfd_process *p)
{
	struct svm_range_list *svms = &p->svms;

	svms->account = svm_account_create(p->tgid);
	if (!svms->account)
		return -ENOMEM;
	mutex_init(&svms->lock);
	svms->tree = RB_ROOT_CACHED;
	svms->count = 0;
	svms->npages = 0;
	INIT_WORK(&svms->deferred_work, svm_deferred_work);
	spin_lock_init(&svms->deferred_lock);
	INIT_LIST_HEAD(&svms->deferred);
	INIT_LIST_HEAD(&svms->lost);
	svms->dying = false;
	return 0;
}

void svm_range_list_fini(struct kfd_process *p)
{
	struct svm_range_list *svms = &p->svms;
	struct svm_range *range;

	spin_lock(&svms->deferred_lock);
	svms->dying = true;
	spin_unlock(&svms->deferred_lock);
	cancel_work_sync(&svms->deferred_work);

	mutex_lock(&svms->lock);
	while ((range = to_svm_range(interval_tree_iter_first(&svms->tree, 0, ULONG_MAX)))) {
		interval_tree_remove(&range->it, &svms->tree);
		svms->count--;
		svms->npages -= svm_range_npages(range);
		svm_range_destroy(range);
		cond_resched();
	}
	mutex_unlock(&svms->lock);
	svm_account_close(svms->account);
}
