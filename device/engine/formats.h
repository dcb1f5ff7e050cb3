// SPDX-License-Identifier: MIT
// Formats of typed buffers: how 1 to 16 bytes of memory are up to four components, and what a component is as a number.
// Scalar code, one lane at a time. Facts: CDNA 2 ISA chapter 9.1 (data and number formats; components lie from the
// lowest bit on, names of formats say them from the highest); IEEE 754 for halves.
#pragma once

#include <array>
#include <cstdint>

namespace kfdlab::engine {

enum class NumberFormat : std::uint8_t { Unorm, Snorm, Uscaled, Sscaled, Uint, Sint, SnormOgl, Float };

struct BufferFormat {
  std::uint8_t bits[4] = {};  // of each component; 0: it does not exist
  std::uint8_t bytes = 0;     // of an element; 0: no such format
  [[nodiscard]] unsigned components() const {
    return (bits[0] != 0) + (bits[1] != 0) + (bits[2] != 0) + (bits[3] != 0);
  }
};

// DATA_FORMAT of a descriptor or of MTBUF.
[[nodiscard]] BufferFormat buffer_format(unsigned data_format);

// DATA_FORMAT of an image: those of buffers and some of 16 and 32 bits.
[[nodiscard]] BufferFormat image_format(unsigned data_format);

using FormatWords = std::array<std::uint32_t, 4>;
[[nodiscard]] inline bool is_integer(NumberFormat number) {
  return number == NumberFormat::Uint || number == NumberFormat::Sint;
}
// Components of an element as f32 or 32-bit integers; those that the format lacks are 0, 0, 0 and 1.
[[nodiscard]] FormatWords unpack_components(const BufferFormat& format, NumberFormat number, const FormatWords& words);
// The element of as many components; what does not fit saturates.
[[nodiscard]] FormatWords pack_components(const BufferFormat& format, NumberFormat number,
                                          const FormatWords& components);

// f32 to f16, to nearest even, and back.
[[nodiscard]] std::uint32_t half_of(std::uint32_t single);
[[nodiscard]] std::uint32_t single_of_half(std::uint32_t half);

}  // namespace kfdlab::engine
