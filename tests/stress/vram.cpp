// SPDX-License-Identifier: MIT
#include "tests/stress/vram.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>

#include "tests/support/counters.h"
#include "uapi/kfdlab_test.h"

namespace kfdlab::stress {
namespace {

constexpr std::uint64_t kSmallest = 2u << 20;

// One run of free VRAM may be shorter than all that is free: what is refused is asked for in halves.
std::uint64_t reserve(int fd, std::uint32_t gpu, std::uint64_t bytes) {
  std::uint64_t size = bytes;
  std::uint64_t taken = 0;
  while (taken < bytes && size >= kSmallest) {
    kfdlab_test_reserve request{};
    request.gpu_id = gpu;
    request.bytes = std::min(size, bytes - taken);
    if (::ioctl(fd, KFDLAB_TEST_RESERVE, &request) == 0) {
      taken += request.bytes;
    } else {
      size /= 2;
    }
  }
  return taken;
}

}  // namespace

Result<Ballast> Ballast::leave(const std::vector<std::uint32_t>& gpus, std::uint64_t bytes) {
  Ballast ballast;
  auto device = TestDevice::open();
  KFDLAB_TRY(device);
  for (const std::uint32_t gpu : gpus) {
    const auto counters = device.value().counters(gpu);
    KFDLAB_TRY(counters);
    const std::uint64_t free = counters.value().vram_size - counters.value().vram_held;
    if (free < bytes) {
      return Error{fmt::format("GPU {} has only {} MiB of free VRAM", gpu, free >> 20)};
    }
    if (free - bytes < kSmallest) {
      continue;
    }
    Fd fd(::open("/dev/kfdlab_test", O_RDWR | O_CLOEXEC));
    const std::uint64_t taken = reserve(fd.get(), gpu, (free - bytes) / kSmallest * kSmallest);
    if (free - taken > bytes + bytes / 4 + kSmallest) {
      return Error{
          fmt::format("of {} MiB of VRAM of GPU {} only {} MiB can be reserved", free >> 20, gpu, taken >> 20)};
    }
    ballast.files_.push_back(std::move(fd));
  }
  return ballast;
}

}  // namespace kfdlab::stress
