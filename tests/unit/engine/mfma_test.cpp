// SPDX-License-Identifier: MIT
// Matrix instructions against a plain matrix product, with operands small enough that every sum is exact.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "tests/unit/engine/support/assembler.h"
#include "tests/unit/engine/support/wave_rig.h"

namespace kfdlab::engine {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

class Mfma : public testing::TestWithParam<SimdLevel> {
 protected:
  WaveRig rig_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Simd, Mfma, testing::ValuesIn(simd_levels()),
                         [](const auto& each) { return simd_name(each.param); });

// Small integers, different in each place.
int a_value(unsigned block, unsigned i, unsigned k) { return static_cast<int>((block * 5 + i * 3 + k * 7) % 11) - 5; }
int b_value(unsigned block, unsigned k, unsigned j) { return static_cast<int>((block * 3 + j * 5 + k * 2) % 13) - 6; }
int c_value(unsigned block, unsigned i, unsigned j) { return static_cast<int>((block + i * 2 + j) % 17) - 8; }

enum class Element { F32, F16, Bf16, I8 };
struct Shape {
  const char* name;
  Element element;
  unsigned side;
  unsigned terms;
  unsigned blocks;
  unsigned per_lane;  // elements of A in a lane
};

u32 encode(Element element, int value) {
  const auto f = static_cast<float>(value);
  switch (element) {
    case Element::F32: return std::bit_cast<u32>(f);
    case Element::Bf16: return std::bit_cast<u32>(f) >> 16;
    case Element::I8: return static_cast<u32>(value) & 0xff;
    case Element::F16: break;
  }
  if (value == 0) return 0;
  int exponent = 0;
  const float mantissa = std::frexp(std::fabs(f), &exponent);
  return (value < 0 ? 0x8000u : 0) | static_cast<u32>(exponent + 14) << 10 | (static_cast<u32>(mantissa * 2048) & 1023);
}
unsigned bits_of(Element element) {
  return element == Element::F32 ? 32 : element == Element::I8 ? 8 : 16;
}

TEST_P(Mfma, ProductsLieWhereTheManualSays) {
  const Shape shapes[] = {
      {"v_mfma_f32_32x32x1f32", Element::F32, 32, 1, 2, 1},        {"v_mfma_f32_16x16x1f32", Element::F32, 16, 1, 4, 1},
      {"v_mfma_f32_4x4x1f32", Element::F32, 4, 1, 16, 1},          {"v_mfma_f32_32x32x2f32", Element::F32, 32, 2, 1, 1},
      {"v_mfma_f32_16x16x4f32", Element::F32, 16, 4, 1, 1},        {"v_mfma_f32_32x32x4f16", Element::F16, 32, 4, 2, 4},
      {"v_mfma_f32_32x32x8f16", Element::F16, 32, 8, 1, 4},        {"v_mfma_f32_16x16x16f16", Element::F16, 16, 16, 1, 4},
      {"v_mfma_f32_4x4x4f16", Element::F16, 4, 4, 16, 4},          {"v_mfma_f32_32x32x4bf16", Element::Bf16, 32, 4, 1, 2},
      {"v_mfma_f32_16x16x8bf16", Element::Bf16, 16, 8, 1, 2},      {"v_mfma_f32_16x16x16bf16_1k", Element::Bf16, 16, 16, 1, 4},
      {"v_mfma_f32_32x32x8bf16_1k", Element::Bf16, 32, 8, 1, 4},   {"v_mfma_i32_32x32x8i8", Element::I8, 32, 8, 1, 4},
      {"v_mfma_i32_16x16x16i8", Element::I8, 16, 16, 1, 4},        {"v_mfma_i32_32x32x4i8", Element::I8, 32, 4, 2, 4},
  };
  for (const Shape& shape : shapes) {
    const unsigned dwords = std::max(1u, shape.per_lane * bits_of(shape.element) / 32);
    const unsigned registers = shape.side * shape.side * shape.blocks / 64;
    const auto range = [](char file, unsigned first, unsigned count) {
      const std::string prefix(1, file);
      return count == 1 ? prefix + std::to_string(first)
                        : prefix + "[" + std::to_string(first) + ":" + std::to_string(first + count - 1) + "]";
    };
    KFDLAB_ASSEMBLE_OR_SKIP(words, std::string(shape.name) + " " + range('a', 64, registers) + ", " +
                                       range('v', 0, dwords) + ", " + range('v', 8, dwords) + ", " +
                                       range('a', 32, registers) + "\n s_endpgm");
    if (words.empty()) continue;
    for (unsigned reg = 0; reg < 16; ++reg) {
      rig_.set_v(reg, [](unsigned) { return 0; });
    }
    const unsigned per_dword = 32 / bits_of(shape.element);
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const unsigned group = lane / shape.side;
      const unsigned block = shape.blocks > 1 ? group : 0;
      for (unsigned e = 0; e < shape.per_lane; ++e) {
        const unsigned k = (shape.blocks > 1 ? 0 : group * shape.per_lane) + e;
        const unsigned shift = e % per_dword * bits_of(shape.element);
        rig_.v(e / per_dword, lane) |= encode(shape.element, a_value(block, lane % shape.side, k)) << shift;
        rig_.v(8 + e / per_dword, lane) |= encode(shape.element, b_value(block, k, lane % shape.side)) << shift;
      }
    }
    const bool integer = shape.element == Element::I8;
    const auto number = [&](int v) { return integer ? static_cast<u32>(v) : std::bit_cast<u32>(static_cast<float>(v)); };
    const unsigned per_block = shape.side * shape.side / 64;
    const auto place = [&](unsigned r, unsigned lane, unsigned& block, unsigned& i, unsigned& j) {
      j = lane % shape.side;
      if (shape.side == 4) {
        block = lane / 4;
        i = r;
      } else {
        block = r / per_block;
        const unsigned in_block = r % per_block;
        i = shape.side == 32 ? 8 * (in_block / 4) + 4 * (lane / 32) + in_block % 4 : 4 * (lane / 16) + in_block;
      }
    };
    for (unsigned r = 0; r < registers; ++r) {
      for (unsigned lane = 0; lane < kLanes; ++lane) {
        unsigned block = 0, i = 0, j = 0;
        place(r, lane, block, i, j);
        rig_.v(WaveRig::kRows + 32 + r, lane) = number(c_value(block, i, j));
      }
    }
    rig_.load(words);
    rig_.wave().set_exec(1);  // ignored
    ASSERT_EQ(rig_.run(), Exit::End) << shape.name;
    for (unsigned r = 0; r < registers; ++r) {
      for (unsigned lane = 0; lane < kLanes; ++lane) {
        unsigned block = 0, i = 0, j = 0;
        place(r, lane, block, i, j);
        int sum = c_value(block, i, j);
        for (unsigned k = 0; k < shape.terms; ++k) {
          sum += a_value(block, i, k) * b_value(block, k, j);
        }
        ASSERT_EQ(rig_.v(WaveRig::kRows + 64 + r, lane), number(sum)) << shape.name << " r " << r << " lane " << lane;
      }
    }
  }
}

