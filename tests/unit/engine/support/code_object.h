// SPDX-License-Identifier: MIT
// CodeObject: an AMDGPU ELF file (or clang offload bundle with one for gfx90a) put into a rig's memory, and launches of its
// kernels through prepare_aql(), the way the command processor does it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/engine/support/engine_rig.h"

namespace kfdlab::engine {

class CodeObject {
 public:
  // Loads the file at `va` of the rig's memory; nothing if it cannot be read or is no such file.
  [[nodiscard]] static std::optional<CodeObject> load(EngineRig& rig, const std::string& path, std::uint64_t va);

  struct Grid {
    std::array<std::uint32_t, 3> items{1, 1, 1};
    std::array<std::uint32_t, 3> group{1, 1, 1};
  };
  // `arguments` are the bytes of the kernel's explicit arguments; hidden ones are zeros. Packet and arguments are put
  // behind the code; scratch, if the kernel needs some, is at the end of the rig's memory. Nothing if there is no such kernel.
  [[nodiscard]] std::optional<Dispatch> dispatch(const std::string& kernel, const Grid& grid,
                                                 const std::vector<std::uint8_t>& arguments) const;

 private:
  CodeObject(EngineRig& rig, std::uint64_t va) : rig_(&rig), va_(va) {}
  bool place(const std::string& elf);

  EngineRig* rig_;
  std::uint64_t va_;
  std::uint64_t end_ = 0;                             // VA behind the code
  std::map<std::string, std::uint64_t> descriptors_;  // kernel -> VA of its descriptor
};

// Appends a value the way arguments are laid out: aligned to its size.
template <typename T>
void add_argument(std::vector<std::uint8_t>& arguments, T value) {
  arguments.resize((arguments.size() + sizeof value - 1) / sizeof value * sizeof value);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
  arguments.insert(arguments.end(), bytes, bytes + sizeof value);
}

}  // namespace kfdlab::engine
