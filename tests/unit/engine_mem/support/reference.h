// SPDX-License-Identifier: MIT
// What a vector memory instruction does, one lane and one byte after the other, read off its mnemonic. The oracle of
// the tests: it shares nothing with the handlers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kfdlab::engine {

struct MemoryShape {
  enum class Kind { Load, Store, Atomic } kind = Kind::Load;
  unsigned bytes = 4;
  bool is_signed = false;
  enum class Half { None, Low, High } half = Half::None;
  std::string operation;  // of an atomic: "add", "umin", "cmpswap", "add_f" ...

  [[nodiscard]] unsigned dwords() const { return bytes < 4 ? 1 : bytes / 4; }
  [[nodiscard]] bool has_compare() const { return operation == "cmpswap"; }
};

// `name` behind its prefix: "load_ubyte_d16_hi", "store_dwordx2", "atomic_umax_x2".
[[nodiscard]] MemoryShape shape_of(std::string_view name);

// New value of memory. `bytes` is 4 or 8; data and compare are zero-extended.
[[nodiscard]] std::uint64_t reference_atomic(const std::string& operation, unsigned bytes, std::uint64_t old,
                                             std::uint64_t data, std::uint64_t compare);

// One lane's register dwords after loading `bits` (up to 16 bytes).
void reference_load(const MemoryShape& shape, const std::uint8_t* bits, std::uint32_t* registers);
// The bytes a lane stores.
void reference_store(const MemoryShape& shape, const std::uint32_t* registers, std::uint8_t* bits);

}  // namespace kfdlab::engine
