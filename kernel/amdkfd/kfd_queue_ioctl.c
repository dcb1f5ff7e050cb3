// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of user queues: what user space may ask for, and with which errors. kfd_queue.c does it.
 *
 * Addresses are only checked for being user space's and aligned: whether something is mapped there the device finds
 * out when it looks, and may change at any time.
 */
#include <linux/kfd_ioctl.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kfd_doorbell.h"
#include "kfd_ioctl.h"
#include "kfd_memory.h"
#include "kfd_queue.h"
#include "kfd_vm.h"

#define KFD_MAX_QUEUE_PERCENT	100u
/* A ring's address is given to the hardware without its low eight bits. */
#define KFD_RING_ALIGN		256u
/* AMD's driver makes smaller rings this large; who uses such a ring sees no difference. */
#define KFD_MIN_RING_BYTES	1024u
/* How long a new queue waits for a device process that is being replaced. */
#define KFD_RESTART_MS		5000u
/* Bits of a CU mask beyond this many are left out, as AMD's driver does. */
#define KFD_MAX_CU_BITS		1024u
#define KFD_CU_MASK_WORDS	8u

static bool kfd_is_user_address(u64 address)
{
	return access_ok(u64_to_user_ptr(address), sizeof(u64)) && address <= KFD_GPUVM_LIMIT;
}

/* Ring, percentage and priority, common to CREATE and UPDATE. A ring of 0 or 0 % is a queue that does not run. */
static int kfd_check_properties(u64 base, u64 size, u32 percent, u32 priority,
				struct kfd_queue_properties *properties)
{
	if (percent > KFD_MAX_QUEUE_PERCENT || priority > KFD_MAX_QUEUE_PRIORITY)
		return -EINVAL;
	if (base && !kfd_is_user_address(base))
		return -EFAULT;
	if (size && !is_power_of_2(size))
		return -EINVAL;
	if (!IS_ALIGNED(base, KFD_RING_ALIGN))
		return -EINVAL;
	properties->base = base;
	properties->size = max_t(u64, size, KFD_MIN_RING_BYTES);
	properties->priority = priority;
	properties->active = base && percent;
	return 0;
}

static int kfd_check_create(const struct kfd_ioctl_create_queue_args *args,
			    struct kfd_queue_properties *properties)
{
	u32 rptr_align = args->queue_type == KFD_IOC_QUEUE_TYPE_COMPUTE ? sizeof(u32) : sizeof(u64);
	int ret;

	ret = kfd_check_properties(args->ring_base_address, args->ring_size, args->queue_percentage,
				   args->queue_priority, properties);
	if (ret)
		return ret;
	if (!kfd_is_user_address(args->read_pointer_address) ||
	    !kfd_is_user_address(args->write_pointer_address) ||
	    !kfd_is_user_address(args->eop_buffer_address) ||
	    !kfd_is_user_address(args->ctx_save_restore_address))
		return -EFAULT;
	if (!IS_ALIGNED(args->read_pointer_address, rptr_align) ||
	    !IS_ALIGNED(args->write_pointer_address, sizeof(u64)))
		return -EINVAL;
	return args->queue_type <= KFD_IOC_QUEUE_TYPE_SDMA_XGMI ? 0 : -EOPNOTSUPP;
}

void kfd_queue_free(struct kfd_queue *q)
{
	kfree(q->mqd);
	kfree(q);
}

static struct kfd_queue *kfd_queue_alloc(struct kfd_process *p, struct kfd_dev *dev,
					 const struct kfd_ioctl_create_queue_args *args,
					 const struct kfd_queue_properties *properties)
{
	struct kfd_queue *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);
	struct kfdlab_mqd *mqd;

	if (!q)
		return NULL;
	/* Power of two, so naturally aligned. */
	mqd = kzalloc(sizeof(*mqd), GFP_KERNEL_ACCOUNT);
	if (!mqd) {
		kfree(q);
		return NULL;
	}
	mqd->queue_type = args->queue_type;
	mqd->cp_hqd_pq_base = properties->base;
	mqd->cp_hqd_pq_size = properties->size;
	mqd->cp_hqd_pq_rptr_report_addr = args->read_pointer_address;
	mqd->cp_hqd_pq_wptr_poll_addr = args->write_pointer_address;
	mqd->cp_hqd_queue_priority = properties->priority;
	mqd->cp_hqd_eop_base_addr = args->eop_buffer_address;
	mqd->cp_hqd_eop_size = args->eop_buffer_size;
	mqd->cp_hqd_ctx_save_base_addr = args->ctx_save_restore_address;
	mqd->cp_hqd_ctx_save_size = args->ctx_save_restore_size;
	INIT_LIST_HEAD(&q->link);
	q->mqd = mqd;
	q->process = p;
	q->dev = dev;
	q->vmid = kfd_process_vm(p, dev)->vmid;
	q->active = properties->active;
	return q;
}

