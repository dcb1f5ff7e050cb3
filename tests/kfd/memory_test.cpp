// SPDX-License-Identifier: MIT
// Buffers: what ALLOC accepts and refuses, CPU views through the render node, MAP and UNMAP, FREE, and the rule that
// a buffer and an SVM range never share an address.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/kfd/kfd_fixture.h"
#include "tests/kfd/text_files.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pages.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::uint32_t kVram = KFD_IOC_ALLOC_MEM_FLAGS_VRAM;
constexpr std::uint32_t kGtt = KFD_IOC_ALLOC_MEM_FLAGS_GTT;
constexpr std::uint32_t kUserptr = KFD_IOC_ALLOC_MEM_FLAGS_USERPTR;
constexpr std::uint32_t kPublic = KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC;
constexpr std::uint32_t kWritable = static_cast<std::uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE);
constexpr std::uint32_t kAqlQueue = KFD_IOC_ALLOC_MEM_FLAGS_AQL_QUEUE_MEM;
constexpr std::uint64_t kMiB = 1u << 20;

class KfdMemory : public KfdTest {
 protected:
  void SetUp() override {
    KfdTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      acquire();
    }
  }
  [[nodiscard]] std::uint64_t va(std::uint64_t offset = 0) const { return space_.address() + offset; }
  [[nodiscard]] KfdAlloc request(std::uint64_t address, std::uint64_t size, std::uint32_t flags) const {
    KfdAlloc alloc;
    alloc.va = address;
    alloc.size = size;
    alloc.gpu_id = gpu_id();
    alloc.flags = flags;
    return alloc;
  }
  int error_of(KfdAlloc alloc) const {
    const int error = kfd().alloc(&alloc);
    if (error == 0) {
      EXPECT_EQ(kfd().free(alloc.handle), 0);
    }
    return error;
  }
  [[nodiscard]] std::uint64_t available() const {
    std::uint64_t bytes = 0;
    EXPECT_EQ(kfd().available_memory(gpu_id(), &bytes), 0);
    return bytes;
  }
  [[nodiscard]] std::vector<std::uint32_t> this_gpu() const { return {gpu_id()}; }

  Reservation space_{64 * kMiB};
};

TEST_F(KfdMemory, MalformedRequestIsRefusedAndTakesNothing) {
  const std::uint64_t before = available();
  const std::uint64_t top = 1ull << 47;
  const struct {
    const char* what;
    std::uint64_t address, size;
    std::uint32_t flags;
    int error;
  } rows[] = {
      {"no size", va(), 0, kVram, EINVAL},
      {"size not whole pages", va(), 100, kVram, EINVAL},
      {"address not on a page", va(1), 4096, kVram, EINVAL},
      {"no address", 0, 4096, kVram, EINVAL},
      {"below the aperture", 0x3000, 4096, kVram, EINVAL},
      {"past the aperture", top, 4096, kVram, EINVAL},
      {"across the end of the aperture", top - 4096, 8192, kVram, EINVAL},
      {"wraps", va(), ~0ull - 4095, kVram, EINVAL},
      {"wraps to zero", va(), 0ull - va(), kVram, EINVAL},
      {"no type", va(), 4096, kWritable, EINVAL},
      {"two types", va(), 4096, kVram | kGtt, EINVAL},
      {"all types", va(), 4096, 0x1f, EINVAL},
      {"unknown flag 5", va(), 4096, kVram | 1u << 5, EINVAL},
      {"unknown flag 24", va(), 4096, kVram | 1u << 24, EINVAL},
      {"double-mapped queue of odd pages", va(), 3 * 4096, kVram | kAqlQueue, EINVAL},
      {"half a doorbell slice", va(), 4096, KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL, EINVAL},
      {"two pages of registers", va(), 8192, KFD_IOC_ALLOC_MEM_FLAGS_MMIO_REMAP, EINVAL},
      {"more than all VRAM", 0x10000, 1ull << 44, kVram, ENOMEM},
      {"more than all RAM", 0x10000, 1ull << 44, kGtt, ENOMEM},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(error_of(request(row.address, row.size, row.flags)), row.error) << row.what;
  }
  KfdAlloc dead = request(va(), 4096, kVram);
  dead.gpu_id = dead_gpu_id();
  EXPECT_EQ(error_of(dead), EINVAL);
  EXPECT_EQ(available(), before);
  EXPECT_EQ(error_of(request(va(), 4096, kVram)), 0) << "the address is still free";
}

