// SPDX-License-Identifier: MIT
// What the launcher writes is what the agent reads.
#include <gtest/gtest.h>

#include "tools/guest/config.h"
#include "tools/vm/guest_image.h"

namespace kfdlab {
namespace {

TEST(GuestConfig, SurvivesTheWayIntoTheGuest) {
  VmOptions options;
  options.kernel.release = "6.1.0-56-amd64";
  options.kernel.module_tree = "/home/a b/.cache/tree";
  options.writable = {"/home/a b/results", "/srv"};
  options.compile_cache = CompileCache{"/build dir/libcache.so", "/usr/lib/libamd_comgr.so.2.4.0", "/home/a b/compile"};
  GuestModules modules;
  modules.early = {{"virtio_blk", "", ""}};
  modules.late = {{"kfdlab_ttm", "", ""}, {"kfdlab_amdgpu", "", "enable_test_ioctls=1 x=2"}};
  const guest::Config config = guest::parse_config(guest_config(options, modules));
  ASSERT_EQ(config.early.size(), 1u);
  EXPECT_EQ(config.early[0].name, "virtio_blk");
  EXPECT_EQ(config.early[0].parameters, "");
  ASSERT_EQ(config.late.size(), 2u);
  EXPECT_EQ(config.late[1].name, "kfdlab_amdgpu");
  EXPECT_EQ(config.late[1].parameters, "enable_test_ioctls=1 x=2");
  EXPECT_EQ(config.release, "6.1.0-56-amd64");
  EXPECT_EQ(config.modules, "/home/a b/.cache/tree/lib/modules/6.1.0-56-amd64");
  ASSERT_EQ(config.writable.size(), 2u);
  EXPECT_EQ(config.writable[0].tag, "rw0");
  EXPECT_EQ(config.writable[0].path, "/home/a b/results");
  EXPECT_EQ(config.writable[1].path, "/srv");
  EXPECT_EQ(config.compile_cache_tag, kCompileCacheTag);
  EXPECT_EQ(config.compile_cache_library, "/build dir/libcache.so");
  EXPECT_EQ(config.compile_cache_real, "/usr/lib/libamd_comgr.so.2.4.0");
  EXPECT_FALSE(config.hostname.empty());
}

TEST(GuestConfig, WithoutACompileCacheNothingStandsIn) {
  const guest::Config config = guest::parse_config(guest_config(VmOptions{}, GuestModules{}));
  EXPECT_TRUE(config.compile_cache_tag.empty());
  EXPECT_TRUE(config.compile_cache_library.empty());
}

}  // namespace
}  // namespace kfdlab
