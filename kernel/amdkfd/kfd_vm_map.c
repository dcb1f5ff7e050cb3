// SPDX-License-Identifier: GPL-2.0
/*
 * Entries of page tables: writing, clearing, looking.
 *
 * The driver's own picture (struct kfd_vm_table) leads from table to table, the device's is written beside it and
 * never read back to find a table. A PDB0 entry may be a leaf for 2 MiB; the PTB that was there before stays as a child
 * without a link, empty, and is linked again when it is needed. The device reads entries at any moment: each is
 * written whole, and a table is filled before it is linked.
 */
#include <linux/mm.h>

#include "kfd_vm.h"

/* The device reports an access that waits at least every half second; machines may be slow. */
#define KFD_SUSPECT_TIME	(4 * HZ)

static u64 kfd_vm_level_pages(unsigned int level)
{
	return 1ull << (KFDLAB_GPUVM_LEVEL_BITS * level);
}

static unsigned int kfd_vm_index(u64 page, unsigned int level)
{
	return kfdlab_gpuvm_index(page << PAGE_SHIFT, level);
}

static void kfd_table_set(struct kfd_vm_table *table, unsigned int i, u64 entry)
{
	u64 old = table->entries[i];

	table->used += !!entry - !!old;
	if (old != entry)
		WRITE_ONCE(table->entries[i], entry);
}

static bool kfd_is_huge(u64 entry)
{
	return entry & AMDGPU_PDE_PTE;
}

static bool kfd_is_refusal(u64 entry)
{
	return (entry & (AMDGPU_VM_NORETRY_FLAGS | AMDGPU_PTE_VALID)) == AMDGPU_VM_NORETRY_FLAGS;
}

/* Link what was filled. */
static void kfd_table_link(struct kfd_vm_table *table, unsigned int i, struct kfd_vm_table *child)
{
	/* The device must not see the link before the entries. */
	smp_wmb();
	table->child[i] = child;
	kfd_table_set(table, i, child->pde);
}

u64 kfd_vm_entry(struct kfd_vm *vm, u64 phys, u64 flags)
{
	struct kfd_dev *dev = vm->dev;

	if (phys >= dev->vram_base && phys - dev->vram_base < dev->vram_size)
		return (phys - dev->vram_base) | flags | AMDGPU_PTE_VALID;
	return phys | flags | AMDGPU_PTE_VALID | AMDGPU_PTE_SYSTEM | AMDGPU_PTE_SNOOPED;
}

/* The PDB0 above @page, NULL: none, and *skip is the first page behind what is missing. */
static struct kfd_vm_table *kfd_vm_find_pdb0(struct kfd_vm *vm, u64 page, u64 *skip)
{
	struct kfd_vm_table *table = vm->root;
	unsigned int level;

	for (level = KFDLAB_GPUVM_PDB2; table && level > KFDLAB_GPUVM_PDB0; level--) {
		table = table->child[kfd_vm_index(page, level)];
		if (!table)
			*skip = ALIGN_DOWN(page, kfd_vm_level_pages(level)) + kfd_vm_level_pages(level);
	}
	return table;
}

/* The PDB0 above @page, made of the stock if need be. */
static struct kfd_vm_table *kfd_vm_make_pdb0(struct kfd_vm *vm, struct kfd_vm_stock *stock, u64 page)
{
	struct kfd_vm_table *table = vm->root;
	unsigned int level;

	for (level = KFDLAB_GPUVM_PDB2; level > KFDLAB_GPUVM_PDB0; level--) {
		unsigned int i = kfd_vm_index(page, level);

		if (!table->child[i]) {
			kfd_table_link(table, i, stock->tables[level - 1]);
			stock->tables[level - 1] = NULL;
		}
		table = table->child[i];
	}
	return table;
}

