// SPDX-License-Identifier: MIT
// Data objects of the code object manager as plain values.
#pragma once

#include <amd_comgr.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace kfdlab::compile_cache {

struct Data {
  amd_comgr_data_kind_t kind = AMD_COMGR_DATA_KIND_UNDEF;
  std::string name;
  std::string bytes;
};

// How many objects of each kind a set has, so that what an action adds can be told from what was there.
using DataCounts = std::array<std::size_t, AMD_COMGR_DATA_KIND_LAST + 1>;

// nullopt: the set cannot be read.
std::optional<DataCounts> count_data(amd_comgr_data_set_t set);
// The objects of each kind from index `from` on.
std::optional<std::vector<Data>> read_data(amd_comgr_data_set_t set, const DataCounts& from);
// False: not all could be added; the set then has a part of them.
bool add_data(amd_comgr_data_set_t set, const std::vector<Data>& data);

}  // namespace kfdlab::compile_cache
