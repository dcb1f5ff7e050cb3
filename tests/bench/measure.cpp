// SPDX-License-Identifier: MIT
#include "tests/bench/measure.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "tests/support/buffer.h"

namespace kfdlab::bench {

double Measurement::pages_per_second() const {
  return median_us > 0 ? static_cast<double>(bytes) / static_cast<double>(kPageSize) / median_us * 1e6 : 0;
}

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

unsigned repeats_for(std::uint64_t bytes) {
  constexpr std::uint64_t kBudget = 64ull << 20;
  return static_cast<unsigned>(std::clamp<std::uint64_t>(kBudget / bytes, 3, 21));
}

double microseconds(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

std::uint64_t module_vmalloc_bytes() {
  // "0xffff...-0xffff...   12288 caller+0x1/0x2 [kfdlab_amdgpu] pages=2 vmalloc ..."
  std::ifstream info("/proc/vmallocinfo");
  std::uint64_t total = 0;
  for (std::string line; std::getline(info, line);) {
    if (line.find("[kfdlab_") == std::string::npos || line.find(" ioremap") != std::string::npos) {
      continue;
    }
    std::istringstream words(line);
    std::string range;
    std::uint64_t size = 0;
    words >> range >> size;
    total += size;
  }
  return total;
}

std::uint64_t unreclaimable_slab_bytes() {
  std::ifstream info("/proc/meminfo");
  std::string key;
  std::uint64_t kib = 0;
  for (std::string rest; info >> key >> kib && std::getline(info, rest);) {
    if (key == "SUnreclaim:") {
      return kib << 10;
    }
  }
  return 0;
}

}  // namespace kfdlab::bench
