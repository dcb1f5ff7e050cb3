// SPDX-License-Identifier: MIT
// AMDKFD_IOC_SVM: what each attribute does, what GET answers over several ranges, and what is refused.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>

#include "tests/kfd/svm_fixture.h"

namespace kfdlab {
namespace {

class SvmAttr : public SvmTest {};
class SvmBadInput : public SvmTest {};

TEST_F(SvmAttr, DefaultsWithoutRange) {
  const Buffer buffer(4);
  EXPECT_EQ(answer(buffer.address(), 4), kSvmDefaults);
  EXPECT_EQ(counters().svm_ranges, 0u) << "GET must not register anything";
}

TEST_F(SvmAttr, DefaultAccessFollowsXnackMode) {
  const Buffer buffer(4);
  int32_t mode = 0;
  ASSERT_EQ(kfd().set_xnack_mode(1, &mode), 0);
  EXPECT_EQ(answer(buffer.address(), 4).access, static_cast<uint32_t>(KFD_IOCTL_SVM_ATTR_ACCESS));
  // A range made while it is on keeps its access.
  ASSERT_EQ(set_granularity(buffer.address(), 2, 5), 0);
  ASSERT_EQ(kfd().set_xnack_mode(0, &mode), 0);
  EXPECT_EQ(answer(buffer.address(), 2).access, static_cast<uint32_t>(KFD_IOCTL_SVM_ATTR_ACCESS));
  EXPECT_EQ(answer(buffer.page_address(2), 2).access, static_cast<uint32_t>(KFD_IOCTL_SVM_ATTR_NO_ACCESS));
}

TEST_F(SvmAttr, PreferredLocationReadsBackAndMovesNothing) {
  const Buffer buffer(4);
  fill_pattern(buffer.bytes(), 1);
  for (const uint32_t location : {gpu(), kSvmSystem, kSvmUndefined}) {
    ASSERT_EQ(set(buffer.address(), 4, {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, location}}), 0);
    SvmAnswer expected;
    expected.preferred = location;
    EXPECT_EQ(answer(buffer.address(), 4), expected);
  }
  EXPECT_EQ(census(buffer), (PageCensus{.none = 0, .ram = 4, .vram = 0}));
}

TEST_F(SvmAttr, PrefetchLocationReadsBack) {
  const Buffer buffer(4);
  for (const uint32_t location : {gpu(), kSvmSystem}) {
    ASSERT_EQ(set(buffer.address(), 4, {{KFD_IOCTL_SVM_ATTR_PREFETCH_LOC, location}}), 0);
    SvmAnswer expected;
    expected.prefetch = location;
    EXPECT_EQ(answer(buffer.address(), 4), expected);
  }
}

TEST_F(SvmAttr, AccessKindsExcludeEachOther) {
  const Buffer buffer(4);
  for (const uint32_t kind : {KFD_IOCTL_SVM_ATTR_ACCESS, KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE, KFD_IOCTL_SVM_ATTR_ACCESS,
                              KFD_IOCTL_SVM_ATTR_NO_ACCESS, KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE}) {
    ASSERT_EQ(set(buffer.address(), 4, {{kind, gpu()}}), 0);
    EXPECT_EQ(answer(buffer.address(), 4).access, kind);
  }
}

TEST_F(SvmAttr, EachFlagCanBeSetAndCleared) {
  const Buffer buffer(1);
  for (uint32_t flag = 1; flag <= 0x80; flag <<= 1) {
    ASSERT_EQ(set(buffer.address(), 1, {{KFD_IOCTL_SVM_ATTR_SET_FLAGS, flag}}), 0) << flag;
    EXPECT_EQ(answer(buffer.address(), 1).flags, kSvmDefaults.flags | flag);
    EXPECT_EQ(answer(buffer.address(), 1).cleared, ~(kSvmDefaults.flags | flag));
    ASSERT_EQ(set(buffer.address(), 1, {{KFD_IOCTL_SVM_ATTR_CLR_FLAGS, flag}}), 0) << flag;
    EXPECT_EQ(answer(buffer.address(), 1).flags, kSvmDefaults.flags & ~flag);
    ASSERT_EQ(set(buffer.address(), 1, {{KFD_IOCTL_SVM_ATTR_SET_FLAGS, kSvmDefaults.flags}}), 0);
  }
}

TEST_F(SvmAttr, FlagsOfOtherCallsStay) {
  const Buffer buffer(1);
  ASSERT_EQ(set(buffer.address(), 1, {{KFD_IOCTL_SVM_ATTR_SET_FLAGS, KFD_IOCTL_SVM_FLAG_GPU_EXEC}}), 0);
  ASSERT_EQ(set(buffer.address(), 1, {{KFD_IOCTL_SVM_ATTR_SET_FLAGS, KFD_IOCTL_SVM_FLAG_GPU_RO}}), 0);
  EXPECT_EQ(answer(buffer.address(), 1).flags,
            kSvmDefaults.flags | KFD_IOCTL_SVM_FLAG_GPU_EXEC | KFD_IOCTL_SVM_FLAG_GPU_RO);
}

TEST_F(SvmAttr, ComplementFromGetMayBeHandedBack) {
  const Buffer buffer(1);
  ASSERT_EQ(set(buffer.address(), 1, {{KFD_IOCTL_SVM_ATTR_CLR_FLAGS, answer(buffer.address(), 1).cleared}}), 0);
  EXPECT_EQ(answer(buffer.address(), 1), kSvmDefaults);
}

TEST_F(SvmAttr, GranularityIsCappedAt63) {
  const Buffer buffer(1);
  for (const uint32_t value : {0u, 1u, 9u, 0x3fu, 0x40u, 0xffu, 0xffffffffu}) {
    ASSERT_EQ(set_granularity(buffer.address(), 1, value), 0);
    EXPECT_EQ(answer(buffer.address(), 1).granularity, std::min(value, 0x3fu));
  }
}

TEST_F(SvmAttr, LaterAttributesOfOneCallWin) {
  const Buffer buffer(1);
  ASSERT_EQ(set(buffer.address(), 1,
                {{KFD_IOCTL_SVM_ATTR_GRANULARITY, 3},
                 {KFD_IOCTL_SVM_ATTR_ACCESS, gpu()},
                 {KFD_IOCTL_SVM_ATTR_SET_FLAGS, KFD_IOCTL_SVM_FLAG_GPU_RO},
                 {KFD_IOCTL_SVM_ATTR_GRANULARITY, 4},
                 {KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE, gpu()},
                 {KFD_IOCTL_SVM_ATTR_CLR_FLAGS, KFD_IOCTL_SVM_FLAG_GPU_RO}}),
            0);
  SvmAnswer expected;
  expected.granularity = 4;
  expected.access = KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE;
  EXPECT_EQ(answer(buffer.address(), 1), expected);
}

TEST_F(SvmAttr, SetWithoutAttributesRegistersDefaults) {
  const Buffer buffer(4);
  ASSERT_EQ(set(buffer.address(), 4, {}), 0);
  EXPECT_EQ(counters().svm_ranges, 1u);
  EXPECT_EQ(answer(buffer.address(), 4), kSvmDefaults);
}

TEST_F(SvmAttr, GetOverSeveralRangesAnswersWhatHoldsForAll) {
  const Buffer buffer(3);
  ASSERT_EQ(set(buffer.page_address(0), 1,
                {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, gpu()},
                 {KFD_IOCTL_SVM_ATTR_GRANULARITY, 5},
                 {KFD_IOCTL_SVM_ATTR_ACCESS, gpu()},
                 {KFD_IOCTL_SVM_ATTR_SET_FLAGS, KFD_IOCTL_SVM_FLAG_GPU_EXEC}}),
            0);
  ASSERT_EQ(set(buffer.page_address(1), 1,
                {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, gpu()},
                 {KFD_IOCTL_SVM_ATTR_GRANULARITY, 12},
                 {KFD_IOCTL_SVM_ATTR_ACCESS, gpu()},
                 {KFD_IOCTL_SVM_ATTR_CLR_FLAGS, KFD_IOCTL_SVM_FLAG_COHERENT}}),
            0);
  SvmAnswer both;
  both.preferred = gpu();
  both.access = KFD_IOCTL_SVM_ATTR_ACCESS;
  both.flags = KFD_IOCTL_SVM_FLAG_HOST_ACCESS;
  both.cleared = ~(KFD_IOCTL_SVM_FLAG_HOST_ACCESS | KFD_IOCTL_SVM_FLAG_COHERENT | KFD_IOCTL_SVM_FLAG_GPU_EXEC);
  both.granularity = 5;
  EXPECT_EQ(answer(buffer.address(), 2), both);
  // Page 2 has no range and is left out of the answer.
  EXPECT_EQ(answer(buffer.address(), 3), both);

  ASSERT_EQ(set(buffer.page_address(2), 1,
                {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, kSvmSystem}, {KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE, gpu()}}),
            0);
  EXPECT_EQ(answer(buffer.address(), 3).preferred, kSvmUndefined);
  EXPECT_EQ(answer(buffer.address(), 3).access, static_cast<uint32_t>(KFD_IOCTL_SVM_ATTR_NO_ACCESS));
}

