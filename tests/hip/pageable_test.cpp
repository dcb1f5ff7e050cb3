// SPDX-License-Identifier: MIT
// Memory that HIP never heard of. With XNACK a kernel uses any memory of its process as the CPU does: the heap, the
// stack, globals, files; and its writes are the process's writes.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <memory>

#include "common/fd.h"
#include "tests/hip/hip_fixture.h"
#include "tests/support/buffer.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0x9a;

alignas(8) std::byte g_global[64 * kKiB];

class HipXnackPageable : public HipXnackTest {
 protected:
  // Globals and stacks outlive a test: nothing of them stays in VRAM.
  void TearDown() override {
    HipXnackTest::TearDown();
    if (!IsSkipped()) {
      EXPECT_TRUE(device().evict(gpu_id()).ok());
    }
  }
  // Other memory in its place.
  static bool map_anew(const Buffer& buffer, int protection) {
    return ::mmap(buffer.data(), buffer.size(), protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
           buffer.data();
  }
  // CPU writes, kernel checks and writes, CPU checks.
  void use(std::span<std::byte> bytes) const {
    fill_pattern(bytes, kSeed);
    HIP_OK(launch_reseed(bytes.data(), bytes.size() / 8, reinterpret_cast<std::uintptr_t>(bytes.data()), kSeed,
                         kSeed + 1, wrong(), nullptr));
    EXPECT_EQ(kernel_errors(), "");
    EXPECT_EQ(pattern_error(bytes, kSeed + 1), "");
  }
};

TEST_F(HipXnackPageable, KernelsUseAnonymousMemoryAndItMovesToVram) {
  const Buffer buffer(512);
  use(buffer.bytes());
  EXPECT_EQ(census(buffer.data(), 512), all_vram(512));
}

TEST_F(HipXnackPageable, KernelsUseTheHeap) {
  for (const std::size_t size : {64 * kKiB, 3 * kMiB + 4096 + 8}) {
    const std::unique_ptr<void, decltype(&std::free)> memory(std::malloc(size), std::free);
    use({static_cast<std::byte*>(memory.get()), size});
  }
}

TEST_F(HipXnackPageable, KernelsUseTheStackAndItStaysInRam) {
  alignas(4096) std::byte local[4 * kPage];
  use(local);
  EXPECT_EQ(census(local, 4), all_ram(4));
}

// The stack is the test's: glibc would keep its own for the next thread.
TEST_F(HipXnackPageable, KernelsUseTheStackOfAThread) {
  const Buffer stack(256);
  std::function<void()> body = [&] {
    alignas(8) std::byte local[16 * kKiB];
    ASSERT_GE(local, stack.data());
    use(local);
  };
  pthread_attr_t attributes;
  ASSERT_EQ(::pthread_attr_init(&attributes), 0);
  ASSERT_EQ(::pthread_attr_setstack(&attributes, stack.data(), stack.size()), 0);
  pthread_t thread;
  const auto start = [](void* function) -> void* {
    (*static_cast<std::function<void()>*>(function))();
    return nullptr;
  };
  ASSERT_EQ(::pthread_create(&thread, &attributes, start, &body), 0);
  EXPECT_EQ(::pthread_join(thread, nullptr), 0);
  ::pthread_attr_destroy(&attributes);
}

TEST_F(HipXnackPageable, KernelsUseGlobals) { use(g_global); }

TEST_F(HipXnackPageable, KernelsReadConstants) {
  static const std::uint64_t word = pattern_word(0x1000, kSeed);
  const HipMemory result = HipMemory::host(kPage);
  HIP_OK(launch_load(&word, result.as<std::uint64_t>(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(*result.as<std::uint64_t>(), word);
}

TEST_F(HipXnackPageable, KernelsWriteSharedFilesAndReadersSeeIt) {
  const Fd file(::memfd_create("pageable", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 64 * kPage), 0);
  const Buffer buffer(64, file.get(), MAP_SHARED);
  use(buffer.bytes());
  EXPECT_EQ(census(buffer.data(), 64), all_ram(64)) << "pages of files do not move";
  std::vector<std::byte> read(buffer.size());
  ASSERT_EQ(::pread(file.get(), read.data(), read.size(), 0), static_cast<ssize_t>(read.size()));
  EXPECT_EQ(pattern_error(read, buffer.address(), kSeed + 1), "");
}

TEST_F(HipXnackPageable, KernelsWriteTheirOwnCopyOfPrivateFiles) {
  const Fd file(::memfd_create("pageable", MFD_CLOEXEC));
  std::vector<std::byte> contents(64 * kPage);
  fill_pattern(contents, 0, kSeed);
  ASSERT_EQ(::pwrite(file.get(), contents.data(), contents.size(), 0), static_cast<ssize_t>(contents.size()));
  const Buffer buffer(64, file.get(), MAP_PRIVATE);
  HIP_OK(launch_reseed(buffer.data(), buffer.size() / 8, 0, kSeed, kSeed + 1, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(pattern_error(buffer.bytes(), 0, kSeed + 1), "");
  std::vector<std::byte> read(buffer.size());
  ASSERT_EQ(::pread(file.get(), read.data(), read.size(), 0), static_cast<ssize_t>(read.size()));
  EXPECT_EQ(pattern_error(read, 0, kSeed), "") << "the file is as it was";
}

TEST_F(HipXnackPageable, UntouchedMemoryIsZeroForTheKernel) {
  const Buffer buffer(16);
  const HipMemory result = HipMemory::host(kPage);
  *result.as<std::uint64_t>() = 1;
  HIP_OK(launch_load(buffer.data() + 5 * kPage, result.as<std::uint64_t>(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(*result.as<std::uint64_t>(), 0u);
}

TEST_F(HipXnackPageable, MemoryMappedAnewAtTheSameAddressIsTheNewMemory) {
  Buffer buffer(16);
  use(buffer.bytes());
  ASSERT_TRUE(map_anew(buffer, PROT_READ | PROT_WRITE));
  const HipMemory result = HipMemory::host(kPage);
  *result.as<std::uint64_t>() = 1;
  HIP_OK(launch_load(buffer.data() + 8 * kPage, result.as<std::uint64_t>(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(*result.as<std::uint64_t>(), 0u);
  use(buffer.bytes());
}

// Reports of many waves are on their way when the kernel ends. One that arrives after the memory went is of an access
// that was served, and so is the next one at the same address.
TEST_F(HipXnackPageable, MemoryMappedUsedAndUnmappedOverAndOverIsNeverRefused) {
  const Buffer place(64);
  for (std::uint64_t round = 0; round < 40; ++round) {
    ASSERT_TRUE(map_anew(place, PROT_READ | PROT_WRITE));
    HIP_OK(launch_fill(place.data(), place.size() / 8, place.address(), kSeed + round, nullptr));
    ASSERT_EQ(kernel_errors(), "");
    ASSERT_EQ(pattern_error(place.bytes(), kSeed + round), "") << "round " << round;
    ASSERT_TRUE(map_anew(place, PROT_NONE));
  }
}

TEST_F(HipXnackPageable, ProtectionThatWasLiftedIsSeenByTheNextKernel) {
  const Buffer buffer(16);
  fill_pattern(buffer.bytes(), kSeed);
  buffer.protect(0, 16, PROT_READ);
  HIP_OK(launch_check(buffer.data(), buffer.size() / 8, buffer.address(), kSeed, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  buffer.protect(0, 16, PROT_READ | PROT_WRITE);
  use(buffer.bytes());
}

}  // namespace
}  // namespace kfdlab
