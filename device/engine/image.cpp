// SPDX-License-Identifier: MIT
#include "device/engine/image.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kfdlab::engine {
namespace {

constexpr std::uint32_t kOne = 0x3f800000;
constexpr unsigned kNumberFloat = 7;
constexpr unsigned kNumberSrgb = 9;
// Parts of a texel that the place of a sample is rounded to.
constexpr std::int64_t kSubtexels = 256;

enum ResourceType : unsigned { k1d = 8, k2d = 9, k3d = 10, k1dArray = 12, k2dArray = 13 };
enum ClampMode : unsigned {
  kWrap = 0,
  kMirror = 1,
  kMirrorOnceLast = 3,
  kMirrorOnceHalf = 5,
  kBorder = 6,
  kMirrorOnceBorder = 7
};
enum Filter : unsigned { kZPoint = 1, kZLinear = 2 };

constexpr std::uint32_t field(std::uint32_t word, unsigned low, unsigned count) {
  return word >> low & ((1u << count) - 1);
}

void read_type(Image& image, unsigned type) {
  switch (type) {
    case k1d:
    case k1dArray:
      image.axes = 1;
      break;
    case k2d:
    case k2dArray:
      image.axes = 2;
      break;
    case k3d:
      image.axes = 3;
      break;
    default:
      break;
  }
  image.is_array = type == k1dArray || type == k2dArray;
}

void read_format(Image& image, std::uint32_t word) {
  const unsigned number = field(word, 26, 4);
  image.format = image_format(field(word, 20, 6));
  image.srgb = number == kNumberSrgb;
  image.number = image.srgb || number > kNumberFloat ? NumberFormat::Unorm : static_cast<NumberFormat>(number);
}

std::uint32_t linear_of_srgb(std::uint32_t bits) {
  const double value = std::bit_cast<float>(bits);
  const double linear = value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
  return std::bit_cast<std::uint32_t>(static_cast<float>(linear));
}

// The texel of `size` that index i is, or -1 for the border.
std::int64_t clamped(std::int64_t i, std::int64_t size, unsigned mode) {
  const std::int64_t mirrored = i < 0 ? -1 - i : i;
  switch (mode) {
    case kWrap:
      return (i % size + size) % size;
    case kMirror: {
      const std::int64_t in = (i % (2 * size) + 2 * size) % (2 * size);
      return in < size ? in : 2 * size - 1 - in;
    }
    case kMirrorOnceLast:
    case kMirrorOnceHalf:
      return std::min(mirrored, size - 1);
    case kBorder:
      return i >= 0 && i < size ? i : -1;
    case kMirrorOnceBorder:
      return mirrored < size ? mirrored : -1;
    default:
      return std::clamp<std::int64_t>(i, 0, size - 1);
  }
}

// The texels of one axis, two of them if it is filtered.
struct Axis {
  std::int64_t texel[2];
  double weight[2];
  unsigned count;
};

Axis axis_of(double coordinate, std::int64_t size, unsigned mode, const Sampler& sampler, bool linear) {
  if (!sampler.unnormalized) {
    // Whole periods first, so that what is left is exact.
    if (mode == kWrap || mode == kMirror) coordinate -= 2 * std::floor(coordinate / 2);
    coordinate *= static_cast<double>(size);
  }
  constexpr double kFar = 1 << 24;
  coordinate = std::isnan(coordinate) ? 0 : std::clamp(coordinate, -kFar, kFar);
  const double scaled = (linear ? coordinate - 0.5 : coordinate) * kSubtexels;
  const auto place =
      static_cast<std::int64_t>(!linear && sampler.truncates ? std::floor(scaled) : std::nearbyint(scaled));
  const std::int64_t first = place >> 8;
  const double part = static_cast<double>(place & (kSubtexels - 1)) / kSubtexels;
  if (!linear) return {{clamped(first, size, mode), 0}, {1, 0}, 1};
  return {{clamped(first, size, mode), clamped(first + 1, size, mode)}, {1 - part, part}, 2};
}

}  // namespace

Image read_image(const std::uint32_t* words) {
  Image image;
  image.base = (words[0] | std::uint64_t{field(words[1], 0, 8)} << 32) << 8;
  read_type(image, field(words[3], 28, 4));
  read_format(image, words[1]);
  const auto depth = static_cast<std::int64_t>(field(words[4], 0, 13)) + 1;
  image.size[0] = static_cast<std::int64_t>(field(words[2], 0, 14)) + 1;
  image.size[1] = image.axes > 1 ? static_cast<std::int64_t>(field(words[2], 14, 14)) + 1 : 1;
  image.size[2] = image.axes > 2 ? depth : 1;
  image.first_slice = image.is_array ? field(words[5], 0, 13) : 0;
  image.slices = image.is_array ? std::max<std::int64_t>(depth - image.first_slice, 1) : 1;
  image.pitch = std::max(static_cast<std::int64_t>(field(words[4], 13, 16)) + 1, image.size[0]);
  for (unsigned i = 0; i < 4; ++i) {
    image.select[i] = field(words[3], 3 * i, 3);
  }
  return image;
}

