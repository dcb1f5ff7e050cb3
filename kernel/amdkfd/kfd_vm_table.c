// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of page tables. A table is one page: of VRAM, out of chunks that are pinned and shared by all VMs of a GPU,
 * or of RAM when VRAM has no room or the tables have their share of it. Nothing is evicted for a table, so one can be
 * had while an object is locked, and a full VRAM keeps nobody from mapping.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "kfd_vm.h"

/* Tables of a chunk: 2 MiB, so that what is left of VRAM begins and ends where huge entries do. */
#define KFD_CHUNK_TABLES	512u
/* Chunks take at most this part of VRAM. */
#define KFD_CHUNK_SHARE		16

struct kfd_vm_chunk {
	struct list_head link;		/* kfd_vm_pool.chunks */
	struct klttm_reservation *vram;
	unsigned int count;		/* tables in use */
	DECLARE_BITMAP(used, KFD_CHUNK_TABLES);
};

void kfd_vm_pool_init(struct kfd_vm_pool *pool)
{
	mutex_init(&pool->lock);
	INIT_LIST_HEAD(&pool->chunks);
}

void kfd_vm_pool_fini(struct kfd_vm_pool *pool)
{
	WARN_ON_ONCE(!list_empty(&pool->chunks) || atomic_long_read(&pool->ram_pages));
}

/* A chunk with a free table, NULL: VRAM has none. */
static struct kfd_vm_chunk *kfd_chunk_get(struct kfd_dev *dev, struct kfd_vm_pool *pool)
{
	u64 bytes = KFD_CHUNK_TABLES * KFDLAB_GPUVM_TABLE_SIZE;
	struct kfd_vm_chunk *chunk;

	lockdep_assert_held(&pool->lock);
	list_for_each_entry(chunk, &pool->chunks, link)
		if (chunk->count < KFD_CHUNK_TABLES)
			return chunk;
	if (pool->vram_bytes + bytes > dev->vram_size / KFD_CHUNK_SHARE)
		return NULL;
	chunk = kzalloc(sizeof(*chunk), GFP_KERNEL);
	if (!chunk)
		return NULL;
	chunk->vram = klttm_vram_reserve_top(dev->ttm, bytes);
	if (IS_ERR(chunk->vram)) {
		kfree(chunk);
		return NULL;
	}
	pool->vram_bytes += bytes;
	list_add(&chunk->link, &pool->chunks);
	return chunk;
}

static bool kfd_table_take_vram(struct kfd_dev *dev, struct kfd_vm_table *table)
{
	struct kfd_vm_pool *pool = &dev->vms->pool;
	struct kfd_vm_chunk *chunk;
	unsigned long page;
	unsigned int bit;

	mutex_lock(&pool->lock);
	chunk = kfd_chunk_get(dev, pool);
	if (chunk) {
		bit = find_first_zero_bit(chunk->used, KFD_CHUNK_TABLES);
		__set_bit(bit, chunk->used);
		chunk->count++;
		page = klttm_reservation_page(chunk->vram) + bit;
		table->chunk = chunk;
		table->entries = page_address(kfd_vram_page(dev, page));
		table->pde = (u64)page << PAGE_SHIFT | AMDGPU_PTE_VALID;
	}
	mutex_unlock(&pool->lock);
	if (chunk)
		clear_page(table->entries);
	return chunk;
}

static bool kfd_table_take_ram(struct kfd_dev *dev, struct kfd_vm_table *table)
{
	table->entries = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!table->entries)
		return false;
	atomic_long_inc(&dev->vms->pool.ram_pages);
	table->pde = virt_to_phys(table->entries) | AMDGPU_PTE_VALID | AMDGPU_PTE_SYSTEM | AMDGPU_PTE_SNOOPED;
	return true;
}

static void kfd_table_put_vram(struct kfd_dev *dev, struct kfd_vm_table *table)
{
	struct kfd_vm_pool *pool = &dev->vms->pool;
	struct kfd_vm_chunk *chunk = table->chunk;
	unsigned long page;

	mutex_lock(&pool->lock);
	page = (table->pde & AMDGPU_PTE_ADDRESS) >> PAGE_SHIFT;
	__clear_bit(page - klttm_reservation_page(chunk->vram), chunk->used);
	if (!--chunk->count) {
		list_del(&chunk->link);
		pool->vram_bytes -= KFD_CHUNK_TABLES * KFDLAB_GPUVM_TABLE_SIZE;
		klttm_vram_unreserve(chunk->vram);
		kfree(chunk);
	}
	mutex_unlock(&pool->lock);
}

struct kfd_vm_table *kfd_vm_table_alloc(struct kfd_vm *vm, unsigned int level)
{
	struct kfd_vm_table *table;

	if (atomic_inc_return(&vm->ntables) > KFD_VM_MAX_TABLES) {
		atomic_dec(&vm->ntables);
		return ERR_PTR(-ENOSPC);
	}
	table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		goto err_count;
	if (level != KFDLAB_GPUVM_PTB) {
		table->child = kcalloc(KFDLAB_GPUVM_ENTRIES, sizeof(*table->child), GFP_KERNEL_ACCOUNT);
		if (!table->child)
			goto err_table;
	}
	if (!kfd_table_take_vram(vm->dev, table) && !kfd_table_take_ram(vm->dev, table))
		goto err_child;
	return table;

err_child:
	kfree(table->child);
err_table:
	kfree(table);
err_count:
	atomic_dec(&vm->ntables);
	return ERR_PTR(-ENOMEM);
}

void kfd_vm_table_free(struct kfd_vm *vm, struct kfd_vm_table *table)
{
	if (table->chunk) {
		kfd_table_put_vram(vm->dev, table);
	} else {
		free_page((unsigned long)table->entries);
		atomic_long_dec(&vm->dev->vms->pool.ram_pages);
	}
	kfree(table->child);
	kfree(table);
	atomic_dec(&vm->ntables);
}

int kfd_vm_stock_fill(struct kfd_vm *vm, struct kfd_vm_stock *stock)
{
	struct kfd_vm_table *table;
	unsigned int level;

	for (level = 0; level < ARRAY_SIZE(stock->tables); level++) {
		if (stock->tables[level])
			continue;
		table = kfd_vm_table_alloc(vm, level);
		if (IS_ERR(table))
			return PTR_ERR(table);
		stock->tables[level] = table;
	}
	return 0;
}

void kfd_vm_stock_drop(struct kfd_vm *vm, struct kfd_vm_stock *stock)
{
	unsigned int level;

	for (level = 0; level < ARRAY_SIZE(stock->tables); level++) {
		if (stock->tables[level])
			kfd_vm_table_free(vm, stock->tables[level]);
		stock->tables[level] = NULL;
	}
}
