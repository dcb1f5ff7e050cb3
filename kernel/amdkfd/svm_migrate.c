// SPDX-License-Identifier: GPL-2.0
/*
 * Prefetch, and faults of a GPU: the pages of an interval of the caller's address space move to VRAM, to RAM, or between
 * GPUs, from one GPU's VRAM straight into the other's. One pass over the interval per place that
 * pages come from: collection selects RAM or the pages of one owner, and what belongs to a third
 * GPU, or to another driver, is neither taken nor counted.
 *
 * Work goes in chunks that end at 2 MiB boundaries, two at a time: while the device copies one, the
 * next is collected. mmap_lock is held for reading, for a bounded number of chunks; no other lock
 * of ours is held, so the notifiers that migration raises, and evictions that making room raises,
 * meet nothing of ours that is locked.
 *
 * Nothing here fails the caller. Pages of other kinds stay where they are: file and shared memory,
 * memory registered for merging (KSM) or without read permission, merged pages, other drivers' device
 * pages, pages somebody holds, and on kernels so far huge pages that are mapped page by page.
 */
#include <linux/delay.h>
#include <linux/ksm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include "kfd_smi.h"
#include "kfd_trace.h"
#include "svm_batch.h"
#include "svm_collect.h"

/* Chunks under one hold of mmap_lock: 32 MiB, some tens of milliseconds at worst. */
#define SVM_LOCK_CHUNKS	16
/*
 * A stray reference (another CPU's LRU cache, a reader of /proc) is gone soon; a real holder's is
 * not.
 */
#define SVM_ATTEMPTS	3

struct svm_chunk {
	struct migrate_vma vma;
	struct svm_batch batch;
	unsigned long look[SVM_BATCH_PAGES];	/* svm_collect_ram() */
	bool under_way;			/* collected and submitted; else only @held counts */
	unsigned long held;		/* pages that should go, but somebody locks or references */
	struct list_head charge;	/* svm_charge_try() for its holes */
};

struct svm_mover {
	struct svm_account *account;
	struct kfd_dev *from, *to;	/* NULL: RAM; not both, and not the same GPU */
	bool full;			/* VRAM has no room: stop */
	u64 job;			/* this prefetch: it does not evict what it brought */
	bool spare_new;			/* nor what other migrations have just brought */
	struct kfd_process *process;
	struct kfd_smi_migration event;	/* of the stretch that is on its way */
	bool told;			/* its start */
	unsigned long moved;		/* pages, so far */
	struct svm_chunk chunks[2];
};

static atomic64_t svm_jobs = ATOMIC64_INIT(0);

struct svm_mover *svm_mover_create(void)
{
	return kvmalloc(sizeof(struct svm_mover), GFP_KERNEL);
}

unsigned long svm_mover_moved(const struct svm_mover *mover)
{
	return mover->moved;
}

void svm_mover_destroy(struct svm_mover *mover)
{
	kvfree(mover);
}

/* Is this a page that moves in this pass? */
static bool svm_page_wanted(const struct svm_mover *mover, struct page *page)
{
	if (!PageAnon(page) || PageKsm(page))
		return false;
	if (is_zone_device_page(page))
		return mover->from && kfd_page_dev(page) == mover->from;
	return !mover->from;
}

/* Does this collected entry go? */
static bool svm_wanted(const struct svm_mover *mover, const struct vm_area_struct *vma,
		       unsigned long src)
{
	struct page *page = migrate_pfn_to_page(src);

	if (!(src & MIGRATE_PFN_MIGRATE))
		return false;
	if (!page)
		return !mover->from && !userfaultfd_missing((struct vm_area_struct *)vma);
	return svm_page_wanted(mover, page);
}

/* A page that collection left where it is: should it have gone, or is it there already, or not ours? */
static bool svm_left_held(const struct svm_mover *mover, struct page *page)
{
	return !PageCompound(page) && svm_page_wanted(mover, page);
}

/*
 * Collection gives a page that somebody locks, or a page of RAM that somebody references, back by
 * itself and forgets its entry, so such pages are looked for where no entry is. Pages of huge ones
 * are left out: whether they were refused for being huge cannot be told.
 */
static unsigned long svm_count_held(const struct svm_mover *mover, const struct svm_chunk *chunk)
{
	const struct svm_batch *batch = &chunk->batch;
	struct page *pages[32];
	unsigned long i = 0, n, held = 0;
	struct klttm_block *used = NULL;
	int got, k;

	while (i < batch->npages) {
		for (n = 0; n < ARRAY_SIZE(pages) && i + n < batch->npages; n++)
			if (batch->src[i + n])
				break;
		if (!n) {
			i++;
			continue;
		}
		got = get_user_pages_fast_only(chunk->vma.start + (i << PAGE_SHIFT), n, 0, pages);
		for (k = 0; k < got; k++) {
			held += svm_left_held(mover, pages[k]);
			if (mover->to && kfd_page_dev(pages[k]) == mover->to)
				svm_page_used(pages[k], &used, mover->job);
			put_page(pages[k]);
		}
		/* It stops at the first entry without a page. */
		i += max(got, 1);
	}
	return held;
}