bool texel_address(const Image& image, const Texel& texel, std::uint64_t& address) {
  if (image.format.bytes == 0 || image.axes == 0 || texel.slice < 0 || texel.slice >= image.slices) return false;
  for (unsigned i = 0; i < 3; ++i) {
    if (texel.at[i] < 0 || texel.at[i] >= image.size[i]) return false;
  }
  const std::int64_t plane = texel.at[2] + texel.slice + image.first_slice;
  const std::int64_t index = (plane * image.size[1] + texel.at[1]) * image.pitch + texel.at[0];
  address = image.base + static_cast<std::uint64_t>(index) * image.format.bytes;
  return true;
}

FormatWords unpack_texel(const Image& image, const FormatWords& words) {
  FormatWords components = unpack_components(image.format, image.number, words);
  for (unsigned i = 0; image.srgb && i < 3; ++i) {
    components[i] = linear_of_srgb(components[i]);
  }
  return components;
}

FormatWords selected(const Image& image, const FormatWords& components) {
  FormatWords values{};
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned select = image.select[i];
    values[i] = select >= 4 ? components[select - 4] : select == 1 ? (is_integer(image.number) ? 1u : kOne) : 0;
  }
  return values;
}

FormatWords pack_texel(const Image& image, const FormatWords& values) {
  FormatWords components{};
  for (unsigned i = 4; i-- > 0;) {  // the first of those that read the same component is what is stored
    if (image.select[i] >= 4) components[image.select[i] - 4] = values[i];
  }
  return pack_components(image.format, image.number, components);
}

Sampler read_sampler(const std::uint32_t* words) {
  Sampler sampler;
  for (unsigned i = 0; i < 3; ++i) {
    sampler.clamp[i] = field(words[0], 3 * i, 3);
  }
  sampler.unnormalized = field(words[0], 15, 1) != 0;
  sampler.truncates = field(words[0], 27, 1) != 0;
  sampler.linear = field(words[2], 20, 1) != 0;  // the anisotropic filters are even and odd too
  const unsigned z = field(words[2], 24, 2);
  sampler.linear_z = z == kZLinear || (z != kZPoint && sampler.linear);
  sampler.border = field(words[3], 30, 2);
  return sampler;
}

Taps sample_taps(const Image& image, const Sampler& sampler, const std::array<float, 4>& coordinates) {
  Taps taps;
  const bool filtered = !is_integer(image.number);
  Axis axis[3] = {{{0, 0}, {1, 0}, 1}, {{0, 0}, {1, 0}, 1}, {{0, 0}, {1, 0}, 1}};
  for (unsigned i = 0; i < image.axes; ++i) {
    const bool linear = filtered && (i == 2 ? sampler.linear_z : sampler.linear);
    axis[i] = axis_of(coordinates[i], image.size[i], sampler.clamp[i], sampler, linear);
  }
  Texel texel;
  if (image.is_array) {
    const float index = coordinates[image.axes];
    const auto last = static_cast<float>(image.slices - 1);
    texel.slice = std::isnan(index) ? 0 : static_cast<std::int64_t>(std::nearbyint(std::clamp(index, 0.0f, last)));
  }
  for (unsigned i = 0; i < axis[0].count * axis[1].count * axis[2].count; ++i) {
    const unsigned x = i % axis[0].count;
    const unsigned y = i / axis[0].count % axis[1].count;
    const unsigned z = i / (axis[0].count * axis[1].count);
    texel.at[0] = axis[0].texel[x];
    texel.at[1] = axis[1].texel[y];
    texel.at[2] = axis[2].texel[z];
    Tap& tap = taps.tap[taps.count++];
    tap.weight = axis[0].weight[x] * axis[1].weight[y] * axis[2].weight[z];
    tap.inside = texel_address(image, texel, tap.address);
  }
  return taps;
}

FormatWords blend_taps(const Image& image, const Sampler& sampler, const Taps& taps,
                       const std::array<FormatWords, 8>& elements) {
  const std::uint32_t one = is_integer(image.number) ? 1u : kOne;
  const std::uint32_t colour = sampler.border == 2 ? one : 0;
  const FormatWords border{colour, colour, colour, sampler.border == 1 || sampler.border == 2 ? one : 0};
  std::array<double, 4> sum{};
  for (unsigned t = 0; t < taps.count; ++t) {
    const FormatWords components = taps.tap[t].inside ? unpack_texel(image, elements[t]) : border;
    if (taps.count == 1) return selected(image, components);
    for (unsigned i = 0; i < 4; ++i) {
      // A texel without a part in the sum leaves no trace, infinite or not.
      const double part = taps.tap[t].weight;
      sum[i] += part == 0 ? 0 : part * static_cast<double>(std::bit_cast<float>(components[i]));
    }
  }
  FormatWords blended{};
  for (unsigned i = 0; i < 4; ++i) {
    blended[i] = std::bit_cast<std::uint32_t>(static_cast<float>(sum[i]));
  }
  return selected(image, blended);
}

}  // namespace kfdlab::engine
