// SPDX-License-Identifier: GPL-2.0
/*
 * The files behind AMDKFD_IOC_SMI_EVENTS.
 *
 * Rules as upstream has them: a file belongs to one GPU and to the process that opened it, and shows events of that
 * process only, unless it was opened with CAP_SYS_ADMIN and its mask has the bit for all processes. Nothing is
 * reported before a mask (a u64) is written; a new mask replaces the old one. read() never waits, it answers EAGAIN
 * when there is nothing; poll() waits. What read() returns is a piece of a stream of lines, cut where the buffer ends.
 *
 * A line enters a reader's buffer whole or not at all, so a reader that is slow or dead costs nobody else anything;
 * lines it missed are counted (debugfs kfd/smi). A file outlives its process and its GPU: then no more lines come.
 * A file is less than 8 KiB of memory, charged to its opener, and a process has a bounded number of them: EMFILE.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/kfifo.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "kfd_ioctl.h"
#include "kfd_process.h"
#include "kfd_smi.h"

/* Bytes a reader may be behind: some 60 lines. */
#define KFD_SMI_FIFO_BYTES	4096
/* Files that one process may have opened and that are open still, wherever they are by now: a MiB. */
#define KFD_SMI_FILES_MAX	128

struct kfd_smi_client {
	struct list_head link;		/* kfd_smi_clients */
	struct rcu_head rcu;
	u32 gpu;			/* bit of its index */
	u32 gpu_id;
	pid_t pid;
	u64 opener;			/* serial number of the process, which no other one ever gets */
	bool privileged;		/* CAP_SYS_ADMIN when it was opened */
	u64 events;			/* mask; one word, written by anybody who has the file */
	wait_queue_head_t readers;
	spinlock_t lock;		/* fifo, dropped */
	u64 dropped;
	STRUCT_KFIFO(u8, KFD_SMI_FIFO_BYTES) fifo;
};

static LIST_HEAD(kfd_smi_clients);		/* read under RCU */
static DEFINE_SPINLOCK(kfd_smi_lock);		/* writing kfd_smi_clients and kfd_smi_wanted */
u64 kfd_smi_wanted;

static bool kfd_smi_wants(const struct kfd_smi_client *client, pid_t pid, u32 gpus, u64 event)
{
	u64 events = READ_ONCE(client->events);

	if (!(events & event) || !(client->gpu & gpus))
		return false;
	if (!pid || pid == client->pid)
		return true;
	return client->privileged && events & KFD_SMI_EVENT_MASK_FROM_INDEX(KFD_SMI_EVENT_ALL_PROCESS);
}

void kfd_smi_event(pid_t pid, u32 gpus, enum kfd_smi_event event, const char *fmt, ...)
{
	u64 bit = KFD_SMI_EVENT_MASK_FROM_INDEX(event);
	char line[KFD_SMI_EVENT_MSG_SIZE];
	struct kfd_smi_client *client;
	unsigned int length;
	va_list args;

	if (!kfd_smi_listened(event))
		return;
	length = scnprintf(line, sizeof(line), "%x ", event);
	va_start(args, fmt);
	length += vscnprintf(line + length, sizeof(line) - length, fmt, args);
	va_end(args);

	rcu_read_lock();
	list_for_each_entry_rcu(client, &kfd_smi_clients, link) {
		if (!kfd_smi_wants(client, pid, gpus, bit))
			continue;
		spin_lock(&client->lock);
		if (kfifo_avail(&client->fifo) >= length)
			kfifo_in(&client->fifo, line, length);
		else
			client->dropped++;
		spin_unlock(&client->lock);
		wake_up_all(&client->readers);
	}
	rcu_read_unlock();
}

static u32 kfd_smi_location(const struct kfd_dev *dev)
{
	return dev ? dev->gpu_id : 0;
}