/* The PTB of entry @i, linked. A huge leaf that is there becomes entries that map the same. */
static struct kfd_vm_table *kfd_vm_make_ptb(struct kfd_vm_table *pdb0, struct kfd_vm_stock *stock, unsigned int i)
{
	struct kfd_vm_table *ptb = pdb0->child[i];
	u64 leaf = pdb0->entries[i];
	unsigned int k;

	if (!ptb) {
		ptb = stock->tables[KFDLAB_GPUVM_PTB];
		stock->tables[KFDLAB_GPUVM_PTB] = NULL;
	}
	if (kfd_is_huge(leaf)) {
		leaf &= ~AMDGPU_PDE_PTE;
		for (k = 0; k < KFDLAB_GPUVM_ENTRIES; k++)
			kfd_table_set(ptb, k, leaf + ((u64)k << PAGE_SHIFT));
	}
	if (pdb0->entries[i] != ptb->pde)
		kfd_table_link(pdb0, i, ptb);
	return ptb;
}

/* One aligned run with the same flags? */
static bool kfd_vm_is_run(const u64 *entries)
{
	unsigned int i;

	if (!entries[0] || !IS_ALIGNED(entries[0] & AMDGPU_PTE_ADDRESS, KFD_VM_BLOCK_PAGES << PAGE_SHIFT))
		return false;
	for (i = 1; i < KFD_VM_BLOCK_PAGES; i++)
		if (entries[i] != entries[0] + ((u64)i << PAGE_SHIFT))
			return false;
	return true;
}

static void kfd_table_empty(struct kfd_vm_table *table)
{
	unsigned int i;

	for (i = 0; table->used && i < KFDLAB_GPUVM_ENTRIES; i++)
		kfd_table_set(table, i, 0);
}

/* Something is mapped there: whatever could not be served before says nothing about now. */
static void kfd_vm_acquit(struct kfd_vm *vm, u64 page, unsigned int n, const u64 *entries)
{
	unsigned int i;

	for (i = 0; i < KFD_VM_MAX_SUSPECTS; i++)
		if (vm->suspects[i].page - page < n && entries[vm->suspects[i].page - page])
			vm->suspects[i].valid = false;
}

void kfd_vm_set_block(struct kfd_vm *vm, struct kfd_vm_stock *stock, u64 page, unsigned int n, const u64 *entries)
{
	unsigned int first = page % KFD_VM_BLOCK_PAGES, slot = kfd_vm_index(page, KFDLAB_GPUVM_PDB0), i;
	struct kfd_vm_table *pdb0, *ptb;

	lockdep_assert_held(&vm->lock);
	kfd_vm_acquit(vm, page, n, entries);
	pdb0 = kfd_vm_make_pdb0(vm, stock, page);
	if (n == KFD_VM_BLOCK_PAGES && kfd_vm_is_run(entries)) {
		kfd_table_set(pdb0, slot, entries[0] | AMDGPU_PDE_PTE);
		/* The device may still be in it, and finds nothing. */
		if (pdb0->child[slot])
			kfd_table_empty(pdb0->child[slot]);
		return;
	}
	ptb = kfd_vm_make_ptb(pdb0, stock, slot);
	for (i = 0; i < n; i++)
		kfd_table_set(ptb, first + i, entries[i]);
}

/* Clear [first, last] of one block. */
static bool kfd_vm_clear_block(struct kfd_vm_table *pdb0, unsigned int slot, u64 first, u64 last, bool *huge)
{
	struct kfd_vm_table *ptb = pdb0->child[slot];
	unsigned int before, i;

	*huge = kfd_is_huge(pdb0->entries[slot]);
	if (*huge) {
		kfd_table_set(pdb0, slot, 0);
		return true;
	}
	if (!ptb || !ptb->used)
		return false;
	before = ptb->used;
	for (i = first % KFD_VM_BLOCK_PAGES; i <= last % KFD_VM_BLOCK_PAGES; i++)
		kfd_table_set(ptb, i, 0);
	return ptb->used != before;
}

