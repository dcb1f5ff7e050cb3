// SPDX-License-Identifier: MIT
#include "tests/kfd/kfd_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "common/check.h"
#include "tests/support/needs.h"

namespace kfdlab {

Properties read_properties(const std::string& path) {
  Properties properties;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t value = 0;
    if (words >> name) {
      words >> value;
      properties[name] = value;
    }
  }
  return properties;
}

Properties node_properties(unsigned node) {
  return read_properties(std::string(kTopology) + "/nodes/" + std::to_string(node) + "/properties");
}

void KfdTest::SetUp() {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  const auto ids = kfd_gpu_ids();
  KFDLAB_NEEDS(!ids.empty(), "the KFD topology has no GPU");
  gpu_id_ = ids.front();
  auto client = KfdClient::open();
  ASSERT_TRUE(client) << client.error().message;
  kfd_.emplace(client.take());
}

Fd KfdTest::open_render() {
  const std::string path = "/dev/dri/renderD" + std::to_string(node_properties(kGpuNode)["drm_render_minor"]);
  Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_TRUE(fd.valid()) << path << ": " << std::strerror(errno);
  return fd;
}

void KfdTest::acquire() {
  render_ = open_render();
  ASSERT_TRUE(render_.valid());
  ASSERT_EQ(kfd().acquire_vm(gpu_id(), render_.get()), 0);
}

Reservation::Reservation(std::size_t size)
    : start_(::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)), size_(size) {
  KFDLAB_CHECK(start_ != MAP_FAILED);
}

Reservation::~Reservation() { ::munmap(start_, size_); }

std::uint64_t Reservation::address() const { return reinterpret_cast<std::uintptr_t>(start_); }

}  // namespace kfdlab
