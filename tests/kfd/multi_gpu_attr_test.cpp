// SPDX-License-Identifier: MIT
// Attributes that name several GPUs: each GPU's access is its own, and a location that differs within what GET is
// asked about is undefined.
#include "tests/kfd/multi_gpu_fixture.h"

namespace kfdlab {
namespace {

class MultiGpuAttr : public MultiGpu {
 protected:
  [[nodiscard]] SvmAnswer answer_for(std::uint32_t gpu, std::uint64_t address, std::size_t npages) const {
    SvmAnswer result;
    EXPECT_EQ(get(kfd(), gpu, address, npages, &result), 0);
    return result;
  }
  [[nodiscard]] std::uint32_t access(std::uint32_t gpu, const Buffer& buffer, std::size_t first,
                                     std::size_t count) const {
    return answer_for(gpu, buffer.page_address(first), count).access;
  }
};

constexpr std::uint32_t kAccess = KFD_IOCTL_SVM_ATTR_ACCESS;
constexpr std::uint32_t kInPlace = KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE;
constexpr std::uint32_t kNoAccess = KFD_IOCTL_SVM_ATTR_NO_ACCESS;

TEST_F(MultiGpuAttr, AccessOfOneGpuSaysNothingAboutAnother) {
  for (const std::uint32_t mine : {kAccess, kInPlace, kNoAccess}) {
    for (const std::uint32_t theirs : {kAccess, kInPlace, kNoAccess}) {
      const Buffer buffer(4);
      ASSERT_EQ(set(buffer.address(), 4, {{mine, a()}}), 0);
      EXPECT_EQ(access(b(), buffer, 0, 4), kNoAccess);
      ASSERT_EQ(set(buffer.address(), 4, {{theirs, b()}}), 0);
      EXPECT_EQ(access(a(), buffer, 0, 4), mine);
      EXPECT_EQ(access(b(), buffer, 0, 4), theirs);
    }
  }
}

TEST_F(MultiGpuAttr, OneCallSetsAccessOfAllGpus) {
  const Buffer buffer(4);
  SvmAttributes attributes;
  for (std::size_t i = 0; i < gpus().size(); ++i) {
    attributes.push_back({i % 2 == 0 ? kAccess : kInPlace, gpus()[i]});
  }
  ASSERT_EQ(set(buffer.address(), 4, attributes), 0);
  for (std::size_t i = 0; i < gpus().size(); ++i) {
    EXPECT_EQ(access(gpus()[i], buffer, 0, 4), i % 2 == 0 ? kAccess : kInPlace);
  }
}

TEST_F(MultiGpuAttr, AccessOverSeveralRangesIsWhatAllHave) {
  const Buffer buffer(4);
  ASSERT_EQ(set(buffer.page_address(0), 2, {{kAccess, a()}, {kInPlace, b()}}), 0);
  ASSERT_EQ(set(buffer.page_address(2), 2, {{kAccess, a()}, {kAccess, b()}}), 0);
  EXPECT_EQ(access(a(), buffer, 0, 4), kAccess);
  EXPECT_EQ(access(b(), buffer, 0, 2), kInPlace);
  EXPECT_EQ(access(b(), buffer, 2, 2), kAccess);
  EXPECT_EQ(access(b(), buffer, 0, 4), kNoAccess) << "neither everywhere";
}

TEST_F(MultiGpuAttr, WithXnackEveryGpuMayAccessWhatNobodySet) {
  const Buffer buffer(2);
  std::int32_t mode = 0;
  ASSERT_EQ(kfd().set_xnack_mode(1, &mode), 0);
  for (const std::uint32_t gpu : gpus()) {
    EXPECT_EQ(access(gpu, buffer, 0, 2), kAccess);
  }
  ASSERT_EQ(kfd().set_xnack_mode(0, &mode), 0);
  for (const std::uint32_t gpu : gpus()) {
    EXPECT_EQ(access(gpu, buffer, 0, 2), kNoAccess);
  }
}

TEST_F(MultiGpuAttr, PreferredLocationsOnDifferentGpusCollapseToUndefined) {
  const Buffer buffer(6);
  const std::uint32_t kinds[] = {KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, KFD_IOCTL_SVM_ATTR_PREFETCH_LOC};
  for (const std::uint32_t kind : kinds) {
    const auto location = [&](std::size_t first, std::size_t count) {
      const SvmAnswer found = answer_for(a(), buffer.page_address(first), count);
      return kind == KFD_IOCTL_SVM_ATTR_PREFERRED_LOC ? found.preferred : found.prefetch;
    };
    ASSERT_EQ(set(buffer.page_address(0), 2, {{kind, a()}}), 0);
    ASSERT_EQ(set(buffer.page_address(2), 2, {{kind, b()}}), 0);
    ASSERT_EQ(set(buffer.page_address(4), 2, {{kind, kSvmSystem}}), 0);
    EXPECT_EQ(location(0, 2), a());
    EXPECT_EQ(location(2, 2), b());
    EXPECT_EQ(location(4, 2), kSvmSystem);
    EXPECT_EQ(location(1, 2), kSvmUndefined);
    EXPECT_EQ(location(3, 2), kSvmUndefined);
    EXPECT_EQ(location(0, 6), kSvmUndefined);
    ASSERT_EQ(set(buffer.address(), 6, {{kind, b()}}), 0);
    EXPECT_EQ(location(0, 6), b());
  }
}

TEST_F(MultiGpuAttr, PreferredLocationMovesNothingAndPrefetchDoesNotChangeIt) {
  const auto buffer = on_gpu(16, a());
  const std::vector<std::uint64_t> before = frames(*buffer);
  ASSERT_EQ(set(buffer->address(), 16, {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, b()}}), 0);
  EXPECT_EQ(frames(*buffer), before);
  ASSERT_TRUE(prefetch(*buffer, a()));
  EXPECT_EQ(frames(*buffer), before);
  const SvmAnswer found = answer_for(a(), buffer->address(), 16);
  EXPECT_EQ(found.preferred, b());
  EXPECT_EQ(found.prefetch, a());
}

TEST_F(MultiGpuAttr, AccessInPlaceOfAnotherGpuMovesNothing) {
  const auto buffer = on_gpu(16, a());
  const std::vector<std::uint64_t> before = frames(*buffer);
  ASSERT_EQ(set(buffer->address(), 16, {{kInPlace, b()}}), 0);
  EXPECT_EQ(frames(*buffer), before);
  ASSERT_EQ(set(buffer->address(), 16, {{kAccess, b()}}), 0);
  EXPECT_EQ(frames(*buffer), before) << "peers reach each other's VRAM";
  EXPECT_EQ(contents(*buffer), "");
}

}  // namespace
}  // namespace kfdlab
