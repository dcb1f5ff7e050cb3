// SPDX-License-Identifier: MIT
// Buffers as dma-bufs: what GET_DMABUF_INFO tells, that an imported buffer is the same memory and keeps it alive, and
// what is refused.
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "tests/kfd/kfd_fixture.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

// Interface 1.12; the installed header may be older.
#ifndef AMDKFD_IOC_EXPORT_DMABUF
struct kfd_ioctl_export_dmabuf_args {
  __u64 handle;
  __u32 flags;
  __u32 dmabuf_fd;
};
#define AMDKFD_IOC_EXPORT_DMABUF AMDKFD_IOWR(0x24, struct kfd_ioctl_export_dmabuf_args)
#endif

namespace kfdlab {
namespace {

constexpr std::uint32_t kVram = KFD_IOC_ALLOC_MEM_FLAGS_VRAM;
constexpr std::uint32_t kGtt = KFD_IOC_ALLOC_MEM_FLAGS_GTT;
constexpr std::uint32_t kPublic = KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC;
constexpr std::uint64_t kMiB = 1u << 20;

int export_buffer(const KfdClient& kfd, std::uint64_t handle, Fd* fd, std::uint32_t flags = O_CLOEXEC | O_RDWR) {
  kfd_ioctl_export_dmabuf_args args{};
  args.handle = handle;
  args.flags = flags;
  const int error = kfd.raw(AMDKFD_IOC_EXPORT_DMABUF, &args);
  if (error == 0) {
    *fd = Fd(static_cast<int>(args.dmabuf_fd));
  }
  return error;
}

int import_buffer(const KfdClient& kfd, std::uint32_t gpu_id, std::uint64_t va, int fd, std::uint64_t* handle) {
  kfd_ioctl_import_dmabuf_args args{};
  args.va_addr = va;
  args.gpu_id = gpu_id;
  args.dmabuf_fd = static_cast<std::uint32_t>(fd);
  const int error = kfd.raw(AMDKFD_IOC_IMPORT_DMABUF, &args);
  *handle = args.handle;
  return error;
}

class KfdDmabuf : public KfdTest {
 protected:
  void SetUp() override {
    KfdTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      acquire();
    }
  }
  [[nodiscard]] std::uint64_t va(std::uint64_t offset = 0) const { return space_.address() + offset; }
  [[nodiscard]] KfdAlloc allocate(std::uint64_t size, std::uint32_t flags, std::uint64_t at) const {
    KfdAlloc alloc;
    alloc.va = at;
    alloc.size = size;
    alloc.gpu_id = gpu_id();
    alloc.flags = flags | static_cast<std::uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE);
    EXPECT_EQ(kfd().alloc(&alloc), 0);
    return alloc;
  }
  [[nodiscard]] std::span<std::byte> view(std::uint64_t offset, std::size_t size) const {
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, render_fd(), static_cast<off_t>(offset));
    EXPECT_NE(at, MAP_FAILED);
    return {static_cast<std::byte*>(at), size};
  }
  [[nodiscard]] std::uint64_t available() const {
    std::uint64_t bytes = 0;
    EXPECT_EQ(kfd().available_memory(gpu_id(), &bytes), 0);
    return bytes;
  }

  Reservation space_{64 * kMiB};
};

TEST_F(KfdDmabuf, InfoTellsSizeGpuAndFlags) {
  for (const std::uint32_t flags : {kVram | kPublic, kVram, kGtt | kPublic}) {
    const KfdAlloc alloc = allocate(2 * kMiB, flags, va());
    Fd fd;
    ASSERT_EQ(export_buffer(kfd(), alloc.handle, &fd), 0);
    kfd_ioctl_get_dmabuf_info_args info{};
    info.dmabuf_fd = static_cast<std::uint32_t>(fd.get());
    ASSERT_EQ(kfd().raw(AMDKFD_IOC_GET_DMABUF_INFO, &info), 0);
    EXPECT_EQ(info.size, 2 * kMiB);
    EXPECT_EQ(info.gpu_id, gpu_id());
    EXPECT_EQ(info.flags, flags);
    EXPECT_EQ(info.metadata_size, 0u);
    EXPECT_EQ(kfd().free(alloc.handle), 0);
  }
}

