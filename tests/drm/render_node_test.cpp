// SPDX-License-Identifier: MIT
// The render node as a DRM node: who it says it is, who may open it, what it refuses, and that files of it live
// and die independently.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xf86drm.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/drm/drm_fixture.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

using RenderNode = DrmTest;

constexpr char kIdTable[] = "/usr/share/libdrm/amdgpu.ids";

// The name that libdrm's table has for a device, "" if none. Lines are "device id, revision id, name" in hex.
std::string name_in_table(std::uint32_t device_id, std::uint32_t revision_id) {
  std::ifstream table(kIdTable);
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::uint32_t device = 0;
    std::uint32_t revision = 0;
    char comma = 0;
    std::string name;
    if (fields >> std::hex >> device >> comma >> revision >> comma && std::getline(fields >> std::ws, name) &&
        device == device_id && revision == revision_id) {
      return name;
    }
  }
  return "";
}

bool answers(int fd) {
  std::uint32_t working = 0;
  drm_amdgpu_info request = {};
  request.return_pointer = reinterpret_cast<std::uintptr_t>(&working);
  request.return_size = sizeof(working);
  request.query = AMDGPU_INFO_ACCEL_WORKING;
  return ::drmIoctl(fd, DRM_IOCTL_AMDGPU_INFO, &request) == 0 && working == 1;
}

TEST_F(RenderNode, SaysAmdgpuMajorThree) {
  const std::unique_ptr<drmVersion, void (*)(drmVersionPtr)> version(drmGetVersion(fd()), drmFreeVersion);
  ASSERT_NE(version, nullptr);
  EXPECT_EQ(version->version_major, 3);
  EXPECT_STREQ(version->name, "amdgpu");
}

// libdrm tells render from primary nodes by this link; without it initialization goes astray.
TEST_F(RenderNode, HasAParentDeviceInSysfs) {
  struct stat status = {};
  ASSERT_EQ(::fstat(fd(), &status), 0);
  const std::string drm = "/sys/dev/char/226:" + std::to_string(gpu().render_minor) + "/device/drm";
  struct stat sysfs = {};
  EXPECT_EQ(::stat(drm.c_str(), &sysfs), 0) << drm;
  EXPECT_EQ(::stat((drm + "/renderD" + std::to_string(gpu().render_minor)).c_str(), &sysfs), 0);
  EXPECT_EQ(drmGetNodeTypeFromFd(fd()), DRM_NODE_RENDER);
}

TEST_F(RenderNode, LibdrmInitializesDevice) {
  const AmdgpuDevice device = initialize();
  ASSERT_NE(device, nullptr);
  amdgpu_gpu_info gpu_info = {};
  ASSERT_EQ(amdgpu_query_gpu_info(device.get(), &gpu_info), 0);
  EXPECT_EQ(gpu_info.asic_id, gpu().device_id);
  EXPECT_EQ(gpu_info.family_id, static_cast<std::uint32_t>(AMDGPU_FAMILY_AI));
  EXPECT_EQ(gpu_info.cu_active_number, gpu().compute_units);
}

TEST_F(RenderNode, MarketingNameIsTheTablesNameOfTheDevice) {
  const AmdgpuDevice device = initialize();
  ASSERT_NE(device, nullptr);
  amdgpu_gpu_info gpu_info = {};
  ASSERT_EQ(amdgpu_query_gpu_info(device.get(), &gpu_info), 0);
  const std::string expected = name_in_table(gpu_info.asic_id, gpu_info.pci_rev_id);
  KFDLAB_NEEDS(!expected.empty(), std::string(kIdTable) + " has no name for this device");
  const char* name = amdgpu_get_marketing_name(device.get());
  ASSERT_NE(name, nullptr);
  EXPECT_EQ(name, expected);
}

TEST_F(RenderNode, SecondInitializationGivesTheSameDevice) {
  const AmdgpuDevice first = initialize();
  ASSERT_NE(first, nullptr);
  const Fd other = open_node();
  ASSERT_TRUE(other.valid());
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  amdgpu_device_handle second = nullptr;
  ASSERT_EQ(amdgpu_device_initialize(other.get(), &major, &minor, &second), 0);
  EXPECT_EQ(second, first.get());
  amdgpu_device_deinitialize(second);
}

TEST_F(RenderNode, ManyFilesAreOpenAtOnceAndAllAnswer) {
  std::vector<Fd> files;
  for (int i = 0; i < 200; ++i) {
    files.push_back(open_node());
    ASSERT_TRUE(files.back().valid()) << "open number " << i << ": " << std::strerror(errno);
  }
  for (const Fd& file : files) {
    ASSERT_TRUE(answers(file.get()));
  }
}

TEST_F(RenderNode, FileAnswersInAForkedChild) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::_exit(answers(fd()) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_F(RenderNode, ClosingWhileOthersAskDisturbsNobody) {
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        wrong += answers(fd()) ? 0 : 1;
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    const Fd other = open_node();
    wrong += answers(other.get()) ? 0 : 1;
  }
  stop = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(RenderNode, MasterOnlyIoctlsAreRefused) {
  EXPECT_EQ(raw(fd(), DRM_IOCTL_SET_MASTER, nullptr), EACCES);
  EXPECT_EQ(raw(fd(), DRM_IOCTL_DROP_MASTER, nullptr), EACCES);
  drm_auth magic = {};
  EXPECT_EQ(raw(fd(), DRM_IOCTL_AUTH_MAGIC, &magic), EACCES);
}

TEST_F(RenderNode, IoctlsOfPrimaryNodesAreRefused) {
  drm_auth magic = {};
  EXPECT_EQ(raw(fd(), DRM_IOCTL_GET_MAGIC, &magic), EACCES);
  drm_gem_flink flink = {};
  EXPECT_EQ(raw(fd(), DRM_IOCTL_GEM_FLINK, &flink), EACCES);
  drm_mode_card_res resources = {};
  EXPECT_EQ(raw(fd(), DRM_IOCTL_MODE_GETRESOURCES, &resources), EACCES);
}

TEST_F(RenderNode, UnknownIoctlsAreInvalid) {
  std::uint64_t argument[8] = {};
  EXPECT_EQ(raw(fd(), _IOWR('d', DRM_COMMAND_BASE + 0x5f, std::uint64_t), argument), EINVAL);
  EXPECT_EQ(raw(fd(), _IOWR('d', 0xff, std::uint64_t), argument), EINVAL);
}

TEST_F(RenderNode, UnknownHandlesAreRefused) {
  drm_gem_close close_handle = {};
  close_handle.handle = 77;
  EXPECT_EQ(raw(fd(), DRM_IOCTL_GEM_CLOSE, &close_handle), EINVAL);
  drm_prime_handle prime = {};
  prime.handle = 77;
  EXPECT_NE(raw(fd(), DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
}

TEST_F(RenderNode, MmapAtNoBuffersOffsetIsInvalid) {
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1} << 20, std::uint64_t{1} << 45}) {
    errno = 0;
    void* mapping = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd(), static_cast<off_t>(offset));
    EXPECT_EQ(mapping, MAP_FAILED);
    EXPECT_EQ(errno, EINVAL) << "offset " << offset;
  }
}

}  // namespace
}  // namespace kfdlab
