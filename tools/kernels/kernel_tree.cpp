// SPDX-License-Identifier: MIT
#include "tools/kernels/kernel_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <system_error>

#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/kernels/kernel_image.h"
#include "tools/kernels/stamp.h"

namespace kfdlab {
namespace fs = std::filesystem;
namespace {

constexpr const char* kImagePath = "arch/x86/boot/bzImage";
constexpr const char* kReleasePath = "include/config/kernel.release";
constexpr const char* kListed[] = {"modules.builtin", "modules.builtin.modinfo"};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string first_word(const fs::path& file) {
  std::string word;
  if (const auto text = read_file(file); text.ok()) {
    std::istringstream(text.value()) >> word;
  }
  return word;
}

KernelConfig read_config(const fs::path& headers) {
  const auto text = read_file(headers / ".config");
  return text.ok() ? parse_kernel_config(text.value()) : KernelConfig{};
}

Result<std::string> release_of(const fs::path& image) {
  const auto bytes = read_file(image);
  KFDLAB_TRY(bytes);
  if (auto release = image_release(bytes.value())) {
    return *release;
  }
  return Error{fmt::format("{} is not a bzImage", image.string())};
}

Result<BuiltKernel> find_in_tree(const fs::path& tree) {
  const bool configured = is_there(tree / ".config");
  if (!configured && !is_there(tree / "Kconfig")) {
    return Error{fmt::format("{} is not a kernel tree: it has no .config", tree.string())};
  }
  if (!configured) {
    return Error{fmt::format("the kernel in {} is not configured; run make menuconfig there, then make bzImage modules",
                             tree.string())};
  }
  for (const char* made : {kImagePath, "Module.symvers", "modules.order", kReleasePath}) {
    if (!is_there(tree / made)) {
      return Error{
          fmt::format("the kernel in {} is not built (no {}); run there: make bzImage modules", tree.string(), made)};
    }
  }
  BuiltKernel kernel{first_word(tree / kReleasePath), tree / kImagePath, tree, {}, read_config(tree)};
  const auto release = release_of(kernel.image);
  KFDLAB_TRY(release);
  if (release.value() != kernel.release) {
    return Error{fmt::format("the image in {} is of {}, its modules are of {}; run there: make bzImage modules",
                             tree.string(), release.value(), kernel.release)};
  }
  return kernel;
}

Result<BuiltKernel> find_by_image(const fs::path& image) {
  const auto release = release_of(image);
  KFDLAB_TRY(release);
  if (image.string().ends_with(kImagePath)) {
    const fs::path tree = image.parent_path().parent_path().parent_path().parent_path();
    if (is_there(tree / "Module.symvers")) {
      return find_in_tree(tree);
    }
  }
  const fs::path below = fs::path("lib/modules") / release.value();
  BuiltKernel kernel{release.value(), image, {}, {}, {}};
  for (const fs::path& root : {image.parent_path(), image.parent_path().parent_path(), fs::path("/")}) {
    if (kernel.modules.empty() && is_there(root / below / "modules.dep")) {
      kernel.modules = root / below;
    }
    for (const fs::path& headers : {root / below / "build", root / "usr/src" / ("linux-headers-" + release.value())}) {
      if (kernel.headers.empty() && is_there(headers / "Module.symvers")) {
        kernel.headers = headers;
      }
    }
  }
  if (kernel.headers.empty()) {
    return Error{
        fmt::format("there is no build tree and there are no headers of {} to build modules for {}; name the "
                    "build tree instead, or install its headers as /lib/modules/{}/build",
                    release.value(), image.string(), release.value())};
  }
  if (kernel.modules.empty()) {
    return Error{
        fmt::format("the modules of {} are neither beside {} nor in /lib/modules; run depmod, or name the "
                    "build tree instead",
                    release.value(), image.string())};
  }
  kernel.config = read_config(kernel.headers);
  return kernel;
}

Status link(const fs::path& target, const fs::path& name) {
  std::error_code error;
  fs::create_directories(name.parent_path(), error);
  fs::create_symlink(target, name, error);
  return error ? Status(Error{fmt::format("cannot link {}: {}", name.string(), error.message())}) : ok_status();
}

// The modules of a build tree, under the names `make modules_install` would give them.
Status link_modules(const BuiltKernel& kernel, const fs::path& root) {
  const fs::path directory = root / "lib/modules" / kernel.release;
  std::error_code error;
  fs::create_directories(directory, error);
  const auto order = read_file(kernel.headers / "modules.order");
  KFDLAB_TRY(order);
  std::istringstream lines(order.value());
  std::string installed_order;
  for (std::string line; lines >> line;) {
    const std::string installed = installed_module_path(line);
    constexpr std::string_view kKernel = "kernel/";
    KFDLAB_TRY(link(kernel.headers / installed.substr(kKernel.size()), directory / installed));
    installed_order += installed + "\n";
  }
  KFDLAB_TRY(write_file_atomically(directory / "modules.order", installed_order));
  for (const char* name : kListed) {
    const auto text = read_file(kernel.headers / name);
    KFDLAB_TRY(write_file_atomically(directory / name, text.ok() ? text.value() : ""));
  }
  const auto depmod = run_helper({"depmod", "-b", root.string(), kernel.release});
  KFDLAB_TRY(depmod);
  if (depmod.value().status != 0) {
    return Error{fmt::format("depmod failed on {}: {}", root.string(), depmod.value().err)};
  }
  return ok_status();
}

std::string view_stamp(const BuiltKernel& kernel) {
  return file_stamp(kernel.image) + "\n" + file_stamp(kernel.headers / "modules.order") + "\n" +
         file_stamp(kernel.headers / "Module.symvers") + "\n" + kernel.modules.string() + "\n";
}

bool is_current(const fs::path& view, const std::string& stamp) {
  const auto text = read_file(view / "made.stamp");
  return text.ok() && text.value() == stamp;
}

}  // namespace

Result<BuiltKernel> find_kernel(const fs::path& path) {
  std::error_code error;
  const fs::path whole = fs::canonical(path, error);
  if (error) {
    return Error{fmt::format("there is no kernel at {}: {}", path.string(), error.message())};
  }
  return fs::is_directory(whole, error) ? find_in_tree(whole) : find_by_image(whole);
}

bool is_instrumented(const KernelConfig& config) {
  return config_enabled(config, "CONFIG_KASAN") || config_enabled(config, "CONFIG_PROVE_LOCKING") ||
         config_enabled(config, "CONFIG_DEBUG_KMEMLEAK");
}

std::string installed_module_path(std::string_view order_line) {
  std::string path(order_line);
  if (path.ends_with(".o")) {
    path.replace(path.size() - 1, 1, "ko");
  }
  return "kernel/" + path;
}

ModuleTarget built_target(const BuiltKernel& kernel) {
  const std::uint64_t where = text_hash(kernel.headers.string() + "\n" + kernel.image.string());
  return {fmt::format("{}-{:016x}", kernel.release, where), kernel.release, kernel.headers};
}

Result<fs::path> module_view(const fs::path& cache, const BuiltKernel& kernel) {
  const fs::path view = cache / "views" / built_target(kernel).key;
  const std::string stamp = view_stamp(kernel);
  if (is_current(view, stamp)) {
    return view;
  }
  std::error_code error;
  fs::create_directories(view.parent_path(), error);
  const auto lock = lock_file(view.string() + ".lock");
  KFDLAB_TRY(lock);
  if (is_current(view, stamp)) {
    return view;
  }
  auto scratch = TemporaryDirectory::create(view.parent_path());
  KFDLAB_TRY(scratch);
  const fs::path made = scratch.value().path() / "view";
  if (kernel.modules.empty()) {
    KFDLAB_TRY(link_modules(kernel, made));
  } else {
    KFDLAB_TRY(link(kernel.modules, made / "lib/modules" / kernel.release));
  }
  KFDLAB_TRY(write_file_atomically(made / "made.stamp", stamp));
  fs::remove_all(view, error);
  fs::rename(made, view, error);
  if (error) {
    return Error{fmt::format("cannot put {} into the cache: {}", view.string(), error.message())};
  }
  return view;
}

}  // namespace kfdlab