TEST_F(KfdDmabuf, ImportedBufferIsTheSameMemoryAndKeepsIt) {
  const std::uint64_t before = available();
  const KfdAlloc alloc = allocate(4 * kMiB, kVram | kPublic, va());
  const auto bytes = view(alloc.mmap_offset, alloc.size);
  fill_pattern(bytes, 11);
  Fd fd;
  ASSERT_EQ(export_buffer(kfd(), alloc.handle, &fd), 0);

  Child other([&](Peer& peer) {
    const auto client = KfdClient::open();
    const Fd render = open_render();
    std::uint64_t handle = 0;
    if (!client || client.value().acquire_vm(gpu_id(), render.get()) != 0 ||
        import_buffer(client.value(), gpu_id(), va(8 * kMiB), fd.get(), &handle) != 0 ||
        client.value().map(handle, std::vector{gpu_id()}, nullptr) != 0) {
      return 1;
    }
    if (!peer.signal() || !peer.await()) {
      return 2;
    }
    // By now the maker's handle, mapping and descriptor are gone. The pattern depends on the address.
    void* at = ::mmap(bytes.data(), bytes.size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd.get(), 0);
    if (at != bytes.data() || !pattern_error(bytes, 11).empty()) {
      return 3;
    }
    return client.value().free(handle) == EBUSY ? 0 : 4;
  });
  ASSERT_TRUE(other.peer().await());
  ::munmap(bytes.data(), bytes.size());
  fd.reset();
  ASSERT_EQ(kfd().free(alloc.handle), 0);
  EXPECT_EQ(available(), before - 4 * kMiB);
  ASSERT_TRUE(other.peer().signal());
  EXPECT_EQ(other.wait(), 0);
  EXPECT_TRUE(eventually([&] { return available() == before; }));
}

// A path to it outlives a dma-buf's file, whose memory is then somebody else's file.
TEST_F(KfdDmabuf, ExportedAgainItIsTheSameDmaBufWhateverWasOpenedMeanwhile) {
  const KfdAlloc alloc = allocate(kMiB, kVram, va());
  Fd fd;
  ASSERT_EQ(export_buffer(kfd(), alloc.handle, &fd), 0);
  struct stat first {};
  ASSERT_EQ(::fstat(fd.get(), &first), 0);
  for (int round = 0; round < 20; ++round) {
    const std::string name = "/proc/self/fd/" + std::to_string(fd.get());
    const Fd path(::open(name.c_str(), O_PATH | O_CLOEXEC));
    ASSERT_TRUE(path.valid());
    fd.reset();
    // RCU's grace period, behind which the memory of a closed file is reused.
    ASSERT_EQ(::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0), 0);
    std::vector<Fd> others;
    for (int i = 0; i < 64; ++i) {
      others.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
    }
    ASSERT_EQ(export_buffer(kfd(), alloc.handle, &fd), 0);
    struct stat now {};
    ASSERT_EQ(::fstat(fd.get(), &now), 0);
    ASSERT_EQ(now.st_dev, first.st_dev) << "round " << round << ": not a dma-buf";
    ASSERT_EQ(now.st_ino, first.st_ino) << "round " << round;
    kfd_ioctl_get_dmabuf_info_args info{};
    info.dmabuf_fd = static_cast<std::uint32_t>(fd.get());
    ASSERT_EQ(kfd().raw(AMDKFD_IOC_GET_DMABUF_INFO, &info), 0);
    EXPECT_EQ(info.size, kMiB);
  }
  EXPECT_EQ(kfd().free(alloc.handle), 0);
}

// What a buffer's end leaves is found by its descriptor, and is the buffer's dma-buf when it comes back.
TEST_F(KfdDmabuf, ImportedAgainItIsExportedAsTheSameDmaBuf) {
  const KfdAlloc alloc = allocate(kMiB, kGtt, va());
  Fd fd, again;
  ASSERT_EQ(export_buffer(kfd(), alloc.handle, &fd), 0);
  ASSERT_EQ(kfd().free(alloc.handle), 0);
  std::uint64_t handle = 0;
  ASSERT_EQ(import_buffer(kfd(), gpu_id(), va(), fd.get(), &handle), 0);
  ASSERT_EQ(export_buffer(kfd(), handle, &again), 0);
  struct stat first {}, now {};
  ASSERT_EQ(::fstat(fd.get(), &first), 0);
  ASSERT_EQ(::fstat(again.get(), &now), 0);
  EXPECT_EQ(now.st_ino, first.st_ino);
  EXPECT_EQ(kfd().free(handle), 0);
}

TEST_F(KfdDmabuf, OneProcessMayHaveABufferTwice) {
  const KfdAlloc alloc = allocate(kMiB, kGtt | kPublic, va());
  Fd fd;
  ASSERT_EQ(export_buffer(kfd(), alloc.handle, &fd), 0);
  std::uint64_t handle = 0;
  ASSERT_EQ(import_buffer(kfd(), gpu_id(), va(2 * kMiB), fd.get(), &handle), 0);
  EXPECT_NE(handle, alloc.handle);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
  const auto bytes = view(alloc.mmap_offset, kMiB);
  fill_pattern(bytes, 2);
  EXPECT_EQ(pattern_error(bytes, 2), "");
  ::munmap(bytes.data(), bytes.size());
  EXPECT_EQ(kfd().free(handle), 0);
}

