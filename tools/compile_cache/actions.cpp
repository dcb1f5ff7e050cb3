// SPDX-License-Identifier: MIT
// The functions of libamd_comgr that are more than a jump here: amd_comgr_do_action(), which looks into the cache
// first, and what tells it the ISA of an action.
#include <mutex>
#include <unordered_map>

#include "tools/compile_cache/action_key.h"
#include "tools/compile_cache/data.h"
#include "tools/compile_cache/entry.h"
#include "tools/compile_cache/real_library.h"

namespace kfdlab::compile_cache {
namespace {

// By handle of the action info.
class IsaNames {
 public:
  void set(amd_comgr_action_info_t info, const char* name) {
    const std::lock_guard lock(mutex_);
    names_[info.handle] = name != nullptr ? name : "";
  }
  void forget(amd_comgr_action_info_t info) {
    const std::lock_guard lock(mutex_);
    names_.erase(info.handle);
  }
  [[nodiscard]] std::string of(amd_comgr_action_info_t info) {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(info.handle);
    return found != names_.end() ? found->second : "";
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::string> names_;
};

// Never destroyed: other libraries call to the last.
IsaNames& isa_names() {
  static IsaNames* const names = new IsaNames;
  return *names;
}

// The library takes no empty object from outside: an empty log is given as an empty line, anything else is not kept.
bool can_be_given_again(std::vector<Data>* results) {
  for (Data& data : *results) {
    if (data.bytes.empty() && data.kind != AMD_COMGR_DATA_KIND_LOG) {
      return false;
    }
    data.bytes = data.bytes.empty() ? "\n" : data.bytes;
  }
  return true;
}

amd_comgr_status_t act(amd_comgr_action_kind_t kind, amd_comgr_action_info_t info, amd_comgr_data_set_t input,
                       amd_comgr_data_set_t result) {
  const auto key = action_key(kind, info, isa_names().of(info), input);
  const auto before = key ? count_data(result) : std::nullopt;
  if (!key || !before) {
    return real_library().do_action(kind, info, input, result);
  }
  if (const auto known = load_entry(*key)) {
    return add_data(result, *known) ? AMD_COMGR_STATUS_SUCCESS : AMD_COMGR_STATUS_ERROR_OUT_OF_RESOURCES;
  }
  const amd_comgr_status_t status = real_library().do_action(kind, info, input, result);
  auto made = status == AMD_COMGR_STATUS_SUCCESS ? read_data(result, *before) : std::nullopt;
  if (made && can_be_given_again(&*made)) {
    store_entry(*key, *made);
  }
  return status;
}

}  // namespace
}  // namespace kfdlab::compile_cache

// The names of the real functions are declared without visibility, so each has another name here and the real one as
// its versioned alias.
extern "C" {

__attribute__((visibility("default"))) amd_comgr_status_t kfdlab_do_action(amd_comgr_action_kind_t kind,
                                                                           amd_comgr_action_info_t info,
                                                                           amd_comgr_data_set_t input,
                                                                           amd_comgr_data_set_t result) {
  return kfdlab::compile_cache::act(kind, info, input, result);
}

__attribute__((visibility("default"))) amd_comgr_status_t kfdlab_set_isa_name(amd_comgr_action_info_t info,
                                                                              const char* name) {
  const amd_comgr_status_t status = kfdlab::compile_cache::real_library().set_isa_name(info, name);
  if (status == AMD_COMGR_STATUS_SUCCESS) {
    kfdlab::compile_cache::isa_names().set(info, name);
  }
  return status;
}

__attribute__((visibility("default"))) amd_comgr_status_t kfdlab_destroy_action_info(amd_comgr_action_info_t info) {
  kfdlab::compile_cache::isa_names().forget(info);
  return kfdlab::compile_cache::real_library().destroy_action_info(info);
}

}  // extern "C"

asm(".symver kfdlab_do_action, amd_comgr_do_action@@@amd_comgr_1.8");
asm(".symver kfdlab_set_isa_name, amd_comgr_action_info_set_isa_name@@@amd_comgr_2.0");
asm(".symver kfdlab_destroy_action_info, amd_comgr_destroy_action_info@@@amd_comgr_1.8");
