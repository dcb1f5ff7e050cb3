// SPDX-License-Identifier: MIT
#include "tools/kernels/debug_build.h"

#include <fmt/format.h>

#include <system_error>

#include "tools/host/paths.h"
#include "tools/kernels/build_progress.h"
#include "tools/kernels/file_lock.h"
#include "tools/kernels/kernel_build.h"
#include "tools/kernels/package.h"
#include "tools/kernels/stamp.h"

namespace kfdlab {
namespace fs = std::filesystem;
namespace {

constexpr DebugKernel kKernels[] = {
    // 6.1 poisons the page structs of device memory that goes, and then, once any MADV_HWPOISON was tried (a refused
    // one
    // counts too), looks through them for bad pages, which is a VM_BUG (mm: clear_hwpoisoned_pages(), gone in 6.2).
    {"debug-6.1", "linux-source-6.1", 1550, "vm_debug=-"},
    {"debug-6.12", "linux-source-6.12", 1650, ""},
};
constexpr const char* kBuiltStamp = "kfdlab-built.stamp";

}  // namespace

std::span<const DebugKernel> debug_kernels() { return kKernels; }

const DebugKernel* find_debug_kernel(std::string_view name) {
  for (const DebugKernel& kernel : kKernels) {
    if (name == kernel.name) {
      return &kernel;
    }
  }
  return nullptr;
}

bool DebugTree::built() const {
  std::error_code ignored;
  return fs::exists(directory / kBuiltStamp, ignored);
}

Result<DebugTree> locate_debug_tree(const fs::path& cache, const DebugKernel& kernel, const fs::path& extra_config) {
  auto source = resolve_source(cache, kernel.package);
  KFDLAB_TRY(source);
  auto config = kernel_config_text({"guest.config", "suites.config", "checkers.config"}, extra_config);
  KFDLAB_TRY(config);
  const std::string key = compiler_version() + "\n" + config.value();
  fs::path directory =
      cache / "kernels" / cache_name(fmt::format("{}_{}_{:016x}", kernel.name, source.value().version, text_hash(key)));
  return DebugTree{source.take(), config.take(), std::move(directory)};
}

Status ensure_debug_tree(const fs::path& cache, const DebugKernel& kernel, const DebugTree& tree) {
  if (tree.built()) {
    return ok_status();
  }
  KFDLAB_TRY(check_kernel_packages());
  LiveLine live(kernel.name);
  auto source = ensure_source(cache, tree.source, &live);
  KFDLAB_TRY(source);
  std::error_code error;
  fs::create_directories(tree.directory, error);
  const auto lock = lock_patiently(tree.directory.string() + ".lock", &live);
  KFDLAB_TRY(lock);
  if (tree.built()) {  // another process just did it
    return ok_status();
  }
  const KernelBuild build{kernel.name,   tree.source.package + " " + tree.source.version,
                          source.take(), tree.directory,
                          tree.config,   kernel.objects};
  KFDLAB_TRY(configure_kernel(build));
  KFDLAB_TRY(compile_kernel(build, &live));
  return write_file_atomically(tree.directory / kBuiltStamp, tree.source.version + "\n");
}

}  // namespace kfdlab