TEST_F(KfdMemory, GpuWithoutAcquiredVmIsEnodev) {
  close_kfd();
  auto fresh = KfdClient::open();
  ASSERT_TRUE(fresh);
  KfdAlloc alloc = request(va(), 4096, kVram);
  EXPECT_EQ(fresh.value().alloc(&alloc), ENODEV);
}

TEST_F(KfdMemory, PublicVramIsZeroedAndKeepsWhatTheCpuWrites) {
  for (const std::uint32_t type : {kVram, kGtt}) {
    KfdAlloc alloc = request(va(), 4 * kMiB, type | kPublic | kWritable);
    ASSERT_EQ(kfd().alloc(&alloc), 0);
    // As the thunk does it: over the reservation, at the address the GPU will use.
    void* at = ::mmap(reinterpret_cast<void*>(alloc.va), alloc.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                      render_fd(), static_cast<off_t>(alloc.mmap_offset));
    ASSERT_NE(at, MAP_FAILED);
    const std::span<std::byte> bytes(static_cast<std::byte*>(at), alloc.size);
    for (std::size_t i = 0; i < bytes.size(); i += 512) {
      ASSERT_EQ(bytes[i], std::byte{0}) << "offset " << i;
    }
    fill_pattern(bytes, 3);
    EXPECT_EQ(pattern_error(bytes, 3), "");
    ASSERT_NE(::mmap(at, alloc.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0),
              MAP_FAILED);
    EXPECT_EQ(kfd().free(alloc.handle), 0);
  }
}

TEST_F(KfdMemory, VramOfTheLastOwnerIsNotSeenByTheNext) {
  const std::uint64_t size = 8 * kMiB;
  for (int round = 0; round < 3; ++round) {
    KfdAlloc alloc = request(va(), size, kVram | kPublic | kWritable);
    ASSERT_EQ(kfd().alloc(&alloc), 0);
    void* at =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, render_fd(), static_cast<off_t>(alloc.mmap_offset));
    ASSERT_NE(at, MAP_FAILED);
    const std::span<std::byte> bytes(static_cast<std::byte*>(at), size);
    for (std::size_t i = 0; i < size; i += 256) {
      ASSERT_EQ(bytes[i], std::byte{0}) << "round " << round << " offset " << i;
    }
    fill_pattern(bytes, 5);
    ::munmap(at, size);
    ASSERT_EQ(kfd().free(alloc.handle), 0);
  }
}

TEST_F(KfdMemory, PrivateVramCanBeMappedWithoutAccessAsTheThunkDoes) {
  KfdAlloc alloc = request(va(), kMiB, kVram | kWritable);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  const auto offset = static_cast<off_t>(alloc.mmap_offset);
  for (const int flags : {MAP_PRIVATE, MAP_SHARED}) {
    EXPECT_EQ(::mmap(nullptr, kMiB, PROT_READ, flags, render_fd(), offset), MAP_FAILED);
    EXPECT_EQ(errno, EPERM);
  }
  void* at = ::mmap(nullptr, kMiB, PROT_NONE, MAP_PRIVATE, render_fd(), offset);
  ASSERT_NE(at, MAP_FAILED) << std::strerror(errno);
  for (const int access : {PROT_READ, PROT_WRITE}) {
    EXPECT_EQ(::mprotect(at, kMiB, access), -1);
    EXPECT_EQ(errno, EACCES);
  }
  ::munmap(at, kMiB);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
}