/*
 * Collection lets a device page pass that somebody references besides it. The holder may write the page (a disk,
 * for one) and let go between the copy and migrate_vma_pages(), which looks last of all and would keep the old
 * contents. The page is unmapped, so there are no new holders.
 */
static bool svm_collected_held(unsigned long src)
{
	struct page *page = migrate_pfn_to_page(src);

	return page && is_zone_device_page(page) && page_count(page) > 1;
}

/* Leave out what does not go; finalize puts such pages back. Returns how many go. */
static unsigned long svm_filter(const struct svm_mover *mover, struct svm_chunk *chunk)
{
	struct svm_batch *batch = &chunk->batch;
	unsigned long i, n = 0;

	for (i = 0; i < batch->npages; i++) {
		bool wanted = svm_wanted(mover, chunk->vma.vma, batch->src[i]);

		if (wanted && !svm_collected_held(batch->src[i])) {
			n++;
			continue;
		}
		chunk->held += wanted;
		batch->src[i] &= ~MIGRATE_PFN_MIGRATE;
	}
	return n;
}

/* Holes that the memory cgroup has no room for stay holes. Returns how many. */
static unsigned long svm_leave_holes(struct svm_chunk *chunk)
{
	struct svm_batch *batch = &chunk->batch;
	unsigned long i, holes = 0, room;

	for (i = 0; i < batch->npages; i++)
		holes += batch->src[i] == MIGRATE_PFN_MIGRATE;
	room = svm_charge_try(chunk->vma.vma->vm_mm, holes, &chunk->charge);
	holes -= room;
	for (i = 0; i < batch->npages; i++) {
		if (batch->src[i] != MIGRATE_PFN_MIGRATE)
			continue;
		if (room)
			room--;
		else
			batch->src[i] = 0;
	}
	return holes;
}

/* Give the next @n entries that go, from *@i on, the pages of @block. */
static void svm_take_block(struct svm_mover *mover, struct svm_batch *batch,
			   struct klttm_block *block, unsigned long n, unsigned long *i)
{
	unsigned long k;

	for (k = 0; k < n; (*i)++) {
		struct page *page;

		if (!(batch->src[*i] & MIGRATE_PFN_MIGRATE))
			continue;
		page = kfd_vram_page_init(mover->to, block, k++);
		if (page)
			svm_batch_add(batch, *i, page);
	}
	klttm_svm_block_filled(block);
}

/*
 * VRAM for @n pages, in one block if that can be had: contiguous pages are copied by one packet and
 * will be mapped by one entry. Fragments are second choice.
 */
static void svm_alloc_vram(struct svm_mover *mover, struct svm_batch *batch, unsigned long n)
{
	unsigned long size = n, i = 0;

	while (n) {
		struct klttm_block *block;
		void *cookie = svm_block_cookie(svm_account_get(mover->account), batch->by_cpu);

		size = min(size, n);
		block = klttm_svm_block_create(mover->to->ttm, size, cookie, mover->job, mover->spare_new);
		if (!IS_ERR(block)) {
			svm_take_block(mover, batch, block, size, &i);
			n -= size;
			continue;
		}
		svm_account_put(mover->account);
		size /= 2;
		if (!size) {
			mover->full = true;
			atomic64_inc(&mover->to->counters.no_vram);
			return;
		}
	}
}

