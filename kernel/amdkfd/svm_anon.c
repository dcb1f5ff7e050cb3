// SPDX-License-Identifier: GPL-2.0
/*
 * References to anon_vmas; svm_anon.h says what for. The kernel has the same, folio_get_anon_vma()
 * and __put_anon_vma(), but exports neither.
 *
 * The memory of an anon_vma never becomes something else before an RCU grace period
 * (SLAB_TYPESAFE_BY_RCU), so counting one up that may be gone does no harm as long as it is given
 * up again when the page turns out to be unmapped.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/rmap.h>
#include <linux/slab.h>

#include "svm_anon.h"

struct anon_vma *svm_anon_get(struct page *page)
{
	struct anon_vma *anon_vma = NULL;
	unsigned long mapping;

	rcu_read_lock();
	mapping = (unsigned long)READ_ONCE(page->mapping);
	if ((mapping & PAGE_MAPPING_FLAGS) == PAGE_MAPPING_ANON && page_mapped(page))
		anon_vma = (struct anon_vma *)(mapping - PAGE_MAPPING_ANON);
	if (anon_vma && !atomic_inc_not_zero(&anon_vma->refcount))
		anon_vma = NULL;
	if (anon_vma && !page_mapped(page)) {
		/* Gone, or another's by now: not to be relied on, but to be given back. */
		rcu_read_unlock();
		svm_anon_put(anon_vma);
		return NULL;
	}
	rcu_read_unlock();
	return anon_vma;
}

static void svm_anon_free(struct anon_vma *anon_vma)
{
	/* rmap may have found it just before, and be about to see that it is not wanted any more. */
	if (rwsem_is_locked(&anon_vma->root->rwsem)) {
		anon_vma_lock_write(anon_vma);
		anon_vma_unlock_write(anon_vma);
	}
	/* kfree() finds the cache an object is of. */
	kfree(anon_vma);
}

void svm_anon_put(struct anon_vma *anon_vma)
{
	struct anon_vma *root;

	might_sleep();
	if (!anon_vma || !atomic_dec_and_test(&anon_vma->refcount))
		return;
	root = anon_vma->root;
	svm_anon_free(anon_vma);
	if (root != anon_vma && atomic_dec_and_test(&root->refcount))
		svm_anon_free(root);
}
