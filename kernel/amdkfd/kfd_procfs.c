// SPDX-License-Identifier: GPL-2.0
/*
 * proc/<pid>/vram_<gpu_id> in sysfs: bytes of VRAM on a GPU that a process answers for: pages of SVM that it brought
 * there, wherever they are mapped by now, and buffers that it allocated and that lie there now. docs/decisions/0031
 * says how that adds up.
 *
 * A pid may be asked for twice: by the object of a process that closed /dev/kfd, or called exec, and is still torn
 * down, and by the next one. The younger gets the name, as soon as the older one's readers are done.
 *
 * Taking a folder away waits for its readers, who wait for locks of the process and of buffers. That happens without
 * a lock, so it holds up the process itself and who gets its pid, nobody else.
 */
#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/wait.h>

#include "kfd_memory.h"
#include "kfd_procfs.h"

struct kfd_procfs_file {
	struct kobj_attribute attr;
	char name[16];
	struct kfd_dev *dev;
	struct kfd_process *process;
};

struct kfd_procfs {
	struct list_head link;		/* kfd_procfs_list, until the folder is gone; one of a pid at most */
	struct kobject *dir;
	struct kfd_process *process;	/* whose teardown waits until this is gone */
	pid_t pid;
	bool going;			/* somebody takes it away */
	struct kfd_procfs_file files[];
};

static DEFINE_MUTEX(kfd_procfs_lock);	/* the list and what is in it */
static LIST_HEAD(kfd_procfs_list);
static unsigned int kfd_procfs_departures;	/* how many ever left the list */
static DECLARE_WAIT_QUEUE_HEAD(kfd_procfs_departed);
static struct kobject *kfd_procs;

static ssize_t kfd_procfs_vram_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct kfd_procfs_file *file = container_of(attr, struct kfd_procfs_file, attr);
	u64 bytes = (u64)svm_vram_pages_on(file->process, file->dev) << PAGE_SHIFT;

	return sysfs_emit(buf, "%llu\n", bytes + kfd_memory_vram_bytes(file->process, file->dev));
}

static struct kfd_procfs *kfd_procfs_of(pid_t pid)
{
	struct kfd_procfs *procfs;

	lockdep_assert_held(&kfd_procfs_lock);
	list_for_each_entry(procfs, &kfd_procfs_list, link)
		if (procfs->pid == pid)
			return procfs;
	return NULL;
}

/* Locking: drops kfd_procfs_lock meanwhile. Who takes it away anyway is waited for: look again afterwards. */
static void kfd_procfs_take_away(struct kfd_procfs *procfs)
{
	unsigned int departures = kfd_procfs_departures;
	bool going = procfs->going;

	lockdep_assert_held(&kfd_procfs_lock);
	procfs->going = true;
	mutex_unlock(&kfd_procfs_lock);
	if (going)
		wait_event(kfd_procfs_departed, READ_ONCE(kfd_procfs_departures) != departures);
	else
		/* Waits for readers; the files go with the folder. */
		kobject_del(procfs->dir);
	mutex_lock(&kfd_procfs_lock);
	if (going)
		return;
	list_del(&procfs->link);
	kobject_put(procfs->dir);
	kfree(procfs);
	WRITE_ONCE(kfd_procfs_departures, kfd_procfs_departures + 1);
	wake_up_all(&kfd_procfs_departed);
}

void kfd_procfs_remove(struct kfd_process *p)
{
	struct kfd_procfs *procfs;

	mutex_lock(&kfd_procfs_lock);
	while ((procfs = kfd_procfs_of(p->tgid)) && procfs->process == p)
		kfd_procfs_take_away(procfs);
	mutex_unlock(&kfd_procfs_lock);
}

static int kfd_procfs_add_files(struct kfd_procfs *procfs, struct kfd_process *p)
{
	unsigned int i, n = 0;
	int ret = 0;

	for (i = 0; i < KFD_MAX_GPUS && !ret; i++) {
		struct kfd_dev *dev = kfd_dev_by_index(i);
		struct kfd_procfs_file *file;

		if (!dev)
			continue;
		file = &procfs->files[n++];
		file->dev = dev;
		file->process = p;
		snprintf(file->name, sizeof(file->name), "vram_%u", dev->gpu_id);
		sysfs_attr_init(&file->attr.attr);
		file->attr.attr.name = file->name;
		file->attr.attr.mode = 0444;
		file->attr.show = kfd_procfs_vram_show;
		ret = sysfs_create_file(procfs->dir, &file->attr.attr);
	}
	return ret;
}

static void kfd_procfs_make(struct kfd_process *p)
{
	struct kfd_procfs *procfs;
	char name[12];

	lockdep_assert_held(&kfd_procfs_lock);
	procfs = kzalloc(struct_size(procfs, files, KFD_MAX_GPUS), GFP_KERNEL_ACCOUNT);
	if (!procfs)
		return;
	snprintf(name, sizeof(name), "%d", p->tgid);
	procfs->pid = p->tgid;
	procfs->process = p;
	procfs->dir = kobject_create_and_add(name, kfd_procs);
	if (!procfs->dir) {
		kfree(procfs);
		return;
	}
	list_add(&procfs->link, &kfd_procfs_list);
	if (kfd_procfs_add_files(procfs, p))
		kfd_procfs_take_away(procfs);
}

void kfd_procfs_add(struct kfd_process *p)
{
	struct kfd_procfs *procfs;

	mutex_lock(&kfd_procfs_lock);
	while ((procfs = kfd_procfs_of(p->tgid)) && procfs->process != p)
		kfd_procfs_take_away(procfs);
	if (!procfs)
		kfd_procfs_make(p);
	mutex_unlock(&kfd_procfs_lock);
}

int kfd_procfs_init(void)
{
	kfd_procs = kobject_create_and_add("proc", &kfd_chardev_device()->kobj);
	return kfd_procs ? 0 : -ENOMEM;
}

void kfd_procfs_fini(void)
{
	kobject_put(kfd_procs);
}
