// SPDX-License-Identifier: MIT
#include "tools/mutants/kernel_base.h"

#include <fmt/format.h>

#include <system_error>

#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/kernels/kernel_build.h"
#include "tools/kernels/kernel_tree.h"
#include "tools/kernels/module_build.h"
#include "tools/kernels/package.h"
#include "tools/kernels/source_package.h"
#include "tools/kernels/stamp.h"

namespace kfdlab::mutants {
namespace fs = std::filesystem;
namespace {

struct Row {
  const char* kernel;
  const char* package;
  unsigned objects;
};
constexpr Row kRows[] = {{"6.1", "linux-source-6.1", 1300}, {"6.12", "linux-source-6.12", 1400}};

constexpr const char* kBuiltStamp = "kfdlab-built.stamp";

class KernelBase : public Base {
 public:
  KernelBase(const Row& row, SourcePackage package, std::string config, fs::path cache)
      : row_(row), package_(std::move(package)), cache_(std::move(cache)) {
    const std::string name =
        fmt::format("{}_{}_{:016x}", row.kernel, package_.version, text_hash(compiler_version() + "\n" + config));
    directory_ = cache_ / "mutants" / cache_name(name);
    build_ = {"the " + std::string(row.kernel) + " kernel of the mutants",
              package_.package + " " + package_.version,
              directory_ / "source",
              directory_ / "build",
              std::move(config),
              row.objects};
  }

  Result<std::string> key() override {
    const auto modules = content_hash(source_directory(), {"kernel", "include", "tests/gup/kmod"});
    KFDLAB_TRY(modules);
    return directory_.filename().string() + " " + modules.value();
  }

  Status prepare(LiveLine* live) override {
    std::error_code error;
    fs::create_directories(build_.directory, error);
    auto source = ensure_source(cache_, package_, live);
    KFDLAB_TRY(source);
    source_ = source.take();
    KFDLAB_TRY(copy_source());
    KFDLAB_TRY(take_back());
    if (!fs::exists(build_.directory / kBuiltStamp, error)) {
      KFDLAB_TRY(check_kernel_packages());
      KFDLAB_TRY(configure_kernel(build_));
      KFDLAB_TRY(compile_kernel(build_, live));
      KFDLAB_TRY(write_file_atomically(build_.directory / kBuiltStamp, package_.version + "\n"));
    } else {
      KFDLAB_TRY(remake_kernel(build_, {"bzImage", "modules"}, log_file()));
    }
    const auto kernel = find_kernel(build_.directory);
    KFDLAB_TRY(kernel);
    const auto modules = build_modules(cache_, built_target(kernel.value()));
    KFDLAB_TRY(modules);
    modules_ = modules.value().directory;
    return ok_status();
  }

  Status build(const std::string& file) override {
    // A driver is a module; the rest is in the image.
    std::vector<std::string> targets = {"bzImage"};
    if (file.starts_with("drivers/")) {
      targets.emplace_back("modules");
    }
    return remake_kernel(build_, targets, log_file());
  }

  [[nodiscard]] std::vector<std::string> validate_command() const override {
    return {sibling_program("kfdlab").string(), "validate",  "--kernel",
            build_.directory.string(),          "--modules", modules_.string()};
  }
  [[nodiscard]] fs::path source() const override { return source_; }
  [[nodiscard]] fs::path tree() const override { return build_.source; }
  [[nodiscard]] fs::path log_file() const override { return directory_ / "mutant.log"; }

 private:
  // Links, not copies: an edit replaces a file and leaves the one that the cache's sources share alone.
  Status copy_source() {
    std::error_code error;
    if (fs::exists(build_.source / "Makefile", error)) {
      return ok_status();
    }
    const fs::path half = directory_ / "source.new";
    fs::remove_all(half, error);
    const auto copied = run_helper({"cp", "-al", source_.string(), half.string()});
    KFDLAB_TRY(copied);
    if (copied.value().status != 0) {
      return Error{fmt::format("cannot copy {}: {}", source_.string(), copied.value().err)};
    }
    fs::rename(half, build_.source, error);
    return error ? Status(Error{fmt::format("cannot rename {}: {}", half.string(), error.message())}) : ok_status();
  }

  // What an interrupted run left edited is no longer the file of the shared sources, and differs from it.
  Status take_back() {
    for (const char* part : {"mm", "fs/proc", "drivers/gpu/drm/ttm", "include/linux", "kernel"}) {
      std::error_code error;
      for (fs::directory_iterator it(build_.source / part, error), end; !error && it != end; it.increment(error)) {
        const fs::path file = fs::path(part) / it->path().filename();
        std::error_code ignored;
        if (!it->is_regular_file(ignored) || fs::equivalent(it->path(), source_ / file, ignored)) {
          continue;
        }
        const auto is = read_file(it->path());
        const auto should_be = read_file(source_ / file);
        KFDLAB_TRY(should_be);
        if (!is.ok() || is.value() != should_be.value()) {
          KFDLAB_TRY(write_file_atomically(it->path(), should_be.value()));
        }
      }
    }
    return ok_status();
  }

  const Row& row_;
  SourcePackage package_;
  fs::path cache_;
  fs::path directory_;
  KernelBuild build_;
  fs::path source_;
  fs::path modules_;
};

}  // namespace

Result<std::unique_ptr<Base>> make_kernel_base(const std::string& kernel, const fs::path& cache) {
  for (const Row& row : kRows) {
    if (kernel == row.kernel) {
      auto package = resolve_source(cache, row.package);
      KFDLAB_TRY(package);
      auto config = kernel_config_text({"guest.config", "suites.config", "mutants.config"}, {});
      KFDLAB_TRY(config);
      return std::unique_ptr<Base>(std::make_unique<KernelBase>(row, package.take(), config.take(), cache));
    }
  }
  return Error{"there are no sources to make mutants of the kernel " + kernel + " from; there are 6.1 and 6.12"};
}

}  // namespace kfdlab::mutants
