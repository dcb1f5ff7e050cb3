// SPDX-License-Identifier: GPL-2.0
/* See kfd_mirror.h. Nothing here but the driver's own functions under one roof. */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "kfd_mirror.h"
#include "kfd_priv.h"
#include "kfd_process.h"
#include "svm_range.h"

struct kfd_mirror {
	struct kfd_process *p;
	struct kfd_dev *dev;	/* stays: @p is a user of the GPUs */
	struct kfd_copy_run runs[KFD_MIRROR_BATCH];
};

struct kfd_mirror *kfd_mirror_open(unsigned int gpu)
{
	struct kfd_mirror *mirror = kvmalloc(sizeof(*mirror), GFP_KERNEL_ACCOUNT);
	struct kfd_process *p;

	if (!mirror)
		return ERR_PTR(-ENOMEM);
	p = kfd_process_open();
	if (IS_ERR(p)) {
		kvfree(mirror);
		return ERR_CAST(p);
	}
	mirror->p = p;
	mirror->dev = kfd_dev_by_index(gpu);
	if (mirror->dev)
		return mirror;
	kfd_mirror_close(mirror);
	return ERR_PTR(-ENODEV);
}
KCOMPAT_EXPORT_SYMBOL_NS_GPL(kfd_mirror_open, KFDLAB_MIRROR);

void kfd_mirror_close(struct kfd_mirror *mirror)
{
	kfd_process_close(mirror->p);
	kvfree(mirror);
}
KCOMPAT_EXPORT_SYMBOL_NS_GPL(kfd_mirror_close, KFDLAB_MIRROR);

int kfd_mirror_check(const struct kfd_mirror *mirror)
{
	return kfd_process_check(mirror->p);
}
KCOMPAT_EXPORT_SYMBOL_NS_GPL(kfd_mirror_check, KFDLAB_MIRROR);

static long kfd_mirror_move(struct kfd_mirror *mirror, unsigned long start, unsigned long end,
			    struct kfd_dev *from, struct kfd_dev *to)
{
	struct svm_mover *mover = svm_mover_create();
	long moved;

	if (!mover)
		return -ENOMEM;
	svm_migrate_from(mirror->p, mover, start, end, from, to);
	moved = svm_mover_moved(mover);
	svm_mover_destroy(mover);
	return moved;
}

long kfd_mirror_to_vram(struct kfd_mirror *mirror, unsigned long start, unsigned long end)
{
	return kfd_mirror_move(mirror, start, end, NULL, mirror->dev);
}
KCOMPAT_EXPORT_SYMBOL_NS_GPL(kfd_mirror_to_vram, KFDLAB_MIRROR);

long kfd_mirror_to_ram(struct kfd_mirror *mirror, unsigned long start, unsigned long end)
{
	return kfd_mirror_move(mirror, start, end, mirror->dev, NULL);
}
KCOMPAT_EXPORT_SYMBOL_NS_GPL(kfd_mirror_to_ram, KFDLAB_MIRROR);

int kfd_mirror_evict(struct kfd_mirror *mirror)
{
	return klttm_evict_vram(mirror->dev->ttm);
}
KCOMPAT_EXPORT_SYMBOL_NS_GPL(kfd_mirror_evict, KFDLAB_MIRROR);

enum kfd_mirror_place kfd_mirror_place(const struct kfd_mirror *mirror, struct page *page)
{
	struct kfd_dev *dev = kfd_page_dev(page);

	if (!dev)
		return KFD_MIRROR_ELSEWHERE;
	return dev == mirror->dev ? KFD_MIRROR_LOCAL : KFD_MIRROR_REMOTE;
}
KCOMPAT_EXPORT_SYMBOL_NS_GPL(kfd_mirror_place, KFDLAB_MIRROR);

void kfd_mirror_copy(struct kfd_mirror *mirror, struct page **to, struct page **from, unsigned int n)
{
	unsigned int i;

	if (WARN_ON_ONCE(n > KFD_MIRROR_BATCH))
		return;
	for (i = 0; i < n; i++)
		mirror->runs[i] = (struct kfd_copy_run){
			.dst = page_to_phys(to[i]),
			.src = page_to_phys(from[i]),
			.bytes = PAGE_SIZE,
		};
	kfd_copy_batch(mirror->dev, mirror->runs, n);
}
KCOMPAT_EXPORT_SYMBOL_NS_GPL(kfd_mirror_copy, KFDLAB_MIRROR);
