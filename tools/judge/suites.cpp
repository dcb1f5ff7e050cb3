// SPDX-License-Identifier: MIT
#include "tools/judge/suites.h"

#include <array>

namespace kfdlab::judge {
namespace {

constexpr std::array kSuites = {
    Suite{"unit", Place::Host, "tool and virtual GPU, without a VM"},
    Suite{"gup", Place::Vm, "a long-term pin moves a page out of VRAM first; every other reference leaves it there"},
    Suite{"states", Place::Vm, "every state of a page against every operation, and any two operations at once"},
    Suite{"pins", Place::Vm, "io_uring, RDMA, AF_XDP, V4L2, VFIO: what they hold leaves VRAM; who only looks leaves it there"},
    Suite{"kfd", Place::Vm, "SVM ranges and attributes, prefetch both ways, bad input to every ioctl, topology"},
    Suite{"drm", Place::Vm, "the render node as libdrm_amdgpu sees it"},
    Suite{"thunk", Place::Vm, "user queues, events and memory as libhsakmt has them: PM4, SDMA and shaders"},
    Suite{"hip", Place::Vm, "HIP programs on unmodified ROCm: results, and where pages went, with HSA_XNACK=0", "hip",
          "HSA_XNACK=0"},
    Suite{"hip-xnack", Place::Vm, "the same with HSA_XNACK=1, where a GPU fault migrates pages", "hip", "HSA_XNACK=1"},
    Suite{"hip-process", Place::Vm, "HIP processes that fault, are killed, or lose their GPU disturb nobody else",
          "hip_process"},
    Suite{"stress", Place::Vm, "no byte is lost under random operations of many processes with too little VRAM"},
};

}  // namespace

std::span<const Suite> all_suites() { return kSuites; }

const Suite* find_suite(std::string_view name) {
  for (const Suite& suite : kSuites) {
    if (suite.name == name) {
      return &suite;
    }
  }
  return nullptr;
}

std::filesystem::path suite_executable(const std::filesystem::path& bin_dir, const Suite& suite) {
  return bin_dir / ("kfdlab_" + std::string(suite.executable.empty() ? suite.name : suite.executable) + "_tests");
}

std::vector<std::string> parse_test_list(std::string_view output) {
  // "Suite.\n  Test\n  Test/0  # GetParam() = 3\n"
  std::vector<std::string> tests;
  std::string prefix;
  while (!output.empty()) {
    const std::size_t end = output.find('\n');
    std::string_view line = output.substr(0, end);
    output.remove_prefix(end == std::string_view::npos ? output.size() : end + 1);
    line = line.substr(0, line.find("  #"));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) {
      line.remove_suffix(1);
    }
    if (line.starts_with("  ")) {
      line.remove_prefix(2);
      if (!prefix.empty() && !line.empty()) {
        tests.push_back(prefix + std::string(line));
      }
    } else if (line.ends_with('.')) {
      prefix = line;
    }
  }
  return tests;
}

}  // namespace kfdlab::judge
