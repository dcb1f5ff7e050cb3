// SPDX-License-Identifier: MIT
// SvmTest: what the tests of SVM ranges, attributes and migration stand on.
#pragma once

#include <gtest/gtest.h>
#include <linux/kfd_ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <ostream>
#include <span>
#include <utility>
#include <vector>

#include "tests/support/buffer.h"
#include "tests/support/counters.h"
#include "tests/support/kfd_client.h"
#include "tests/support/needs.h"
#include "tests/support/pages.h"
#include "tests/support/pattern.h"

namespace kfdlab {

// Everything GET can tell about an interval, for one GPU.
struct SvmAnswer {
  uint32_t preferred = kSvmUndefined;
  uint32_t prefetch = kSvmUndefined;
  uint32_t access = KFD_IOCTL_SVM_ATTR_NO_ACCESS;  // the attribute type that came back
  uint32_t flags = KFD_IOCTL_SVM_FLAG_HOST_ACCESS | KFD_IOCTL_SVM_FLAG_COHERENT;
  uint32_t cleared = ~(KFD_IOCTL_SVM_FLAG_HOST_ACCESS | KFD_IOCTL_SVM_FLAG_COHERENT);
  uint32_t granularity = 9;
  bool operator==(const SvmAnswer&) const = default;
};

inline void PrintTo(const SvmAnswer& answer, std::ostream* out) {
  *out << std::hex << "{preferred 0x" << answer.preferred << ", prefetch 0x" << answer.prefetch << ", access type "
       << answer.access << ", flags 0x" << answer.flags << ", cleared 0x" << answer.cleared << ", granularity "
       << std::dec << answer.granularity << "}";
}

// What GET answers where nothing was set, with XNACK off.
inline constexpr SvmAnswer kSvmDefaults;

using SvmAttributes = std::vector<kfd_ioctl_svm_attribute>;

class SvmTest : public testing::Test {
 protected:
  void SetUp() override {
    KFDLAB_NEEDS(residency_backend() == "coherent", "needs VRAM that is coherent with the CPU");
    KFDLAB_NEEDS_ROOT();
    KFDLAB_NEEDS_NODE("/dev/kfd");
    KFDLAB_NEEDS_NODE("/dev/kfdlab_test");
    const std::vector<uint32_t> ids = kfd_gpu_ids();
    ASSERT_FALSE(ids.empty());
    gpu_ = ids.front();
    auto client = KfdClient::open();
    ASSERT_TRUE(client.ok()) << client.error().message;
    kfd_.emplace(client.take());
    auto device = TestDevice::open();
    ASSERT_TRUE(device.ok()) << device.error().message;
    device_.emplace(device.take());
    auto oracle = PageOracle::open();
    ASSERT_TRUE(oracle.ok()) << oracle.error().message;
    oracle_.emplace(oracle.take());
  }

  [[nodiscard]] const KfdClient& kfd() const { return *kfd_; }
  [[nodiscard]] const TestDevice& device() const { return *device_; }
  [[nodiscard]] const PageOracle& oracle() const { return *oracle_; }
  [[nodiscard]] uint32_t gpu() const { return gpu_; }
  void close_kfd() { kfd_.reset(); }

  [[nodiscard]] kfdlab_test_counters counters() const {
    auto counters = device_->counters(gpu_);
    EXPECT_TRUE(counters.ok()) << counters.error().message;
    return counters.ok() ? counters.value() : kfdlab_test_counters{};
  }

  static PageCensus all_vram(std::size_t npages) { return {.none = 0, .ram = 0, .vram = npages}; }
  static PageCensus all_ram(std::size_t npages) { return {.none = 0, .ram = npages, .vram = 0}; }
  static std::size_t zero_bytes(std::span<const std::byte> bytes) {
    return static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), std::byte{0}));
  }
  static int set(const KfdClient& kfd, uint64_t address, std::size_t npages, const SvmAttributes& attributes) {
    return kfd.svm_set(address, npages * kPageSize, attributes);
  }
  int set(uint64_t address, std::size_t npages, const SvmAttributes& attributes) const {
    return set(*kfd_, address, npages, attributes);
  }
  int set_granularity(uint64_t address, std::size_t npages, uint32_t granularity) const {
    return set(address, npages, {{KFD_IOCTL_SVM_ATTR_GRANULARITY, granularity}});
  }

  // 0 or errno.
  static int get(const KfdClient& kfd, uint32_t gpu, uint64_t address, std::size_t npages, SvmAnswer* answer) {
    SvmAttributes query = {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, 0}, {KFD_IOCTL_SVM_ATTR_PREFETCH_LOC, 0},
                           {KFD_IOCTL_SVM_ATTR_ACCESS, gpu},      {KFD_IOCTL_SVM_ATTR_SET_FLAGS, 0},
                           {KFD_IOCTL_SVM_ATTR_CLR_FLAGS, 0},     {KFD_IOCTL_SVM_ATTR_GRANULARITY, 0}};
    const int error = kfd.svm_get(address, npages * kPageSize, query);
    *answer = {query[0].value, query[1].value, query[2].type, query[3].value, query[4].value, query[5].value};
    return error;
  }
  int get(uint64_t address, std::size_t npages, SvmAnswer* answer) const {
    return get(*kfd_, gpu_, address, npages, answer);
  }
  // The answer, where GET must not fail.
  [[nodiscard]] SvmAnswer answer(uint64_t address, std::size_t npages) const {
    SvmAnswer result;
    EXPECT_EQ(get(address, npages, &result), 0);
    return result;
  }

  // Prefetch must succeed whatever it could move.
  [[nodiscard]] testing::AssertionResult prefetch(const Buffer& buffer, uint32_t location) const {
    const int error = kfd_->svm_prefetch(buffer.address(), buffer.size(), location);
    return error == 0 ? testing::AssertionSuccess() : testing::AssertionFailure() << "errno " << error;
  }
  [[nodiscard]] testing::AssertionResult prefetch_to_vram(const Buffer& buffer) const { return prefetch(buffer, gpu_); }
  [[nodiscard]] testing::AssertionResult prefetch_to_ram(const Buffer& buffer) const {
    return prefetch(buffer, kSvmSystem);
  }
  [[nodiscard]] PageCensus census(const Buffer& buffer) const {
    return oracle_->census(buffer.data(), buffer.npages());
  }
  [[nodiscard]] PageCensus census(const Buffer& buffer, std::size_t first, std::size_t count) const {
    return oracle_->census(buffer.page(first), count);
  }

  // Runs `body` in a forked child; its exit status, or 128 + signal.
  static int in_child(const std::function<int()>& body) {
    const pid_t child = fork();
    if (child == 0) {
      _exit(body());
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  std::optional<KfdClient> kfd_;
  std::optional<TestDevice> device_;
  std::optional<PageOracle> oracle_;
  uint32_t gpu_ = 0;
};

}  // namespace kfdlab
