// SPDX-License-Identifier: MIT
#include "tools/compile_cache/data.h"

namespace kfdlab::compile_cache {
namespace {

constexpr auto kSuccess = AMD_COMGR_STATUS_SUCCESS;

// Kinds have gaps in their numbers; a number that is none has no objects.
constexpr amd_comgr_data_kind_t kKinds[] = {
    AMD_COMGR_DATA_KIND_SOURCE,      AMD_COMGR_DATA_KIND_INCLUDE,    AMD_COMGR_DATA_KIND_PRECOMPILED_HEADER,
    AMD_COMGR_DATA_KIND_DIAGNOSTIC,  AMD_COMGR_DATA_KIND_LOG,        AMD_COMGR_DATA_KIND_BC,
    AMD_COMGR_DATA_KIND_RELOCATABLE, AMD_COMGR_DATA_KIND_EXECUTABLE, AMD_COMGR_DATA_KIND_BYTES,
    AMD_COMGR_DATA_KIND_FATBIN};

bool read_bytes(amd_comgr_data_t object, Data* data) {
  std::size_t size = 0;
  if (amd_comgr_get_data(object, &size, nullptr) != kSuccess) {
    return false;
  }
  data->bytes.resize(size);
  if (amd_comgr_get_data(object, &size, data->bytes.data()) != kSuccess) {
    return false;
  }
  // The length of a name counts its terminating zero.
  if (amd_comgr_get_data_name(object, &size, nullptr) != kSuccess) {
    return false;
  }
  data->name.resize(size);
  if (amd_comgr_get_data_name(object, &size, data->name.data()) != kSuccess) {
    return false;
  }
  data->name.resize(data->name.find('\0') < size ? data->name.find('\0') : size);
  return true;
}

bool write_object(amd_comgr_data_set_t set, const Data& data, amd_comgr_data_t object) {
  return amd_comgr_set_data(object, data.bytes.size(), data.bytes.data()) == kSuccess &&
         amd_comgr_set_data_name(object, data.name.c_str()) == kSuccess &&
         amd_comgr_data_set_add(set, object) == kSuccess;
}

}  // namespace

std::optional<DataCounts> count_data(amd_comgr_data_set_t set) {
  DataCounts counts{};
  for (const auto kind : kKinds) {
    if (amd_comgr_action_data_count(set, kind, &counts[kind]) != kSuccess) {
      return std::nullopt;
    }
  }
  return counts;
}

std::optional<std::vector<Data>> read_data(amd_comgr_data_set_t set, const DataCounts& from) {
  const auto counts = count_data(set);
  if (!counts) {
    return std::nullopt;
  }
  std::vector<Data> all;
  for (const auto kind : kKinds) {
    for (std::size_t i = from[kind]; i < (*counts)[kind]; ++i) {
      amd_comgr_data_t object;
      if (amd_comgr_action_data_get_data(set, kind, i, &object) != kSuccess) {
        return std::nullopt;
      }
      Data data;
      data.kind = kind;
      const bool read = read_bytes(object, &data);
      amd_comgr_release_data(object);
      if (!read) {
        return std::nullopt;
      }
      all.push_back(std::move(data));
    }
  }
  return all;
}

bool add_data(amd_comgr_data_set_t set, const std::vector<Data>& all) {
  for (const Data& data : all) {
    amd_comgr_data_t object;
    if (amd_comgr_create_data(data.kind, &object) != kSuccess) {
      return false;
    }
    const bool added = write_object(set, data, object);
    amd_comgr_release_data(object);
    if (!added) {
      return false;
    }
  }
  return true;
}

}  // namespace kfdlab::compile_cache
