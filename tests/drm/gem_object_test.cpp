// SPDX-License-Identifier: MIT
// What can be said about an object and done with one: CPU mappings, metadata, placement, waiting, VM and SCHED.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <vector>

#include "tests/drm/gem_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

using GemMap = GemTest;
using GemMetadata = GemTest;
using GemOp = GemTest;
using GemWait = GemTest;
using GemVm = GemTest;

constexpr std::uint64_t kSize = 1 << 20;
constexpr std::uint64_t kSeed = 0x6e0;
constexpr std::uint64_t kForever = ~0ull;

std::uint64_t now_ns() {
  timespec time = {};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

TEST_F(GemMap, OnlyFilesWithAHandleMayMap) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const std::uint64_t offset = offset_of(handle);
  const Fd other = open_node();
  const GemMapping refused(other.get(), offset, kSize);
  EXPECT_FALSE(refused.valid());
  EXPECT_EQ(refused.error(), EACCES);
  const GemMapping granted(fd(), offset, kSize);
  EXPECT_TRUE(granted.valid());
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemMap, MappingOutlivesHandleAndFile) {
  for (const std::uint64_t domain : {AMDGPU_GEM_DOMAIN_VRAM, AMDGPU_GEM_DOMAIN_GTT}) {
    Fd file = open_node();
    const GemFile other(file.get());
    std::uint32_t handle = 0;
    std::uint64_t offset = 0;
    ASSERT_EQ(other.create(kSize, domain, 0, &handle), 0);
    ASSERT_EQ(other.mmap_offset(handle, &offset), 0);
    {
      const GemMapping mapping(file.get(), offset, kSize);
      ASSERT_TRUE(mapping.valid());
      fill_pattern(mapping.bytes(), kSeed);
      EXPECT_EQ(other.close(handle), 0);
      const GemMapping late(file.get(), offset, kSize);
      EXPECT_FALSE(late.valid());
      file.reset();
      EXPECT_EQ(pattern_error(mapping.bytes(), kSeed), "");
    }
    expect_usage_back();
  }
}