TEST_F(KfdMemory, OffsetIsWorthNothingOnAnotherFile) {
  KfdAlloc alloc = request(va(), kMiB, kVram | kPublic | kWritable);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  const Fd stranger = open_render();
  EXPECT_EQ(::mmap(nullptr, kMiB, PROT_READ, MAP_SHARED, stranger.get(), static_cast<off_t>(alloc.mmap_offset)),
            MAP_FAILED);
  EXPECT_EQ(errno, EACCES);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
  EXPECT_EQ(::mmap(nullptr, kMiB, PROT_READ, MAP_SHARED, render_fd(), static_cast<off_t>(alloc.mmap_offset)),
            MAP_FAILED)
      << "freed";
}

TEST_F(KfdMemory, AvailableMemoryFollowsAllocAndFree) {
  const std::uint64_t before = available();
  KfdAlloc alloc = request(va(), 16 * kMiB, kVram);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  EXPECT_EQ(available(), before - 16 * kMiB);
  ASSERT_EQ(kfd().free(alloc.handle), 0);
  EXPECT_TRUE(eventually([&] { return available() == before; }));
}

TEST_F(KfdMemory, FullVramIsEnomemAndUsableAgainAfterFree) {
  const std::uint64_t chunk = 16 * kMiB;
  const Reservation large(std::uint64_t{1} << 36);
  std::vector<std::uint64_t> handles;
  int error = 0;
  while (handles.size() < 4096) {
    KfdAlloc alloc = request(large.address() + handles.size() * chunk, chunk, kVram);
    error = kfd().alloc(&alloc);
    if (error != 0) {
      break;
    }
    handles.push_back(alloc.handle);
  }
  EXPECT_EQ(error, ENOMEM);
  EXPECT_FALSE(handles.empty());
  EXPECT_LT(available(), chunk);
  for (const std::uint64_t handle : handles) {
    EXPECT_EQ(kfd().free(handle), 0);
  }
  EXPECT_EQ(error_of(request(va(), chunk, kVram)), 0);
}

TEST_F(KfdMemory, UserPointerMustBeMappedMemory) {
  Buffer buffer(4);
  KfdAlloc alloc = request(va(), buffer.size(), kUserptr | kWritable);
  alloc.mmap_offset = buffer.address();
  EXPECT_EQ(error_of(alloc), 0);
  alloc.mmap_offset = buffer.address() + 8;
  EXPECT_EQ(error_of(alloc), EINVAL) << "not on a page";
  alloc.mmap_offset = ~0xfffull;
  EXPECT_EQ(error_of(alloc), EINVAL) << "wraps";
  alloc.mmap_offset = 1ull << 62;
  EXPECT_EQ(error_of(alloc), EINVAL) << "no user address";
  alloc.mmap_offset = 0;
  EXPECT_EQ(error_of(alloc), EFAULT);
  buffer.unmap(2, 1);
  alloc.mmap_offset = buffer.address();
  EXPECT_EQ(error_of(alloc), EFAULT) << "a hole";
}

TEST_F(KfdMemory, DeviceMappingIsNoUserPointer) {
  KfdAlloc vram = request(va(), kMiB, kVram | kPublic | kWritable);
  ASSERT_EQ(kfd().alloc(&vram), 0);
  void* view =
      ::mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_SHARED, render_fd(), static_cast<off_t>(vram.mmap_offset));
  ASSERT_NE(view, MAP_FAILED);
  KfdAlloc alloc = request(va(8 * kMiB), kMiB, kUserptr | kWritable);
  alloc.mmap_offset = reinterpret_cast<std::uintptr_t>(view);
  EXPECT_EQ(error_of(alloc), EFAULT);
  ::munmap(view, kMiB);
  EXPECT_EQ(kfd().free(vram.handle), 0);
}

