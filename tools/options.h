// SPDX-License-Identifier: MIT
// Options that every command which boots a VM has in common.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "tools/vm/vm.h"

namespace CLI {
class App;
}

namespace kfdlab {

// Bytes of "512M", "3G", "1048576": digits and one of K, M, G, T in powers of 1024. Nothing if it is not that
// or does not fit 64 bits.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

struct CommonOptions {
  std::uint64_t vram_bytes = 1ull << 30;
  std::uint64_t memory_bytes = 3ull << 30;
  unsigned cpus = 2;
  unsigned gpus = 1;
  std::string machine = "pc";
  std::string append = {};
  std::string modules = {};      // directory of modules to load instead of building them
  unsigned timeout_seconds = 0;  // 0: none
  bool no_compile_cache = false;
  bool verbose = false;
};

// Adds --vram --memory --cpus --gpus --machine --append --modules --timeout --no-compile-cache --verbose to `app`.
void add_common_options(CLI::App& app, CommonOptions& options);

// Copies them to the VM's options and checks them against each other and the limits of the virtual hardware.
[[nodiscard]] Status apply_common_options(const CommonOptions& options, VmOptions& vm);

}  // namespace kfdlab