bool kfd_vm_clear(struct kfd_vm *vm, u64 *first, u64 *last)
{
	u64 page = *first, end = *last, next;
	bool any = false, huge;

	lockdep_assert_held(&vm->lock);
	for (; page <= end; page = next) {
		struct kfd_vm_table *pdb0 = kfd_vm_find_pdb0(vm, page, &next);
		u64 block = ALIGN_DOWN(page, KFD_VM_BLOCK_PAGES);

		if (!pdb0)
			continue;
		next = block + KFD_VM_BLOCK_PAGES;
		any |= kfd_vm_clear_block(pdb0, kfd_vm_index(page, KFDLAB_GPUVM_PDB0), page,
					  min(end, next - 1), &huge);
		if (huge) {
			*first = min(*first, block);
			*last = max(*last, next - 1);
		}
	}
	return any;
}

bool kfd_vm_clear_huge(struct kfd_vm *vm, u64 page, u64 *first, u64 *last)
{
	unsigned int level;

	if (!kfd_vm_lookup(vm, page, &level) || level != KFDLAB_GPUVM_PDB0)
		return false;
	*first = page;
	*last = page;
	return kfd_vm_clear(vm, first, last);
}

u64 kfd_vm_lookup(struct kfd_vm *vm, u64 page, unsigned int *level)
{
	unsigned int slot = kfd_vm_index(page, KFDLAB_GPUVM_PDB0);
	struct kfd_vm_table *pdb0;
	u64 entry, skip;

	lockdep_assert_held(&vm->lock);
	pdb0 = kfd_vm_find_pdb0(vm, page, &skip);
	if (!pdb0)
		return 0;
	*level = KFDLAB_GPUVM_PDB0;
	entry = pdb0->entries[slot];
	if (kfd_is_huge(entry))
		return entry;
	if (!entry)
		return 0;
	*level = KFDLAB_GPUVM_PTB;
	return pdb0->child[slot]->entries[page % KFD_VM_BLOCK_PAGES];
}

/* ---- empty tables ---- */

/* What was unlinked and waits for the TLB. */
struct kfd_vm_trash {
	struct kfd_vm_table *tables[64];
	unsigned int n;
};

/*
 * Unlink empty tables below @table whose pages lie in [first, last], as many as the trash takes. @base: first page of
 * @table.
 */
static void kfd_table_prune(struct kfd_vm_table *table, unsigned int level, u64 base, u64 first, u64 last,
			    struct kfd_vm_trash *trash)
{
	u64 span = kfd_vm_level_pages(level);
	unsigned int i = first > base ? div64_u64(first - base, span) : 0;

	for (; i < KFDLAB_GPUVM_ENTRIES && base + i * span <= last; i++) {
		struct kfd_vm_table *child = table->child[i];
		u64 start = base + i * span;

		if (!child)
			continue;
		if (level > KFDLAB_GPUVM_PDB0)
			kfd_table_prune(child, level - 1, start, first, last, trash);
		if (child->used || start < first || start + span - 1 > last)
			continue;
		if (child->child && memchr_inv(child->child, 0, KFDLAB_GPUVM_ENTRIES * sizeof(*child->child)))
			continue;
		if (trash->n == ARRAY_SIZE(trash->tables))
			return;
		trash->tables[trash->n++] = child;
		table->child[i] = NULL;
		if (table->entries[i] == child->pde)
			kfd_table_set(table, i, 0);
	}
}

void kfd_vm_prune(struct kfd_vm *vm, u64 first, u64 last)
{
	struct kfd_vm_trash *trash = kmalloc(sizeof(*trash), GFP_KERNEL | __GFP_NOWARN);
	unsigned int n = ARRAY_SIZE(trash->tables);

	/* Out of memory: they are there for the next mapping, and at the end. */
	while (trash && n == ARRAY_SIZE(trash->tables)) {
		trash->n = 0;
		mutex_lock(&vm->lock);
		kfd_table_prune(vm->root, KFDLAB_GPUVM_PDB2, 0, first, last, trash);
		mutex_unlock(&vm->lock);
		n = trash->n;
		if (n)
			kfd_vm_flush(vm, first, last - first + 1);
		while (trash->n)
			kfd_vm_table_free(vm, trash->tables[--trash->n]);
		cond_resched();
	}
	kfree(trash);
}