TEST_F(KfdMemory, UserPointerIsNoPin) {
  KFDLAB_NEEDS_ROOT();
  const Buffer user(64);
  fill_pattern(user.bytes(), 1);
  const auto before = read_pin_counts();
  ASSERT_TRUE(before.ok());
  KfdAlloc alloc = request(va(), user.size(), kUserptr | kWritable);
  alloc.mmap_offset = user.address();
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  ASSERT_EQ(kfd().map(alloc.handle, this_gpu(), nullptr), 0);
  const auto mapped = read_pin_counts();
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(mapped.value().outstanding(), before.value().outstanding());
  EXPECT_EQ(::madvise(user.data(), user.size(), MADV_PAGEOUT), 0);
  EXPECT_EQ(pattern_error(user.bytes(), 1), "");
  ASSERT_EQ(kfd().unmap(alloc.handle, this_gpu(), nullptr), 0);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
}

TEST_F(KfdMemory, AddressesOfBuffersDoNotOverlap) {
  KfdAlloc alloc = request(va(kMiB), kMiB, kVram);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  EXPECT_EQ(error_of(request(va(kMiB), kMiB, kVram)), EADDRINUSE);
  EXPECT_EQ(error_of(request(va(), 4 * kMiB, kGtt)), EADDRINUSE);
  EXPECT_EQ(error_of(request(va(2 * kMiB - 4096), 4096, kVram)), EADDRINUSE) << "its last page";
  EXPECT_EQ(error_of(request(va(), kMiB, kVram)), 0) << "just before it";
  EXPECT_EQ(error_of(request(va(2 * kMiB), kMiB, kVram)), 0) << "just behind it";
  ASSERT_EQ(kfd().free(alloc.handle), 0);
  EXPECT_EQ(error_of(request(va(kMiB), kMiB, kVram)), 0);
}

TEST_F(KfdMemory, BufferAndSvmRangeExcludeEachOther) {
  const Buffer pages(8);
  pages.data()[0] = std::byte{1};
  const std::vector<kfd_ioctl_svm_attribute> attribute{{KFD_IOCTL_SVM_ATTR_GRANULARITY, 9}};

  ASSERT_EQ(kfd().svm_set(pages.address(), pages.size(), attribute), 0);
  EXPECT_EQ(error_of(request(pages.page_address(3), 4096, kVram)), EADDRINUSE);
  EXPECT_EQ(error_of(request(pages.address() - 4096, pages.size() + 8192, kVram)), EADDRINUSE);

  const Buffer others(8);
  others.data()[0] = std::byte{1};
  KfdAlloc alloc = request(others.page_address(2), 4096, kVram);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  EXPECT_EQ(kfd().svm_set(others.address(), others.size(), attribute), EADDRINUSE);
  auto query = attribute;
  EXPECT_EQ(kfd().svm_get(others.address(), others.size(), query), EADDRINUSE);
  EXPECT_EQ(kfd().svm_set(others.address(), 2 * kPageSize, attribute), 0) << "beside the buffer";
  ASSERT_EQ(kfd().free(alloc.handle), 0);
  EXPECT_EQ(kfd().svm_set(others.address(), others.size(), attribute), 0);
}

TEST_F(KfdMemory, SvmRangeGivesItsAddressBackAtMunmap) {
  Buffer pages(8);
  const std::vector<kfd_ioctl_svm_attribute> attribute{{KFD_IOCTL_SVM_ATTR_GRANULARITY, 9}};
  ASSERT_EQ(kfd().svm_set(pages.address(), pages.size(), attribute), 0);
  pages.unmap(4, 4);
  EXPECT_EQ(error_of(request(pages.page_address(4), 4 * kPageSize, kVram)), 0);
  EXPECT_EQ(error_of(request(pages.page_address(0), 4 * kPageSize, kVram)), EADDRINUSE);
}

