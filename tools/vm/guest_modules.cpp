// SPDX-License-Identifier: MIT
#include "tools/vm/guest_modules.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "tools/host/paths.h"
#include "tools/host/process.h"

namespace kfdlab {
namespace fs = std::filesystem;
namespace {

constexpr const char* kEarly[] = {"virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "virtio_blk"};

// Ours, in loading order, and where the build puts them.
struct OwnModule {
  const char* name;
  const char* path;
};
constexpr OwnModule kOwn[] = {
    {"kfdlab_ttm", "kernel/ttm/kfdlab_ttm.ko"},
    {"kfdlab_amdgpu", "kernel/amdkfd/kfdlab_amdgpu.ko"},
    {"kfdlab_gup", "tests/gup/kmod/kfdlab_gup.ko"},
};

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

// The module's bytes; a compressed one is unpacked once and kept beside the module tree.
Result<std::string> module_data(const fs::path& tree, const fs::path& path) {
  if (path.extension() == ".ko") {
    return read_file(path);
  }
  const fs::path plain = tree / "plain" / path.stem();
  if (auto data = read_file(plain); data.ok()) {
    return data;
  }
  const auto unpacked = run_helper({path.extension() == ".zst" ? "zstd" : "xz", "-dc", path.string()});
  KFDLAB_TRY(unpacked);
  if (unpacked.value().status != 0) {
    return Error{fmt::format("cannot unpack {}: {}", path.string(), unpacked.value().err)};
  }
  std::error_code ignored;
  fs::create_directories(plain.parent_path(), ignored);
  KFDLAB_TRY(write_file_atomically(plain, unpacked.value().out));
  return unpacked.value().out;
}

// The modules a .ko of ours names in its "depends" field.
Result<std::vector<std::string>> dependencies(const fs::path& module) {
  const auto info = run_helper({"modinfo", "-F", "depends", module.string()});
  KFDLAB_TRY(info);
  if (info.value().status != 0) {
    return Error{fmt::format("{} is not a kernel module: {}", module.string(), info.value().err)};
  }
  std::string text = info.value().out;
  std::replace(text.begin(), text.end(), ',', ' ');
  std::istringstream words(text);
  std::vector<std::string> names;
  for (std::string word; words >> word;) {
    names.push_back(word);
  }
  return names;
}

class Collector {
 public:
  Collector(const VmOptions& options, const ModuleIndex& index)
      : options_(options), index_(index), tree_(options.kernel.module_tree / "lib/modules" / options.kernel.release) {}

  // Adds a stock module and what it needs, leaving out what is there.
  Status add_stock(std::string_view name, std::vector<GuestModule>& target) {
    std::vector<std::string> order;
    if (!index_.resolve(name, order)) {
      return Error{fmt::format("kernel {} has no module {}", options_.kernel.release, name)};
    }
    for (const std::string& path : order) {
      if (std::find(seen_.begin(), seen_.end(), path) != seen_.end()) {
        continue;
      }
      seen_.push_back(path);
      auto data = module_data(options_.kernel.module_tree, tree_ / path);
      KFDLAB_TRY(data);
      target.push_back({module_name(path), data.take(), {}});
    }
    return ok_status();
  }

  Status add_own(const OwnModule& module, GuestModules& modules) {
    const fs::path path = options_.kernel.kfdlab_modules / module.path;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
      modules.missing.push_back(module.name);
      return ok_status();
    }
    const auto needs = dependencies(path);
    KFDLAB_TRY(needs);
    for (const std::string& need : needs.value()) {
      if (!need.starts_with("kfdlab_")) {
        KFDLAB_TRY(add_stock(need, modules.late));
      }
    }
    auto data = read_file(path);
    KFDLAB_TRY(data);
    const std::string_view name = module.name;
    modules.late.push_back({module.name, data.take(),
                            name == "kfdlab_amdgpu" ? join(options_.amdgpu_params)
                            : name == "kfdlab_gup"  ? join(options_.gup_params)
                                                    : std::string()});
    return ok_status();
  }

 private:
  const VmOptions& options_;
  const ModuleIndex& index_;
  fs::path tree_;
  std::vector<std::string> seen_;
};

}  // namespace

std::string module_name(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);  // npos + 1 == 0
  std::string name(path.substr(0, path.find(".ko")));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

ModuleIndex::ModuleIndex(std::string_view dep, std::string_view builtin) {
  std::istringstream dep_lines{std::string(dep)};
  for (std::string line; std::getline(dep_lines, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) {
      continue;
    }
    Entry entry{line.substr(0, colon), {}};
    std::istringstream needs(line.substr(colon + 1));
    for (std::string path; needs >> path;) {
      entry.needs.push_back(module_name(path));
    }
    // depmod lists the nearest need first; loading wants the farthest.
    std::reverse(entry.needs.begin(), entry.needs.end());
    modules_.emplace(module_name(entry.path), entry);
  }
  std::istringstream builtin_lines{std::string(builtin)};
  for (std::string line; std::getline(builtin_lines, line);) {
    builtin_[module_name(line)] = true;
  }
}

Result<ModuleIndex> ModuleIndex::load(const fs::path& directory) {
  const auto dep = read_file(directory / "modules.dep");
  KFDLAB_TRY(dep);
  const auto builtin = read_file(directory / "modules.builtin");
  KFDLAB_TRY(builtin);
  return ModuleIndex(dep.value(), builtin.value());
}

bool ModuleIndex::resolve(std::string_view module, std::vector<std::string>& order) const {
  const auto found = modules_.find(module);
  if (found == modules_.end()) {
    return builtin_.find(module) != builtin_.end();
  }
  const auto add = [&order](const std::string& path) {
    if (std::find(order.begin(), order.end(), path) == order.end()) {
      order.push_back(path);
    }
  };
  for (const std::string& need : found->second.needs) {
    add(modules_.at(need).path);
  }
  add(found->second.path);
  return true;
}

Result<GuestModules> collect_guest_modules(const VmOptions& options) {
  const auto index = ModuleIndex::load(options.kernel.module_tree / "lib/modules" / options.kernel.release);
  KFDLAB_TRY(index);
  Collector collector(options, index.value());
  GuestModules modules;
  for (const char* name : kEarly) {
    KFDLAB_TRY(collector.add_stock(name, modules.early));
  }
  if (options.load_modules) {
    KFDLAB_TRY(collector.add_stock("drm", modules.late));
    KFDLAB_TRY(collector.add_stock("ttm", modules.late));
    for (const OwnModule& module : kOwn) {
      KFDLAB_TRY(collector.add_own(module, modules));
    }
  }
  return modules;
}

}  // namespace kfdlab