static u32 kfd_smi_gpus(const struct kfd_smi_migration *m)
{
	return (m->from ? BIT(m->from->index) : 0) | (m->to ? BIT(m->to->index) : 0);
}

void kfd_smi_migrate_start(const struct kfd_smi_migration *m)
{
	if (!kfd_smi_listened(KFD_SMI_EVENT_MIGRATE_START))
		return;
	kfd_smi_event(m->pid, kfd_smi_gpus(m), KFD_SMI_EVENT_MIGRATE_START,
		      "%lld -%d @%lx(%lx) %x->%x %x:%x %d\n", ktime_get_boottime_ns(), m->pid,
		      m->start, m->npages, kfd_smi_location(m->from), kfd_smi_location(m->to),
		      m->prefetch_loc, m->preferred_loc, m->trigger);
}

void kfd_smi_migrate_end(const struct kfd_smi_migration *m)
{
	if (!kfd_smi_listened(KFD_SMI_EVENT_MIGRATE_END))
		return;
	kfd_smi_event(m->pid, kfd_smi_gpus(m), KFD_SMI_EVENT_MIGRATE_END,
		      "%lld -%d @%lx(%lx) %x->%x %d\n", ktime_get_boottime_ns(), m->pid, m->start,
		      m->npages, kfd_smi_location(m->from), kfd_smi_location(m->to), m->trigger);
}

void kfd_smi_unmap_from_gpu(pid_t pid, const struct kfd_dev *dev, unsigned long start, unsigned long npages,
			    enum KFD_SVM_UNMAP_TRIGGERS trigger)
{
	if (!kfd_smi_listened(KFD_SMI_EVENT_UNMAP_FROM_GPU))
		return;
	kfd_smi_event(pid, BIT(dev->index), KFD_SMI_EVENT_UNMAP_FROM_GPU, "%lld -%d @%lx(%lx) %x %d\n",
		      ktime_get_boottime_ns(), pid, start, npages, dev->gpu_id, trigger);
}

void kfd_smi_queue_eviction(pid_t pid, const struct kfd_dev *dev, enum KFD_QUEUE_EVICTION_TRIGGERS trigger)
{
	if (!kfd_smi_listened(KFD_SMI_EVENT_QUEUE_EVICTION))
		return;
	kfd_smi_event(pid, BIT(dev->index), KFD_SMI_EVENT_QUEUE_EVICTION, "%lld -%d %x %d\n",
		      ktime_get_boottime_ns(), pid, dev->gpu_id, trigger);
}

void kfd_smi_queue_restore(pid_t pid, const struct kfd_dev *dev, bool rescheduled)
{
	if (!kfd_smi_listened(KFD_SMI_EVENT_QUEUE_RESTORE))
		return;
	kfd_smi_event(pid, BIT(dev->index), KFD_SMI_EVENT_QUEUE_RESTORE, "%lld -%d %x%s\n",
		      ktime_get_boottime_ns(), pid, dev->gpu_id, rescheduled ? " R" : "");
}

void kfd_smi_show(struct seq_file *m)
{
	struct kfd_smi_client *client;

	rcu_read_lock();
	list_for_each_entry_rcu(client, &kfd_smi_clients, link) {
		spin_lock(&client->lock);
		seq_printf(m, "gpu 0x%x pid %d privileged %d events 0x%llx queued %u dropped %llu\n",
			   client->gpu_id, client->pid, client->privileged, READ_ONCE(client->events),
			   kfifo_len(&client->fifo), client->dropped);
		spin_unlock(&client->lock);
	}
	rcu_read_unlock();
}

/* ---- the file ---- */

static __poll_t kfd_smi_poll(struct file *filp, struct poll_table_struct *wait)
{
	struct kfd_smi_client *client = filp->private_data;
	__poll_t mask = 0;

	poll_wait(filp, &client->readers, wait);
	spin_lock(&client->lock);
	if (!kfifo_is_empty(&client->fifo))
		mask = EPOLLIN | EPOLLRDNORM;
	spin_unlock(&client->lock);
	return mask;
}

