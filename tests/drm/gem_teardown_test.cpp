// SPDX-License-Identifier: MIT
// The end of a process with everything open, at any moment, leaves nothing; and random arguments hurt nobody.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "tests/drm/gem_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

using GemTeardown = GemTest;
using GemFuzz = GemTest;

constexpr std::uint64_t kSize = 1 << 20;

// What of an object exists outside of its file.
struct Loose {
  std::vector<Fd> dma_bufs;
  std::vector<std::unique_ptr<GemMapping>> mappings;
};

// One of everything a file can hold. False if something could not be had.
bool take_one_of_each(const GemFile& gem, const Buffer& memory, Loose* loose, std::uint64_t at) {
  for (const std::uint64_t domain : {AMDGPU_GEM_DOMAIN_VRAM, AMDGPU_GEM_DOMAIN_GTT, AMDGPU_GEM_DOMAIN_CPU}) {
    std::uint32_t handle = 0;
    std::uint64_t offset = 0;
    Fd dma_buf;
    if (gem.create(kSize, domain, 0, &handle) != 0 || gem.mmap_offset(handle, &offset) != 0 ||
        gem.va(AMDGPU_VA_OP_MAP, handle, at, kSize) != 0 || gem.to_dma_buf(handle, &dma_buf) != 0) {
      return false;
    }
    at += kSize;
    loose->dma_bufs.push_back(std::move(dma_buf));
    loose->mappings.push_back(std::make_unique<GemMapping>(gem.fd(), offset, kSize));
    if (!loose->mappings.back()->valid()) {
      return false;
    }
    std::memset(loose->mappings.back()->data(), 1, kSize);
  }
  std::uint32_t handle = 0;
  const std::byte note{1};
  return gem.userptr(memory.data(), memory.size(), AMDGPU_GEM_USERPTR_REGISTER | AMDGPU_GEM_USERPTR_VALIDATE,
                     &handle) == 0 &&
         gem.va(AMDGPU_VA_OP_MAP, handle, at, memory.size()) == 0 && gem.set_metadata(handle, 0, {&note, 1}) == 0;
}

TEST_F(GemTeardown, KilledProcessLeavesNothing) {
  Child child([&](Peer& parent) {
    const Fd file = open_node();
    const Buffer memory(16);
    Loose loose;
    const bool all = take_one_of_each(GemFile(file.get()), memory, &loose, 1ull << 32);
    (void)parent.send(all);
    return parent.await() ? 0 : 1;
  });
  bool all = false;
  ASSERT_TRUE(child.peer().receive(&all));
  EXPECT_TRUE(all);
  EXPECT_GE(vram_used(), kSize);
  child.kill();
  expect_usage_back();
}

// Killed while it makes and closes objects, without waiting for a good moment.
TEST_F(GemTeardown, ProcessKilledAtAnyMomentLeavesNothing) {
  for (int round = 0; round < 10; ++round) {
    Child child([&](Peer& parent) {
      const Fd file = open_node();
      const GemFile gem(file.get());
      const Buffer memory(16);
      for (std::uint64_t i = 0;; ++i) {
        Loose loose;
        (void)take_one_of_each(gem, memory, &loose, (i + 1) << 32);
        if (i == 0 && !parent.signal()) {
          return 1;
        }
        for (std::uint32_t handle = 1; handle < 8; ++handle) {
          gem.close(handle);
        }
      }
    });
    ASSERT_TRUE(child.peer().await());
    child.kill();
  }
  expect_usage_back();
}

// A child that inherits files and mappings keeps what it uses, and no more.
TEST_F(GemTeardown, ForkedChildKeepsFilesAndMappings) {
  Fd file = open_node();
  const Buffer memory(16);
  Loose loose;
  ASSERT_TRUE(take_one_of_each(GemFile(file.get()), memory, &loose, 1ull << 32));
  Child child([&](Peer& parent) {
    drm_amdgpu_gem_create_in info = {};
    const bool known = parent.await() && GemFile(file.get()).create_info(1, &info) == 0;
    return known ? 0 : 1;
  });
  file.reset();
  loose = {};
  EXPECT_GE(vram_used(), kSize);
  ASSERT_TRUE(child.peer().signal());
  EXPECT_EQ(child.wait(), 0);
}

// ---- random arguments ----

constexpr int kCalls = 3000;