TEST_F(SvmAttr, HoleBetweenRangesIsFilledWithDefaults) {
  const Buffer buffer(6);
  ASSERT_EQ(set_granularity(buffer.page_address(0), 2, 3), 0);
  ASSERT_EQ(set_granularity(buffer.page_address(4), 2, 4), 0);
  ASSERT_EQ(set(buffer.address(), 6, {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, kSvmSystem}}), 0);
  EXPECT_EQ(answer(buffer.page_address(0), 2).granularity, 3u);
  EXPECT_EQ(answer(buffer.page_address(2), 2).granularity, 9u);
  EXPECT_EQ(answer(buffer.page_address(4), 2).granularity, 4u);
  EXPECT_EQ(answer(buffer.address(), 6).preferred, kSvmSystem);
}

// ---- refusals ----

// Start of the first mapping of this name in /proc/self/maps; 0: none.
uint64_t mapping_named(const std::string& name) {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    if (line.size() >= name.size() && line.compare(line.size() - name.size(), name.size(), name) == 0) {
      return std::stoull(line, nullptr, 16);
    }
  }
  return 0;
}

struct BadCall {
  const char* what;
  uint64_t start, size;
  SvmAttributes attributes;
  int error;
};

TEST_F(SvmBadInput, SetIsRefusedAndChangesNothing) {
  Buffer buffer(8);
  buffer.unmap(6, 1);
  const uint64_t at = buffer.address();
  ASSERT_EQ(set_granularity(at, 4, 5), 0);
  const SvmAnswer before = answer(at, 4);
  const uint64_t ranges = counters().svm_ranges;
  const kfd_ioctl_svm_attribute valid{KFD_IOCTL_SVM_ATTR_GRANULARITY, 7};
  const uint64_t wrap = ~UINT64_C(0) & ~(kPageSize - 1);

  const std::vector<BadCall> calls = {
      {"start 0", 0, kPageSize, {valid}, EINVAL},
      {"size 0", at, 0, {valid}, EINVAL},
      {"start misaligned", at + 1, kPageSize, {valid}, EINVAL},
      {"start misaligned by half a page", at + kPageSize / 2, kPageSize, {valid}, EINVAL},
      {"size misaligned", at, kPageSize + 1, {valid}, EINVAL},
      {"interval wraps", at, wrap, {valid}, EINVAL},
      {"last page of the address space", wrap, kPageSize, {valid}, EINVAL},
      {"kernel addresses", UINT64_C(0xffff888000000000), kPageSize, {valid}, EFAULT},
      {"all of the address space", kPageSize, wrap - kPageSize, {valid}, EFAULT},
      {"unmapped page", buffer.page_address(6), kPageSize, {valid}, EFAULT},
      {"unmapped page in the middle", at, 8 * kPageSize, {valid}, EFAULT},
      {"unknown type", at, 4 * kPageSize, {valid, {8, 0}}, EINVAL},
      {"huge type", at, 4 * kPageSize, {valid, {0xffffffff, 0}}, EINVAL},
      {"preferred on an unknown GPU", at, 4 * kPageSize, {valid, {KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, 1}}, EINVAL},
      {"prefetch to an unknown GPU", at, 4 * kPageSize, {valid, {KFD_IOCTL_SVM_ATTR_PREFETCH_LOC, 0x1234}}, EINVAL},
      {"prefetch to undefined", at, 4 * kPageSize, {valid, {KFD_IOCTL_SVM_ATTR_PREFETCH_LOC, kSvmUndefined}}, EINVAL},
      {"access for an unknown GPU", at, 4 * kPageSize, {valid, {KFD_IOCTL_SVM_ATTR_ACCESS, 0}}, EINVAL},
      {"in place for an unknown GPU", at, 4 * kPageSize, {valid, {KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE, ~0u}}, EINVAL},
      {"no access for an unknown GPU", at, 4 * kPageSize, {valid, {KFD_IOCTL_SVM_ATTR_NO_ACCESS, 7}}, EINVAL},
      {"unknown flag", at, 4 * kPageSize, {valid, {KFD_IOCTL_SVM_ATTR_SET_FLAGS, 0x100}}, EINVAL},
      {"unknown flags", at, 4 * kPageSize, {valid, {KFD_IOCTL_SVM_ATTR_SET_FLAGS, ~0u}}, EINVAL},
  };
  for (const BadCall& call : calls) {
    EXPECT_EQ(kfd().svm_set(call.start, call.size, call.attributes), call.error) << call.what;
    EXPECT_EQ(answer(at, 4), before) << call.what;
  }
  EXPECT_EQ(answer(buffer.page_address(4), 2), kSvmDefaults);
  EXPECT_EQ(counters().svm_ranges, ranges);
}

