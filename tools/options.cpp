// SPDX-License-Identifier: MIT
#include "tools/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <limits>

namespace kfdlab {
namespace {

constexpr std::uint64_t kMiB = 1ull << 20;

unsigned shift_of(char suffix) {
  switch (suffix) {
    case 'k':
    case 'K':
      return 10;
    case 'm':
    case 'M':
      return 20;
    case 'g':
    case 'G':
      return 30;
    case 't':
    case 'T':
      return 40;
    default:
      return 0;
  }
}

void add_size(CLI::App& app, const std::string& name, std::uint64_t& target, const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&target, name](const std::string& text) {
           const auto size = parse_size(text);
           if (!size) {
             throw CLI::ValidationError(name, "'" + text + "' is not a size such as 512M or 3G");
           }
           target = *size;
         },
         help)
      ->type_name("SIZE");
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  if (text.empty()) {
    return std::nullopt;
  }
  const unsigned shift = shift_of(text.back());
  if (shift != 0) {
    text.remove_suffix(1);
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
      value > std::numeric_limits<std::uint64_t>::max() >> shift) {
    return std::nullopt;
  }
  return value << shift;
}

void add_common_options(CLI::App& app, CommonOptions& options) {
  add_size(app, "--vram", options.vram_bytes, "VRAM of each virtual GPU (default 1G)");
  add_size(app, "--memory", options.memory_bytes, "RAM of the VM (default 3G)");
  app.add_option("--cpus", options.cpus, "CPUs of the VM (default 2)")->check(CLI::Range(1, 64));
  app.add_option("--gpus", options.gpus, fmt::format("virtual GPUs (default {})", options.gpus))
      ->check(CLI::Range(0, 8));
  app.add_option("--machine", options.machine, "pc, or q35-iommu: with a virtual IOMMU (default pc)")
      ->check(CLI::IsMember({"pc", "q35-iommu"}));
  app.add_option("--append", options.append, "words added to the kernel command line");
  app.add_option("--modules", options.modules, "load the modules built in this directory, build none")
      ->check(CLI::ExistingDirectory);
  app.add_option("--timeout", options.timeout_seconds, "end the VM after this many seconds");
  app.add_flag("--no-compile-cache", options.no_compile_cache,
               "let ROCm compile its own kernels in every process instead of once");
  app.add_flag("--verbose,-v", options.verbose, "say what is done");
}

Status apply_common_options(const CommonOptions& options, VmOptions& vm) {
  if (options.memory_bytes < 512 * kMiB || options.memory_bytes % (2 * kMiB) != 0) {
    return Error{"--memory must be at least 512M and a multiple of 2M"};
  }
  if (options.vram_bytes < 16 * kMiB || options.vram_bytes % (2 * kMiB) != 0) {
    return Error{"--vram must be at least 16M and a multiple of 2M"};
  }
  if (options.vram_bytes > 64ull << 30 || options.memory_bytes > 1ull << 40) {
    return Error{"--vram is limited to 64G and --memory to 1T"};
  }
  vm.vram_bytes = options.vram_bytes;
  vm.memory_bytes = options.memory_bytes;
  vm.cpus = options.cpus;
  vm.gpus = options.gpus;
  vm.machine = options.machine;
  vm.append = options.append;
  vm.verbose = options.verbose;
  if (!options.no_compile_cache) {
    vm.compile_cache = find_compile_cache();
  }
  return ok_status();
}

}  // namespace kfdlab
