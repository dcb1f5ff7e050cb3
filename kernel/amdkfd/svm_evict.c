// SPDX-License-Identifier: GPL-2.0
/*
 * Eviction: pages of a block go back to RAM by page frame. No VMA, mmap lock or mm is needed, so it
 * works for pages of a process that is gone and of forked children, and it cannot deadlock with an
 * evictor that holds its own mmap lock. A page somebody holds stays; its block stays busy until
 * page_free.
 *
 * Pages are first collected by address, where they were when they came, if the owner's mmap lock
 * can be had by trying: one walk of the page table, one notification and one TLB flush for many
 * pages instead of one each. Only speed depends on it, what it did not find goes by frame.
 *
 * A block goes in parts, two at a time: while the device copies one, the next is collected. RAM for
 * a part is there before its first page is unmapped, so nobody waits for a page of it while RAM is
 * looked for.
 */
#include <linux/delay.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "kfd_smi.h"
#include "kfd_trace.h"
#include "svm_batch.h"

/*
 * A page may be locked or referenced for a moment only; a holder of longer breath keeps its page in
 * VRAM.
 */
#define SVM_EVICT_ATTEMPTS	3
/* Half a MiB: enough to hide the way to the device and back behind the next part. */
#define SVM_EVICT_PART		128ul
/* Pages of a part that may be missing before the rest is not asked for. */
#define SVM_EVICT_MISSES	16

struct svm_evict_part {
	struct svm_batch batch;
	struct migrate_vma vma;
	bool by_address;		/* collected with @vma */
	bool under_way;
};

/*
 * Eviction happens when memory is short, so its arrays are there beforehand; one eviction at a time
 * on each GPU in exchange. Lock order: dma_resv > lock > what migrate_device_range() takes.
 */
struct svm_evictor {
	struct mutex lock;
	struct svm_evict_part parts[2];
};

/* One block on its way. */
struct svm_eviction {
	struct kfd_dev *dev;
	struct klttm_block *block;
	struct mm_struct *mm;		/* collect by address here, its mmap lock is held; or NULL */
	bool held_too;			/* try pages that look held: a look may be wrong */
	struct svm_moved once;		/* of this attempt */
	unsigned long no_ram;		/* of this attempt: pages that could go, but RAM could not be had */
	unsigned long moved;
	bool told;
	struct kfd_smi_migration event;
};

int svm_evict_init(struct kfd_dev *dev)
{
	dev->evictor = kvzalloc(sizeof(*dev->evictor), GFP_KERNEL);
	if (!dev->evictor)
		return -ENOMEM;
	mutex_init(&dev->evictor->lock);
	return 0;
}

void svm_evict_fini(struct kfd_dev *dev)
{
	kvfree(dev->evictor);
}

static struct page *svm_block_page(const struct svm_eviction *ev, unsigned long i)
{
	return kfd_vram_page(ev->dev, klttm_block_first_page(ev->block) + i);
}

/*
 * Is the page one of the block's in use? What the block gave back belongs to other blocks by now.
 * Pairs with kfd_page_free(), which writes nothing to the page after it cleared this.
 */
static bool svm_page_in_use(const struct svm_eviction *ev, struct page *page)
{
	return smp_load_acquire(&page->zone_device_data) == ev->block;
}

/* How many pages are in use; the VRAM of the others is given back. */
static unsigned long svm_block_trim(const struct svm_eviction *ev)
{
	/* Before the look: a block that is filled while it lasts may use pages it found unused. */
	bool filled = klttm_svm_block_is_filled(ev->block);
	DECLARE_BITMAP(used, SVM_BATCH_PAGES) = {};
	unsigned long i, n = 0;

	for (i = 0; i < klttm_block_npages(ev->block); i++) {
		if (!svm_page_in_use(ev, svm_block_page(ev, i)))
			continue;
		__set_bit(i, used);
		n++;
	}
	if (filled)
		klttm_svm_block_used(ev->block, used);
	return n;
}

static unsigned long svm_block_pages_in_use(const struct svm_eviction *ev)
{
	unsigned long i, n = 0;

	for (i = 0; i < klttm_block_npages(ev->block); i++)
		n += svm_page_in_use(ev, svm_block_page(ev, i));
	return n;
}

