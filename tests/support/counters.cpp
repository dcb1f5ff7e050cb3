// SPDX-License-Identifier: MIT
#include "tests/support/counters.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace kfdlab {

namespace fs = std::filesystem;

std::vector<std::uint32_t> topology_gpu_ids() {
  std::vector<std::pair<unsigned long, std::uint32_t>> found;
  std::error_code error;
  for (const auto& node : fs::directory_iterator("/sys/class/kfd/kfd/topology/nodes", error)) {
    std::uint32_t gpu_id = 0;
    if (std::ifstream(node.path() / "gpu_id") >> gpu_id && gpu_id != 0) {
      found.emplace_back(std::stoul(node.path().filename().string()), gpu_id);
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<std::uint32_t> ids;
  for (const auto& [number, gpu_id] : found) {
    ids.push_back(gpu_id);
  }
  return ids;
}

Result<TestDevice> TestDevice::open() {
  Fd fd(::open("/dev/kfdlab_test", O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    return errno_error("/dev/kfdlab_test (needs root and kfdlab_amdgpu loaded with enable_test_ioctls=1)", errno);
  }
  return TestDevice(std::move(fd));
}

int TestDevice::raw(unsigned long request, void* argument) const {
  return ::ioctl(fd_.get(), request, argument) == 0 ? 0 : errno;
}

Result<kfdlab_test_counters> TestDevice::counters(std::uint32_t gpu_id) const {
  kfdlab_test_counters counters{};
  counters.gpu_id = gpu_id;
  if (const int error = raw(KFDLAB_TEST_COUNTERS, &counters)) {
    return errno_error("KFDLAB_TEST_COUNTERS", error);
  }
  return counters;
}

Result<std::vector<kfdlab_page>> TestDevice::pages(const void* start, std::size_t npages) const {
  std::vector<kfdlab_page> pages(npages);
  kfdlab_test_pages request{};
  request.addr = reinterpret_cast<std::uintptr_t>(start);
  request.npages = npages;
  request.pages = reinterpret_cast<std::uintptr_t>(pages.data());
  if (const int error = raw(KFDLAB_TEST_PAGES, &request)) {
    return errno_error("KFDLAB_TEST_PAGES", error);
  }
  return pages;
}

Result<TestDevice::Evicted> TestDevice::evict(std::uint32_t gpu_id) const {
  kfdlab_test_evict request{};
  request.gpu_id = gpu_id;
  if (const int error = raw(KFDLAB_TEST_EVICT, &request)) {
    return errno_error("KFDLAB_TEST_EVICT", error);
  }
  return Evicted{request.moved, request.stayed};
}

Result<std::vector<kfdlab_translation>> TestDevice::translate(std::uint32_t gpu_id, std::uint64_t va,
                                                              std::size_t npages) const {
  std::vector<kfdlab_translation> translations(npages);
  kfdlab_test_translate request{};
  request.gpu_id = gpu_id;
  request.va = va;
  request.npages = npages;
  request.translations = reinterpret_cast<std::uintptr_t>(translations.data());
  if (const int error = raw(KFDLAB_TEST_TRANSLATE, &request)) {
    return errno_error("KFDLAB_TEST_TRANSLATE", error);
  }
  return translations;
}

int TestDevice::reserve(std::uint32_t gpu_id, std::uint64_t bytes) const {
  kfdlab_test_reserve request{};
  request.gpu_id = gpu_id;
  request.bytes = bytes;
  return raw(KFDLAB_TEST_RESERVE, &request);
}

Result<PinCounts> read_pin_counts() {
  // The written value is ignored; any write makes the kernel fold.
  if (!(std::ofstream("/proc/sys/vm/stat_refresh") << 1 << std::flush)) {
    return Error{"/proc/sys/vm/stat_refresh cannot be written: run the suite as root"};
  }
  PinCounts counts;
  std::ifstream vmstat("/proc/vmstat");
  unsigned found = 0;
  std::string key;
  for (std::uint64_t value = 0; vmstat >> key >> value;) {
    if (key == "nr_foll_pin_acquired") {
      counts.acquired = value;
      ++found;
    } else if (key == "nr_foll_pin_released") {
      counts.released = value;
      ++found;
    }
  }
  if (found != 2) {
    return Error{"/proc/vmstat has no nr_foll_pin_acquired/released"};
  }
  return counts;
}

}  // namespace kfdlab