TEST_F(KfdDmabuf, BadImportsAreRefusedAndTakeNoAddress) {
  const KfdAlloc alloc = allocate(kMiB, kVram, va());
  Fd fd;
  ASSERT_EQ(export_buffer(kfd(), alloc.handle, &fd), 0);
  const Fd memory(::memfd_create("no dma-buf", 0));
  std::uint64_t handle = 0;
  EXPECT_EQ(import_buffer(kfd(), gpu_id(), va(8 * kMiB), -1, &handle), EBADF);
  EXPECT_EQ(import_buffer(kfd(), gpu_id(), va(8 * kMiB), memory.get(), &handle), EINVAL);
  EXPECT_EQ(import_buffer(kfd(), gpu_id(), va(8 * kMiB) + 1, fd.get(), &handle), EINVAL);
  EXPECT_EQ(import_buffer(kfd(), gpu_id(), 0, fd.get(), &handle), EINVAL);
  EXPECT_EQ(import_buffer(kfd(), gpu_id(), ~0xfffull, fd.get(), &handle), EINVAL);
  EXPECT_EQ(import_buffer(kfd(), gpu_id(), va(kMiB) - 4096, fd.get(), &handle), EADDRINUSE);
  EXPECT_EQ(import_buffer(kfd(), dead_gpu_id(), va(8 * kMiB), fd.get(), &handle), EINVAL);
  ASSERT_EQ(import_buffer(kfd(), gpu_id(), va(8 * kMiB), fd.get(), &handle), 0);
  EXPECT_EQ(kfd().free(handle), 0);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
}

TEST_F(KfdDmabuf, BadExportsAndQuestionsAreRefused) {
  const KfdAlloc alloc = allocate(kMiB, kVram, va());
  Fd fd;
  EXPECT_EQ(export_buffer(kfd(), alloc.handle + 1, &fd), EINVAL);
  EXPECT_EQ(export_buffer(kfd(), 0, &fd), EINVAL);
  EXPECT_EQ(export_buffer(kfd(), alloc.handle, &fd, 0x8000'0000), EINVAL);
  KfdAlloc doorbells;
  doorbells.va = va(2 * kMiB);
  doorbells.size = 0x2000;
  doorbells.gpu_id = gpu_id();
  doorbells.flags = KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL;
  ASSERT_EQ(kfd().alloc(&doorbells), 0);
  EXPECT_EQ(export_buffer(kfd(), doorbells.handle, &fd), EINVAL) << "there is no object behind it";
  kfd_ioctl_get_dmabuf_info_args info{};
  info.dmabuf_fd = ~0u;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_GET_DMABUF_INFO, &info), EBADF);
  info.dmabuf_fd = static_cast<std::uint32_t>(kfd().fd());
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_GET_DMABUF_INFO, &info), EINVAL);
}

TEST_F(KfdDmabuf, ImportNeedsTheVm) {
  const KfdAlloc alloc = allocate(kMiB, kVram, va());
  Fd fd;
  ASSERT_EQ(export_buffer(kfd(), alloc.handle, &fd), 0);
  Child other([&](Peer&) {
    const auto client = KfdClient::open();
    std::uint64_t handle = 0;
    return client && import_buffer(client.value(), gpu_id(), va(), fd.get(), &handle) == ENODEV ? 0 : 1;
  });
  EXPECT_EQ(other.wait(), 0);
}

TEST_F(KfdDmabuf, DescriptorAloneKeepsTheMemoryOverTheProcess) {
  const std::uint64_t before = available();
  const KfdAlloc alloc = allocate(4 * kMiB, kVram | kPublic, va());
  Fd fd;
  ASSERT_EQ(export_buffer(kfd(), alloc.handle, &fd), 0);
  close_kfd();
  const auto again = KfdClient::open();
  ASSERT_TRUE(again);
  std::uint64_t now = 0;
  ASSERT_EQ(again.value().available_memory(gpu_id(), &now), 0);
  // The page tables that were there before went with the process.
  EXPECT_GE(now, before - 4 * kMiB);
  EXPECT_LT(now, before);
  fd.reset();
  EXPECT_TRUE(eventually(
      [&] { return again.value().available_memory(gpu_id(), &now) == 0 && now >= before; }));
}

}  // namespace
}  // namespace kfdlab
