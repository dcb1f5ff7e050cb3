// SPDX-License-Identifier: GPL-2.0
/*
 * Copies and fills of pages: SDMA packets on the device's copy ring, one fence a batch, or the CPU.
 *
 * Invariant: when kfd_copy_wait() returns, every byte of the batch is in place and no one but the
 * caller will write there any more, whatever became of the device. Packets of several batches may
 * interleave on the ring; the device runs it in order, so a batch's fence stands behind all of its
 * packets.
 */
#include <linux/highmem.h>
#include <linux/mm.h>

#include "kfd_ring.h"
#include "kfd_trace.h"

/* Largest transfer of one packet that keeps to whole pages. */
#define PIECE_MAX	(SDMA_MAX_BYTES & PAGE_MASK)
/*
 * Room to leave for one piece: a packet that may not straddle the end of the ring, and NOPs up to
 * that end.
 */
#define PACKET_MAX	sizeof(struct sdma_copy_linear)
#define PIECE_SPACE	(2 * PACKET_MAX)
/*
 * Up to this many bytes the CPU does it at once. Measured under TCG on two cores, both kernels: the
 * trip to the device and back is 60 to 140 us whatever the size, a page takes the device 0.7 us
 * (0.3 us in a long run) and the CPU 1.3 to 1.8 us. So a batch alone breaks even at about 64 pages;
 * the limit is lower because the caller of kfd_copy_submit() has other work to do meanwhile.
 */
#define CPU_MAX_BYTES	(16 * PAGE_SIZE)

/* ---- pieces: runs with neighbours merged ---- */

struct piece_iter {
	const struct kfd_copy_run *run, *end;
	u32 done;			/* bytes of *run already returned */
};

/* The source that continues @piece. */
static u64 next_src(const struct kfd_copy_run *piece)
{
	return piece->src == KFD_COPY_ZERO ? KFD_COPY_ZERO : piece->src + piece->bytes;
}

static bool next_piece(struct piece_iter *it, struct kfd_copy_run *piece)
{
	piece->bytes = 0;
	while (it->run != it->end) {
		bool zero = it->run->src == KFD_COPY_ZERO;
		u64 dst = it->run->dst + it->done;
		u64 src = zero ? KFD_COPY_ZERO : it->run->src + it->done;
		u32 bytes = min_t(u32, it->run->bytes - it->done, PIECE_MAX - piece->bytes);

		if (!piece->bytes) {
			piece->dst = dst;
			piece->src = src;
		} else if (dst != piece->dst + piece->bytes || src != next_src(piece)) {
			break;
		}
		piece->bytes += bytes;
		it->done += bytes;
		if (it->done == it->run->bytes) {
			it->run++;
			it->done = 0;
		}
		if (piece->bytes == PIECE_MAX)
			break;
	}
	return piece->bytes;
}

static struct piece_iter pieces(const struct kfd_copy_job *job)
{
	return (struct piece_iter){ .run = job->runs, .end = job->runs + job->nruns };
}

/* ---- by CPU ---- */

/*
 * The linear map covers VRAM too (memremap_pages() extends it), so a page is a page; one at a time,
 * since a machine with highmem, or a run beyond what may be mapped at once, needs it so.
 */
static void copy_by_cpu(const struct kfd_copy_job *job)
{
	struct piece_iter it = pieces(job);
	u64 copied = 0, filled = 0;
	struct kfd_copy_run piece;
	u32 at;

	while (next_piece(&it, &piece)) {
		for (at = 0; at < piece.bytes; at += PAGE_SIZE) {
			struct page *dst = pfn_to_page((piece.dst + at) >> PAGE_SHIFT);

			if (piece.src == KFD_COPY_ZERO)
				clear_highpage(dst);
			else
				copy_highpage(dst, pfn_to_page((piece.src + at) >> PAGE_SHIFT));
			if (!(at % SZ_1M))
				cond_resched();
		}
		*(piece.src == KFD_COPY_ZERO ? &filled : &copied) += piece.bytes;
	}
	atomic64_add(copied, &job->dev->counters.bytes_copied_cpu);
	atomic64_add(filled, &job->dev->counters.bytes_filled_cpu);
}

/* ---- by the device ---- */

void kfd_ring_emit(struct kfd_rings *rings, const void *packet, u32 bytes)
{
	u32 at = rings->copy_wptr % KFDLAB_COPY_RING_SIZE;

	lockdep_assert_held(&rings->copy_lock);
	if (at + bytes > KFDLAB_COPY_RING_SIZE) {
		/* SDMA_OP_NOP is a zero dword. */
		memset(rings->copy + at / sizeof(u32), 0, KFDLAB_COPY_RING_SIZE - at);
		rings->copy_wptr += KFDLAB_COPY_RING_SIZE - at;
		at = 0;
	}
	memcpy(rings->copy + at / sizeof(u32), packet, bytes);
	rings->copy_wptr += bytes;
}

