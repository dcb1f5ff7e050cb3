// SPDX-License-Identifier: MIT
#include "tools/vm/guest_modules.h"

#include <gtest/gtest.h>

namespace kfdlab {
namespace {

constexpr const char* kDep =
    "kernel/net/9p/9pnet.ko.xz: kernel/fs/netfs/netfs.ko.xz\n"
    "kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz\n"
    "kernel/fs/netfs/netfs.ko.xz:\n"
    "kernel/drivers/gpu/drm/drm.ko:\n"
    "kernel/a/some-thing.ko: kernel/drivers/gpu/drm/drm.ko\n";
constexpr const char* kBuiltin = "kernel/drivers/char/virtio_console.ko\n";

TEST(ModuleIndex, OrdersNeedsBeforeTheirUsersAndEachOnce) {
  const ModuleIndex index(kDep, kBuiltin);
  std::vector<std::string> order;
  ASSERT_TRUE(index.resolve("9pnet_virtio", order));
  ASSERT_TRUE(index.resolve("9pnet", order));
  EXPECT_EQ(order, (std::vector<std::string>{"kernel/fs/netfs/netfs.ko.xz", "kernel/net/9p/9pnet.ko.xz",
                                             "kernel/net/9p/9pnet_virtio.ko.xz"}));
}

TEST(ModuleIndex, BuiltInModulesNeedNothing) {
  const ModuleIndex index(kDep, kBuiltin);
  std::vector<std::string> order;
  EXPECT_TRUE(index.resolve("virtio_console", order));
  EXPECT_TRUE(order.empty());
  EXPECT_FALSE(index.resolve("no_such_module", order));
}

TEST(ModuleIndex, DashAndUnderscoreAreOneLetter) {
  const ModuleIndex index(kDep, kBuiltin);
  std::vector<std::string> order;
  EXPECT_TRUE(index.resolve("some_thing", order));
  EXPECT_EQ(order.size(), 2u);
  EXPECT_EQ(module_name("kernel/a/some-thing.ko.xz"), "some_thing");
  EXPECT_EQ(module_name("x.ko"), "x");
}

}  // namespace
}  // namespace kfdlab