TEST_P(Mfma, DoublesMultiplyToo) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_mfma_f64_16x16x4f64 v[8:15], v[0:1], v[2:3], 0
    v_mfma_f64_4x4x4f64 v[16:17], v[0:1], v[2:3], v[4:5]
    s_endpgm)");
  rig_.load(words);
  rig_.set_v64(0, [](unsigned lane) { return std::bit_cast<u64>(static_cast<double>(a_value(0, lane % 16, lane / 16))); });
  rig_.set_v64(2, [](unsigned lane) { return std::bit_cast<u64>(static_cast<double>(b_value(0, lane / 16, lane % 16))); });
  rig_.set_v64(4, [](unsigned lane) { return std::bit_cast<u64>(static_cast<double>(lane)); });
  ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    for (unsigned r = 0; r < 4; ++r) {
      int sum = 0;
      for (unsigned k = 0; k < 4; ++k) sum += a_value(0, 4 * r + lane / 16, k) * b_value(0, k, lane % 16);
      EXPECT_EQ(std::bit_cast<double>(rig_.v64(8 + 2 * r, lane)), sum);
    }
    const unsigned block = lane / 4 % 4;
    int sum = static_cast<int>(lane);
    for (unsigned k = 0; k < 4; ++k) {
      sum += a_value(0, block * 4 + lane / 16, k) * b_value(0, k, block * 4 + lane % 4);
    }
    EXPECT_EQ(std::bit_cast<double>(rig_.v64(16, lane)), sum) << lane;
  }
}

}  // namespace
}  // namespace kfdlab::engine
