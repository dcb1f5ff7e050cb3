// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/kfdlab_gup: holds belong to the open file that made them and are released with it, however
 * its process ends. What one file can make the kernel keep is bounded: KFDLAB_GUP_MAX_PAGES over
 * all its holds. GUP itself runs without the file's lock, so that threads of one file really pin at
 * the same time.
 */
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/kfdlab_gup.h>

#include "gup_call.h"
#include "gup_hold.h"

struct gup_file {
	struct mutex lock;	/* protects all below; never held across a GUP call */
	struct idr holds;	/* id -> hold; NULL while its GUP call still runs */
	unsigned long npages;	/* of all holds, as asked for: a short count comes later */
};

/* Reserve an id and the right to hold @npages. Returns the id or an errno. */
static int reserve(struct gup_file *file, unsigned long npages)
{
	int id;

	if (mutex_lock_interruptible(&file->lock))
		return -EINTR;
	if (npages > KFDLAB_GUP_MAX_PAGES - file->npages) {
		id = -ENOSPC;
		goto out_unlock;
	}
	/* From 1 on: 0 is never an id. Cyclic, so that a stale id is not soon somebody else's. */
	id = idr_alloc_cyclic(&file->holds, NULL, 1, INT_MAX, GFP_KERNEL_ACCOUNT);
	if (id > 0)
		file->npages += npages;
out_unlock:
	mutex_unlock(&file->lock);
	return id;
}

static void unreserve(struct gup_file *file, int id, unsigned long npages)
{
	mutex_lock(&file->lock);
	idr_remove(&file->holds, id);
	file->npages -= npages;
	mutex_unlock(&file->lock);
}

static void publish(struct gup_file *file, int id, struct gup_hold *hold)
{
	mutex_lock(&file->lock);
	idr_replace(&file->holds, hold, id);
	mutex_unlock(&file->lock);
}

static long ioctl_hold(struct gup_file *file, void __user *arg)
{
	struct kfdlab_gup_hold req;
	struct gup_call call;
	struct gup_hold *hold;
	int id, err;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	call = (struct gup_call){
		.addr = req.addr,
		.npages = req.npages,
		.path = req.path,
		.flags = req.flags,
		.pid = req.pid,
	};
	err = gup_call_check(&call);
	if (err)
		return err;

	id = reserve(file, call.npages);
	if (id < 0)
		return id;
	hold = gup_hold_create(&call);
	if (IS_ERR(hold)) {
		err = PTR_ERR(hold);
		goto err_unreserve;
	}

	req.id = id;
	req.held = hold->npages;
	req.vram = hold->vram;
	req.ns = hold->ns;
	/* Before publishing: until then no other thread can release the hold under this path. */
	if (copy_to_user(arg, &req, sizeof(req))) {
		err = -EFAULT;
		goto err_destroy;
	}
	publish(file, id, hold);
	return 0;

err_destroy:
	gup_hold_destroy(hold, false);
err_unreserve:
	unreserve(file, id, call.npages);
	return err;
}

static long ioctl_release(struct gup_file *file, void __user *arg)
{
	struct kfdlab_gup_release req;
	struct gup_hold *hold;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.dirty > 1)
		return -EINVAL;

	if (mutex_lock_interruptible(&file->lock))
		return -EINTR;
	hold = idr_find(&file->holds, req.id);
	if (!hold) {
		mutex_unlock(&file->lock);
		return -ENOENT;
	}
	/* A page held for reading may belong to a file nobody may write: not ours to dirty. */
	if (req.dirty && !(hold->flags & KFDLAB_GUP_WRITE)) {
		mutex_unlock(&file->lock);
		return -EPERM;
	}
	idr_remove(&file->holds, req.id);
	file->npages -= hold->asked;
	mutex_unlock(&file->lock);

	gup_hold_destroy(hold, req.dirty);
	return 0;
}

static long ioctl_access(struct gup_file *file, void __user *arg)
{
	struct kfdlab_gup_access req;
	struct gup_hold *hold;
	long err = -ENOENT;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.write > 1)
		return -EINVAL;

	if (mutex_lock_interruptible(&file->lock))
		return -EINTR;
	hold = idr_find(&file->holds, req.id);
	if (hold)
		err = gup_hold_access(hold, req.offset, req.size, u64_to_user_ptr(req.buf),
				      req.write);
	mutex_unlock(&file->lock);
	return err;
}

static long gup_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct gup_file *file = filp->private_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case KFDLAB_GUP_HOLD:
		return ioctl_hold(file, uarg);
	case KFDLAB_GUP_RELEASE:
		return ioctl_release(file, uarg);
	case KFDLAB_GUP_ACCESS:
		return ioctl_access(file, uarg);
	default:
		return -ENOTTY;
	}
}

static int gup_open(struct inode *inode, struct file *filp)
{
	struct gup_file *file;

	/* Pins beyond RLIMIT_MEMLOCK, of anybody's pages: never for ordinary users. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	if (!file)
		return -ENOMEM;
	mutex_init(&file->lock);
	idr_init(&file->holds);
	filp->private_data = file;
	return 0;
}

static int gup_release(struct inode *inode, struct file *filp)
{
	struct gup_file *file = filp->private_data;
	struct gup_hold *hold;
	int id;

	/* The last reference to the file: no ioctl runs, so every reserved id has its hold. */
	idr_for_each_entry(&file->holds, hold, id)
		gup_hold_destroy(hold, false);
	idr_destroy(&file->holds);
	mutex_destroy(&file->lock);
	kfree(file);
	return 0;
}

static const struct file_operations gup_fops = {
	.owner = THIS_MODULE,
	.open = gup_open,
	.release = gup_release,
	.unlocked_ioctl = gup_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice gup_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kfdlab_gup",
	.mode = 0600,
	.fops = &gup_fops,
};
module_misc_device(gup_device);

MODULE_DESCRIPTION("kfdlab: takes and holds page references in every flavour of get_user_pages()");
MODULE_LICENSE("GPL");
