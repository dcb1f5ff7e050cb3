// SPDX-License-Identifier: GPL-2.0
/*
 * How many pages a process has in VRAM, counted where pages are handed out and where they come back
 * (page_free), never from what a migration believes: a long-term pin, munmap or COW takes pages
 * away without asking us.
 *
 * An account outlives its process, because its pages may: a forked child or a pipe can still hold
 * them. Each block keeps one reference, dropped when the block is gone.
 */
#include <linux/refcount.h>
#include <linux/slab.h>

#include "svm_range.h"

struct svm_account {
	refcount_t refs;
	pid_t tgid;
	atomic_long_t pages;		/* in VRAM, all GPUs */
};

/* In the block's cookie, beside the account's address. */
#define SVM_COOKIE_EXEC	1ul

struct svm_account *svm_account_create(pid_t tgid)
{
	struct svm_account *account = kzalloc(sizeof(*account), GFP_KERNEL_ACCOUNT);

	if (!account)
		return NULL;
	refcount_set(&account->refs, 1);
	account->tgid = tgid;
	return account;
}

struct svm_account *svm_account_get(struct svm_account *account)
{
	refcount_inc(&account->refs);
	return account;
}

void svm_account_put(struct svm_account *account)
{
	if (refcount_dec_and_test(&account->refs)) {
		WARN_ON_ONCE(atomic_long_read(&account->pages));
		kfree(account);
	}
}

void svm_account_pages_out(struct svm_account *account, unsigned long npages)
{
	atomic_long_add(npages, &account->pages);
}

static struct svm_account *svm_cookie_account(void *cookie)
{
	return (struct svm_account *)((unsigned long)cookie & ~SVM_COOKIE_EXEC);
}

void *svm_block_cookie(struct svm_account *account, bool exec)
{
	return (void *)((unsigned long)account | (exec ? SVM_COOKIE_EXEC : 0));
}

bool svm_block_exec(const struct klttm_block *block)
{
	return (unsigned long)klttm_block_priv(block) & SVM_COOKIE_EXEC;
}

/* Whatever took the page out of VRAM, it is there no more. */
void svm_account_page_free(struct klttm_block *block, enum kfd_page_fate fate)
{
	atomic_long_dec(&svm_cookie_account(klttm_block_priv(block))->pages);
}

void svm_account_block_release(void *owner, void *priv)
{
	svm_account_put(svm_cookie_account(priv));
}

unsigned long svm_vram_pages(struct kfd_process *p)
{
	return max(atomic_long_read(&p->svms.account->pages), 0L);
}