TEST_F(KfdMemory, OfABufferAndARangeThatRaceOneLoses) {
  const std::vector<kfd_ioctl_svm_attribute> attribute{{KFD_IOCTL_SVM_ATTR_GRANULARITY, 9}};
  for (int round = 0; round < 50; ++round) {
    const Buffer pages(4);
    pages.data()[0] = std::byte{1};
    std::atomic<bool> go = false;
    int range_error = 0;
    std::thread range([&] {
      while (!go) {
      }
      range_error = kfd().svm_set(pages.address(), pages.size(), attribute);
    });
    KfdAlloc alloc = request(pages.page_address(1), 4096, kVram);
    go = true;
    const int alloc_error = kfd().alloc(&alloc);
    range.join();
    EXPECT_TRUE(alloc_error == 0 || alloc_error == EADDRINUSE) << alloc_error;
    EXPECT_TRUE(range_error == 0 || range_error == EADDRINUSE) << range_error;
    EXPECT_TRUE(alloc_error != 0 || range_error != 0) << "both have the address";
    if (alloc_error == 0) {
      EXPECT_EQ(kfd().free(alloc.handle), 0);
    }
  }
}

TEST_F(KfdMemory, FreeOfAnUnknownHandleIsEinval) {
  KfdAlloc alloc = request(va(), 4096, kGtt);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  EXPECT_EQ(kfd().free(0), EINVAL);
  EXPECT_EQ(kfd().free(~0ull), EINVAL);
  EXPECT_EQ(kfd().free(alloc.handle + 1), EINVAL);
  EXPECT_EQ(kfd().free(alloc.handle ^ 1ull << 32), EINVAL) << "another GPU's";
  EXPECT_EQ(kfd().free(alloc.handle & 0xffff'ffff), EINVAL);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
  EXPECT_EQ(kfd().free(alloc.handle), EINVAL);
}

TEST_F(KfdMemory, MapTellsHowFarItCame) {
  KfdAlloc alloc = request(va(), 4096, kGtt);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  std::uint32_t n_success = 99;
  EXPECT_EQ(kfd().map(alloc.handle, this_gpu(), &n_success), 0);
  EXPECT_EQ(n_success, 1u);
  const std::vector<std::uint32_t> second_is_dead{gpu_id(), dead_gpu_id()};
  EXPECT_EQ(kfd().map(alloc.handle, second_is_dead, &n_success), EINVAL);
  EXPECT_EQ(n_success, 1u);
  EXPECT_EQ(kfd().unmap(alloc.handle, second_is_dead, &n_success), EINVAL);
  EXPECT_EQ(n_success, 1u) << "and the first is unmapped";
  EXPECT_EQ(kfd().unmap(alloc.handle, this_gpu(), &n_success), EINVAL) << "not mapped any more";
  EXPECT_EQ(n_success, 0u);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
}

TEST_F(KfdMemory, MalformedMapIsRefused) {
  KfdAlloc alloc = request(va(), 4096, kGtt);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  std::uint32_t id = gpu_id();
  kfd_ioctl_map_memory_to_gpu_args good{};
  good.handle = alloc.handle;
  good.device_ids_array_ptr = reinterpret_cast<std::uintptr_t>(&id);
  good.n_devices = 1;
  for (const unsigned long command : {AMDKFD_IOC_MAP_MEMORY_TO_GPU, AMDKFD_IOC_UNMAP_MEMORY_FROM_GPU}) {
    auto args = good;
    args.n_devices = 0;
    EXPECT_EQ(kfd().raw(command, &args), EINVAL);
    args = good;
    args.n_success = 2;
    EXPECT_EQ(kfd().raw(command, &args), EINVAL);
    args = good;
    args.n_devices = ~0u;
    EXPECT_EQ(kfd().raw(command, &args), EINVAL);
    args = good;
    args.device_ids_array_ptr = 8;
    EXPECT_EQ(kfd().raw(command, &args), EFAULT);
    args = good;
    args.handle = 1;
    EXPECT_EQ(kfd().raw(command, &args), EINVAL);
  }
  auto done = good;
  done.n_success = 1;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_MAP_MEMORY_TO_GPU, &done), 0) << "nothing left to do";
  EXPECT_EQ(kfd().unmap(alloc.handle, this_gpu(), nullptr), EINVAL) << "so it was not mapped";
  EXPECT_EQ(kfd().free(alloc.handle), 0);
}

