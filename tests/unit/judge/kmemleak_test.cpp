// SPDX-License-Identifier: MIT
#include "tools/judge/kmemleak.h"

#include <gtest/gtest.h>

namespace kfdlab::judge {
namespace {

// As 6.12 prints it; 6.1 has addresses before the functions and no crc.
constexpr const char* kNew =
    "unreferenced object 0xffff888004b1f000 (size 64):\n"
    "  comm \"kfdlab_kfd_test\", pid 312, jiffies 4294901234\n"
    "  hex dump (first 32 bytes):\n"
    "    00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................\n"
    "  backtrace (crc 5a3c1d20):\n"
    "    kmalloc_trace+0x2a/0x90\n"
    "    kfd_process_create+0x3c/0x1a0 [kfdlab_amdgpu]\n"
    "    kfd_open+0x50/0x80 [kfdlab_amdgpu]\n"
    "unreferenced object 0xffff888004b1e000 (size 8):\n"
    "  comm \"swapper/0\", pid 1, jiffies 4294892300\n"
    "  backtrace (crc 0):\n"
    "    kmalloc_trace+0x2a/0x90\n"
    "    acpi_init+0x10/0x20\n";
constexpr const char* kOld =
    "unreferenced object 0xffff888004b1f000 (size 64):\n"
    "  comm \"insmod\", pid 312, jiffies 4294901234 (age 12.300s)\n"
    "  hex dump (first 4 bytes):\n"
    "    00 01 02 03                                      ....\n"
    "  backtrace:\n"
    "    [<00000000deadbeef>] kmem_cache_alloc+0x100/0x200\n"
    "    [<00000000cafebabe>] klttm_bo_create+0x1/0x2 [kfdlab_ttm]\n";

TEST(Kmemleak, ReadsObjectsWithTheirBacktraces) {
  const auto objects = parse_kmemleak(kNew);
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[0].backtrace.size(), 3u);
  EXPECT_EQ(objects[0].backtrace[1], "kfd_process_create+0x3c/0x1a0 [kfdlab_amdgpu]");
  EXPECT_EQ(objects[1].headline, "unreferenced object 0xffff888004b1e000 (size 8):");
}

TEST(Kmemleak, BlamesOnlyWhatOurModulesAllocated) {
  const auto objects = parse_kmemleak(kNew);
  EXPECT_TRUE(is_leak_of_ours(objects[0]));
  EXPECT_FALSE(is_leak_of_ours(objects[1]));
  EXPECT_EQ(describe_leak(objects[0]),
            "unreferenced object 0xffff888004b1f000 (size 64) by kfd_process_create+0x3c/0x1a0 [kfdlab_amdgpu]");
}

TEST(Kmemleak, ReadsTheOlderFormat) {
  const auto objects = parse_kmemleak(kOld);
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_TRUE(is_leak_of_ours(objects[0]));
  EXPECT_EQ(describe_leak(objects[0]),
            "unreferenced object 0xffff888004b1f000 (size 64) by klttm_bo_create+0x1/0x2 [kfdlab_ttm]");
}

TEST(Kmemleak, NothingIsNoLeak) {
  EXPECT_TRUE(parse_kmemleak("").empty());
  EXPECT_TRUE(parse_kmemleak("backtrace:\n  f+0x1/0x2 [kfdlab_ttm]\n").empty());
}

}  // namespace
}  // namespace kfdlab::judge