/* The pages are unmapped and others may wait for them: RAM that was looked for in vain is not looked for again. */
static void svm_alloc_ram(struct svm_chunk *chunk)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	struct svm_batch *batch = &chunk->batch;
	unsigned long i;

	for (i = 0; i < batch->npages; i++) {
		struct page *page;

		if (!(batch->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		page = alloc_page_vma(gfp, chunk->vma.vma, chunk->vma.start + (i << PAGE_SHIFT));
		if (!page) {
			gfp = (GFP_HIGHUSER_MOVABLE & ~__GFP_DIRECT_RECLAIM) | __GFP_NOWARN;
			continue;
		}
		lock_page(page);
		svm_batch_add(batch, i, page);
	}
}

/*
 * Is all of a chunk RAM in huge pages? Then leaving a GPU has nothing to do there, and collection would
 * split them only to find that out. @pages is room for @npages.
 */
static bool svm_huge_ram(unsigned long start, unsigned long npages, struct page **pages)
{
	bool ram = false;
	int n, i;

	if (get_user_pages_fast_only(start, 1, 0, pages) == 1) {
		ram = PageTransCompound(pages[0]);
		put_page(pages[0]);
	}
	if (!ram)
		return false;
	n = get_user_pages_fast_only(start, npages, 0, pages);
	for (i = 0; i < n; i++) {
		ram &= !is_zone_device_page(pages[i]);
		put_page(pages[i]);
	}
	return ram && n == npages;
}

/*
 * Collect the pages of [start, end) and send them off. False: there was nothing to do. Else
 * svm_chunk_end() must follow before mmap_lock is dropped, if only to try and count held pages.
 */
static bool svm_chunk_begin(struct svm_mover *mover, struct svm_chunk *chunk,
			    struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct kfd_dev *dev = mover->to ?: mover->from;
	struct svm_batch *batch = &chunk->batch;
	unsigned long n = (end - start) >> PAGE_SHIFT;

	chunk->under_way = false;
	chunk->held = 0;
	INIT_LIST_HEAD(&chunk->charge);
	if (mover->from && svm_huge_ram(start, n, (struct page **)batch->dst))
		return false;
	svm_batch_reset(batch, dev, vma->vm_flags & VM_EXEC, n);
	chunk->vma = (struct migrate_vma){
		.vma = vma,
		.src = batch->src,
		.dst = batch->dst,
		.start = start,
		.end = end,
		.pgmap_owner = (mover->from ?: dev)->pgmap.owner,
		.flags = MIGRATE_VMA_SELECT_DEVICE_COHERENT,
	};
	/* The only error is a kind of mapping that does not migrate, such as hugetlb. */
	if (mover->from ? migrate_vma_setup(&chunk->vma) : !svm_collect_ram(&chunk->vma, chunk->look))
		return false;
	chunk->held = svm_count_held(mover, chunk);
	if (!chunk->vma.cpages)
		return chunk->held;

	n = svm_filter(mover, chunk);
	if (n && !mover->from)
		n -= svm_leave_holes(chunk);
	if (n && mover->to)
		svm_alloc_vram(mover, batch, n);
	else if (n)
		svm_alloc_ram(chunk);
	if (!batch->nruns) {
		svm_charge_done(&chunk->charge);
		migrate_vma_finalize(&chunk->vma);
		return chunk->held;
	}
	svm_batch_submit(batch);
	chunk->under_way = true;
	return true;
}

static void svm_count_moved(struct svm_mover *mover, const struct svm_chunk *chunk,
			    struct svm_moved count, bool last_attempt)
{
	struct kfd_dev *from = mover->from, *to = mover->to;
	unsigned long failed = last_attempt ? count.failed : 0;

	mover->moved += count.moved;
	if (to)
		atomic64_add(count.moved, &to->counters.pages_to_vram);
	else
		atomic64_add(count.moved, &from->counters.pages_to_ram_prefetch);
	if (from && to) {
		atomic64_add(count.moved, &from->counters.pages_to_peer);
		atomic64_add(count.moved, &to->counters.pages_from_peer);
	}
	/* On the GPU that keeps them, if there is one. */
	atomic64_add(failed, &(from ?: to)->counters.pages_failed);
	trace_kfdlab_migrate((to ?: from)->gpu_id, to, KFD_TRIGGER_PREFETCH, chunk->vma.start,
			     count.moved, failed);
}

/* Returns pages that should have moved but did not. */
static unsigned long svm_chunk_finish(struct svm_mover *mover, struct svm_chunk *chunk,
				      bool last_attempt)
{
	struct svm_moved count = {};

	if (chunk->under_way) {
		svm_batch_wait(&chunk->batch);
		svm_charge_done(&chunk->charge);
		migrate_vma_pages(&chunk->vma);
		count = svm_batch_settle(&chunk->batch,
					 mover->to ? KFD_PAGE_TO_PEER : KFD_PAGE_TO_RAM_PREFETCH);
		migrate_vma_finalize(&chunk->vma);
	}
	count.failed += chunk->held;
	svm_count_moved(mover, chunk, count, last_attempt);
	return count.failed;
}

static void svm_chunk_end(struct svm_mover *mover, struct svm_chunk *chunk)
{
	struct vm_area_struct *vma = chunk->vma.vma;
	unsigned long start = chunk->vma.start, end = start + (chunk->batch.npages << PAGE_SHIFT);
	unsigned int attempt;

	for (attempt = 1; svm_chunk_finish(mover, chunk, attempt == SVM_ATTEMPTS); attempt++) {
		if (attempt == SVM_ATTEMPTS)
			return;
		usleep_range(50, 200);
		if (!svm_chunk_begin(mover, chunk, vma, start, end))
			return;
	}
}

/* SMI: one event pair for each stretch of a mapping of which something moves, the first begins before it does. */
static void svm_tell_start(struct svm_mover *mover)
{
	struct kfd_smi_migration *event = &mover->event;

	if (mover->told)
		return;
	mover->told = true;
	event->from = mover->from;
	event->to = mover->to;
	kfd_smi_migrate_start(event);
}

/* All within @vma. Locking: mmap_lock. */
static void svm_move_vma(struct svm_mover *mover, struct vm_area_struct *vma, unsigned long addr,
			 unsigned long end)
{
	struct svm_chunk *under_way = NULL;
	unsigned int turn = 0;

	mover->told = false;
	mover->event.start = addr >> PAGE_SHIFT;
	mover->event.npages = (end - addr) >> PAGE_SHIFT;
	/* Before any page is locked. */
	if (kfd_smi_listened(KFD_SMI_EVENT_MIGRATE_START))
		mover->event.preferred_loc = svm_preferred_location(mover->process, mover->event.start);
	while (addr < end && !mover->full && !fatal_signal_pending(current)) {
		unsigned long next = min(end, ALIGN(addr + 1, SVM_BATCH_BYTES));
		struct svm_chunk *chunk = &mover->chunks[turn];
		bool begun = svm_chunk_begin(mover, chunk, vma, addr, next);

		if (begun && chunk->under_way)
			svm_tell_start(mover);
		if (under_way)
			svm_chunk_end(mover, under_way);
		under_way = begun ? chunk : NULL;
		turn ^= begun;
		addr = next;
		cond_resched();
	}
	if (under_way)
		svm_chunk_end(mover, under_way);
	if (mover->told)
		kfd_smi_migrate_end(&mover->event);
}

/* Move what fits under one hold of mmap_lock; returns where to go on. */
static unsigned long svm_move_some(struct svm_mover *mover, struct mm_struct *mm,
				   unsigned long addr, unsigned long end)
{
	unsigned long limit =
		min(end, ALIGN_DOWN(addr, SVM_BATCH_BYTES) + SVM_LOCK_CHUNKS * SVM_BATCH_BYTES);

	while (addr < limit && !mover->full) {
		struct vm_area_struct *vma = find_vma(mm, addr);
		unsigned long stop;

		if (!vma || vma->vm_start >= end)
			return end;
		addr = max(addr, vma->vm_start);
		stop = min(limit, vma->vm_end);
		/* A shared mapping has no anonymous pages. */
		if (addr < stop && !(vma->vm_flags & VM_SHARED))
			svm_move_vma(mover, vma, addr, stop);
		addr = max(addr, stop);
	}
	return addr;
}

static void svm_move(struct svm_mover *mover, struct mm_struct *mm, unsigned long addr,
		     unsigned long end, struct kfd_dev *from, struct kfd_dev *to)
{
	mover->from = from;
	mover->to = to;
	while (addr < end && !mover->full) {
		if (fatal_signal_pending(current) || mmap_read_lock_killable(mm))
			return;
		addr = svm_move_some(mover, mm, addr, end);
		mmap_read_unlock(mm);
		cond_resched();
	}
}

static void svm_mover_begin(struct svm_mover *mover, struct kfd_process *p, u32 location,
			    enum KFD_MIGRATE_TRIGGERS trigger)
{
	mover->account = p->svms.account;
	mover->process = p;
	mover->event = (struct kfd_smi_migration){
		.pid = p->tgid,
		.prefetch_loc = location,
		.trigger = trigger,
	};
	mover->full = false;
	mover->moved = 0;
	mover->spare_new = trigger == KFD_MIGRATE_TRIGGER_PAGEFAULT_GPU;
	mover->job = atomic64_inc_return(&svm_jobs);
}

void svm_migrate_from(struct kfd_process *p, struct svm_mover *mover, unsigned long start, unsigned long end,
		      struct kfd_dev *from, struct kfd_dev *to)
{
	svm_mover_begin(mover, p, to ? to->gpu_id : 0, KFD_MIGRATE_TRIGGER_PREFETCH);
	svm_move(mover, svm_mm(&p->svms), start, end, from, to);
}

void svm_migrate(struct kfd_process *p, struct svm_mover *mover, unsigned long start, unsigned long end,
		 u32 location, enum KFD_MIGRATE_TRIGGERS trigger)
{
	struct kfd_dev *to = location ? kfd_dev_by_id(location) : NULL;
	struct mm_struct *mm = svm_mm(&p->svms);
	unsigned int i;

	svm_mover_begin(mover, p, location, trigger);
	for (i = 0; i < KFD_MAX_GPUS; i++) {
		struct kfd_dev *from = kfd_dev_by_index(i);

		/*
		 * Not a page of it in use by anybody: spare RAM pages a walk that would split huge
		 * ones.
		 */
		if (from && from != to && atomic64_read(&from->counters.svm_pages_occupied))
			svm_move(mover, mm, start, end, from, to);
	}
	if (to)
		svm_move(mover, mm, start, end, NULL, to);
}