/* ---- suspects ---- */

/* One that is free, or that was long enough not reported again; NULL: none. Locking: vm->lock. */
static struct kfd_vm_suspect *kfd_vm_suspect_slot(struct kfd_vm *vm)
{
	unsigned int i;

	for (i = 0; i < KFD_VM_MAX_SUSPECTS; i++)
		if (!vm->suspects[i].valid || time_after(jiffies, vm->suspects[i].since + KFD_SUSPECT_TIME))
			return &vm->suspects[i];
	return NULL;
}

bool kfd_vm_suspect_add(struct kfd_vm *vm, u64 page)
{
	struct kfd_vm_suspect *slot;

	mutex_lock(&vm->lock);
	slot = kfd_vm_suspect_slot(vm);
	if (slot)
		*slot = (struct kfd_vm_suspect){ .page = page, .since = jiffies, .valid = true };
	mutex_unlock(&vm->lock);
	return slot;
}

bool kfd_vm_suspect_take(struct kfd_vm *vm, u64 page)
{
	bool was = false;
	unsigned int i;

	mutex_lock(&vm->lock);
	for (i = 0; i < KFD_VM_MAX_SUSPECTS; i++) {
		if (!vm->suspects[i].valid || vm->suspects[i].page != page)
			continue;
		vm->suspects[i].valid = false;
		was = true;
	}
	mutex_unlock(&vm->lock);
	return was;
}

/* ---- refusals ---- */

static void kfd_vm_unrefuse(struct kfd_vm *vm, u64 page)
{
	u64 last = page;
	unsigned int level;

	if (kfd_is_refusal(kfd_vm_lookup(vm, page, &level)))
		kfd_vm_clear(vm, &page, &last);
}

static bool kfd_vm_allows(struct kfd_vm *vm, u64 page, bool write)
{
	u64 need = AMDGPU_PTE_VALID | AMDGPU_PTE_READABLE | (write ? AMDGPU_PTE_WRITEABLE : 0);
	unsigned int level;

	return (kfd_vm_lookup(vm, page, &level) & need) == need;
}

bool kfd_vm_is_mapped(struct kfd_vm *vm, u64 page, bool write)
{
	bool mapped;

	mutex_lock(&vm->lock);
	mapped = kfd_vm_allows(vm, page, write);
	mutex_unlock(&vm->lock);
	return mapped;
}

void kfd_vm_refuse(struct kfd_vm *vm, u64 page, bool write)
{
	static const u64 refusal = AMDGPU_VM_NORETRY_FLAGS;
	struct kfd_vm_stock stock = {};

	/* Without memory the access waits: it is reported again. */
	if (!kfd_vm_stock_fill(vm, &stock)) {
		mutex_lock(&vm->lock);
		if (!kfd_vm_allows(vm, page, write)) {
			if (vm->nrefused == KFD_VM_MAX_REFUSED)
				kfd_vm_unrefuse(vm, vm->refused[--vm->nrefused]);
			vm->refused[vm->nrefused++] = page;
			kfd_vm_set_block(vm, &stock, page, 1, &refusal);
		}
		mutex_unlock(&vm->lock);
	}
	kfd_vm_stock_drop(vm, &stock);
	kfd_vm_flush(vm, page, 1);
}

void kfd_vm_forgive(struct kfd_vm *vm)
{
	mutex_lock(&vm->lock);
	while (vm->nrefused)
		kfd_vm_unrefuse(vm, vm->refused[--vm->nrefused]);
	mutex_unlock(&vm->lock);
}
