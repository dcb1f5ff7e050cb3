// SPDX-License-Identifier: MIT
#include "device/bus/bar.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/unit/device/support/guarded_memory.h"
#include "tests/unit/device/support/test_driver.h"

namespace kfdlab::device {
namespace {

constexpr std::size_t kSize = 8u << 20;

// The error that a BAR gives whose identity page was changed so.
std::string error_after(const std::function<void(kfdlab_identity&)>& change) {
  const GuardedMemory memory(kSize);
  write_identity(memory.bytes(), 0, 1);
  change(*reinterpret_cast<kfdlab_identity*>(memory.bytes().data()));
  const Result<Bar> bar = Bar::create(memory.bytes(), 0, 1);
  return bar.ok() ? "" : bar.error().message;
}

TEST(Bar, AcceptsTheIdentityTheLauncherWrites) {
  EXPECT_EQ(error_after([](kfdlab_identity&) {}), "");
}

TEST(Bar, RefusesWrongMagic) {
  EXPECT_NE(error_after([](kfdlab_identity& id) { id.magic ^= 1; }).find("magic"), std::string::npos);
}

TEST(Bar, RefusesOtherLayoutVersion) {
  EXPECT_NE(error_after([](kfdlab_identity& id) { ++id.layout_version; }).find("layout version"), std::string::npos);
}

TEST(Bar, RefusesIndexOrCountOfAnotherGpu) {
  EXPECT_NE(error_after([](kfdlab_identity& id) { id.gpu_index = 1; }).find("gpu 1 of 1"), std::string::npos);
  EXPECT_NE(error_after([](kfdlab_identity& id) { id.gpu_count = 2; }).find("gpu 0 of 2"), std::string::npos);
}

TEST(Bar, RefusesSizesThatAreNotTheFiles) {
  EXPECT_NE(error_after([](kfdlab_identity& id) { id.bar_size *= 2; }), "");
  EXPECT_NE(error_after([](kfdlab_identity& id) { id.vram_size += 2u << 20; }), "");
  EXPECT_NE(error_after([](kfdlab_identity& id) { id.vram_size = ~0ull << 21; }), "");
  EXPECT_NE(error_after([](kfdlab_identity& id) { id.vram_size = 0; }), "");
  EXPECT_NE(error_after([](kfdlab_identity& id) { id.vram_size -= 4096; }), "");
}

TEST(Bar, RefusesFileTooSmallForVram) {
  const GuardedMemory memory(2u << 20);
  EXPECT_FALSE(Bar::create(memory.bytes(), 0, 1).ok());
}

}  // namespace
}  // namespace kfdlab::device