TEST_F(KfdMemory, MappedBufferCannotBeFreed) {
  KfdAlloc alloc = request(va(), kMiB, kVram);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  ASSERT_EQ(kfd().map(alloc.handle, this_gpu(), nullptr), 0);
  EXPECT_EQ(kfd().map(alloc.handle, this_gpu(), nullptr), 0) << "twice is no error";
  EXPECT_EQ(kfd().free(alloc.handle), EBUSY);
  ASSERT_EQ(kfd().unmap(alloc.handle, this_gpu(), nullptr), 0);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
}

TEST_F(KfdMemory, LastCloseFreesWhatWasNot) {
  const std::uint64_t before = available();
  constexpr std::uint64_t kMostTables = 2 * kMiB;  // of the address space, which goes too
  KfdAlloc vram = request(va(), 8 * kMiB, kVram | kPublic | kWritable);
  KfdAlloc gtt = request(va(8 * kMiB), 8 * kMiB, kGtt | kWritable);
  ASSERT_EQ(kfd().alloc(&vram), 0);
  ASSERT_EQ(kfd().alloc(&gtt), 0);
  ASSERT_EQ(kfd().map(vram.handle, this_gpu(), nullptr), 0);
  close_kfd();
  const auto again = KfdClient::open();
  ASSERT_TRUE(again);
  EXPECT_TRUE(eventually([&] {
    std::uint64_t now = 0;
    return again.value().available_memory(gpu_id(), &now) == 0 && now >= before && now <= before + kMostTables;
  }));
  EXPECT_EQ(again.value().free(vram.handle), EINVAL) << "a new object knows nothing of the old one's handles";
}

TEST_F(KfdMemory, MappingKeptOverFreeStaysReadable) {
  KfdAlloc alloc = request(va(), kMiB, kVram | kPublic | kWritable);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  void* view =
      ::mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_SHARED, render_fd(), static_cast<off_t>(alloc.mmap_offset));
  ASSERT_NE(view, MAP_FAILED);
  const std::span<std::byte> bytes(static_cast<std::byte*>(view), kMiB);
  fill_pattern(bytes, 9);
  ASSERT_EQ(kfd().free(alloc.handle), 0);
  EXPECT_EQ(pattern_error(bytes, 9), "") << "the mapping holds the object";
  ::munmap(view, kMiB);
}

TEST_F(KfdMemory, ThreadsAllocatingAndFreeingLeaveNothing) {
  const std::uint64_t before = available();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        KfdAlloc alloc = request(va(t * kMiB), kMiB, (i % 2 != 0 ? kGtt : kVram) | kPublic | kWritable);
        const bool fine = kfd().alloc(&alloc) == 0 && kfd().map(alloc.handle, this_gpu(), nullptr) == 0 &&
                          kfd().unmap(alloc.handle, this_gpu(), nullptr) == 0 && kfd().free(alloc.handle) == 0;
        wrong += fine ? 0 : 1;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(eventually([&] { return available() == before; }));
}

