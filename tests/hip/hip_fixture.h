// SPDX-License-Identifier: MIT
// HipTest: what the memory tests stand on. Calls are checked, memory is owned, and the witnesses of where pages are and
// how they got there are open. Fixtures whose names begin with HipXnack need HSA_XNACK=1, HipNoXnack HSA_XNACK=0.
#pragma once

#include <gtest/gtest.h>
#include <hip/hip_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/hip/kernels.h"
#include "tests/support/counters.h"
#include "tests/support/needs.h"
#include "tests/support/pages.h"
#include "tests/support/pattern.h"

#define HIP_OK(call)                                                                       \
  do {                                                                                     \
    const hipError_t hip_result_ = (call);                                                 \
    ASSERT_EQ(hip_result_, hipSuccess) << #call << ": " << hipGetErrorString(hip_result_); \
  } while (0)

namespace kfdlab {

inline constexpr std::size_t kPage = 4096;
inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;

// HSA_XNACK of this process.
[[nodiscard]] bool xnack_is_on();

// Memory of one of HIP's allocators, given back when it goes. A failed allocation fails the test; data() is null then.
class HipMemory {
 public:
  static HipMemory managed(std::size_t bytes);
  static HipMemory vram(std::size_t bytes);
  static HipMemory host(std::size_t bytes, unsigned flags = hipHostMallocDefault);
  HipMemory(HipMemory&& other) noexcept;
  HipMemory& operator=(HipMemory&&) = delete;
  ~HipMemory();

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t npages() const { return (size_ + kPage - 1) / kPage; }
  [[nodiscard]] std::size_t words() const { return size_ / sizeof(std::uint64_t); }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(data_); }
  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }
  template <typename T>
  [[nodiscard]] T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  enum class Kind { Device, Host };
  HipMemory(Kind kind, void* data, std::size_t size) : kind_(kind), data_(static_cast<std::byte*>(data)), size_(size) {}
  Kind kind_;
  std::byte* data_;
  std::size_t size_;
};

class HipStream {
 public:
  explicit HipStream(unsigned flags = hipStreamNonBlocking) {
    EXPECT_EQ(hipStreamCreateWithFlags(&stream_, flags), hipSuccess);
  }
  HipStream(const HipStream&) = delete;
  HipStream& operator=(const HipStream&) = delete;
  ~HipStream() { EXPECT_EQ(hipStreamDestroy(stream_), hipSuccess); }
  operator hipStream_t() const { return stream_; }

 private:
  hipStream_t stream_ = nullptr;
};

class HipEvent {
 public:
  explicit HipEvent(unsigned flags = hipEventDefault) { EXPECT_EQ(hipEventCreateWithFlags(&event_, flags), hipSuccess); }
  HipEvent(const HipEvent&) = delete;
  HipEvent& operator=(const HipEvent&) = delete;
  ~HipEvent() { EXPECT_EQ(hipEventDestroy(event_), hipSuccess); }
  operator hipEvent_t() const { return event_; }

 private:
  hipEvent_t event_ = nullptr;
};

class HipTest : public testing::Test {
 protected:
  static constexpr int kGpu = 0;

  // Skips without a GPU that has coherent VRAM, and where XNACK is not what the fixture's name asks for.
  void SetUp() override;
  // The device is idle and no error is left for the next test.
  void TearDown() override;

  [[nodiscard]] const PageOracle& oracle() const { return *oracle_; }
  [[nodiscard]] const TestDevice& device() const { return *device_; }
  [[nodiscard]] std::uint32_t gpu_id() const { return gpu_id_; }
  [[nodiscard]] kfdlab_test_counters counters() const;

  [[nodiscard]] PageCensus census(const void* start, std::size_t npages) const { return oracle().census(start, npages); }
  [[nodiscard]] PageCensus census(const HipMemory& memory) const { return census(memory.data(), memory.npages()); }
  [[nodiscard]] static PageCensus all_vram(std::size_t npages) { return {0, 0, npages}; }
  [[nodiscard]] static PageCensus all_ram(std::size_t npages) { return {0, npages, 0}; }
  [[nodiscard]] static PageCensus none(std::size_t npages) { return {npages, 0, 0}; }

  // Reserve all free VRAM but `bytes` until the test ends.
  void leave_vram(std::size_t bytes);

  // Prefetch and wait. hipCpuDeviceId or kGpu.
  static hipError_t prefetch(const HipMemory& memory, int where);

  // A word on the host that kernels add errors to. 0 again after errors().
  [[nodiscard]] std::uint64_t* wrong() const { return wrong_->as<std::uint64_t>(); }
  // Waits for the whole device. Words that kernels found wrong since the last call, or the error of the device.
  [[nodiscard]] std::string kernel_errors() const;

 private:
  std::optional<PageOracle> oracle_;
  std::optional<TestDevice> device_;
  std::optional<HipMemory> wrong_;
  std::uint32_t gpu_id_ = 0;
};

// Fixtures that run in one mode only; see HipTest.
class HipXnackTest : public HipTest {
 protected:
  void SetUp() override;
};
class HipNoXnackTest : public HipTest {
 protected:
  void SetUp() override;
};

}  // namespace kfdlab
