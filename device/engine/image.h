// SPDX-License-Identifier: MIT
// Images: what a resource descriptor (eight SGPRs) and a sampler (four) say, where a texel is, which texels a sample is
// made of. Scalar code without state.
//
// Facts: CDNA 2 ISA chapter 9.2; the layout of descriptors as ROCr writes them for gfx9. One level of detail: ROCr
// makes no others. Tiled surfaces (SW_MODE other than 0) lie row by row like linear ones: nothing but image
// instructions sees where their texels are, and rows of PITCH texels fit into what was allocated for tiles.
#pragma once

#include <array>
#include <cstdint>

#include "device/engine/formats.h"

namespace kfdlab::engine {

struct Image {
  std::uint64_t base = 0;
  BufferFormat format;
  NumberFormat number = NumberFormat::Unorm;
  bool srgb = false;
  bool is_array = false;
  unsigned axes = 0;             // 1 to 3, without the index of an array; 0: no image
  std::int64_t size[3] = {};     // texels
  std::int64_t slices = 1;       // of an array
  std::int64_t first_slice = 0;  // of the resource in memory
  std::int64_t pitch = 0;        // texels from row to row
  unsigned select[4] = {};       // for X to W; 0: zero, 1: one, 4..7: component of the format

  // Coordinates that an instruction gives.
  [[nodiscard]] unsigned coordinates() const { return axes + (is_array ? 1 : 0); }
};

[[nodiscard]] Image read_image(const std::uint32_t* words);

// A place in an image; the index of an array is slice.
struct Texel {
  std::int64_t at[3] = {};
  std::int64_t slice = 0;
};
// False: outside.
[[nodiscard]] bool texel_address(const Image& image, const Texel& texel, std::uint64_t& address);

// Components of an element in the order of the format as f32 or 32-bit integers; sRGB is made linear.
[[nodiscard]] FormatWords unpack_texel(const Image& image, const FormatWords& words);
// X to W of components in the order of the format, and back.
[[nodiscard]] FormatWords selected(const Image& image, const FormatWords& components);
[[nodiscard]] FormatWords pack_texel(const Image& image, const FormatWords& values);

struct Sampler {
  unsigned clamp[3] = {};
  bool unnormalized = false;
  bool truncates = false;  // of point samples: what is nearest to a texel's end belongs to the next one if not
  bool linear = false;
  bool linear_z = false;
  unsigned border = 0;  // 0: transparent black, 1: opaque black, 2: opaque white
};

[[nodiscard]] Sampler read_sampler(const std::uint32_t* words);

// What a sample is made of: texels and their parts, which add up to 1.
struct Tap {
  bool inside = false;  // else the border's colour
  std::uint64_t address = 0;
  double weight = 0;
};
struct Taps {
  std::array<Tap, 8> tap;
  unsigned count = 0;
};
[[nodiscard]] Taps sample_taps(const Image& image, const Sampler& sampler, const std::array<float, 4>& coordinates);

// The sum of the taps' components.
[[nodiscard]] FormatWords blend_taps(const Image& image, const Sampler& sampler, const Taps& taps,
                                     const std::array<FormatWords, 8>& elements);

}  // namespace kfdlab::engine
