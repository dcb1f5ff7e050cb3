// SPDX-License-Identifier: MIT
// CsTest: command submission by raw ioctls. A test has one context, and objects at GPU addresses of their own; what is
// submitted are IBs of SDMA NOPs, the packets that need no GPU page tables.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <span>
#include <vector>

#include "tests/drm/drm_fixture.h"
#include "tests/support/buffer.h"

namespace kfdlab {

inline constexpr std::uint64_t kForever = ~0ull;  // as an absolute time, for every wait
// Now plus `time`, as the waits of amdgpu take it: CLOCK_MONOTONIC in ns.
[[nodiscard]] std::uint64_t deadline_in(std::chrono::nanoseconds time);

// An SDMA NOP and the `skipped` dwords behind it that belong to it (0..0x3fff).
[[nodiscard]] constexpr std::uint32_t sdma_nop(std::uint32_t skipped = 0) { return skipped << 16; }

// The chunks of one AMDGPU_CS. Chunks go in the order of the calls.
class Submission {
 public:
  explicit Submission(std::uint32_t context) { args_.in.ctx_id = context; }
  Submission(Submission&&) = default;  // the chunks stay where they are
  Submission& operator=(Submission&&) = default;

  Submission& ib(const drm_amdgpu_cs_chunk_ib& ib);
  Submission& ib(std::uint64_t va, std::uint32_t bytes);
  Submission& list(std::uint32_t handle);                       // a list made before
  Submission& buffers(std::span<const std::uint32_t> handles);  // a list in the submission
  Submission& buffers(std::initializer_list<std::uint32_t> handles) {
    return buffers(std::span(handles.begin(), handles.size()));
  }
  Submission& user_fence(std::uint32_t handle, std::uint32_t offset);
  Submission& after(std::uint32_t context, std::uint64_t number);
  Submission& wait_syncobj(std::uint32_t handle);
  Submission& signal_syncobj(std::uint32_t handle);
  Submission& wait_point(std::uint32_t handle, std::uint64_t point, std::uint32_t flags = 0);
  Submission& signal_point(std::uint32_t handle, std::uint64_t point);
  template <typename T>
  Submission& chunk(std::uint32_t id, const T& data) {
    static_assert(sizeof(T) % sizeof(std::uint32_t) == 0);
    return chunk(id, &data, sizeof(T));
  }
  Submission& chunk(std::uint32_t id, const void* data, std::size_t bytes);

  // errno; *number gets the fence's.
  [[nodiscard]] int submit(int fd, std::uint64_t* number = nullptr);

  // For malformed calls.
  [[nodiscard]] drm_amdgpu_cs_in& in() { return args_.in; }
  [[nodiscard]] drm_amdgpu_cs_chunk& head(std::size_t index) { return heads_[index]; }

 private:
  drm_amdgpu_cs args_{};
  std::deque<std::vector<std::uint32_t>> data_;
  std::deque<std::vector<drm_amdgpu_bo_list_entry>> lists_;
  std::deque<drm_amdgpu_cs_chunk> heads_;
  std::vector<std::uint64_t> pointers_;
};

struct GpuBuffer {
  std::uint32_t handle = 0;
  std::uint64_t size = 0;
  std::uint64_t va = 0;  // where the GPU sees it
};

class CsTest : public DrmTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] std::uint32_t context() const { return context_; }
  // 0 and a failed test if it does not work.
  [[nodiscard]] std::uint32_t new_context() const { return new_context(fd()); }
  [[nodiscard]] std::uint32_t new_context(int fd) const;
  [[nodiscard]] static int free_context(int fd, std::uint32_t context);

  // An object in `domain`, mapped for the GPU. Gone at the end of the test unless discard() took it. The handle is 0
  // and the test failed if it does not work.
  GpuBuffer create(std::uint64_t domain, std::uint64_t size, std::uint64_t flags = 0);
  void discard(const GpuBuffer& buffer);
  // Its memory, mapped until the end of the test. Empty on failure.
  [[nodiscard]] std::span<std::byte> bytes(const GpuBuffer& buffer);
  [[nodiscard]] std::uint32_t* dwords(const GpuBuffer& buffer) {
    return reinterpret_cast<std::uint32_t*>(bytes(buffer).data());
  }
  // A page of NOPs in GTT: what most tests submit.
  [[nodiscard]] const GpuBuffer& nops() const { return nops_; }
  [[nodiscard]] Submission nop_submission() const { return nop_submission(context_); }
  [[nodiscard]] Submission nop_submission(std::uint32_t context) const;

  // WAIT_CS: errno; *busy says that the time was over first.
  [[nodiscard]] int wait(std::uint32_t context, std::uint64_t number, std::uint64_t until, bool* busy) const {
    return wait(fd(), context, number, until, busy);
  }
  [[nodiscard]] static int wait(int fd, std::uint32_t context, std::uint64_t number, std::uint64_t until, bool* busy);
  // The work with this number is done, without an error, before anything hangs.
  [[nodiscard]] testing::AssertionResult completes(std::uint32_t context, std::uint64_t number) const;
  // It is still under way.
  [[nodiscard]] testing::AssertionResult is_busy(std::uint32_t context, std::uint64_t number) const;
  [[nodiscard]] int query_state(std::uint32_t op, std::uint32_t context, drm_amdgpu_ctx* state) const;
  [[nodiscard]] int bo_list(drm_amdgpu_bo_list_in request, std::uint32_t* handle) const;
  // A list of these handles; 0 and a failed test if it does not work.
  [[nodiscard]] std::uint32_t new_list(std::span<const std::uint32_t> handles) const;

 private:
  std::uint32_t context_ = 0;
  GpuBuffer nops_;
  std::vector<GpuBuffer> buffers_;
  std::vector<std::span<std::byte>> mappings_;
  std::uint64_t next_va_ = 1ull << 40;
};

}  // namespace kfdlab
