// SPDX-License-Identifier: GPL-2.0
/*
 * Eviction: pages of a block go back to RAM by page frame. No VMA, mmap lock or mm is needed, so it
 * works for pages of a process that is gone and of forked children, and it cannot deadlock with an
 * evictor that holds its own mmap lock. A page somebody holds stays; its block stays busy until
 * page_free.
 *
 * Pages are first collected by address, where they were when they came, if the owner's mmap lock
 * can be had by trying: one walk of the page table, one notification and one TLB flush for many
 * pages instead of one each. Only speed depends on it, what it did not find goes by frame. mremap()
 * may have put other memory where a page came from, so that is looked at first: nothing but the
 * block is unmapped.
 *
 * A block goes in parts, the next is collected while the device copies the one before. RAM for all
 * of it is there before the mmap lock is tried and the first page is unmapped: nobody waits for
 * either while RAM is looked for. If there is less RAM than pages, fewer pages go.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/hmm.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "kfd_smi.h"
#include "kfd_trace.h"
#include "svm_anon.h"
#include "svm_batch.h"

/*
 * A page may be locked or referenced for a moment only; a holder of longer breath keeps its page in
 * VRAM.
 */
#define SVM_EVICT_ATTEMPTS	3
/* Half a MiB: enough to hide the way to the device and back behind the other parts. */
#define SVM_EVICT_PART		128ul
#define SVM_EVICT_PARTS		(SVM_BATCH_PAGES / SVM_EVICT_PART)
/* Pages of RAM asked for at once, and how often in vain before the rest is not asked for. */
#define SVM_EVICT_RAM		64ul
#define SVM_EVICT_MISSES	16

struct svm_evict_part {
	unsigned long wanted;		/* pages that may leave, as far as a look can tell */
	unsigned long low, high;	/* where they were first touched, page numbers */
	struct svm_batch batch;
	struct anon_vma *anon[SVM_EVICT_PART];	/* of the batch's pages, if by frame */
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
	struct page *ram[SVM_BATCH_PAGES];	/* [next_ram, ram_end) are free to use */
	unsigned long next_ram, ram_end;
	unsigned long look[SVM_BATCH_PAGES];
	struct svm_evict_part parts[SVM_EVICT_PARTS];
};

/* One block on its way. */
struct svm_eviction {
	struct kfd_dev *dev;
	struct klttm_block *block;
	struct svm_evictor *evictor;	/* its lock is held */
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

/* ---- RAM ---- */

/*
 * Up to @n pages of RAM. Whoever wants the VRAM can do without; no process is killed for it. Once
 * RAM was looked for in vain, only what lies about is taken.
 */
static void svm_take_ram(struct svm_evictor *evictor, unsigned long n)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	unsigned int misses = 0;

	evictor->next_ram = 0;
	evictor->ram_end = 0;
	memset(evictor->ram, 0, n * sizeof(*evictor->ram));
	while (evictor->ram_end < n && misses < SVM_EVICT_MISSES) {
		unsigned long more = min(n - evictor->ram_end, SVM_EVICT_RAM);

		more = alloc_pages_bulk_array(gfp, more, evictor->ram + evictor->ram_end);
		evictor->ram_end += more;
		if (more)
			continue;
		gfp = (GFP_HIGHUSER_MOVABLE & ~__GFP_DIRECT_RECLAIM) | __GFP_NOWARN;
		misses++;
	}
}

static bool svm_ram_is_left(const struct svm_evictor *evictor)
{
	return evictor->next_ram < evictor->ram_end;
}

static void svm_give_ram_back(struct svm_evictor *evictor)
{
	while (svm_ram_is_left(evictor))
		__free_page(evictor->ram[evictor->next_ram++]);
}

/* ---- a part ---- */

/* What may leave, for each part; returns the sum. */
static unsigned long svm_survey(struct svm_eviction *ev)
{
	unsigned long i, npages = klttm_block_npages(ev->block), wanted = 0;
	struct svm_evict_part *part;

	for (i = 0; i < npages; i++) {
		struct page *page = svm_block_page(ev, i);
		unsigned long index = READ_ONCE(page->index);

		part = &ev->evictor->parts[i / SVM_EVICT_PART];
		if (!(i % SVM_EVICT_PART)) {
			part->wanted = 0;
			part->low = ULONG_MAX;
			part->high = 0;
		}
		if (!svm_page_may_leave(ev, page))
			continue;
		part->wanted++;
		part->low = min(part->low, index);
		part->high = max(part->high, index);
		wanted++;
	}
	return wanted;
}

