/* SPDX-License-Identifier: MIT */
/*
 * GPU page tables, as the driver writes them and the device walks them: the entry format of AMD's gfx9 parts
 * (MI200), with amdgpu's names. A GPU virtual address has 48 bits and four levels of 512 entries of 8 bytes:
 *
 *   level  name   VA bits   an entry covers   entry is
 *   3      PDB2   47:39     512 GiB           a PDE; the VMID's root is this table
 *   2      PDB1   38:30     1 GiB             a PDE, or a PTE if it has AMDGPU_PDE_PTE
 *   1      PDB0   29:21     2 MiB             a PDE, or a PTE if it has AMDGPU_PDE_PTE
 *   0      PTB    20:12     4 KiB             a PTE
 *
 * Any other address, with a bit in 63:48, is not mapped (the apertures of LDS and scratch lie there and never reach
 * the page tables). Differences from AMD's hardware, all of them because there is no MC address space here:
 *
 *   - without AMDGPU_PTE_SYSTEM, an address (of a page or of a table) is an offset into this GPU's VRAM;
 *   - with it, it is a guest-physical address: RAM or the VRAM of any GPU of the VM, this one's too. A page, not a
 *     table, may also be a doorbell page of this GPU's BAR;
 *   - the root is given with KFDLAB_CONTROL_SET_VMID as a PDE;
 *   - AMDGPU_PTE_TF is only allowed where AMDGPU_VM_NORETRY_FLAGS has it; PRT is not implemented: such an entry is
 *     not present.
 *
 * The device reads an entry whole, once a walk, at any moment, and writes none (there are no accessed and dirty
 * bits). It may keep what it read until the range is invalidated, in both directions: a fault is never kept, but
 * an entry that was valid is until KFDLAB_CONTROL_TLB_INVALIDATE completes. Tables must therefore not be freed
 * before that either. An entry that leads outside VRAM and RAM is a fault like one that is not present.
 */
#ifndef KFDLAB_HW_GPUVM_H
#define KFDLAB_HW_GPUVM_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/*
 * VMIDs 1 to KFDLAB_VMID_COUNT - 1 are the driver's to give to processes; 0 is nobody's. More than the 16 of the
 * hardware, so that a driver need not multiplex them: one for each doorbell page. An IH entry has room for the low
 * four bits only, its PASID tells processes apart.
 */
#define KFDLAB_VMID_COUNT	128u

#define KFDLAB_GPUVM_VA_BITS	48
#define KFDLAB_GPUVM_LEVELS	4
#define KFDLAB_GPUVM_LEVEL_BITS	9	/* amdgpu: vm_manager.block_size */
#define KFDLAB_GPUVM_ENTRIES	(1u << KFDLAB_GPUVM_LEVEL_BITS)
#define KFDLAB_GPUVM_TABLE_SIZE	4096u	/* bytes and alignment of a table */

/* amdgpu: enum amdgpu_vm_level, but counted from the leaf. */
enum kfdlab_gpuvm_level {
	KFDLAB_GPUVM_PTB = 0,
	KFDLAB_GPUVM_PDB0 = 1,
	KFDLAB_GPUVM_PDB1 = 2,
	KFDLAB_GPUVM_PDB2 = 3,
};

/* Lowest VA bit that selects an entry of a table of this level; an entry covers 1 << shift bytes. */
static inline unsigned int kfdlab_gpuvm_shift(unsigned int level)
{
	return 12 + KFDLAB_GPUVM_LEVEL_BITS * level;
}

static inline unsigned int kfdlab_gpuvm_index(uint64_t va, unsigned int level)
{
	return (unsigned int)(va >> kfdlab_gpuvm_shift(level)) & (KFDLAB_GPUVM_ENTRIES - 1);
}

/* Both PDEs and PTEs. */
#define AMDGPU_PTE_VALID	(1ull << 0)
#define AMDGPU_PTE_SYSTEM	(1ull << 1)
#define AMDGPU_PTE_SNOOPED	(1ull << 2)	/* system memory, CPU caches snooped: always so here */
#define AMDGPU_PTE_ADDRESS	0x0000fffffffff000ull	/* bits 47:12 */

/* PTEs, and PDEs with AMDGPU_PDE_PTE. */
#define AMDGPU_PTE_TMZ		(1ull << 3)	/* ignored */
#define AMDGPU_PTE_EXECUTABLE	(1ull << 4)
#define AMDGPU_PTE_READABLE	(1ull << 5)
/* Also an atomic operation's permission; takes effect only together with READABLE. */
#define AMDGPU_PTE_WRITEABLE	(1ull << 6)
/*
 * Fragment: this page belongs to a block of 4 KiB << x, aligned in VA, that maps one run of the same memory with the
 * same flags. A hint: the device looks at the other entries before it believes it, and does not beyond 2 MiB (9).
 */
#define AMDGPU_PTE_FRAG(x)	(((x) & 0x1full) << 7)
#define AMDGPU_PTE_FRAG_MASK	AMDGPU_PTE_FRAG(0x1full)
#define AMDGPU_PTE_PRT		(1ull << 51)
#define AMDGPU_PDE_PTE		(1ull << 54)	/* in a PDE: it is a PTE for all it covers */
#define AMDGPU_PTE_LOG		(1ull << 55)	/* ignored */
#define AMDGPU_PTE_TF		(1ull << 56)
/* Memory types: caching policy, without effect here; kept so that tables read like AMD's. */
#define AMDGPU_PTE_MTYPE_VG10(a)	(((a) & 3ull) << 57)
#define AMDGPU_PTE_MTYPE_VG10_MASK	AMDGPU_PTE_MTYPE_VG10(3ull)
#define AMDGPU_MTYPE_NC		0
#define AMDGPU_MTYPE_RW		1
#define AMDGPU_MTYPE_CC		2
#define AMDGPU_MTYPE_UC		3

/* PDEs: size of what the tables below map with one entry, 4 KiB << x; without effect here. */
#define AMDGPU_PDE_BFS(a)	(((a) & 0x1full) << 59)

/*
 * A leaf with exactly these bits of VALID, EXECUTABLE, PDE_PTE and TF answers a retry fault with "no": the access
 * faults for good instead of being retried (amdgpu: amdgpu_vm_handle_fault).
 */
#define AMDGPU_VM_NORETRY_FLAGS	(AMDGPU_PTE_EXECUTABLE | AMDGPU_PDE_PTE | AMDGPU_PTE_TF)

#endif
