// SPDX-License-Identifier: MIT
#include "tools/mutants/own_base.h"

#include <fmt/format.h>

#include <functional>
#include <system_error>
#include <thread>

#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/kernels/catalog.h"
#include "tools/kernels/make_process.h"
#include "tools/kernels/module_build.h"

namespace kfdlab::mutants {
namespace fs = std::filesystem;
namespace {

std::string jobs() { return fmt::format("-j{}", std::thread::hardware_concurrency()); }

// Runs a build to its end; an Error quotes it.
Status run_build(const std::string& what, const std::vector<std::string>& argv, const fs::path& log) {
  std::vector<std::string> nice = {"nice", "-n", "10"};
  nice.insert(nice.end(), argv.begin(), argv.end());
  const auto status = run_make(nice, log, [](std::string_view) {});
  KFDLAB_TRY(status);
  if (status.value() != 0) {
    const auto text = read_file(log);
    return Error{fmt::format("{} do not build: {}; the whole output is in {}", what,
                             text.ok() ? first_complaint(text.value()) : "", log.string())};
  }
  return ok_status();
}

class ModuleBase : public Base {
 public:
  ModuleBase(std::string kernel, ModuleTarget target, const fs::path& cache)
      : kernel_(std::move(kernel)), target_(std::move(target)), directory_(cache / "mutants/modules" / target_.key) {}

  Result<std::string> key() override {
    const auto sources = content_hash(source_directory(), parts());
    KFDLAB_TRY(sources);
    return target_.release + " " + sources.value();
  }

  Status prepare(LiveLine* live) override {
    std::error_code error;
    fs::create_directories(directory_, error);
    KFDLAB_TRY(mirror(source_directory(), parts(), tree()));
    live->update("building the modules without a mutant");
    return build("");
  }

  Status build(const std::string& file) override {
    static_cast<void>(file);
    return run_build("the modules",
                     {"make", "-C", (tree() / "kernel").string(), "KREL=" + target_.release,
                      "KDIR=" + target_.headers.string(), "OUT=" + output().string(), jobs()},
                     log_file());
  }

  [[nodiscard]] std::vector<std::string> validate_command() const override {
    return {sibling_program("kfdlab").string(), "validate", "--kernel", kernel_, "--modules", output().string()};
  }
  [[nodiscard]] fs::path source() const override { return source_directory(); }
  [[nodiscard]] fs::path tree() const override { return directory_ / "tree"; }
  [[nodiscard]] fs::path log_file() const override { return directory_ / "mutant.log"; }

 private:
  static std::vector<std::string> parts() { return {"kernel", "include", "tests/gup/kmod"}; }
  [[nodiscard]] fs::path output() const { return directory_ / "out"; }

  std::string kernel_;
  ModuleTarget target_;
  fs::path directory_;
};

class DeviceBase : public Base {
 public:
  DeviceBase(std::string kernel, const fs::path& cache)
      : kernel_(std::move(kernel)), directory_(cache / "mutants/device") {}

  Result<std::string> key() override {
    const auto sources = content_hash(source_directory(), {"device", "include", "common", "kernel"});
    KFDLAB_TRY(sources);
    return kernel_ + " device " + sources.value();
  }

  Status prepare(LiveLine* live) override {
    std::error_code error;
    fs::create_directories(programs(), error);
    KFDLAB_TRY(mirror(source_directory(), parts(), tree()));
    KFDLAB_TRY(link_programs());
    live->say("building the virtual GPU without a mutant; minutes, once");
    std::vector<std::string> configure = {"cmake",           "-S", tree().string(), "-B",
                                          output().string(), "-G", "Ninja",         "-DCMAKE_BUILD_TYPE=Release"};
    if (const auto ccache = run_helper({"ccache", "--version"}); ccache.ok() && ccache.value().status == 0) {
      configure.emplace_back("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache");
    }
    KFDLAB_TRY(run_build("the virtual GPU's build files", configure, log_file()));
    return build("");
  }

  Status build(const std::string& file) override {
    static_cast<void>(file);
    KFDLAB_TRY(run_build("the virtual GPU", {"cmake", "--build", output().string(), "--target", "kfdlab-gpu", jobs()},
                         log_file()));
    std::error_code error;
    const fs::path made = output() / "bin/kfdlab-gpu";
    const fs::path half = programs() / "kfdlab-gpu.new";
    fs::copy_file(made, half, fs::copy_options::overwrite_existing, error);
    if (!error) {
      fs::rename(half, programs() / "kfdlab-gpu", error);
    }
    return error ? Status(Error{fmt::format("cannot copy {}: {}", made.string(), error.message())}) : ok_status();
  }

  [[nodiscard]] std::vector<std::string> validate_command() const override {
    return {(programs() / "kfdlab").string(), "validate", "--kernel", kernel_};
  }
  [[nodiscard]] fs::path source() const override { return source_directory(); }
  [[nodiscard]] fs::path tree() const override { return directory_ / "tree"; }
  [[nodiscard]] fs::path log_file() const override { return directory_ / "mutant.log"; }

 private:
  static std::vector<std::string> parts() {
    return {"CMakeLists.txt", "cmake", "common", "device", "include", "kernel", "tests", "tools"};
  }
  [[nodiscard]] fs::path output() const { return directory_ / "out"; }
  [[nodiscard]] fs::path programs() const { return directory_ / "bin"; }

  // kfdlab takes the device program that lies beside it; a symbolic link would lead it home.
  Status link_programs() {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(sibling_program("kfdlab").parent_path(), error)) {
      const fs::path name = programs() / entry.path().filename();
      std::error_code ignored;
      if (entry.path().filename() == "kfdlab-gpu" || !entry.is_regular_file(ignored) ||
          fs::equivalent(entry.path(), name, ignored)) {
        continue;
      }
      fs::remove(name, ignored);
      fs::create_hard_link(entry.path(), name, error);
      if (error) {
        fs::copy_file(entry.path(), name, error);  // another file system
      }
      if (error) {
        return Error{fmt::format("cannot copy {}: {}", entry.path().string(), error.message())};
      }
    }
    return ok_status();
  }

  std::string kernel_;
  fs::path directory_;
};

}  // namespace

Result<std::unique_ptr<Base>> make_module_base(const std::string& kernel, const fs::path& cache) {
  auto target = prepare_module_target(kernel, {});
  KFDLAB_TRY(target);
  return std::unique_ptr<Base>(std::make_unique<ModuleBase>(kernel, target.take(), cache));
}

Result<std::unique_ptr<Base>> make_device_base(const std::string& kernel, const fs::path& cache) {
  return std::unique_ptr<Base>(std::make_unique<DeviceBase>(kernel, cache));
}

}  // namespace kfdlab::mutants
