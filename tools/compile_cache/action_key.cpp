// SPDX-License-Identifier: MIT
#include "tools/compile_cache/action_key.h"

#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "tools/compile_cache/data.h"
#include "tools/compile_cache/real_library.h"

namespace kfdlab::compile_cache {
namespace {

constexpr auto kSuccess = AMD_COMGR_STATUS_SUCCESS;
// Changed whenever the meaning of an entry does.
constexpr std::string_view kFormat = "kfdlab compile cache 1";

void add_number(std::string* key, std::uint64_t value) {
  key->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void add_text(std::string* key, std::string_view text) {
  add_number(key, text.size());
  key->append(text);
}

// Size and time of change stand for the contents of a library, as they do for make.
void add_file(std::string* key, const char* path) {
  struct stat status {};
  const bool found = ::stat(path, &status) == 0;
  add_text(key, path);
  add_number(key, found ? static_cast<std::uint64_t>(status.st_size) : 0);
  add_number(key, found ? static_cast<std::uint64_t>(status.st_mtim.tv_sec) : 0);
  add_number(key, found ? static_cast<std::uint64_t>(status.st_mtim.tv_nsec) : 0);
}

int add_compiler(dl_phdr_info* library, std::size_t, void* key) {
  const std::string_view path = library->dlpi_name;
  for (const std::string_view part : {"LLVM", "clang", "lld", "comgr"}) {
    if (path.substr(path.rfind('/') + 1).find(part) != std::string_view::npos) {
      add_file(static_cast<std::string*>(key), library->dlpi_name);
      break;
    }
  }
  return 0;
}

// The compiler is the libraries that are loaded, and they stay the same for the life of the process.
const std::string& compiler() {
  static const std::string text = [] {
    std::string libraries;
    add_file(&libraries, kRealLibrary);
    ::dl_iterate_phdr(add_compiler, &libraries);
    return libraries;
  }();
  return text;
}

// A list; the one string that programs of old set is an error here.
bool add_options(std::string* key, amd_comgr_action_info_t info) {
  std::size_t count = 0;
  if (amd_comgr_action_info_get_option_list_count(info, &count) != kSuccess) {
    return false;
  }
  add_number(key, count);
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t size = 0;
    if (amd_comgr_action_info_get_option_list_item(info, i, &size, nullptr) != kSuccess) {
      return false;
    }
    std::string text(size, '\0');
    if (amd_comgr_action_info_get_option_list_item(info, i, &size, text.data()) != kSuccess) {
      return false;
    }
    // A file of options or one that is read first: its contents are not in the key.
    if (text.starts_with("@") || text.find("include") != std::string::npos) {
      return false;
    }
    add_text(key, text);
  }
  return true;
}

bool add_info(std::string* key, amd_comgr_action_info_t info) {
  bool logging = false;
  if (amd_comgr_action_info_get_logging(info, &logging) != kSuccess) {
    return false;
  }
  add_number(key, logging ? 1 : 0);
  // Not the working directory: only what names files depends on it.
  return add_options(key, info);
}

// Of source only OpenCL, which reads no file unless it says so; the wrapper headers of HIP are files.
bool depends_on_files(amd_comgr_language_t language, const std::vector<Data>& input) {
  return std::any_of(input.begin(), input.end(), [language](const Data& data) {
    const bool source = data.kind == AMD_COMGR_DATA_KIND_SOURCE || data.kind == AMD_COMGR_DATA_KIND_INCLUDE;
    const bool opencl = language == AMD_COMGR_LANGUAGE_OPENCL_1_2 || language == AMD_COMGR_LANGUAGE_OPENCL_2_0;
    return source && (!opencl || data.bytes.find("include") != std::string::npos);
  });
}

bool is_kept(amd_comgr_action_kind_t kind) {
  switch (kind) {
    case AMD_COMGR_ACTION_ADD_PRECOMPILED_HEADERS:
    case AMD_COMGR_ACTION_COMPILE_SOURCE_TO_BC:
    case AMD_COMGR_ACTION_COMPILE_SOURCE_WITH_DEVICE_LIBS_TO_BC:
    case AMD_COMGR_ACTION_ADD_DEVICE_LIBRARIES:
    case AMD_COMGR_ACTION_LINK_BC_TO_BC:
    case AMD_COMGR_ACTION_OPTIMIZE_BC_TO_BC:
    case AMD_COMGR_ACTION_CODEGEN_BC_TO_RELOCATABLE:
    case AMD_COMGR_ACTION_CODEGEN_BC_TO_ASSEMBLY:
    case AMD_COMGR_ACTION_LINK_RELOCATABLE_TO_RELOCATABLE:
    case AMD_COMGR_ACTION_LINK_RELOCATABLE_TO_EXECUTABLE:
      return true;
    default:
      return false;
  }
}

// They change what the library does and leave files behind.
bool is_debugged() {
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    if (std::strncmp(*variable, "AMD_COMGR_", 10) == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<std::string> action_key(amd_comgr_action_kind_t kind, amd_comgr_action_info_t info,
                                      const std::string& isa, amd_comgr_data_set_t input) {
  amd_comgr_language_t language = AMD_COMGR_LANGUAGE_NONE;
  const auto data = read_data(input, {});
  if (!is_kept(kind) || is_debugged() || !data || amd_comgr_action_info_get_language(info, &language) != kSuccess ||
      depends_on_files(language, *data)) {
    return std::nullopt;
  }
  std::string key(kFormat);
  add_text(&key, compiler());
  add_number(&key, kind);
  add_number(&key, language);
  add_text(&key, isa);
  if (!add_info(&key, info)) {
    return std::nullopt;
  }
  for (const Data& item : *data) {
    // What the step before had to say is no input of this one.
    if (item.kind == AMD_COMGR_DATA_KIND_LOG || item.kind == AMD_COMGR_DATA_KIND_DIAGNOSTIC) {
      continue;
    }
    add_number(&key, item.kind);
    add_text(&key, item.name);
    add_text(&key, item.bytes);
  }
  return key;
}

}  // namespace kfdlab::compile_cache