/*
 * Lock and unmap the pages of [first, first + npages) of the block that may leave, run by run. Those
 * that nobody maps are left alone: somebody holds them.
 */
static void svm_collect_by_frame(const struct svm_eviction *ev, struct svm_evict_part *part,
				 unsigned long first, unsigned long npages)
{
	struct svm_batch *batch = &part->batch;
	unsigned long i, end;

	part->by_address = false;
	svm_batch_reset(batch, ev->dev, svm_block_exec(ev->block), npages);
	for (i = 0; i < npages; i++) {
		struct page *page = svm_block_page(ev, first + i);

		part->anon[i] = svm_page_may_leave(ev, page) ? svm_anon_get(page) : NULL;
	}
	for (i = 0; i < npages; i = end + 1) {
		for (end = i; end < npages && part->anon[end]; end++)
			;
		if (end > i)
			migrate_device_range(batch->src + i,
					     page_to_pfn(svm_block_page(ev, first + i)), end - i);
	}
}

/*
 * Is there anything of the block's between these page numbers, and nothing else that a collection
 * would touch? It takes all pages of this GPU, and splits huge pages. A look that is outdated at
 * once, but only a prefetch that runs beside us can bring a page of VRAM or a huge one here.
 */
static bool svm_alone_between(const struct svm_eviction *ev, unsigned long low, unsigned long high)
{
	/* Only to name the mm: nothing is relied on afterwards, so nobody has to tell of changes. */
	struct mmu_interval_notifier nobody = { .mm = ev->mm };
	struct hmm_range look = {
		.notifier = &nobody,
		.start = low << PAGE_SHIFT,
		.end = (high + 1) << PAGE_SHIFT,
		.hmm_pfns = ev->evictor->look,
	};
	unsigned long i, found = 0;

	memset(look.hmm_pfns, 0, (high - low + 1) * sizeof(*look.hmm_pfns));
	if (hmm_range_fault(&look))
		return false;
	for (i = 0; i <= high - low; i++) {
		unsigned long entry = look.hmm_pfns[i], pfn = entry & ~HMM_PFN_FLAGS;

		if (!(entry & HMM_PFN_VALID))
			continue;
		if (kfd_frame_dev(pfn) == ev->dev) {
			if (!svm_page_in_use(ev, pfn_to_page(pfn)))
				return false;
			found++;
		} else if (hmm_pfn_to_map_order(entry)) {
			return false;
		}
	}
	return found;
}

/*
 * The same for what is where those pages were first touched: page->index is that address, unless
 * mremap() moved them. False: not to be had so, nothing is collected.
 */
static bool svm_collect_by_address(const struct svm_eviction *ev, struct svm_evict_part *part)
{
	unsigned long start = part->low << PAGE_SHIFT, end;
	struct svm_batch *batch = &part->batch;
	struct vm_area_struct *vma;

	if (part->high - part->low >= SVM_BATCH_PAGES || part->high >= TASK_SIZE_MAX >> PAGE_SHIFT)
		return false;
	end = (part->high + 1) << PAGE_SHIFT;
	vma = find_vma(ev->mm, start);
	if (!vma || vma->vm_start > start || vma->vm_end < end || !vma_is_anonymous(vma) ||
	    vma->vm_pgoff != vma->vm_start >> PAGE_SHIFT ||
	    !svm_alone_between(ev, part->low, part->high))
		return false;

	part->by_address = true;
	svm_batch_reset(batch, ev->dev, svm_block_exec(ev->block) || vma->vm_flags & VM_EXEC,
			part->high - part->low + 1);
	part->vma = (struct migrate_vma){
		.vma = vma,
		.src = batch->src,
		.dst = batch->dst,
		.start = start,
		.end = end,
		.pgmap_owner = ev->dev->pgmap.owner,
		.flags = MIGRATE_VMA_SELECT_DEVICE_COHERENT,
	};
	return !migrate_vma_setup(&part->vma);
}

/* Give what was collected of the block a page of RAM each; the rest stays where it is. */
static void svm_part_fill(struct svm_eviction *ev, struct svm_evict_part *part)
{
	struct svm_evictor *evictor = ev->evictor;
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
		if (!svm_ram_is_left(evictor)) {
			ev->no_ram++;
			continue;
		}
		page = evictor->ram[evictor->next_ram++];
		lock_page(page);
		svm_batch_add(batch, i, page);
	}
}