TEST_F(GemMap, NoCpuAccessMeansNone) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM, AMDGPU_GEM_CREATE_NO_CPU_ACCESS);
  std::uint64_t offset = 0;
  EXPECT_EQ(gem().mmap_offset(handle, &offset), EPERM);
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemMap, ForkedChildSharesTheMemory) {
  for (const std::uint64_t domain : {AMDGPU_GEM_DOMAIN_VRAM, AMDGPU_GEM_DOMAIN_GTT}) {
    const std::uint32_t handle = make(kSize, domain);
    const GemMapping mapping(fd(), offset_of(handle), kSize);
    ASSERT_TRUE(mapping.valid());
    fill_pattern(mapping.bytes(), kSeed);
    Child child([&](Peer&) {
      const bool right = pattern_error(mapping.bytes(), kSeed).empty();
      fill_pattern(mapping.bytes(), kSeed + 1);
      return right ? 0 : 1;
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(pattern_error(mapping.bytes(), kSeed + 1), "");
    EXPECT_EQ(gem().close(handle), 0);
  }
  expect_usage_back();
}

// A passed descriptor is the same file: its handles are known there, and nothing ends with the sender's copy.
TEST_F(GemMap, PassedDescriptorIsTheSameFile) {
  std::array<int, 2> sockets = {-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets.data()), 0);
  const Fd here(sockets[0]);
  const Fd there(sockets[1]);
  Fd file = open_node();
  std::uint32_t handle = 0;
  ASSERT_EQ(GemFile(file.get()).create(kSize, AMDGPU_GEM_DOMAIN_VRAM, 0, &handle), 0);

  char byte = 'x';
  iovec data = {&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int sent = file.get();
  std::memcpy(CMSG_DATA(header), &sent, sizeof sent);
  ASSERT_EQ(::sendmsg(here.get(), &message, 0), 1);
  file.reset();

  ASSERT_EQ(::recvmsg(there.get(), &message, MSG_CMSG_CLOEXEC), 1);
  int received = -1;
  std::memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof received);
  const Fd passed(received);
  std::uint64_t offset = 0;
  EXPECT_EQ(GemFile(passed.get()).mmap_offset(handle, &offset), 0);
  const GemMapping mapping(passed.get(), offset, kSize);
  EXPECT_TRUE(mapping.valid());
}

TEST_F(GemMetadata, IsKeptAndReplaced) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_GTT);
  drm_amdgpu_gem_metadata metadata;
  ASSERT_EQ(gem().get_metadata(handle, &metadata), 0);
  EXPECT_EQ(metadata.data.data_size_bytes, 0u);
  std::array<std::byte, sizeof metadata.data.data> bytes;
  for (const std::size_t size : {std::size_t{1}, bytes.size(), std::size_t{100}, std::size_t{0}}) {
    fill_pattern(bytes, 8 * size, kSeed);
    ASSERT_EQ(gem().set_metadata(handle, 0x1234 + size, std::span(bytes).first(size)), 0);
    ASSERT_EQ(gem().get_metadata(handle, &metadata), 0);
    EXPECT_EQ(metadata.data.data_size_bytes, size);
    EXPECT_EQ(std::memcmp(metadata.data.data, bytes.data(), size), 0);
    if (size != 0) {
      EXPECT_EQ(metadata.data.flags, 0x1234 + size);
    }
  }
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemMetadata, TooMuchIsInvalid) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_GTT);
  drm_amdgpu_gem_metadata args = {};
  args.handle = handle;
  args.op = AMDGPU_GEM_METADATA_OP_SET_METADATA;
  for (const std::uint32_t size : {static_cast<std::uint32_t>(sizeof args.data.data) + 1, 0x80000000u, 0xffffffffu}) {
    args.data.data_size_bytes = size;
    EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_GEM_METADATA, &args), EINVAL) << size;
  }
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemMetadata, TilingIsKept) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_GTT);
  drm_amdgpu_gem_metadata args = {};
  args.handle = handle;
  args.op = AMDGPU_GEM_METADATA_OP_SET_METADATA;
  args.data.tiling_info = 0x15;
  ASSERT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_GEM_METADATA, &args), 0);
  drm_amdgpu_gem_metadata metadata;
  ASSERT_EQ(gem().get_metadata(handle, &metadata), 0);
  EXPECT_EQ(metadata.data.tiling_info, 0x15u);
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemOp, PlacementIsAPreference) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const std::uint64_t used = vram_used();
  drm_amdgpu_gem_create_in info = {};
  for (const std::uint64_t domains : {AMDGPU_GEM_DOMAIN_GTT, AMDGPU_GEM_DOMAIN_VRAM | AMDGPU_GEM_DOMAIN_GTT,
                                      AMDGPU_GEM_DOMAIN_CPU, AMDGPU_GEM_DOMAIN_VRAM}) {
    EXPECT_EQ(gem().set_placement(handle, domains), 0);
    ASSERT_EQ(gem().create_info(handle, &info), 0);
    EXPECT_EQ(info.domains, domains);
  }
  EXPECT_EQ(vram_used(), used) << "nothing moves before somebody needs the object";
  // What is no memory of an object is left out.
  EXPECT_EQ(gem().set_placement(handle, AMDGPU_GEM_DOMAIN_GTT | AMDGPU_GEM_DOMAIN_GDS | 1ull << 50), 0);
  ASSERT_EQ(gem().create_info(handle, &info), 0);
  EXPECT_EQ(info.domains, static_cast<std::uint64_t>(AMDGPU_GEM_DOMAIN_GTT));
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemOp, BadRequestsAreRefused) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_GTT);
  drm_amdgpu_gem_op args = {};
  args.handle = handle;
  for (const std::uint32_t op : {2u, 3u, 0xffffffffu}) {
    args.op = op;
    EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_GEM_OP, &args), EINVAL) << op;
  }
  args.op = AMDGPU_GEM_OP_GET_GEM_CREATE_INFO;
  for (const std::uint64_t pointer : {std::uint64_t{0}, ~std::uint64_t{0xfff}, std::uint64_t{1} << 50}) {
    args.value = pointer;
    EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_GEM_OP, &args), EFAULT) << pointer;
  }
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemWait, IdleObjectIsIdleWhateverTheDeadline) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  for (const std::uint64_t deadline : {std::uint64_t{0}, std::uint64_t{1}, now_ns(), now_ns() + 1'000'000'000,
                                       std::uint64_t{1} << 62, std::uint64_t{1} << 63, kForever}) {
    bool busy = true;
    EXPECT_EQ(gem().wait_idle(handle, deadline, &busy), 0) << deadline;
    EXPECT_FALSE(busy) << deadline;
  }
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemVm, VmidIsReservedAndGivenBack) {
  drm_amdgpu_vm args = {};
  args.in.op = AMDGPU_VM_OP_RESERVE_VMID;
  EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_VM, &args), 0);
  args = {};
  args.in.op = AMDGPU_VM_OP_UNRESERVE_VMID;
  EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_VM, &args), 0);
  EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_VM, &args), 0) << "nothing to give back";
}

TEST_F(GemVm, BadRequestsAreRefused) {
  drm_amdgpu_vm args = {};
  for (const std::uint32_t op : {0u, 3u, 0xffffffffu}) {
    args.in.op = op;
    EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_VM, &args), EINVAL) << op;
  }
  args.in.op = AMDGPU_VM_OP_RESERVE_VMID;
  args.in.flags = 1;
  EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_VM, &args), EINVAL);
}

TEST_F(GemVm, PrioritiesOfOthersAreTheMastersBusiness) {
  drm_amdgpu_sched args = {};
  args.in.op = AMDGPU_SCHED_OP_PROCESS_PRIORITY_OVERRIDE;
  args.in.fd = static_cast<std::uint32_t>(fd());
  EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_SCHED, &args), EACCES);
}

}  // namespace
}  // namespace kfdlab
