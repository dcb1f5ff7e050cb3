/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The GPU's view of a process: one address space (struct kfd_vm) for each process and GPU, made by ACQUIRE_VM and
 * kept until the process's teardown. It has a VMID of that GPU, the process's PASID and page tables in the format of
 * hw/gpuvm.h.
 *
 *   kfd_vm        VMIDs, PASIDs, SET_VMID, TLB            kfd_userptr  user memory at an address of its own
 *   kfd_vm_table  memory of page tables                   kfd_restore  what queues wait for, and mapping it again
 *   kfd_vm_map    entries                                 svm_map      SVM ranges
 *   kfd_vm_buffer buffers: MAP, UNMAP, moves              svm_fault    retry faults
 *
 * Invariants: an entry is written under vm->lock, which notifiers take, so nothing is allocated under it. A table is
 * freed only when it can be reached no more and a TLB invalidation behind that has completed. What an entry maps is
 * not given to anybody else before the entry is clear and the TLB invalidated.
 */
#ifndef KFD_VM_H
#define KFD_VM_H

#include <linux/mutex.h>

#include "hw/gpuvm.h"
#include "kfd_priv.h"

struct kfd_process;
struct kfd_vm_table;

/* Pages one entry of level PDB0 maps, and entries of a table. */
#define KFD_VM_BLOCK_PAGES	KFDLAB_GPUVM_ENTRIES
/* New tables that mapping something within one block may need. */
#define KFD_VM_BLOCK_TABLES	3
/* Tables of one address space (256 MiB), so that sparse mappings cannot take the machine's memory. */
#define KFD_VM_MAX_TABLES	(1u << 16)
/* Pages that may be refused at a time; one more and the last is forgotten, to be found out again. */
#define KFD_VM_MAX_REFUSED	16
/* Pages that may be suspected at a time. */
#define KFD_VM_MAX_SUSPECTS	16

struct kfd_vm_suspect {
	u64 page;
	unsigned long since;		/* jiffies */
	bool valid;
};

struct kfd_vm {
	struct kfd_dev *dev;
	struct kfd_process *process;
	u32 vmid;			/* 1 .. KFDLAB_VMID_COUNT - 1, from dev->vms */
	u32 pasid;			/* the process's */

	struct mutex lock;		/* every entry and table, flushing, refused, suspects */
	unsigned int flushing;		/* who cleared entries and has not invalidated the TLB yet */
	struct kfd_vm_table *root;
	atomic_t ntables;		/* those in reserve too */
	u64 refused[KFD_VM_MAX_REFUSED];	/* pages with a no-retry entry */
	unsigned int nrefused;
	struct kfd_vm_suspect suspects[KFD_VM_MAX_SUSPECTS];

	/* What SET_VMID tells besides. Locking: dev->vms->lock */
	bool detached;			/* nothing; kfd_vm_detach() */
	u64 tba, tma;
	bool retry;
};

/* Memory of the tables of one GPU. */
struct kfd_vm_pool {
	struct mutex lock;
	struct list_head chunks;
	u64 vram_bytes;
	atomic_long_t ram_pages;
};

/* ---- kfd_vm.c: life ---- */

/* The GPU's VMs: VMIDs and who has them. Made before and freed after everything that uses them. */
struct kfd_vms {
	struct mutex lock;		/* vm[], and what SET_VMID tells of each */
	struct kfd_vm *vm[KFDLAB_VMID_COUNT];
	struct kfd_vm_pool pool;
};

int kfd_vms_init(struct kfd_dev *dev);
void kfd_vms_fini(struct kfd_dev *dev);

/*
 * For ACQUIRE_VM: p->devices[dev->index].vm, and p->pasid with the first. 0; -ENOSPC no VMID left; -ENOMEM. A dead
 * device is no error, the next one is told by kfd_vm_replay(). Locking: p->lock held. Context: may sleep.
 */
int kfd_vm_create(struct kfd_process *p, struct kfd_dev *dev);
/*
 * Teardown, behind the process's queues: the device uses nothing of its VMs any more, so what is unmapped from here on
 * needs no TLB invalidation. Then, behind its ranges and buffers: take them away, and its PASID.
 */
void kfd_vm_detach(struct kfd_process *p);
void kfd_vm_fini(struct kfd_process *p);
/*
 * The VM of a process on a GPU, NULL before ACQUIRE_VM. Once it is there it stays until teardown. No lock; pairs with
 * the release store of kfd_vm_create().
 */
struct kfd_vm *kfd_process_vm(struct kfd_process *p, struct kfd_dev *dev);

/*
 * Tell the device the trap handler and the XNACK mode of @p on @vm's GPU as they are in @p now. Queues of the VM are
 * quiesced or not mapped. 0, or -ENODEV (dead: kfd_vm_replay() will). Locking: p->lock held.
 */
int kfd_vm_update(struct kfd_vm *vm);
/*
 * A new generation of the device knows no VMID: tell it all of them. For the work that follows an adoption, before any
 * queue is mapped there. -ENODEV: it died meanwhile. Locking: takes dev->vms->lock; no lock below that one.
 */
int kfd_vm_replay(struct kfd_dev *dev, u32 generation);

/*
 * The process a PASID belongs to, with a reference of its memory (kfd_process_put()), or NULL. It may be torn down
 * meanwhile. Context: any, hard irq included.
 */
struct kfd_process *kfd_process_by_pasid(u32 pasid);

