// SPDX-License-Identifier: MIT
// Which kernel modules the guest needs, in loading order, as files ready to load.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "tools/vm/vm.h"

namespace kfdlab {

// modules.dep and modules.builtin of one kernel.
class ModuleIndex {
 public:
  // `directory` is lib/modules/<release>.
  static Result<ModuleIndex> load(const std::filesystem::path& directory);
  ModuleIndex(std::string_view dep, std::string_view builtin);

  // Appends to `order` the paths (relative to the directory) of `module` and of what it needs first, each once.
  // False: the kernel has no such module; a built-in one is true and adds nothing.
  [[nodiscard]] bool resolve(std::string_view module, std::vector<std::string>& order) const;

 private:
  struct Entry {
    std::string path;
    std::vector<std::string> needs;  // names
  };
  std::map<std::string, Entry, std::less<>> modules_;
  std::map<std::string, bool, std::less<>> builtin_;
};

// "kernel/drivers/gpu/drm/ttm/ttm.ko.xz" -> "ttm"; - and _ are one letter in module names.
[[nodiscard]] std::string module_name(std::string_view path);

struct GuestModule {
  std::string name;
  std::string data;        // the uncompressed .ko
  std::string parameters;  // "a=1 b=2"
};

struct GuestModules {
  std::vector<GuestModule> early;    // to reach the root file system and the ports
  std::vector<GuestModule> late;     // DRM, TTM and ours
  std::vector<std::string> missing;  // of ours: not built
};

[[nodiscard]] Result<GuestModules> collect_guest_modules(const VmOptions& options);

}  // namespace kfdlab
