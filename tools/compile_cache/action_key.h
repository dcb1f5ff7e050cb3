// SPDX-License-Identifier: MIT
// What the result of an action depends on, as bytes: two actions with equal keys have equal results.
#pragma once

#include <amd_comgr.h>

#include <optional>
#include <string>

namespace kfdlab::compile_cache {

// nullopt: the result may depend on something else (files that a source includes, debugging variables of the
// environment) or the action is too cheap to keep.
// `isa` is what was set, since asking the library (2.4) for what was not set crashes it.
std::optional<std::string> action_key(amd_comgr_action_kind_t kind, amd_comgr_action_info_t info,
                                      const std::string& isa, amd_comgr_data_set_t input);

}  // namespace kfdlab::compile_cache
