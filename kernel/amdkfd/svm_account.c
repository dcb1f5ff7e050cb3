// SPDX-License-Identifier: GPL-2.0
/*
 * How many pages a process has in VRAM, counted where pages are handed out and where they come back
 * (page_free), never from what a migration believes: a long-term pin, munmap or COW takes pages
 * away without asking us.
 *
 * A page is on the account of the process that brought it to VRAM until it comes back, whoever maps
 * it meanwhile. An account outlives its process, because its pages may: a forked child or a pipe can
 * still hold them. Each block keeps one reference, dropped when the block is gone.
 *
 * Invariant (docs/decisions/0031): the pages of all accounts on a GPU add up to its
 * svm_pages_occupied, but for a page that another CPU counts at this moment.
 */
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "svm_range.h"

struct svm_account {
	refcount_t refs;
	pid_t tgid;
	bool closed;			/* its process is torn down; pages are left */
	struct mm_struct *mm;		/* svm_accounts_lock: of the process, NULL once it is torn down */
	struct list_head link;		/* svm_accounts */
	atomic_long_t pages[KFD_MAX_GPUS];	/* in VRAM */
};

static LIST_HEAD(svm_accounts);
static DEFINE_SPINLOCK(svm_accounts_lock);	/* irqsave: an account may go in any context */

/* In the block's cookie, beside the account's address. */
#define SVM_COOKIE_EXEC	1ul

struct svm_account *svm_account_create(pid_t tgid)
{
	struct svm_account *account = kzalloc(sizeof(*account), GFP_KERNEL_ACCOUNT);

	if (!account)
		return NULL;
	refcount_set(&account->refs, 1);
	account->tgid = tgid;
	account->mm = current->mm;
	mmgrab(account->mm);
	spin_lock_irq(&svm_accounts_lock);
	list_add_tail(&account->link, &svm_accounts);
	spin_unlock_irq(&svm_accounts_lock);
	return account;
}

struct svm_account *svm_account_get(struct svm_account *account)
{
	refcount_inc(&account->refs);
	return account;
}

void svm_account_put(struct svm_account *account)
{
	unsigned long flags;
	unsigned int i;

	if (!refcount_dec_and_test(&account->refs))
		return;
	spin_lock_irqsave(&svm_accounts_lock, flags);
	list_del(&account->link);
	spin_unlock_irqrestore(&svm_accounts_lock, flags);
	for (i = 0; i < KFD_MAX_GPUS; i++)
		WARN_ON_ONCE(atomic_long_read(&account->pages[i]));
	kfree(account);
}

void svm_account_close(struct svm_account *account)
{
	struct mm_struct *mm;

	spin_lock_irq(&svm_accounts_lock);
	mm = account->mm;
	account->mm = NULL;
	spin_unlock_irq(&svm_accounts_lock);
	mmdrop(mm);
	WRITE_ONCE(account->closed, true);
	svm_account_put(account);
}

struct mm_struct *svm_account_mm_get(struct svm_account *account)
{
	struct mm_struct *mm;

	spin_lock_irq(&svm_accounts_lock);
	mm = account->mm;
	if (mm && !mmget_not_zero(mm))
		mm = NULL;
	spin_unlock_irq(&svm_accounts_lock);
	return mm;
}

pid_t svm_account_tgid(const struct svm_account *account)
{
	return account->tgid;
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

struct svm_account *svm_block_account(const struct klttm_block *block)
{
	return svm_cookie_account(klttm_block_priv(block));
}

void svm_account_page_init(struct kfd_dev *dev, struct klttm_block *block)
{
	atomic_long_inc(&svm_block_account(block)->pages[dev->index]);
}

/* Whatever took the page out of VRAM, it is there no more. */
void svm_account_page_free(struct kfd_dev *dev, struct klttm_block *block)
{
	atomic_long_dec(&svm_block_account(block)->pages[dev->index]);
}

void svm_account_block_release(void *owner, void *priv)
{
	svm_account_put(svm_cookie_account(priv));
}

unsigned long svm_vram_pages_on(struct kfd_process *p, const struct kfd_dev *dev)
{
	return atomic_long_read(&p->svms.account->pages[dev->index]);
}

unsigned long svm_vram_pages(struct kfd_process *p)
{
	unsigned long pages = 0;
	unsigned int i;

	for (i = 0; i < KFD_MAX_GPUS; i++)
		pages += atomic_long_read(&p->svms.account->pages[i]);
	return pages;
}

void svm_accounts_for_each(const struct kfd_dev *dev,
			   void (*fn)(pid_t tgid, bool closed, unsigned long pages, void *arg), void *arg)
{
	struct svm_account *account;

	spin_lock_irq(&svm_accounts_lock);
	list_for_each_entry(account, &svm_accounts, link)
		fn(account->tgid, READ_ONCE(account->closed),
		   atomic_long_read(&account->pages[dev->index]), arg);
	spin_unlock_irq(&svm_accounts_lock);
}
