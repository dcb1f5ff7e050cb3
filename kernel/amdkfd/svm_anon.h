/* SPDX-License-Identifier: GPL-2.0 */
/*
 * References to the anon_vma of pages that migrate by page frame.
 *
 * migrate_device_range() and migrate_device_finalize() put migration entries back by rmap, which
 * reads page->mapping without a reference: nothing keeps the anon_vma there once the page is
 * unmapped, unless somebody holds the mmap_lock of a process whose mapping is in it, as
 * migrate_vma_*() does. A process that exits or unmaps in between frees it (seen on 6.1: a NULL
 * dereference in rmap_walk_anon()). So whoever migrates by frame takes a reference first, and
 * leaves alone what is not mapped, whose anon_vma may be gone already.
 */
#ifndef SVM_ANON_H
#define SVM_ANON_H

struct anon_vma;
struct page;

/*
 * The anon_vma of @page, referenced; NULL: @page is not mapped, or not anonymous memory. Context:
 * may sleep, as svm_anon_put(); @page may be freed meanwhile.
 */
struct anon_vma *svm_anon_get(struct page *page);
/* Context: may sleep; no anon_vma is locked. */
void svm_anon_put(struct anon_vma *anon_vma);

#endif
