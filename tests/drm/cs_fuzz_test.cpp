// SPDX-License-Identifier: MIT
// AMDGPU_CS and its companions with random contents: every call answers, with an errno that it documents, and whatever
// was accepted ends.
#include <cerrno>
#include <random>
#include <set>

#include "tests/drm/cs_fixture.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

constexpr int kRounds = 4000;
// Every errno that AMDGPU_CS names.
const std::set<int> kAnswers = {0, EINVAL, ENOENT, EFAULT, EOPNOTSUPP, ENOMEM};

class CsFuzz : public CsTest {
 protected:
  [[nodiscard]] std::uint32_t number(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }
  [[nodiscard]] bool one_in(std::uint32_t n) { return number(n) == 0; }
  // A small number, one that is nearly right, or anything.
  [[nodiscard]] std::uint32_t any(std::uint32_t right) {
    switch (number(24)) {
      case 0:
        return static_cast<std::uint32_t>(random_());
      case 1:
        return number(64);
      case 2:
        return right ^ 1u << number(32);
      default:
        return right;
    }
  }
  [[nodiscard]] std::uint64_t any64(std::uint64_t right) {
    return one_in(12) ? (one_in(2) ? random_() : right + number(8192) - 4096) : right;
  }
  [[nodiscard]] const GpuBuffer& any_buffer() { return buffers_[number(static_cast<std::uint32_t>(buffers_.size()))]; }

  void add_ib(Submission* submission) {
    const GpuBuffer& buffer = any_buffer();
    drm_amdgpu_cs_chunk_ib ib = {};
    ib.va_start = any64(buffer.va);
    ib.ib_bytes = any(64);
    ib.ip_type = any(AMDGPU_HW_IP_DMA);
    ib.ip_instance = any(0);
    ib.ring = any(0);
    ib.flags = any(0);
    submission->ib(ib);
  }
  void add_chunk(Submission* submission) {
    switch (number(10)) {
      case 0:
        submission->user_fence(any(any_buffer().handle), any(8));
        break;
      case 1:
        submission->after(any(context()), any64(last_));
        break;
      case 2:
        submission->wait_syncobj(any(1));
        break;
      case 3:
        submission->signal_syncobj(any(1));
        break;
      case 4:
        submission->wait_point(any(1), any64(1));
        break;
      case 5:
        submission->signal_point(any(1), any64(1));
        break;
      case 6:
        submission->buffers({any(any_buffer().handle), any_buffer().handle});
        break;
      case 7:
        submission->list(any(1));
        break;
      case 8: {
        std::vector<std::uint32_t> data(number(64));
        for (std::uint32_t& word : data) {
          word = any(number(8));
        }
        submission->chunk(any(number(12)), data.data(), data.size() * sizeof(std::uint32_t));
        break;
      }
      default:
        add_ib(submission);
    }
  }

  void run() {
    buffers_ = {nops(), create(AMDGPU_GEM_DOMAIN_VRAM, kPageSize), create(AMDGPU_GEM_DOMAIN_GTT, 5 * kPageSize)};
    const std::uint32_t handle = nops().handle;
    ASSERT_NE(new_list(std::span(&handle, 1)), 0u);
    int accepted = 0;
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
      Submission submission(any(context()));
      add_ib(&submission);
      for (std::uint32_t i = number(4); i != 0; --i) {
        add_chunk(&submission);
      }
      if (one_in(16)) {
        submission.head(0).length_dw = any(8);
      }
      if (one_in(32)) {
        submission.head(0).chunk_data ^= std::uint64_t{1} << number(64);
      }
      if (one_in(32)) {
        submission.in().num_chunks = any(2);
      }
      if (one_in(64)) {
        submission.in().chunks = random_();
      }
      std::uint64_t result = 0;
      const int error = submission.submit(fd(), &result);
      EXPECT_TRUE(kAnswers.contains(error)) << "round " << round << ": " << error;
      if (error == 0) {
        ++accepted;
        last_ = result;
      }
    }
    EXPECT_TRUE(completes(context(), ~0ull));
    EXPECT_GT(accepted, kRounds / 50) << "too few to mean anything";
    RecordProperty("accepted", accepted);
  }

 private:
  std::mt19937_64 random_{test_seed()};
  std::vector<GpuBuffer> buffers_;
  std::uint64_t last_ = 0;
};

TEST_F(CsFuzz, RandomSubmissionsAnswerAndEnd) { run(); }

TEST_F(CsFuzz, RandomWaitsContextsAndListsAnswer) {
  std::uint64_t last = 0;
  ASSERT_EQ(nop_submission().submit(fd(), &last), 0);
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    int error = 0;
    switch (number(4)) {
      case 0: {
        drm_amdgpu_wait_cs args = {};
        args.in.handle = any64(last);
        args.in.timeout = any64(0);
        args.in.ip_type = any(AMDGPU_HW_IP_DMA);
        args.in.ip_instance = any(0);
        args.in.ring = any(0);
        args.in.ctx_id = any(context());
        error = raw(fd(), DRM_IOCTL_AMDGPU_WAIT_CS, &args);
        break;
      }
      case 1: {
        drm_amdgpu_ctx args = {};
        args.in.op = any(AMDGPU_CTX_OP_QUERY_STATE + number(4));
        if (args.in.op == AMDGPU_CTX_OP_FREE_CTX) {
          continue;
        }
        args.in.flags = any(0);
        args.in.ctx_id = any(context());
        args.in.priority = static_cast<std::int32_t>(any(0));
        error = raw(fd(), DRM_IOCTL_AMDGPU_CTX, &args);
        break;
      }
      case 2: {
        const std::uint32_t handle = any(nops().handle);
        drm_amdgpu_bo_list_in in = {};
        in.operation = any(number(3));
        in.list_handle = any(1);
        in.bo_number = one_in(4) ? any(1) : 1;
        in.bo_info_size = any(sizeof(handle));
        in.bo_info_ptr = reinterpret_cast<std::uintptr_t>(&handle);
        std::uint32_t list = 0;
        error = bo_list(in, &list);
        break;
      }
      default: {
        drm_amdgpu_fence fence = {};
        fence.ctx_id = any(context());
        fence.ip_type = any(AMDGPU_HW_IP_DMA);
        fence.seq_no = any64(last);
        drm_amdgpu_wait_fences args = {};
        args.in.fences = one_in(16) ? any64(0) : reinterpret_cast<std::uintptr_t>(&fence);
        args.in.fence_count = any(1);
        args.in.wait_all = any(0);
        args.in.timeout_ns = any64(0);
        error = raw(fd(), DRM_IOCTL_AMDGPU_WAIT_FENCES, &args);
        break;
      }
    }
    EXPECT_TRUE(kAnswers.contains(error) || error == EBUSY || error == ENOSPC) << "round " << round << ": " << error;
  }
  EXPECT_TRUE(completes(context(), ~0ull));
}

}  // namespace
}  // namespace kfdlab
