// SPDX-License-Identifier: MIT
// VmTest: what the tests of GPU page tables stand on. Without running anything on the GPU they compare what its page
// tables say, as KFDLAB_TEST_TRANSLATE walks them, with where the pages are (pagemap, KFDLAB_TEST_PAGES).
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hw/gpuvm.h"
#include "tests/kfd/kfd_fixture.h"
#include "tests/kfd/svm_fixture.h"
#include "tests/support/needs.h"

namespace kfdlab {

inline constexpr std::uint32_t kWritable = static_cast<std::uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE);
inline constexpr std::uint32_t kExecutable = KFD_IOC_ALLOC_MEM_FLAGS_EXECUTABLE;
inline constexpr std::uint32_t kPublic = KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC;
inline constexpr std::uint32_t kAqlQueueMem = KFD_IOC_ALLOC_MEM_FLAGS_AQL_QUEUE_MEM;

class VmTest : public SvmTest {
 protected:
  void SetUp() override {
    SvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    render_ = KfdRender::open();
    ASSERT_TRUE(render_.valid());
    ASSERT_EQ(kfd().acquire_vm(gpu(), render_.get()), 0);
  }

  // Opens what KfdTest opens.
  struct KfdRender : KfdTest {
    static Fd open() { return KfdTest::open_render(); }
    void TestBody() override {}
  };

  [[nodiscard]] int render() const { return render_.get(); }

  [[nodiscard]] std::vector<kfdlab_translation> translate(std::uint64_t va, std::size_t npages) const {
    auto translations = device().translate(gpu(), va, npages);
    EXPECT_TRUE(translations.ok()) << translations.error().message;
    return translations.ok() ? translations.take() : std::vector<kfdlab_translation>(npages);
  }

  static bool valid(const kfdlab_translation& at) { return (at.entry & AMDGPU_PTE_VALID) != 0; }
  static bool writable(const kfdlab_translation& at) {
    return valid(at) && (at.entry & AMDGPU_PTE_READABLE) != 0 && (at.entry & AMDGPU_PTE_WRITEABLE) != 0;
  }
  static std::size_t count_valid(const std::vector<kfdlab_translation>& translations) {
    return static_cast<std::size_t>(std::count_if(translations.begin(), translations.end(), valid));
  }

  // The first page of [va, va + npages) whose GPU entry is not `frames`; "" if all are. Frame 0: must not be mapped.
  [[nodiscard]] std::string difference(std::uint64_t va, const std::vector<std::uint64_t>& frames) const {
    const auto translations = translate(va, frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      if (translations[i].pfn != frames[i] || valid(translations[i]) != (frames[i] != 0)) {
        return "page " + std::to_string(i) + ": GPU frame " + std::to_string(translations[i].pfn) + ", CPU frame " +
               std::to_string(frames[i]);
      }
    }
    return "";
  }
  // Does the GPU have the process's own pages at `buffer`? Waits for the restore work.
  [[nodiscard]] testing::AssertionResult gpu_sees(const Buffer& buffer, std::size_t first, std::size_t count) const {
    return gpu_sees_at(buffer.page_address(first), buffer, first, count);
  }
  [[nodiscard]] testing::AssertionResult gpu_sees(const Buffer& buffer) const {
    return gpu_sees(buffer, 0, buffer.npages());
  }
  // The same, at another GPU address.
  [[nodiscard]] testing::AssertionResult gpu_sees_at(std::uint64_t va, const Buffer& buffer, std::size_t first,
                                                     std::size_t count) const {
    std::string why;
    const bool same = eventually([&] {
      why = difference(va, oracle().frames(buffer.page(first), count));
      return why.empty();
    });
    return same ? testing::AssertionSuccess() : testing::AssertionFailure() << why;
  }
  [[nodiscard]] testing::AssertionResult gpu_sees_nothing(std::uint64_t va, std::size_t npages) const {
    const std::string why = difference(va, std::vector<std::uint64_t>(npages));
    return why.empty() ? testing::AssertionSuccess() : testing::AssertionFailure() << why;
  }

  [[nodiscard]] SvmAttributes access() const { return {{KFD_IOCTL_SVM_ATTR_ACCESS, gpu()}}; }
  [[nodiscard]] SvmAttributes in_place() const { return {{KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE, gpu()}}; }
  [[nodiscard]] SvmAttributes no_access() const { return {{KFD_IOCTL_SVM_ATTR_NO_ACCESS, gpu()}}; }

  [[nodiscard]] int map(std::uint64_t handle) const { return kfd().map(handle, std::vector{gpu()}, nullptr); }
  [[nodiscard]] int unmap(std::uint64_t handle) const { return kfd().unmap(handle, std::vector{gpu()}, nullptr); }

 private:
  Fd render_;
};

}  // namespace kfdlab