TEST_F(KfdMemory, PressureOfSvmMovesBuffersToRamAndMapBringsThemBackWhole) {
  KFDLAB_NEEDS(residency_backend() == "coherent", "needs VRAM that is coherent with the CPU");
  KFDLAB_NEEDS_ROOT();
  KFDLAB_NEEDS_NODE("/dev/kfdlab_test");
  constexpr std::uint64_t kSize = 16 * kMiB;
  const Reservation space(2048 * kMiB);
  // What is left of VRAM is six buffers.
  const auto device = TestDevice::open();
  ASSERT_TRUE(device.ok());
  ASSERT_EQ(device.value().reserve(gpu_id(), available() - 6 * kSize), 0);
  std::vector<KfdAlloc> buffers;
  std::vector<std::span<std::byte>> views;
  while (available() != 0) {
    KfdAlloc alloc = request(space.address() + buffers.size() * kSize, kSize, kVram | kPublic | kWritable);
    ASSERT_EQ(kfd().alloc(&alloc), 0);
    void* at =
        ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, render_fd(), static_cast<off_t>(alloc.mmap_offset));
    ASSERT_NE(at, MAP_FAILED);
    views.emplace_back(static_cast<std::byte*>(at), kSize);
    fill_pattern(views.back(), 40 + buffers.size());
    buffers.push_back(alloc);
  }
  const auto in_vram = [&] { return process_vram(::getpid(), gpu_id()).value_or(0); };
  ASSERT_EQ(in_vram(), buffers.size() * kSize);

  Buffer pages(3 * kSize / kPageSize);
  fill_pattern(pages.bytes(), 39);
  ASSERT_EQ(kfd().svm_prefetch(pages.address(), pages.size(), gpu_id()), 0);
  const auto oracle = PageOracle::open();
  ASSERT_TRUE(oracle.ok());
  EXPECT_EQ(oracle.value().census(pages.data(), pages.npages()).vram, pages.npages());
  EXPECT_LE(in_vram() - pages.size(), (buffers.size() - 2) * kSize) << "buffers had to go";
  for (std::size_t i = 0; i < views.size(); ++i) {
    EXPECT_EQ(pattern_error(views[i], 40 + i), "") << "buffer " << i << " under pressure";
  }

  for (const KfdAlloc& alloc : buffers) {
    ASSERT_EQ(kfd().map(alloc.handle, this_gpu(), nullptr), 0);
  }
  EXPECT_EQ(oracle.value().census(pages.data(), pages.npages()).ram, pages.npages()) << "SVM made room again";
  EXPECT_EQ(in_vram(), buffers.size() * kSize) << "all back";
  for (std::size_t i = 0; i < views.size(); ++i) {
    EXPECT_EQ(pattern_error(views[i], 40 + i), "") << "buffer " << i << " back";
    ::munmap(views[i].data(), kSize);
    EXPECT_EQ(kfd().unmap(buffers[i].handle, this_gpu(), nullptr), 0);
    EXPECT_EQ(kfd().free(buffers[i].handle), 0);
  }
  EXPECT_EQ(pattern_error(pages.bytes(), 39), "");
}

TEST_F(KfdMemory, HandleThatIsStillBeingMadeMayBeGuessedAndFreed) {
  KfdAlloc probe = request(va(), 4096, kGtt | kWritable);
  ASSERT_EQ(kfd().alloc(&probe), 0);
  ASSERT_EQ(kfd().free(probe.handle), 0);
  std::atomic<bool> stop = false;
  // Handles are given out lowest first, so the next one is known.
  std::thread thief([&] {
    while (!stop) {
      static_cast<void>(kfd().free(probe.handle));
    }
  });
  for (int i = 0; i < 3000; ++i) {
    KfdAlloc alloc = request(va(), 4096, kGtt | kWritable);
    const int error = kfd().alloc(&alloc);
    // The thief has the handle, and not yet given back the address.
    if (error == EADDRINUSE) {
      continue;
    }
    EXPECT_EQ(error, 0);
    EXPECT_NE(alloc.mmap_offset, 0u);
    static_cast<void>(kfd().free(alloc.handle));
  }
  stop = true;
  thief.join();
}

TEST_F(KfdMemory, NumberOfBuffersIsBoundedAndTheirEndIsQuickEnough) {
  constexpr std::uint64_t kLimit = 65'535;
  const Reservation space((kLimit + 2) * kPageSize);
  const Buffer page(1);
  std::uint64_t count = 0;
  int error = 0;
  while (error == 0 && count <= kLimit) {
    KfdAlloc alloc = request(space.address() + count * kPageSize, kPageSize, kUserptr | kWritable);
    alloc.mmap_offset = page.address();
    error = kfd().alloc(&alloc);
    count += error == 0 ? 1 : 0;
  }
  EXPECT_EQ(error, ENOMEM);
  EXPECT_EQ(count, kLimit);
  close_kfd();
}

}  // namespace
}  // namespace kfdlab