/*
 * Invalidate the TLB for pages [first, first + npages) of the VM (npages 0: all) and wait until no thread of the
 * device uses anything older. Never fails: a device that is dead or dies remembers nothing. Context: may sleep;
 * allocates nothing; vm->lock may be held.
 */
void kfd_vm_flush(struct kfd_vm *vm, u64 first, u64 npages);
/*
 * Take pages [first, last] off the GPU: nobody uses an entry for one of them when this returns, whoever cleared it.
 * Allocates nothing. Context: may sleep; takes vm->lock.
 */
void kfd_vm_take_off(struct kfd_vm *vm, u64 first, u64 last);

/* ---- kfd_vm_table.c ---- */

/* One table, of level PTB to PDB2. Only the VM's files look inside. */
struct kfd_vm_table {
	u64 *entries;			/* as the device sees them; WRITE_ONCE() */
	u64 pde;			/* that leads here */
	struct kfd_vm_table **child;	/* by index, linked or kept for later; NULL for a PTB */
	struct kfd_vm_chunk *chunk;	/* VRAM it is in, NULL: RAM */
	unsigned int used;		/* entries that are not 0 */
};

void kfd_vm_pool_init(struct kfd_vm_pool *pool);
void kfd_vm_pool_fini(struct kfd_vm_pool *pool);

/* An empty table. In VRAM if there is some free, up to a share of it, else in RAM charged to current. -ENOSPC, -ENOMEM. */
struct kfd_vm_table *kfd_vm_table_alloc(struct kfd_vm *vm, unsigned int level);
/* Only the table, not its children. The device reaches it no more. */
void kfd_vm_table_free(struct kfd_vm *vm, struct kfd_vm_table *table);

/* Tables in reserve, by level, so that kfd_vm_set_block() cannot fail. Zero-initialised is empty. */
struct kfd_vm_stock {
	struct kfd_vm_table *tables[KFD_VM_BLOCK_TABLES];
};

/*
 * Fill up. -ENOMEM; -ENOSPC: the VM has KFD_VM_MAX_TABLES, which does not change by itself. Context: may sleep and
 * reclaim; vm->lock not held.
 */
int kfd_vm_stock_fill(struct kfd_vm *vm, struct kfd_vm_stock *stock);
void kfd_vm_stock_drop(struct kfd_vm *vm, struct kfd_vm_stock *stock);

/* ---- kfd_vm_map.c: entries. Page numbers of the GPU's address space. ---- */

/*
 * The entry that maps guest-physical page @phys with @flags (AMDGPU_PTE_READABLE, _WRITEABLE, _EXECUTABLE, MTYPE):
 * as an offset if it is VRAM of the VM's GPU, else with AMDGPU_PTE_SYSTEM.
 */
u64 kfd_vm_entry(struct kfd_vm *vm, u64 phys, u64 flags);
/*
 * Write the entries of pages [page, page + n), all within one block, from @entries: 0 is not mapped. A whole block of
 * one aligned run becomes one entry of PDB0. What was mapped there before and is replaced by something else is to be
 * flushed by the caller. Locking: vm->lock held, the stock was filled before it was taken.
 */
void kfd_vm_set_block(struct kfd_vm *vm, struct kfd_vm_stock *stock, u64 page, unsigned int n, const u64 *entries);
/*
 * Clear [*first, *last]. An entry of PDB0 that overlaps goes as a whole, and then *first and *last grow to all that is
 * unmapped now. True: something was mapped, kfd_vm_flush() must follow. Allocates nothing. Locking: vm->lock held.
 */
bool kfd_vm_clear(struct kfd_vm *vm, u64 *first, u64 *last);
/* As kfd_vm_clear() if @page is mapped by an entry of PDB0, else false. Locking: vm->lock held. */
bool kfd_vm_clear_huge(struct kfd_vm *vm, u64 page, u64 *first, u64 *last);
/* Free the empty tables that map nothing but pages in [first, last]; waits for the TLB. Takes vm->lock. */
void kfd_vm_prune(struct kfd_vm *vm, u64 first, u64 last);
/* The leaf that maps @page and its level; 0: nothing is there. Locking: vm->lock held. */
u64 kfd_vm_lookup(struct kfd_vm *vm, u64 page, unsigned int *level);
/* Can the GPU read, or with @write write, @page? Takes vm->lock. */
bool kfd_vm_is_mapped(struct kfd_vm *vm, u64 page, bool write);
/*
 * Suspects: pages whose report by the device could not be served, and where nothing was mapped since. An access that is
 * reported of such a page was attempted behind that, so nothing is there for it; while any other report may be of an
 * access that passed, or of a kernel that ended, before the memory went. _add() comes before the flush behind which
 * reports count; false: there are as many already, who are about to be reported again, so this one need not be now.
 * _take(): was it one? It is none afterwards. Both take vm->lock.
 */
bool kfd_vm_suspect_add(struct kfd_vm *vm, u64 page);
bool kfd_vm_suspect_take(struct kfd_vm *vm, u64 page);
/*
 * Answer a retry fault at @page with "no", unless it has come to be mapped (for writing, if @write); until something is
 * mapped there or kfd_vm_forgive(). Takes vm->lock.
 */
void kfd_vm_refuse(struct kfd_vm *vm, u64 page, bool write);
/* Take all refusals back: a queue is created, so the process goes on after its fault. Takes vm->lock. */
void kfd_vm_forgive(struct kfd_vm *vm);

#endif
