// SPDX-License-Identifier: MIT
// The real libamd_comgr behind this one: loaded once, by path, when this library is.
#pragma once

#include <amd_comgr.h>

namespace kfdlab::compile_cache {

// Where the guest's agent has put the real library, and the directory of cached results (tools/guest/mounts.cpp).
inline constexpr const char* kRealLibrary = "/run/kfdlab/compile-cache/libamd_comgr.so.2";
inline constexpr const char* kEntries = "/run/kfdlab/compile-cache/entries";

// Functions of the real library that this one has more than a jump for; one that is absent answers an error.
struct RealLibrary {
  decltype(&amd_comgr_do_action) do_action;
  decltype(&amd_comgr_action_info_set_isa_name) set_isa_name;
  decltype(&amd_comgr_destroy_action_info) destroy_action_info;
};
const RealLibrary& real_library();

}  // namespace kfdlab::compile_cache
