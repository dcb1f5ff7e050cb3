// SPDX-License-Identifier: MIT
// Entries of the cache: one file each, named by a hash of the key. The file holds the whole key, so a collision of
// hashes is a miss and never a wrong result; it appears by rename, so a reader sees all of it or nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/compile_cache/data.h"

namespace kfdlab::compile_cache {

// nullopt: there is none, or it is damaged, or it is another key's.
std::optional<std::vector<Data>> load_entry(const std::string& key);
// Failure is silent: the next process compiles again.
void store_entry(const std::string& key, const std::vector<Data>& results);

}  // namespace kfdlab::compile_cache
