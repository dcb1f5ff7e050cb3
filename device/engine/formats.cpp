// SPDX-License-Identifier: MIT
#include "device/engine/formats.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kfdlab::engine {
namespace {

constexpr unsigned kFormats = 16;
constexpr BufferFormat kTable[kFormats] = {
    {},
    {{8}, 1},
    {{16}, 2},
    {{8, 8}, 2},
    {{32}, 4},
    {{16, 16}, 4},
    {{11, 11, 10}, 4},
    {{10, 11, 11}, 4},
    {{2, 10, 10, 10}, 4},
    {{10, 10, 10, 2}, 4},
    {{8, 8, 8, 8}, 4},
    {{32, 32}, 8},
    {{16, 16, 16, 16}, 8},
    {{32, 32, 32}, 12},
    {{32, 32, 32, 32}, 16},
    {},
};

constexpr int kHalfBias = 15;
constexpr unsigned kHalfExponentBits = 5;
constexpr unsigned kHalfMantissaBits = 10;

std::uint32_t field_mask(unsigned bits) { return bits == 32 ? ~0u : (1u << bits) - 1; }
std::int32_t sign_extend(std::uint32_t v, unsigned bits) {
  return static_cast<std::int32_t>(v << (32 - bits)) >> (32 - bits);
}

// A float of 5 exponent bits and `mantissa_bits`, without its sign, which only halves have.
float small_float(std::uint32_t v, unsigned mantissa_bits) {
  const std::uint32_t mantissa = v & field_mask(mantissa_bits);
  const std::uint32_t exponent = v >> mantissa_bits & field_mask(kHalfExponentBits);
  if (exponent == field_mask(kHalfExponentBits)) {
    return mantissa != 0 ? std::nanf("") : INFINITY;
  }
  const int scale = static_cast<int>(exponent == 0 ? 1 : exponent) - kHalfBias - static_cast<int>(mantissa_bits);
  const std::uint32_t hidden = exponent == 0 ? 0 : 1u << mantissa_bits;
  return std::ldexp(static_cast<float>(mantissa | hidden), scale);
}
// The other way, to nearest even; |v| is taken.
std::uint32_t small_bits(float v, unsigned mantissa_bits) {
  const float magnitude = std::fabs(v);
  const std::uint32_t infinity = field_mask(kHalfExponentBits) << mantissa_bits;
  if (std::isnan(v)) {
    return infinity | 1u << (mantissa_bits - 1);
  }
  if (magnitude == 0.0f || std::isinf(v)) {
    return magnitude == 0.0f ? 0 : infinity;
  }
  const int exponent = std::max(std::ilogb(magnitude), 1 - kHalfBias);
  const auto steps =
      static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, static_cast<int>(mantissa_bits) - exponent)));
  // A normal number's steps contain the hidden bit, and a carry out of the mantissa is the next exponent.
  const std::uint32_t bits = (static_cast<std::uint32_t>(exponent + kHalfBias - 1) << mantissa_bits) + steps;
  return std::min(bits, infinity);
}

std::uint32_t unpack_float(std::uint32_t raw, unsigned bits) {
  if (bits == 32) {
    return raw;
  }
  if (bits == 16) {
    return single_of_half(raw);
  }
  return bits == 10 || bits == 11 ? std::bit_cast<std::uint32_t>(small_float(raw, bits - kHalfExponentBits)) : 0;
}

std::uint32_t unpack_one(NumberFormat number, std::uint32_t raw, unsigned bits) {
  const auto u = static_cast<float>(raw);
  const std::int32_t s = sign_extend(raw, bits);
  const double top = static_cast<double>(field_mask(bits));
  float value = 0;
  switch (number) {
    case NumberFormat::Unorm:
      value = static_cast<float>(raw / top);
      break;
    case NumberFormat::Snorm:
      value = static_cast<float>(std::max(s / static_cast<double>(field_mask(bits) >> 1), -1.0));
      break;
    case NumberFormat::SnormOgl:
      value = static_cast<float>((2.0 * s + 1.0) / top);
      break;
    case NumberFormat::Uscaled:
      value = u;
      break;
    case NumberFormat::Sscaled:
      value = static_cast<float>(s);
      break;
    case NumberFormat::Uint:
      return raw;
    case NumberFormat::Sint:
      return static_cast<std::uint32_t>(s);
    case NumberFormat::Float:
      return unpack_float(raw, bits);
  }
  return std::bit_cast<std::uint32_t>(value);
}