/* Give @q an id and let the device have it. Nobody finds it before p->lock is dropped. */
static int kfd_queue_publish(struct kfd_process *p, struct kfd_queue *q)
{
	int ret;

	lockdep_assert_held(&p->lock);
	ret = idr_alloc(&p->queues, q, 0, KFDLAB_QUEUE_COUNT, GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		return ret == -ENOSPC ? -ENOMEM : ret;
	q->id = ret;
	/* It goes on after its faults, if it had any. */
	kfd_vm_forgive(kfd_process_vm(p, q->dev));
	ret = kfd_queue_add(q);
	if (ret)
		idr_remove(&p->queues, q->id);
	else
		p->nqueues++;
	return ret;
}

int kfd_ioctl_create_queue(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_create_queue_args *args = data;
	struct kfd_queue_properties properties;
	struct kfd_queue *q;
	struct kfd_dev *dev;
	int ret;

	ret = kfd_check_create(args, &properties);
	if (ret)
		return ret;
	dev = kfd_acquired_dev(p, args->gpu_id);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	if (!kfd_process_vm(p, dev))
		return -ENODEV;
	ret = kfd_doorbell_get(p, dev);
	if (ret)
		return ret;
	q = kfd_queue_alloc(p, dev, args, &properties);
	if (!q)
		return -ENOMEM;
	/* A device that has just died is back soon. */
	ret = kfd_ring_wait_adopted(dev, KFD_RESTART_MS);
	if (!ret) {
		mutex_lock(&p->lock);
		ret = kfd_queue_publish(p, q);
		if (!ret) {
			args->queue_id = q->id;
			args->doorbell_offset = kfd_doorbell_mmap_offset(dev) | q->number * sizeof(u64);
		}
		mutex_unlock(&p->lock);
	}
	if (ret)
		kfd_queue_free(q);
	return ret;
}

int kfd_ioctl_destroy_queue(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_destroy_queue_args *args = data;
	struct kfd_queue *q;

	mutex_lock(&p->lock);
	q = idr_remove(&p->queues, args->queue_id);
	if (q) {
		kfd_queue_remove(q);
		p->nqueues--;
	}
	mutex_unlock(&p->lock);
	if (!q)
		return -EINVAL;
	kfd_queue_free(q);
	return 0;
}

/* From here on an unknown queue is EFAULT, as AMD's driver has it; user space has come to expect the difference. */
int kfd_ioctl_update_queue(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_update_queue_args *args = data;
	struct kfd_queue_properties properties;
	struct kfd_queue *q;
	int ret;

	ret = kfd_check_properties(args->ring_base_address, args->ring_size, args->queue_percentage,
				   args->queue_priority, &properties);
	if (ret)
		return ret;
	mutex_lock(&p->lock);
	q = idr_find(&p->queues, args->queue_id);
	ret = q ? kfd_queue_set_properties(q, &properties) : -EFAULT;
	mutex_unlock(&p->lock);
	return ret;
}

int kfd_ioctl_set_cu_mask(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_set_cu_mask_args *args = data;
	u32 mask[KFD_CU_MASK_WORDS] = {};
	struct kfd_queue *q;
	u32 words;
	int ret;

	if (!args->num_cu_mask || args->num_cu_mask % 32)
		return -EINVAL;
	words = min_t(u32, min(args->num_cu_mask, KFD_MAX_CU_BITS) / 32, KFD_CU_MASK_WORDS);
	if (copy_from_user(mask, u64_to_user_ptr(args->cu_mask_ptr), words * sizeof(mask[0])))
		return -EFAULT;
	mutex_lock(&p->lock);
	q = idr_find(&p->queues, args->queue_id);
	ret = q ? kfd_queue_set_cu_mask(q, mask, words) : -EFAULT;
	mutex_unlock(&p->lock);
	return ret;
}

/* All of the GPU's global wave sync resources for one queue of the process, or none for it. */
int kfd_ioctl_alloc_queue_gws(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_alloc_queue_gws_args *args = data;
	u32 count = args->num_gws ? KFD_GWS_COUNT : 0;
	struct kfd_queue *q, *other;
	int ret = 0, id;

	mutex_lock(&p->lock);
	q = idr_find(&p->queues, args->queue_id);
	if (!q || (!count && !q->mqd->gws_count))
		ret = -EINVAL;
	idr_for_each_entry(&p->queues, other, id)
		if (q && count && other->dev == q->dev && other->mqd->gws_count)
			ret = -EBUSY;
	if (!ret)
		ret = kfd_queue_set_gws(q, count);
	mutex_unlock(&p->lock);
	args->first_gws = 0;
	return ret;
}

/*
 * Of a compute queue that user space has stopped, as amdkfd asks. Waves that are stopped stay in the device: control
 * stack and save area are empty always.
 */
int kfd_ioctl_get_queue_wave_state(struct kfd_process *p, void *data)
{
	struct kfd_ioctl_get_queue_wave_state_args *args = data;
	struct kfd_queue *q;
	int ret = 0;

	mutex_lock(&p->lock);
	q = idr_find(&p->queues, args->queue_id);
	if (!q)
		ret = -EFAULT;
	else if (!kfd_queue_is_stopped_compute(q))
		ret = -EINVAL;
	mutex_unlock(&p->lock);
	args->ctl_stack_used_size = 0;
	args->save_area_used_size = 0;
	return ret;
}