static void emit_piece(struct kfd_rings *rings, const struct kfd_copy_run *piece)
{
	if (piece->src == KFD_COPY_ZERO) {
		struct sdma_const_fill fill = {
			.header = sdma_header(SDMA_OP_CONST_FILL, 0) | SDMA_FILL_DWORD,
			.dst_lo = lower_32_bits(piece->dst), .dst_hi = upper_32_bits(piece->dst),
			.count = piece->bytes - 1,
		};

		kfd_ring_emit(rings, &fill, sizeof(fill));
	} else {
		struct sdma_copy_linear copy = {
			.header = sdma_header(SDMA_OP_COPY, SDMA_SUBOP_COPY_LINEAR),
			.count = piece->bytes - 1,
			.src_lo = lower_32_bits(piece->src), .src_hi = upper_32_bits(piece->src),
			.dst_lo = lower_32_bits(piece->dst), .dst_hi = upper_32_bits(piece->dst),
		};

		kfd_ring_emit(rings, &copy, sizeof(copy));
	}
}

u32 kfd_ring_emit_fence(struct kfd_rings *rings)
{
	u64 target = rings->dev->bar_base + KFDLAB_BAR_DEVICE_REGS +
		     offsetof(struct kfdlab_device_regs, copy_fence);
	struct sdma_fence fence = {
		.header = sdma_header(SDMA_OP_FENCE, 0),
		.addr_lo = lower_32_bits(target), .addr_hi = upper_32_bits(target),
		.data = ++rings->copy_seq,
	};
	struct sdma_trap trap = { .header = sdma_header(SDMA_OP_TRAP, 0), .context = fence.data };

	kfd_ring_emit(rings, &fence, sizeof(fence));
	kfd_ring_emit(rings, &trap, sizeof(trap));
	return fence.data;
}

int kfd_ring_reserve(struct kfd_rings *rings, u32 generation, u32 bytes)
{
	while (rings->generation == generation) {
		u64 needed = rings->copy_wptr + bytes;
		int ret;

		if (needed <= KFDLAB_COPY_RING_SIZE ||
		    READ_ONCE(rings->device->copy_rptr) >= needed - KFDLAB_COPY_RING_SIZE)
			return 0;
		kfd_ring_publish_copy(rings);
		mutex_unlock(&rings->copy_lock);
		ret = kfd_ring_wait(rings, generation, KFD_RING_COPY_SPACE,
				    needed - KFDLAB_COPY_RING_SIZE);
		mutex_lock(&rings->copy_lock);
		if (ret)
			return ret;
	}
	return -ENODEV;
}

/*
 * Queue the whole job. Once job->generation is set the device may be at work on it, whatever
 * happens later.
 */
static void submit_to_device(struct kfd_rings *rings, struct kfd_copy_job *job)
{
	struct piece_iter it = pieces(job);
	struct kfd_copy_run piece;

	mutex_lock(&rings->copy_lock);
	job->generation = rings->generation;
	while (job->generation && next_piece(&it, &piece)) {
		if (kfd_ring_reserve(rings, job->generation, PIECE_SPACE))
			goto out;
		emit_piece(rings, &piece);
	}
	if (job->generation && !kfd_ring_reserve(rings, job->generation, KFD_RING_FENCE_SPACE)) {
		job->fence = kfd_ring_emit_fence(rings);
		kfd_ring_publish_copy(rings);
	}
out:
	mutex_unlock(&rings->copy_lock);
}

static u64 job_bytes(const struct kfd_copy_job *job)
{
	u64 bytes = 0;
	unsigned int i;

	for (i = 0; i < job->nruns; i++)
		bytes += job->runs[i].bytes;
	return bytes;
}

void kfd_copy_submit(struct kfd_dev *dev, struct kfd_copy_job *job, const struct kfd_copy_run *runs,
		     unsigned int nruns)
{
	*job = (struct kfd_copy_job){ .dev = dev, .runs = runs, .nruns = nruns };

	if (!READ_ONCE(dev->cpu_copy) && job_bytes(job) > CPU_MAX_BYTES) {
		kfd_ring_sync(dev->rings);
		submit_to_device(dev->rings, job);
	}
	if (!job->generation)
		copy_by_cpu(job);
}

static void count_device_bytes(const struct kfd_copy_job *job)
{
	u64 copied = 0, filled = 0;
	unsigned int i;

	for (i = 0; i < job->nruns; i++)
		*(job->runs[i].src == KFD_COPY_ZERO ? &filled : &copied) += job->runs[i].bytes;
	atomic64_add(copied, &job->dev->counters.bytes_copied_device);
	atomic64_add(filled, &job->dev->counters.bytes_filled_device);
}

void kfd_copy_wait(struct kfd_copy_job *job)
{
	if (!job->generation)
		return;
	/*
	 * On -ENODEV the process was reaped and writes nothing any more. Sources are unchanged, so
	 * doing all of it again is right whatever part was done. A job whose submission broke off
	 * has no fence, but its generation is gone as well.
	 */
	if (kfd_ring_wait(job->dev->rings, job->generation, KFD_RING_COPY_FENCE, job->fence))
		copy_by_cpu(job);
	else
		count_device_bytes(job);
}

void kfd_copy_batch(struct kfd_dev *dev, const struct kfd_copy_run *runs, unsigned int nruns)
{
	struct kfd_copy_job job;

	kfd_copy_submit(dev, &job, runs, nruns);
	kfd_copy_wait(&job);
}
