// SPDX-License-Identifier: MIT
// The cache of what is compiled in a process (tools/compile_cache): the same result as the real library's, from the
// second time on without compiling, whatever lies in the cache.
#include <amd_comgr.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <string>

#include "tests/support/needs.h"

namespace kfdlab {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPlace = "/run/kfdlab/compile-cache";

#define KFDLAB_CALL(function, ...) call<decltype(function)>(#function, __VA_ARGS__)

// libamd_comgr under one of its names.
class Compiler {
 public:
  explicit Compiler(const std::string& library) : library_(::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL)) {}
  [[nodiscard]] bool valid() const { return library_ != nullptr; }

  // Code object of an OpenCL source; empty: a step failed.
  [[nodiscard]] std::string compile(const std::string& source, const char* option) const {
    amd_comgr_data_set_t sets[5];
    for (auto& set : sets) {
      if (KFDLAB_CALL(amd_comgr_create_data_set, &set) != 0) {
        return "";
      }
    }
    amd_comgr_data_t data;
    amd_comgr_action_info_t info;
    int error = KFDLAB_CALL(amd_comgr_create_data, AMD_COMGR_DATA_KIND_SOURCE, &data);
    error |= KFDLAB_CALL(amd_comgr_set_data, data, source.size(), source.data());
    error |= KFDLAB_CALL(amd_comgr_set_data_name, data, "test.cl");
    error |= KFDLAB_CALL(amd_comgr_data_set_add, sets[0], data);
    error |= KFDLAB_CALL(amd_comgr_create_action_info, &info);
    error |= KFDLAB_CALL(amd_comgr_action_info_set_isa_name, info, "amdgcn-amd-amdhsa--gfx90a");
    error |= KFDLAB_CALL(amd_comgr_action_info_set_language, info, AMD_COMGR_LANGUAGE_OPENCL_2_0);
    error |= KFDLAB_CALL(amd_comgr_action_info_set_option_list, info, &option, 1u);
    constexpr amd_comgr_action_kind_t kSteps[] = {
        AMD_COMGR_ACTION_COMPILE_SOURCE_WITH_DEVICE_LIBS_TO_BC, AMD_COMGR_ACTION_LINK_BC_TO_BC,
        AMD_COMGR_ACTION_CODEGEN_BC_TO_RELOCATABLE, AMD_COMGR_ACTION_LINK_RELOCATABLE_TO_EXECUTABLE};
    for (std::size_t step = 0; step < 4 && error == 0; ++step) {
      error = KFDLAB_CALL(amd_comgr_do_action, kSteps[step], info, sets[step], sets[step + 1]);
    }
    amd_comgr_data_t result;
    std::size_t size = 0;
    if (error != 0 ||
        KFDLAB_CALL(amd_comgr_action_data_get_data, sets[4], AMD_COMGR_DATA_KIND_EXECUTABLE, std::size_t{0}, &result) !=
            0 ||
        KFDLAB_CALL(amd_comgr_get_data, result, &size, static_cast<char*>(nullptr)) != 0) {
      return "";
    }
    std::string bytes(size, '\0');
    return KFDLAB_CALL(amd_comgr_get_data, result, &size, bytes.data()) == 0 ? bytes : "";
  }

 private:
  // The declaration gives the type; the function is this library's, and none is linked to.
  template <typename Function, typename... Arguments>
  int call(const char* name, Arguments... arguments) const {
    auto* const function = reinterpret_cast<Function*>(::dlsym(library_, name));
    return function == nullptr ? -1 : static_cast<int>(function(arguments...));
  }

  void* library_;
};

std::set<std::string> entries() {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(fs::path(kPlace) / "entries")) {
    names.insert(entry.path().filename());
  }
  return names;
}

class HipCompileCache : public ::testing::Test {
 protected:
  void SetUp() override {
    KFDLAB_NEEDS(fs::exists(fs::path(kPlace) / "entries"), "kfdlab runs without its compile cache");
    ASSERT_TRUE(cached_.valid() && real_.valid()) << ::dlerror();
  }
  void TearDown() override {
    for (const std::string& name : made_) {
      fs::remove(fs::path(kPlace) / "entries" / name);
    }
  }

  // A source that no run before had.
  static std::string source() {
    std::random_device random;
    const std::uint64_t factor = std::uint64_t{random()} << 32 | random();
    return "__kernel void k(__global unsigned long* a) { a[__builtin_amdgcn_workitem_id_x()] *= " +
           std::to_string(factor) + "ul; }\n";
  }
  // Compiles with the cache and remembers what was kept.
  std::string compile(const std::string& text) {
    const auto before = entries();
    const std::string code = cached_.compile(text, "-O2");
    for (const std::string& name : entries()) {
      if (before.count(name) == 0) {
        made_.insert(name);
      }
    }
    return code;
  }

  const Compiler cached_{"libamd_comgr.so.2"};
  const Compiler real_{std::string(kPlace) + "/libamd_comgr.so.2"};
  std::set<std::string> made_;
};

TEST_F(HipCompileCache, TheSecondTimeGivesTheRealLibrarysResultWithoutCompiling) {
  const std::string text = source();
  const std::string expected = real_.compile(text, "-O2");
  ASSERT_FALSE(expected.empty());
  EXPECT_TRUE(made_.empty());
  EXPECT_EQ(compile(text), expected);
  EXPECT_EQ(made_.size(), 4u) << "one entry a step";
  const auto kept = entries();
  EXPECT_EQ(compile(text), expected);
  EXPECT_EQ(entries(), kept);
}

TEST_F(HipCompileCache, AnotherSourceOrOptionIsAnotherEntry) {
  const std::string text = source();
  ASSERT_FALSE(compile(text).empty());
  const std::size_t first = made_.size();
  const std::string slow = real_.compile(text, "-O0");
  EXPECT_FALSE(slow.empty());
  EXPECT_EQ(cached_.compile(text, "-O0"), slow);
  EXPECT_GT(entries().size(), first);
  const std::string other = source();
  EXPECT_EQ(compile(other), real_.compile(other, "-O2"));
}

TEST_F(HipCompileCache, ADamagedEntryIsCompiledAgain) {
  const std::string text = source();
  const std::string expected = compile(text);
  ASSERT_FALSE(expected.empty());
  for (const std::string& name : made_) {
    const fs::path path = fs::path(kPlace) / "entries" / name;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-1, std::ios::end);
    const int last = file.get();
    file.seekp(-1, std::ios::end);
    file.put(static_cast<char>(last ^ 1));
  }
  EXPECT_EQ(compile(text), expected);
}

TEST_F(HipCompileCache, ASourceThatMayReadFilesIsNotKept) {
  const fs::path header = fs::temp_directory_path() / ("compile-cache-" + std::to_string(::getpid()) + ".h");
  for (const char* factor : {"3", "5"}) {
    std::ofstream(header) << "#define FACTOR " << factor << "\n";
    const std::string text =
        "#include \"" + header.string() + "\"\n__kernel void k(__global int* a) { *a *= FACTOR; }\n";
    const std::string expected = real_.compile(text, "-O2");
    EXPECT_FALSE(expected.empty());
    EXPECT_EQ(compile(text), expected);
  }
  fs::remove(header);
}

}  // namespace
}  // namespace kfdlab