/*
 * Each mapping of a device page holds one reference, and nothing of the kernel another one: a page
 * with more is held by somebody. One look, which may be outdated at once.
 */
static bool svm_page_may_leave(const struct svm_eviction *ev, struct page *page)
{
	int refs = page_count(page);

	return refs && svm_page_in_use(ev, page) &&
	       (ev->held_too || refs == atomic_read(&page->_mapcount) + 1);
}

/* ---- SMI ---- */

/*
 * What is about to move, once for a block. All that is known is page frames, so the place is where
 * the pages were first touched (page->index), as far as they are of anonymous mappings, and the
 * process is the one that brought them to VRAM.
 */
static void svm_evict_tell(struct svm_eviction *ev)
{
	unsigned long i, first = ULONG_MAX, last = 0;

	if (ev->told)
		return;
	ev->told = true;
	for (i = 0; i < klttm_block_npages(ev->block); i++) {
		struct page *page = svm_block_page(ev, i);

		if (!page_count(page) || !svm_page_in_use(ev, page))
			continue;
		first = min(first, page->index);
		last = max(last, page->index);
	}
	ev->event = (struct kfd_smi_migration){
		.pid = svm_account_tgid(svm_block_account(ev->block)),
		.from = ev->dev,
		.start = first,
		.npages = last - first + 1,
		.prefetch_loc = KFD_IOCTL_SVM_LOCATION_UNDEFINED,
		.preferred_loc = KFD_IOCTL_SVM_LOCATION_UNDEFINED,
		.trigger = KFD_MIGRATE_TRIGGER_TTM_EVICTION,
	};
	kfd_smi_migrate_start(&ev->event);
}

/* ---- a part ---- */

/*
 * Up to @n pages of RAM, linked by page->lru. Whoever wants the VRAM can do without; no process is
 * killed for it. Once RAM was looked for in vain, only what lies about is taken.
 */
static void svm_take_ram(struct list_head *pages, unsigned long n)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	unsigned int misses = 0;

	while (n && misses < SVM_EVICT_MISSES) {
		struct page *page = alloc_page(gfp);

		if (!page) {
			gfp = (GFP_HIGHUSER_MOVABLE & ~__GFP_DIRECT_RECLAIM) | __GFP_NOWARN;
			misses++;
			continue;
		}
		list_add_tail(&page->lru, pages);
		n--;
	}
}

static struct page *svm_pop_ram(struct list_head *pages)
{
	struct page *page = list_first_entry_or_null(pages, struct page, lru);

	if (page)
		list_del(&page->lru);
	return page;
}

/* Lock and unmap the pages of [first, first + npages) of the block that may leave, run by run. */
static void svm_collect_by_frame(const struct svm_eviction *ev, struct svm_evict_part *part,
				 unsigned long first, unsigned long npages)
{
	struct svm_batch *batch = &part->batch;
	unsigned long i, end;

	part->by_address = false;
	svm_batch_reset(batch, ev->dev, svm_block_exec(ev->block), npages);
	for (i = 0; i < npages; i = end + 1) {
		for (end = i; end < npages; end++)
			if (!svm_page_may_leave(ev, svm_block_page(ev, first + end)))
				break;
		if (end > i)
			migrate_device_range(batch->src + i,
					     page_to_pfn(svm_block_page(ev, first + i)), end - i);
	}
}

/*
 * The same for whatever is where those pages were first touched: page->index is that address, unless
 * mremap() moved them. False: not to be had so, nothing is collected.
 */