class Words {
 public:
  Words(std::uint64_t seed, const Buffer& memory) : random_(seed), memory_(memory) {}
  std::uint64_t number(std::uint64_t below) { return random_() % below; }
  std::uint64_t word() {
    switch (number(8)) {
      case 0:
        return number(8);
      case 1:
        return number(64) * kPageSize;
      case 2:
        return memory_.page_address(number(memory_.npages()));
      case 3:
        return 1ull << number(64);
      case 4:
        return ~0ull - number(3) * kPageSize;
      case 5:
        return (1ull << 32) + number(64) * kPageSize;
      case 6:
        return number(64) | number(64) << 32;
      default:
        return random_();
    }
  }

 private:
  std::mt19937_64 random_;
  const Buffer& memory_;
};

struct Call {
  unsigned number;
  std::size_t size;
};
constexpr Call kFuzzed[] = {
    {DRM_COMMAND_BASE + DRM_AMDGPU_GEM_CREATE, sizeof(drm_amdgpu_gem_create)},
    {DRM_COMMAND_BASE + DRM_AMDGPU_GEM_MMAP, sizeof(drm_amdgpu_gem_mmap)},
    {DRM_COMMAND_BASE + DRM_AMDGPU_GEM_WAIT_IDLE, sizeof(drm_amdgpu_gem_wait_idle)},
    {DRM_COMMAND_BASE + DRM_AMDGPU_GEM_METADATA, sizeof(drm_amdgpu_gem_metadata)},
    {DRM_COMMAND_BASE + DRM_AMDGPU_GEM_VA, sizeof(drm_amdgpu_gem_va)},
    {DRM_COMMAND_BASE + DRM_AMDGPU_GEM_OP, sizeof(drm_amdgpu_gem_op)},
    {DRM_COMMAND_BASE + DRM_AMDGPU_GEM_USERPTR, sizeof(drm_amdgpu_gem_userptr)},
    {DRM_COMMAND_BASE + DRM_AMDGPU_VM, sizeof(drm_amdgpu_vm)},
    {DRM_COMMAND_BASE + DRM_AMDGPU_SCHED, sizeof(drm_amdgpu_sched)},
    {_IOC_NR(DRM_IOCTL_GEM_CLOSE), sizeof(drm_gem_close)},
    {_IOC_NR(DRM_IOCTL_PRIME_HANDLE_TO_FD), sizeof(drm_prime_handle)},
    {_IOC_NR(DRM_IOCTL_PRIME_FD_TO_HANDLE), sizeof(drm_prime_handle)},
};

// Sizes that would only be zeroed for a long time.
void tame(const Call& call, std::uint64_t* words) {
  if (call.number == DRM_COMMAND_BASE + DRM_AMDGPU_GEM_CREATE && words[0] < 1ull << 40) {
    words[0] %= 8 << 20;
  }
}

int call_at_random(int fd, std::uint64_t seed) {
  const Buffer memory(64);
  Words words(seed, memory);
  for (int i = 0; i < kCalls; ++i) {
    alignas(8) std::array<std::uint64_t, 64> argument{};
    for (auto& word : argument) {
      word = words.word();
    }
    const Call& call = kFuzzed[words.number(std::size(kFuzzed))];
    const std::size_t size = words.number(4) != 0 ? call.size : words.number(sizeof argument);
    tame(call, argument.data());
    if (words.number(2) == 0) {
      reinterpret_cast<std::uint32_t*>(argument.data())[0] = static_cast<std::uint32_t>(words.number(12));
    }
    const int error =
        ::ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, 'd', call.number, size), argument.data()) == 0 ? 0 : errno;
    if (error == ENODEV || error > 133) {
      return 2;
    }
    if (call.number == _IOC_NR(DRM_IOCTL_PRIME_HANDLE_TO_FD) && error == 0) {
      drm_prime_handle prime;
      std::memcpy(&prime, argument.data(), sizeof prime);
      if (prime.fd > 2 && prime.fd != fd) {
        ::close(prime.fd);
      }
    }
  }
  return 0;
}

TEST_F(GemFuzz, RandomArgumentsNeverHurt) {
  RecordProperty("seed", std::to_string(test_seed()));
  for (std::uint64_t round = 0; round < 4; ++round) {
    std::vector<std::unique_ptr<Child>> children;
    for (std::uint64_t i = 0; i < 2; ++i) {
      // The first two share a file.
      children.push_back(std::make_unique<Child>([&, seed = test_seed() + 2 * round + i](Peer&) {
        const Fd own = open_node();
        return call_at_random(round == 0 ? fd() : own.get(), seed);
      }));
    }
    for (auto& child : children) {
      EXPECT_EQ(child->wait(), 0) << "round " << round;
    }
  }
  for (std::uint32_t handle = 1; handle < 4096; ++handle) {
    gem().close(handle);
  }
}

}  // namespace
}  // namespace kfdlab
