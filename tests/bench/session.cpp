// SPDX-License-Identifier: MIT
#include "tests/bench/session.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "uapi/kfdlab_test.h"

namespace kfdlab::bench {

void give_up(const std::string& why) {
  ::dprintf(STDERR_FILENO, "kfdlab_bench: %s\n", why.c_str());
  std::exit(1);
}

void progress(const std::string& what) { ::dprintf(STDERR_FILENO, "%s\n", what.c_str()); }

Session::Session() : kfd_(must(KfdClient::open())), gup_(must(GupClient::open())), device_(must(TestDevice::open())) {
  const auto gpus = topology_gpu_ids();
  if (gpus.empty()) {
    give_up("the KFD topology shows no GPU");
  }
  gpu_id_ = gpus.front();
}

void Session::prefetch(const Buffer& buffer, std::uint32_t location, std::size_t pages_per_call) const {
  const std::size_t step = pages_per_call == 0 ? buffer.npages() : pages_per_call;
  for (std::size_t first = 0; first < buffer.npages(); first += step) {
    const std::size_t count = std::min(step, buffer.npages() - first);
    if (const int error = kfd_.svm_prefetch(buffer.page_address(first), count * kPageSize, location)) {
      give_up(std::string("prefetch: ") + std::strerror(error));
    }
  }
}

void Session::evict(std::size_t npages) const {
  const auto evicted = must(device_.evict(gpu_id_));
  if (evicted.moved != npages || evicted.stayed != 0) {
    give_up(std::to_string(evicted.moved) + " pages were evicted and " + std::to_string(evicted.stayed) +
            " stayed, not " + std::to_string(npages) + " and 0");
  }
}

void Session::copy_mode(bool cpu) const {
  kfdlab_test_copy_mode mode{.gpu_id = gpu_id_, .cpu = cpu ? 1u : 0u};
  if (const int error = device_.raw(KFDLAB_TEST_COPY_MODE, &mode)) {
    give_up(std::string("KFDLAB_TEST_COPY_MODE: ") + std::strerror(error));
  }
}

SmallVram::SmallVram(const Session& session, std::uint64_t bytes_left) : device_(must(TestDevice::open())) {
  kfdlab_test_reserve reserve{.gpu_id = session.gpu_id(), .reserved = 0, .bytes = session.vram_bytes() - bytes_left};
  if (const int error = device_.raw(KFDLAB_TEST_RESERVE, &reserve)) {
    give_up(std::string("KFDLAB_TEST_RESERVE: ") + std::strerror(error));
  }
}

}  // namespace kfdlab::bench
