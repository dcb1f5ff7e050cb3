// SPDX-License-Identifier: MIT
// What GET answers over several ranges, and how a SET call's attributes add up.
#include <gtest/gtest.h>

#include "tests/unit/svm/split.h"

namespace {

svm_attrs attributes(__u32 preferred, __u32 prefetch, __u32 flags, __u32 granularity, __u32 access, __u32 in_place) {
  return svm_attrs{preferred, prefetch, flags, granularity, access, in_place};
}

svm_gather gather(std::initializer_list<svm_attrs> ranges) {
  const svm_attrs defaults = attributes(SVM_LOCATION_UNDEFINED, SVM_LOCATION_UNDEFINED, 3, 9, 0, 0);
  svm_gather result{};
  svm_gather_begin(&result);
  for (const svm_attrs& range : ranges) {
    svm_gather_add(&result, &range);
  }
  svm_gather_end(&result, &defaults);
  return result;
}

TEST(SvmGather, NoRangeAnswersTheDefaults) {
  const svm_gather all = gather({});
  EXPECT_EQ(all.attrs.preferred_loc, SVM_LOCATION_UNDEFINED);
  EXPECT_EQ(all.attrs.flags, 3u);
  EXPECT_EQ(all.flags_or, 3u);
  EXPECT_EQ(all.attrs.granularity, 9u);
  EXPECT_EQ(all.attrs.access, 0u);
}

TEST(SvmGather, LocationIsUndefinedUnlessAllAgree) {
  const svm_attrs gpu = attributes(7, 0, 0, 9, 0, 0);
  EXPECT_EQ(gather({gpu, gpu}).attrs.preferred_loc, 7u);
  EXPECT_EQ(gather({gpu, attributes(0, 0, 0, 9, 0, 0)}).attrs.preferred_loc, SVM_LOCATION_UNDEFINED);
  // Once undefined it stays so, whatever comes later.
  EXPECT_EQ(gather({gpu, attributes(0, 0, 0, 9, 0, 0), gpu}).attrs.preferred_loc, SVM_LOCATION_UNDEFINED);
  EXPECT_EQ(gather({attributes(SVM_LOCATION_UNDEFINED, 0, 0, 9, 0, 0), gpu}).attrs.preferred_loc,
            SVM_LOCATION_UNDEFINED);
  // The two locations are judged apart.
  EXPECT_EQ(gather({gpu, attributes(0, 0, 0, 9, 0, 0)}).attrs.prefetch_loc, 0u);
}

TEST(SvmGather, FlagsAreIntersectionAndUnion) {
  const svm_gather all = gather({attributes(0, 0, 0x13, 9, 0, 0), attributes(0, 0, 0x21, 9, 0, 0)});
  EXPECT_EQ(all.attrs.flags, 0x01u);
  EXPECT_EQ(all.flags_or, 0x33u);
}

TEST(SvmGather, GranularityIsTheSmallest) {
  EXPECT_EQ(gather({attributes(0, 0, 0, 12, 0, 0), attributes(0, 0, 0, 4, 0, 0), attributes(0, 0, 0, 63, 0, 0)})
                .attrs.granularity,
            4u);
}

TEST(SvmGather, AccessMustHoldInEveryRange) {
  const svm_gather all = gather({attributes(0, 0, 0, 9, 0b011, 0b100), attributes(0, 0, 0, 9, 0b001, 0b110)});
  EXPECT_EQ(all.attrs.access, 0b001u);
  EXPECT_EQ(all.attrs.access_in_place, 0b100u);
}

TEST(SvmChange, LaterAttributesWin) {
  svm_change change;
  svm_change_init(&change);
  svm_bits_add(&change.flags, 0x30);
  svm_bits_remove(&change.flags, 0x11);
  svm_attrs attrs = attributes(0, 0, 0x3, 9, 0, 0);
  svm_change_apply(&change, &attrs);
  EXPECT_EQ(attrs.flags, 0x22u);

  svm_bits_add(&change.flags, 0x01);
  attrs.flags = 0;
  svm_change_apply(&change, &attrs);
  EXPECT_EQ(attrs.flags, 0x21u);
}

TEST(SvmChange, EmptyChangesNothing) {
  svm_change change;
  svm_change_init(&change);
  const svm_attrs before = attributes(5, 6, 0x7, 8, 0b1, 0b10);
  svm_attrs after = before;
  svm_change_apply(&change, &after);
  EXPECT_TRUE(svm_attrs_equal(&before, &after));
}

}  // namespace
