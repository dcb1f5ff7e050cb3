// SPDX-License-Identifier: MIT
// What the compute tests share: a checked call, an array in VRAM that can only be read through a synchronising copy,
// and data from a seeded pattern. Every array ends in a guard that a kernel must not touch.
#pragma once

#include <gtest/gtest.h>
#include <hip/hip_runtime.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#define HIP_OK(call)                                                                     \
  do {                                                                                   \
    const hipError_t hip_result_ = (call);                                               \
    ASSERT_EQ(hip_result_, hipSuccess) << #call << ": " << hipGetErrorString(hip_result_); \
  } while (0)

// The kernels launched before have run, and without an error.
#define KERNELS_OK()              \
  do {                            \
    HIP_OK(hipGetLastError());    \
    HIP_OK(hipDeviceSynchronize()); \
  } while (0)

namespace kfdlab {

// Deterministic numbers for host and device alike (a 64-bit mixer over a counter).
__host__ __device__ inline std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

class Pattern {
 public:
  explicit Pattern(std::uint64_t seed) : state_(seed << 32) {}
  std::uint64_t next() { return mix(state_++); }
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(next() % bound); }
  // Uniform in [low, high).
  double real(double low, double high) { return low + (high - low) * (static_cast<double>(next() >> 11) * 0x1p-53); }

 private:
  std::uint64_t state_;
};

template <typename T>
std::vector<T> random_values(std::size_t count, std::uint64_t seed) {
  Pattern pattern(seed);
  std::vector<T> values(count);
  for (T& value : values) {
    if constexpr (std::is_floating_point_v<T>) {
      value = static_cast<T>(pattern.real(-100, 100));
    } else {
      value = static_cast<T>(pattern.next());
    }
  }
  return values;
}

// `count` elements in VRAM. A failed allocation or copy fails the test and leaves ok() false.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : count_(count) {
    ok_ = hipMalloc(reinterpret_cast<void**>(&data_), bytes() + kGuard) == hipSuccess &&
          hipMemset(data_, 0, bytes()) == hipSuccess && hipMemset(guard(), kGuardByte, kGuard) == hipSuccess;
    EXPECT_TRUE(ok_) << "no VRAM for " << bytes() << " bytes";
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) { write(values); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() {
    unsigned char found[kGuard] = {};
    if (ok_ && hipMemcpy(found, guard(), kGuard, hipMemcpyDeviceToHost) == hipSuccess) {
      for (const unsigned char byte : found) {
        EXPECT_EQ(byte, kGuardByte) << "a kernel wrote behind its array";
        if (byte != kGuardByte) break;
      }
    }
    static_cast<void>(hipFree(data_));
  }

  [[nodiscard]] T* get() const { return data_; }
  operator T*() const { return data_; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] std::size_t bytes() const { return count_ * sizeof(T); }

  void write(const std::vector<T>& values) {
    ok_ = ok_ && hipMemcpy(data_, values.data(), values.size() * sizeof(T), hipMemcpyHostToDevice) == hipSuccess;
    EXPECT_TRUE(ok_);
  }

  // Waits for the kernels of the default stream.
  [[nodiscard]] std::vector<T> read() const {
    std::vector<T> values(count_);
    const hipError_t result = hipMemcpy(values.data(), data_, bytes(), hipMemcpyDeviceToHost);
    EXPECT_EQ(result, hipSuccess) << hipGetErrorString(result);
    return values;
  }

 private:
  static constexpr std::size_t kGuard = 64;
  static constexpr unsigned char kGuardByte = 0xa7;
  [[nodiscard]] unsigned char* guard() const { return reinterpret_cast<unsigned char*>(data_) + bytes(); }

  std::size_t count_;
  T* data_ = nullptr;
  bool ok_ = false;
};

// Fails at the first difference and counts the rest: a wrong kernel would print thousands.
template <typename T>
void expect_same(const std::vector<T>& found, const std::vector<T>& wanted, const std::string& what = "") {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  std::size_t wrong = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (std::memcmp(&found[i], &wanted[i], sizeof(T)) != 0 && wrong++ == 0) first = i;
  }
  if (wrong != 0) {
    ADD_FAILURE() << what << ": " << wrong << " of " << found.size() << " differ, first at " << first << ": "
                  << testing::PrintToString(found[first]) << " instead of " << testing::PrintToString(wanted[first]);
  }
}

}  // namespace kfdlab
