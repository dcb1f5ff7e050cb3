// SPDX-License-Identifier: MIT
// Doorbells: a slice of a GPU's BAR for each process, mapped through /dev/kfd, shared with nobody, zero at first.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "tests/kfd/kfd_fixture.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::size_t kSlice = 0x2000;
constexpr std::uint32_t kDoorbell = KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL;

KfdAlloc doorbell_request(std::uint32_t gpu_id, std::uint64_t va) {
  KfdAlloc alloc;
  alloc.va = va;
  alloc.size = kSlice;
  alloc.gpu_id = gpu_id;
  alloc.flags = kDoorbell | static_cast<std::uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE) |
                KFD_IOC_ALLOC_MEM_FLAGS_COHERENT;
  return alloc;
}

void* map_file(int fd, std::uint64_t offset, std::size_t size = kSlice, int flags = MAP_SHARED) {
  return ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, static_cast<off_t>(offset));
}

std::span<std::byte> slice(void* at) { return {static_cast<std::byte*>(at), kSlice}; }

bool all_zero(void* at) {
  const auto bytes = slice(at);
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

class KfdDoorbell : public KfdTest {
 protected:
  void SetUp() override {
    KfdTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      acquire();
    }
  }
  [[nodiscard]] std::uint64_t offset() const { return 3ull << 62 | std::uint64_t{gpu_id()} << 46; }

  Reservation space_{1 << 20};
};

TEST_F(KfdDoorbell, OffsetCarriesTypeAndGpuAndTheSliceIsZero) {
  KfdAlloc alloc = doorbell_request(gpu_id(), space_.address());
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  EXPECT_EQ(alloc.mmap_offset, offset());
  // As the thunk does it: over the reservation, at the address the GPU will use.
  void* at = ::mmap(reinterpret_cast<void*>(alloc.va), kSlice, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                    kfd().fd(), static_cast<off_t>(alloc.mmap_offset));
  ASSERT_NE(at, MAP_FAILED);
  EXPECT_TRUE(all_zero(at));
  fill_pattern(slice(at), 5);
  EXPECT_EQ(pattern_error(slice(at), 5), "");
  EXPECT_EQ(kfd().map(alloc.handle, std::vector{gpu_id()}, nullptr), 0);
  EXPECT_EQ(kfd().unmap(alloc.handle, std::vector{gpu_id()}, nullptr), 0);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
  EXPECT_EQ(pattern_error(slice(at), 5), "") << "the slice is the process's until its end";
  ASSERT_EQ(::mmap(at, kSlice, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), at);
}

TEST_F(KfdDoorbell, EveryMappingOfAProcessShowsTheSameSlice) {
  void* one = map_file(kfd().fd(), offset());
  void* two = map_file(kfd().fd(), offset());
  ASSERT_NE(one, MAP_FAILED) << "no buffer is needed for it";
  ASSERT_NE(two, MAP_FAILED);
  static_cast<volatile std::uint64_t*>(one)[1023] = 77;
  EXPECT_EQ(static_cast<volatile std::uint64_t*>(two)[1023], 77u);
  ::munmap(one, kSlice);
  ::munmap(two, kSlice);
}

TEST_F(KfdDoorbell, WrongLengthKindOrOffsetIsRefused) {
  for (const std::size_t size : {std::size_t{4096}, 2 * kSlice}) {
    EXPECT_EQ(map_file(kfd().fd(), offset(), size), MAP_FAILED);
    EXPECT_EQ(errno, EINVAL);
    KfdAlloc alloc = doorbell_request(gpu_id(), space_.address());
    alloc.size = size;
    EXPECT_EQ(kfd().alloc(&alloc), EINVAL);
  }
  EXPECT_EQ(map_file(kfd().fd(), offset(), kSlice, MAP_PRIVATE), MAP_FAILED);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(map_file(kfd().fd(), offset() | 0x1000), MAP_FAILED);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(map_file(kfd().fd(), 3ull << 62 | std::uint64_t{dead_gpu_id() & 0xffff} << 46), MAP_FAILED);
  EXPECT_EQ(errno, ENODEV);
}

TEST_F(KfdDoorbell, ForkDoesNotCopyTheMapping) {
  void* at = map_file(kfd().fd(), offset());
  ASSERT_NE(at, MAP_FAILED);
  const pid_t child = ::fork();
  if (child == 0) {
    unsigned char there = 0;
    // ENOMEM: no mapping at that address.
    _exit(::mincore(at, 4096, &there) == -1 && errno == ENOMEM && map_file(kfd().fd(), offset()) == MAP_FAILED &&
                  errno == EBADF
              ? 0
              : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ::munmap(at, kSlice);
}

// A process with doorbells of its own; exit status 0: all was as it should be.
int ring_alone(Peer& peer, std::uint32_t gpu_id, std::uint64_t seed) {
  const auto client = KfdClient::open();
  if (!client) {
    return 1;
  }
  void* at = map_file(client.value().fd(), 3ull << 62 | std::uint64_t{gpu_id} << 46);
  if (at == MAP_FAILED || !all_zero(at)) {
    return 2;
  }
  fill_pattern(slice(at), seed);
  if (!peer.signal() || !peer.await()) {
    return 3;
  }
  return pattern_error(slice(at), seed).empty() ? 0 : 4;
}

TEST_F(KfdDoorbell, ProcessesSeeNothingOfEachOtherNorOfTheDead) {
  close_kfd();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<Child>> children;
    for (std::uint64_t i = 0; i < 4; ++i) {
      children.push_back(std::make_unique<Child>([id = gpu_id(), i](Peer& peer) { return ring_alone(peer, id, i); }));
    }
    for (auto& child : children) {
      ASSERT_TRUE(child->peer().await());
    }
    for (auto& child : children) {
      ASSERT_TRUE(child->peer().signal());
      EXPECT_EQ(child->wait(), 0) << "round " << round;
    }
  }
}

TEST_F(KfdDoorbell, SlicesRunOutAndComeBack) {
  constexpr std::size_t kSlices = 128;
  close_kfd();
  std::vector<std::unique_ptr<Child>> children;
  for (std::uint64_t i = 0; i < kSlices; ++i) {
    children.push_back(std::make_unique<Child>([id = gpu_id(), i](Peer& peer) { return ring_alone(peer, id, i); }));
    ASSERT_TRUE(children.back()->peer().await()) << i;
  }
  {
    const auto late = KfdClient::open();
    ASSERT_TRUE(late);
    EXPECT_EQ(map_file(late.value().fd(), offset()), MAP_FAILED);
    EXPECT_EQ(errno, ENOMEM);
    ASSERT_TRUE(children.back()->peer().signal());
    EXPECT_EQ(children.back()->wait(), 0);
    void* at = MAP_FAILED;
    EXPECT_TRUE(eventually([&] { return (at = map_file(late.value().fd(), offset())) != MAP_FAILED; }));
    ASSERT_NE(at, MAP_FAILED);
    EXPECT_TRUE(all_zero(at));
    ::munmap(at, kSlice);
  }
  children.pop_back();
  for (auto& child : children) {
    ASSERT_TRUE(child->peer().signal());
    EXPECT_EQ(child->wait(), 0);
  }
}

}  // namespace
}  // namespace kfdlab