/* The copy to user space may sleep, so it is made from a private piece: two readers at once share the lines. */
static ssize_t kfd_smi_read(struct file *filp, char __user *user, size_t size, loff_t *offset)
{
	struct kfd_smi_client *client = filp->private_data;
	ssize_t got;
	u8 *piece;

	size = min_t(size_t, size, KFD_SMI_FIFO_BYTES);
	piece = kmalloc(size, GFP_KERNEL);
	if (!piece)
		return -ENOMEM;
	spin_lock(&client->lock);
	got = kfifo_out(&client->fifo, piece, size);
	spin_unlock(&client->lock);
	if (!got)
		got = -EAGAIN;
	else if (copy_to_user(user, piece, got))
		got = -EFAULT;
	kfree(piece);
	return got;
}

static ssize_t kfd_smi_write(struct file *filp, const char __user *user, size_t size, loff_t *offset)
{
	struct kfd_smi_client *client = filp->private_data;
	u64 events;

	if (size < sizeof(events) || copy_from_user(&events, user, sizeof(events)))
		return -EFAULT;
	WRITE_ONCE(client->events, events);
	/* Never less while a file is open: what a mask took back costs a look at its file, until the last one is closed. */
	spin_lock(&kfd_smi_lock);
	WRITE_ONCE(kfd_smi_wanted, kfd_smi_wanted | events);
	spin_unlock(&kfd_smi_lock);
	return sizeof(events);
}

static void kfd_smi_unlist(struct kfd_smi_client *client)
{
	spin_lock(&kfd_smi_lock);
	list_del_rcu(&client->link);
	if (list_empty(&kfd_smi_clients))
		WRITE_ONCE(kfd_smi_wanted, 0);
	spin_unlock(&kfd_smi_lock);
	kfree_rcu(client, rcu);
}

static int kfd_smi_release(struct inode *inode, struct file *filp)
{
	kfd_smi_unlist(filp->private_data);
	return 0;
}

static const struct file_operations kfd_smi_fops = {
	.owner = THIS_MODULE,
	.poll = kfd_smi_poll,
	.read = kfd_smi_read,
	.write = kfd_smi_write,
	.release = kfd_smi_release,
};

/* False: the process has too many. What was opened before exec() or by a parent is another process's. */
static bool kfd_smi_list(struct kfd_smi_client *client)
{
	struct kfd_smi_client *other;
	unsigned int files = 0;

	spin_lock(&kfd_smi_lock);
	list_for_each_entry(other, &kfd_smi_clients, link)
		files += other->opener == client->opener;
	if (files < KFD_SMI_FILES_MAX)
		list_add_rcu(&client->link, &kfd_smi_clients);
	spin_unlock(&kfd_smi_lock);
	return files < KFD_SMI_FILES_MAX;
}

int kfd_ioctl_smi_events(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_smi_events_args *args = data;
	struct kfd_dev *dev = kfd_dev_by_id(args->gpuid);
	struct kfd_smi_client *client;
	int fd;

	if (!dev)
		return -EINVAL;
	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		return -ENOMEM;
	client->gpu = BIT(dev->index);
	client->gpu_id = dev->gpu_id;
	client->pid = p->tgid;
	client->opener = p->serial;
	client->privileged = capable(CAP_SYS_ADMIN);
	init_waitqueue_head(&client->readers);
	spin_lock_init(&client->lock);
	INIT_KFIFO(client->fifo);
	if (!kfd_smi_list(client)) {
		kfree(client);
		return -EMFILE;
	}

	fd = anon_inode_getfd("kfd_smi_ev", &kfd_smi_fops, client, O_RDWR);
	if (fd < 0) {
		kfd_smi_unlist(client);
		return fd;
	}
	args->anon_fd = fd;
	return 0;
}
