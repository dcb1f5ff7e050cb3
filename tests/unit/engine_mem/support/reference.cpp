// SPDX-License-Identifier: MIT
#include "tests/unit/engine_mem/support/reference.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/check.h"

namespace kfdlab::engine {
namespace {

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}
bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) {
    return false;
  }
  text.remove_suffix(suffix.size());
  return true;
}

template <typename Float, typename Bits>
std::uint64_t float_atomic(const std::string& operation, std::uint64_t old, std::uint64_t data) {
  const auto a = std::bit_cast<Float>(static_cast<Bits>(old));
  const auto b = std::bit_cast<Float>(static_cast<Bits>(data));
  const Float result = operation == "add_f" ? a + b : operation == "min_f" ? (b < a ? b : a) : (b > a ? b : a);
  return std::bit_cast<Bits>(result);
}

float half_to_float(std::uint16_t half) { return static_cast<float>(std::bit_cast<_Float16>(half)); }
std::uint16_t add_half(std::uint16_t a, std::uint16_t b) {
  return std::bit_cast<std::uint16_t>(static_cast<_Float16>(half_to_float(a) + half_to_float(b)));
}

}  // namespace

MemoryShape shape_of(std::string_view name) {
  MemoryShape shape;
  if (take_prefix(name, "atomic_")) {
    shape.kind = MemoryShape::Kind::Atomic;
    if (take_suffix(name, "_f64")) {
      shape.bytes = 8;
      shape.operation = std::string(name) + "_f";
    } else if (take_suffix(name, "_f32")) {
      shape.operation = std::string(name) + "_f";
    } else {
      shape.bytes = take_suffix(name, "_x2") ? 8 : 4;
      shape.operation = name;
    }
    return shape;
  }
  shape.kind = take_prefix(name, "load_") ? MemoryShape::Kind::Load : MemoryShape::Kind::Store;
  KFDLAB_CHECK(shape.kind == MemoryShape::Kind::Load || take_prefix(name, "store_"));
  if (take_suffix(name, "_d16_hi")) {
    shape.half = MemoryShape::Half::High;
  } else if (take_suffix(name, "_d16")) {
    shape.half = MemoryShape::Half::Low;
  }
  shape.is_signed = name == "sbyte" || name == "sshort";
  shape.bytes = name.ends_with("byte")    ? 1
                : name.ends_with("short") ? 2
                : name == "dword"         ? 4
                                          : 4u * static_cast<unsigned>(name.back() - '0');
  return shape;
}

std::uint64_t reference_atomic(const std::string& operation, unsigned bytes, std::uint64_t old, std::uint64_t data,
                               std::uint64_t compare) {
  const std::uint64_t mask = bytes == 8 ? ~0ull : 0xffffffffull;
  const auto as_signed = [&](std::uint64_t value) {
    return bytes == 8 ? static_cast<std::int64_t>(value) : static_cast<std::int32_t>(value);
  };
  const auto result = [&]() -> std::uint64_t {
    if (operation == "swap") return data;
    if (operation == "cmpswap") return old == compare ? data : old;
    if (operation == "add") return old + data;
    if (operation == "sub") return old - data;
    if (operation == "rsub") return data - old;
    if (operation == "smin") return as_signed(old) < as_signed(data) ? old : data;
    if (operation == "smax") return as_signed(old) > as_signed(data) ? old : data;
    if (operation == "umin") return std::min(old, data);
    if (operation == "umax") return std::max(old, data);
    if (operation == "and") return old & data;
    if (operation == "or") return old | data;
    if (operation == "xor") return old ^ data;
    if (operation == "inc") return old >= data ? 0 : old + 1;
    if (operation == "dec") return old == 0 || old > data ? data : old - 1;
    if (operation == "mskor") return (old & ~data) | compare;
    if (operation == "wrap") return old >= data ? old - data : old + compare;
    if (operation == "pk_add_f16") {
      const auto low = add_half(static_cast<std::uint16_t>(old), static_cast<std::uint16_t>(data));
      const auto high = add_half(static_cast<std::uint16_t>(old >> 16), static_cast<std::uint16_t>(data >> 16));
      return low | std::uint64_t{high} << 16;
    }
    KFDLAB_CHECK(operation.ends_with("_f"));
    return bytes == 8 ? float_atomic<double, std::uint64_t>(operation, old, data)
                      : float_atomic<float, std::uint32_t>(operation, old, data);
  };
  return result() & mask;
}

void reference_load(const MemoryShape& shape, const std::uint8_t* bits, std::uint32_t* registers) {
  if (shape.bytes >= 4) {
    std::memcpy(registers, bits, shape.bytes);
    return;
  }
  std::uint32_t value = bits[0];
  if (shape.bytes == 2) {
    value |= static_cast<std::uint32_t>(bits[1]) << 8;
  }
  const unsigned width = 8 * shape.bytes;
  if (shape.is_signed && (value >> (width - 1)) != 0) {
    value |= ~0u << width;
  }
  switch (shape.half) {
    case MemoryShape::Half::None:
      registers[0] = value;
      break;
    case MemoryShape::Half::Low:
      registers[0] = (registers[0] & 0xffff0000u) | (value & 0xffffu);
      break;
    case MemoryShape::Half::High:
      registers[0] = (registers[0] & 0xffffu) | value << 16;
      break;
  }
}

void reference_store(const MemoryShape& shape, const std::uint32_t* registers, std::uint8_t* bits) {
  if (shape.bytes >= 4) {
    std::memcpy(bits, registers, shape.bytes);
    return;
  }
  const std::uint32_t value = shape.half == MemoryShape::Half::High ? registers[0] >> 16 : registers[0];
  bits[0] = static_cast<std::uint8_t>(value);
  if (shape.bytes == 2) {
    bits[1] = static_cast<std::uint8_t>(value >> 8);
  }
}

}  // namespace kfdlab::engine