static bool svm_collect_by_address(const struct svm_eviction *ev, struct svm_evict_part *part,
				   unsigned long first, unsigned long npages)
{
	unsigned long i, low = ULONG_MAX, high = 0;
	struct svm_batch *batch = &part->batch;
	struct vm_area_struct *vma;

	for (i = 0; i < npages; i++) {
		struct page *page = svm_block_page(ev, first + i);

		if (!svm_page_may_leave(ev, page))
			continue;
		low = min(low, READ_ONCE(page->index));
		high = max(high, READ_ONCE(page->index));
	}
	if (low > high || high - low >= SVM_BATCH_PAGES || high >= TASK_SIZE_MAX >> PAGE_SHIFT)
		return false;
	vma = find_vma(ev->mm, low << PAGE_SHIFT);
	if (!vma || vma->vm_start > low << PAGE_SHIFT || vma->vm_end <= high << PAGE_SHIFT ||
	    !vma_is_anonymous(vma) || vma->vm_pgoff != vma->vm_start >> PAGE_SHIFT)
		return false;

	part->by_address = true;
	svm_batch_reset(batch, ev->dev, svm_block_exec(ev->block) || vma->vm_flags & VM_EXEC,
			high - low + 1);
	part->vma = (struct migrate_vma){
		.vma = vma,
		.src = batch->src,
		.dst = batch->dst,
		.start = low << PAGE_SHIFT,
		.end = (high + 1) << PAGE_SHIFT,
		.pgmap_owner = ev->dev->pgmap.owner,
		.flags = MIGRATE_VMA_SELECT_DEVICE_COHERENT,
	};
	return !migrate_vma_setup(&part->vma);
}

/* Give what was collected of the block a page of @ram each; the rest stays where it is. */
static void svm_part_fill(struct svm_eviction *ev, struct svm_evict_part *part,
			  struct list_head *ram)
{
	struct svm_batch *batch = &part->batch;
	unsigned long i;

