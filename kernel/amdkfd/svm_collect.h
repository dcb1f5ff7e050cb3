/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which pages of RAM, and which holes, a prefetch may collect, and how.
 *
 * migrate_vma_setup() goes by page table: it puts a migration entry wherever a page is mapped in the
 * interval. migrate_vma_finalize() takes entries back by rmap. For a page that KSM merged rmap does
 * not know every mapping, the forgotten entry stays for ever, and its next touch is a BUG() in
 * include/linux/swapops.h. Such a page is found where nobody registered memory for merging:
 *
 *   - KSM makes a page that fork() shared a merged one in place when any of the relatives that map
 *     it is registered, and then knows the mappings of that relative and its children only;
 *   - MADV_UNMERGEABLE parts merged pages that are present. One that is swapped out returns merged,
 *     and KSM has forgotten where.
 *
 * So page tables are followed only to pages that one process alone maps: mm calls them exclusive,
 * fork(), which ends that, takes the mmap_lock for writing, and nobody but their own process can register
 * them. Shared pages are locked and unmapped by frame, where what rmap does not know stays mapped and
 * the page stays. Holes are collected so that a page that returns from swap meanwhile is none.
 */
#ifndef SVM_COLLECT_H
#define SVM_COLLECT_H

#include "svm_batch.h"

/*
 * Collect RAM and holes of [vma->start, vma->end), at most SVM_BATCH_PAGES pages of one mapping,
 * into ->src; @look is room for as many entries. @vma must have ->vma, ->start, ->end, ->src, ->dst
 * and ->pgmap_owner, and is ready for migrate_vma_pages() and migrate_vma_finalize() afterwards.
 * False: nothing may be collected there: memory registered for merging, without read permission (it
 * cannot be looked at), or of a kind that does not migrate. Locking: mmap_lock for reading, until
 * finalize.
 */
bool svm_collect_ram(struct migrate_vma *vma, unsigned long *look);

#endif