static void svm_part_begin(struct svm_eviction *ev, struct svm_evict_part *part,
			   unsigned long first, unsigned long npages)
{
	part->under_way = false;
	if (!part->wanted)
		return;
	if (!svm_ram_is_left(ev->evictor)) {
		ev->no_ram += part->wanted;
		return;
	}
	if (!ev->mm || !svm_collect_by_address(ev, part))
		svm_collect_by_frame(ev, part, first, npages);
	svm_part_fill(ev, part);
	part->under_way = true;
	if (!part->batch.nruns)
		return;
	svm_evict_tell(ev);
	svm_batch_submit(&part->batch);
}

static void svm_part_end(struct svm_eviction *ev, struct svm_evict_part *part)
{
	struct svm_batch *batch = &part->batch;
	struct svm_moved count;
	unsigned long i;

	if (!part->under_way)
		return;
	if (batch->nruns)
		svm_batch_wait(batch);
	if (part->by_address)
		migrate_vma_pages(&part->vma);
	else
		migrate_device_pages(batch->src, batch->dst, batch->npages);
	count = svm_batch_settle(batch, KFD_PAGE_TO_RAM_EVICT);
	if (part->by_address) {
		migrate_vma_finalize(&part->vma);
	} else {
		migrate_device_finalize(batch->src, batch->dst, batch->npages);
		for (i = 0; i < batch->npages; i++)
			svm_anon_put(part->anon[i]);
	}
	part->under_way = false;
	ev->once.moved += count.moved;
	ev->once.failed += count.failed;
}

/* ---- a block ---- */

static void svm_evict_parts(struct svm_eviction *ev)
{
	unsigned long at, npages = klttm_block_npages(ev->block);
	struct svm_evict_part *parts = ev->evictor->parts;

	for (at = 0; at < npages; at += SVM_EVICT_PART)
		svm_part_begin(ev, &parts[at / SVM_EVICT_PART], at, min(SVM_EVICT_PART, npages - at));
	for (at = 0; at < npages; at += SVM_EVICT_PART)
		svm_part_end(ev, &parts[at / SVM_EVICT_PART]);
}

/* Locking: only tries the mmap lock, of whatever mm. */
static void svm_evict_once(struct svm_eviction *ev, bool by_address)
{
	struct mm_struct *mm = NULL;
	unsigned long wanted;

	lockdep_assert_held(&ev->evictor->lock);
	ev->once = (struct svm_moved){};
	ev->no_ram = 0;
	wanted = svm_survey(ev);
	if (!wanted)
		return;
	svm_take_ram(ev->evictor, wanted);

	if (by_address)
		mm = svm_account_mm_get(svm_block_account(ev->block));
	if (mm && mmap_read_trylock(mm))
		ev->mm = mm;
	svm_evict_parts(ev);
	if (ev->mm)
		mmap_read_unlock(ev->mm);
	ev->mm = NULL;
	/* This may be the end of the address space, whose pages and locks we hold. */
	if (mm)
		mmput_async(mm);
	svm_give_ram_back(ev->evictor);
	ev->moved += ev->once.moved;
}

/* Returns how many pages stayed. */
static unsigned long svm_evict_pages(struct svm_eviction *ev)
{
	bool orphan = klttm_block_is_orphan(ev->block);
	struct kfd_dev *dev = ev->dev;
	unsigned int attempt, attempts = orphan ? 1 : SVM_EVICT_ATTEMPTS;
	unsigned long left, failed;

	ev->evictor = dev->evictor;
	mutex_lock(&ev->evictor->lock);
	left = svm_block_pages_in_use(ev);
	/* An orphan is asked again and again, so that has to be cheap. */
	for (attempt = orphan ? 1 : 0; left && attempt <= attempts; attempt++) {
		if (attempt > 1)
			usleep_range(50, 200);
		ev->held_too = attempt == 1 && !orphan;
		svm_evict_once(ev, !attempt);
		left = svm_block_pages_in_use(ev);
		if (ev->no_ram && !ev->once.moved)
			break;
	}
	if (left)
		left = svm_block_trim(ev);
	mutex_unlock(&ev->evictor->lock);

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