	for (i = 0; i < batch->npages; i++) {
		struct page *from = migrate_pfn_to_page(batch->src[i]), *page;

		if (!(batch->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		/*
		 * A hole, another block's, or given back between the look and the lock. And one
		 * with more than the collection's reference: its holder may write it (a disk, for
		 * one) and let go between the copy and migrate_*_pages(), which looks last of all
		 * and would keep the old contents. Nobody gets at it any more once it is unmapped.
		 */
		if (!from || !svm_page_in_use(ev, from) || page_count(from) > 1) {
			batch->src[i] &= ~MIGRATE_PFN_MIGRATE;
			continue;
		}
		page = svm_pop_ram(ram);
		if (!page) {
			ev->no_ram++;
			continue;
		}
		lock_page(page);
		svm_batch_add(batch, i, page);
	}
}

static void svm_part_begin(struct svm_eviction *ev, struct svm_evict_part *part,
			   unsigned long first, unsigned long npages)
{
	struct svm_batch *batch = &part->batch;
	unsigned long i, wanted = 0;
	LIST_HEAD(ram);
	struct page *page;

	part->under_way = false;
	for (i = 0; i < npages; i++)
		wanted += svm_page_may_leave(ev, svm_block_page(ev, first + i));
	if (!wanted)
		return;
	svm_take_ram(&ram, wanted);
	if (list_empty(&ram)) {
		ev->no_ram += wanted;
		return;
	}

	if (!ev->mm || !svm_collect_by_address(ev, part, first, npages))
		svm_collect_by_frame(ev, part, first, npages);
	svm_part_fill(ev, part, &ram);
	while ((page = svm_pop_ram(&ram)))
		__free_page(page);
	part->under_way = true;
	if (!batch->nruns)
		return;
	svm_evict_tell(ev);
	svm_batch_submit(batch);
}

static void svm_part_end(struct svm_eviction *ev, struct svm_evict_part *part)
{
	struct svm_batch *batch = &part->batch;
	struct svm_moved count;

	if (!part->under_way)
		return;
	if (batch->nruns)
		svm_batch_wait(batch);
	if (part->by_address)
		migrate_vma_pages(&part->vma);
	else
		migrate_device_pages(batch->src, batch->dst, batch->npages);
	count = svm_batch_settle(batch, KFD_PAGE_TO_RAM_EVICT);
	if (part->by_address)
		migrate_vma_finalize(&part->vma);
	else
		migrate_device_finalize(batch->src, batch->dst, batch->npages);
	part->under_way = false;
	ev->once.moved += count.moved;
	ev->once.failed += count.failed;
}

/* ---- a block ---- */

static void svm_evict_once(struct svm_eviction *ev, struct svm_evictor *evictor)
{
	unsigned long at, npages = klttm_block_npages(ev->block);
	unsigned int turn = 0;

	lockdep_assert_held(&evictor->lock);
	ev->once = (struct svm_moved){};
	ev->no_ram = 0;
	for (at = 0; at < npages; at += SVM_EVICT_PART) {
		svm_part_begin(ev, &evictor->parts[turn], at, min(SVM_EVICT_PART, npages - at));
		turn ^= 1;
		svm_part_end(ev, &evictor->parts[turn]);
	}
	svm_part_end(ev, &evictor->parts[turn ^ 1]);
	ev->moved += ev->once.moved;
}

/* Returns how many pages are left. Locking: only tries the mmap lock, of whatever mm. */
static unsigned long svm_evict_by_address(struct svm_eviction *ev)
{
	struct mm_struct *mm = svm_account_mm_get(svm_block_account(ev->block));

	if (mm && mmap_read_trylock(mm)) {
		ev->mm = mm;
		svm_evict_once(ev, ev->dev->evictor);
		ev->mm = NULL;
		mmap_read_unlock(mm);
	}
	/* This may be the end of the address space, whose pages and locks we hold. */
	if (mm)
		mmput_async(mm);
	return svm_block_pages_in_use(ev);
}

/* Returns how many pages stayed. */
static unsigned long svm_evict_pages(struct svm_eviction *ev)
{
	bool orphan = klttm_block_is_orphan(ev->block);
	unsigned int attempt, attempts = orphan ? 1 : SVM_EVICT_ATTEMPTS;
	struct kfd_dev *dev = ev->dev;
	unsigned long left = 0, failed;

	mutex_lock(&dev->evictor->lock);
	left = orphan ? svm_block_pages_in_use(ev) : svm_evict_by_address(ev);
	for (attempt = 1; left && attempt <= attempts; attempt++) {
		/* An orphan is asked again and again, so that has to be cheap. */
		ev->held_too = attempt == 1 && !orphan;
		svm_evict_once(ev, dev->evictor);
		left = svm_block_pages_in_use(ev);
		if (!left || (ev->no_ram && !ev->once.moved))
			break;
		if (attempt < attempts)
			usleep_range(50, 200);
	}
	if (left)
		left = svm_block_trim(ev);
	mutex_unlock(&dev->evictor->lock);

	if (ev->told)
		kfd_smi_migrate_end(&ev->event);
	atomic64_add(ev->moved, &dev->counters.pages_to_ram_evict);
	failed = orphan ? ev->once.failed : left - min(left, ev->no_ram);
	atomic64_add(failed, &dev->counters.pages_failed);
	trace_kfdlab_migrate(dev->gpu_id, false, KFD_TRIGGER_EVICT, 0, ev->moved, failed);
	return left;
}

int svm_evict_block(void *owner, struct klttm_block *block)
{
	struct svm_eviction ev = { .dev = owner, .block = block };
	unsigned long stayed = svm_evict_pages(&ev);

	trace_kfdlab_evict(ev.dev->gpu_id, klttm_block_first_page(block), ev.moved, stayed);
	return stayed && ev.no_ram ? -ENOMEM : 0;
}

struct svm_evict_all {
	struct kfd_dev *dev;
	struct svm_moved count;
};

static void svm_evict_one(struct klttm_block *block, void *arg)
{
	struct svm_evict_all *all = arg;
	struct svm_eviction ev = { .dev = all->dev, .block = block };

	all->count.failed += svm_evict_pages(&ev);
	all->count.moved += ev.moved;
}

unsigned long svm_evict_all(struct kfd_dev *dev, unsigned long *stayed)
{
	struct svm_evict_all all = { .dev = dev };

	klttm_for_each_svm_block(dev->ttm, svm_evict_one, &all);
	trace_kfdlab_evict(dev->gpu_id, 0, all.count.moved, all.count.failed);
	*stayed = all.count.failed;
	return all.count.moved;
}

/* ---- use ---- */

void svm_page_used(struct page *page, struct klttm_block **last, u64 job)
{
	struct klttm_block *block = page->zone_device_data;

	if (block == *last)
		return;
	*last = block;
	klttm_svm_block_touch(block, job);
}