TEST_F(SvmBadInput, GetIsRefused) {
  Buffer buffer(4);
  buffer.unmap(3, 1);
  const uint64_t at = buffer.address();
  const std::vector<BadCall> calls = {
      {"start 0", 0, kPageSize, {}, EINVAL},
      {"size 0", at, 0, {}, EINVAL},
      {"start misaligned", at + 8, kPageSize, {}, EINVAL},
      {"size misaligned", at, 100, {}, EINVAL},
      {"unmapped page at the end", at, 4 * kPageSize, {{KFD_IOCTL_SVM_ATTR_GRANULARITY, 0}}, EFAULT},
      {"asking for ACCESS_IN_PLACE", at, kPageSize, {{KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE, gpu()}}, EINVAL},
      {"asking for NO_ACCESS", at, kPageSize, {{KFD_IOCTL_SVM_ATTR_NO_ACCESS, gpu()}}, EINVAL},
      {"unknown GPU", at, kPageSize, {{KFD_IOCTL_SVM_ATTR_ACCESS, 1}}, EINVAL},
      {"unknown type", at, kPageSize, {{99, 0}}, EINVAL},
  };
  for (const BadCall& call : calls) {
    SvmAttributes attributes = call.attributes;
    EXPECT_EQ(kfd().svm_get(call.start, call.size, attributes), call.error) << call.what;
  }
}