// `low` to `high`, to nearest even; NaN is 0.
std::uint32_t rounded(double value, double low, double high) {
  return std::isnan(value)
             ? 0
             : static_cast<std::uint32_t>(static_cast<std::int64_t>(std::nearbyint(std::clamp(value, low, high))));
}

std::uint32_t pack_one(NumberFormat number, std::uint32_t component, unsigned bits) {
  const double value = std::bit_cast<float>(component);
  const double top = static_cast<double>(field_mask(bits));
  const double positive = static_cast<double>(field_mask(bits) >> 1);
  switch (number) {
    case NumberFormat::Unorm:
      return rounded(value * top, 0.0, top);
    case NumberFormat::Snorm:
      return rounded(value * positive, -positive, positive);
    case NumberFormat::SnormOgl:
      return rounded((value * top - 1.0) / 2.0, -positive - 1.0, positive);
    case NumberFormat::Uscaled:
      return rounded(std::trunc(value), 0.0, top);
    case NumberFormat::Sscaled:
      return rounded(std::trunc(value), -positive - 1.0, positive);
    case NumberFormat::Uint:
      return std::min(component, field_mask(bits));
    case NumberFormat::Sint: {
      const auto limit = static_cast<std::int32_t>(field_mask(bits) >> 1);
      return static_cast<std::uint32_t>(std::clamp(static_cast<std::int32_t>(component), -limit - 1, limit));
    }
    case NumberFormat::Float:
      break;
  }
  if (bits == 32) {
    return component;
  }
  if (bits == 16) {
    return half_of(component);
  }
  // These have no sign: what is negative becomes 0.
  const bool negative = (component >> 31) != 0 && !std::isnan(value);
  return bits < 10 || negative ? 0 : small_bits(static_cast<float>(value), bits - kHalfExponentBits);
}

}  // namespace

BufferFormat buffer_format(unsigned data_format) { return kTable[data_format % kFormats]; }

BufferFormat image_format(unsigned data_format) {
  constexpr BufferFormat kMore[] = {{{5, 6, 5}, 2},    {{5, 5, 5, 1}, 2}, {{1, 5, 5, 5}, 2},
                                    {{4, 4, 4, 4}, 2}, {{24, 8}, 4},      {{8, 24}, 4}};
  if (data_format < kFormats) return kTable[data_format];
  return data_format - kFormats < std::size(kMore) ? kMore[data_format - kFormats] : BufferFormat{};
}

std::uint32_t half_of(std::uint32_t single) {
  return (single >> 16 & 0x8000u) | small_bits(std::bit_cast<float>(single), kHalfMantissaBits);
}
std::uint32_t single_of_half(std::uint32_t half) {
  return (half & 0x8000u) << 16 | std::bit_cast<std::uint32_t>(small_float(half & 0x7fffu, kHalfMantissaBits));
}

FormatWords unpack_components(const BufferFormat& format, NumberFormat number, const FormatWords& words) {
  FormatWords components{0, 0, 0, is_integer(number) ? 1u : 0x3f800000u};
  unsigned at = 0;
  for (unsigned i = 0; i < 4 && format.bits[i] != 0; ++i) {
    const std::uint32_t raw = words[at / 32] >> (at % 32) & field_mask(format.bits[i]);
    components[i] = unpack_one(number, raw, format.bits[i]);
    at += format.bits[i];
  }
  return components;
}

FormatWords pack_components(const BufferFormat& format, NumberFormat number, const FormatWords& components) {
  FormatWords words{};
  unsigned at = 0;
  for (unsigned i = 0; i < 4 && format.bits[i] != 0; ++i) {
    const std::uint32_t raw = pack_one(number, components[i], format.bits[i]) & field_mask(format.bits[i]);
    words[at / 32] |= raw << (at % 32);
    at += format.bits[i];
  }
  return words;
}

}  // namespace kfdlab::engine