TEST_F(SvmBadInput, UnknownOperationIsRefused) {
  const Buffer buffer(1);
  for (const uint32_t op : {2u, 3u, 0xffffffffu}) {
    kfd_ioctl_svm_args args{};
    args.start_addr = buffer.address();
    args.size = kPageSize;
    args.op = op;
    EXPECT_EQ(kfd().raw(AMDKFD_IOC_SVM, &args), EINVAL) << op;
  }
}

TEST_F(SvmBadInput, SpecialMappingsAreRefused) {
  const uint64_t vvar = mapping_named("[vvar]");
  KFDLAB_NEEDS(vvar != 0, "this process has no vvar mapping");
  SvmAnswer ignored;
  EXPECT_EQ(set_granularity(vvar, 1, 5), EFAULT);
  EXPECT_EQ(get(vvar, 1, &ignored), EFAULT);
}

TEST_F(SvmBadInput, FailedSetOverManyRangesLeavesAll) {
  Buffer buffer(64);
  for (std::size_t page = 0; page < 60; page += 2) {
    ASSERT_EQ(set_granularity(buffer.page_address(page), 1, static_cast<uint32_t>(page)), 0);
  }
  buffer.unmap(63, 1);
  EXPECT_EQ(set_granularity(buffer.address(), 64, 1), EFAULT);
  for (std::size_t page = 0; page < 60; page += 2) {
    EXPECT_EQ(answer(buffer.page_address(page), 1).granularity, page);
  }
}

}  // namespace
}  // namespace kfdlab
