// SPDX-License-Identifier: MIT
// Matrix instructions through the compiler's builtins: all shapes of gfx90a against a host reference. Operands are
// small whole numbers, so every product and sum is exact and no order of additions matters.
#include <array>
#include <functional>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr int kLanes = 64;

template <typename T, int kCount>
using Vector = T __attribute__((ext_vector_type(kCount)));
using Half4 = Vector<_Float16, 4>;
using Short2 = Vector<short, 2>;
using Short4 = Vector<short, 4>;

// What a lane holds of A, of B, and of C and D.
template <typename A, typename D>
using Builtin = D (*)(A, A, D);

#define MFMA_KERNEL(name, A, D, builtin)                                                     \
  __global__ void name(const A* a, const A* b, const D* c, D* out) {                         \
    const unsigned lane = threadIdx.x;                                                       \
    out[lane] = builtin(a[lane], b[lane], c[lane], 0, 0, 0);                                 \
  }

using F4 = Vector<float, 4>;
using F16 = Vector<float, 16>;
using F32 = Vector<float, 32>;
using I4 = Vector<int, 4>;
using I16 = Vector<int, 16>;
using I32 = Vector<int, 32>;
using D4 = Vector<double, 4>;

MFMA_KERNEL(f32_32x32x1, float, F32, __builtin_amdgcn_mfma_f32_32x32x1f32)
MFMA_KERNEL(f32_16x16x1, float, F16, __builtin_amdgcn_mfma_f32_16x16x1f32)
MFMA_KERNEL(f32_4x4x1, float, F4, __builtin_amdgcn_mfma_f32_4x4x1f32)
MFMA_KERNEL(f32_32x32x2, float, F16, __builtin_amdgcn_mfma_f32_32x32x2f32)
MFMA_KERNEL(f32_16x16x4, float, F4, __builtin_amdgcn_mfma_f32_16x16x4f32)
MFMA_KERNEL(f16_32x32x4, Half4, F32, __builtin_amdgcn_mfma_f32_32x32x4f16)
MFMA_KERNEL(f16_16x16x4, Half4, F16, __builtin_amdgcn_mfma_f32_16x16x4f16)
MFMA_KERNEL(f16_4x4x4, Half4, F4, __builtin_amdgcn_mfma_f32_4x4x4f16)
MFMA_KERNEL(f16_32x32x8, Half4, F16, __builtin_amdgcn_mfma_f32_32x32x8f16)
MFMA_KERNEL(f16_16x16x16, Half4, F4, __builtin_amdgcn_mfma_f32_16x16x16f16)
MFMA_KERNEL(i8_32x32x4, int, I32, __builtin_amdgcn_mfma_i32_32x32x4i8)
MFMA_KERNEL(i8_16x16x4, int, I16, __builtin_amdgcn_mfma_i32_16x16x4i8)
MFMA_KERNEL(i8_4x4x4, int, I4, __builtin_amdgcn_mfma_i32_4x4x4i8)
MFMA_KERNEL(i8_32x32x8, int, I16, __builtin_amdgcn_mfma_i32_32x32x8i8)
MFMA_KERNEL(i8_16x16x16, int, I4, __builtin_amdgcn_mfma_i32_16x16x16i8)
MFMA_KERNEL(bf16_32x32x2, Short2, F32, __builtin_amdgcn_mfma_f32_32x32x2bf16)
MFMA_KERNEL(bf16_16x16x2, Short2, F16, __builtin_amdgcn_mfma_f32_16x16x2bf16)
MFMA_KERNEL(bf16_4x4x2, Short2, F4, __builtin_amdgcn_mfma_f32_4x4x2bf16)
MFMA_KERNEL(bf16_32x32x4, Short2, F16, __builtin_amdgcn_mfma_f32_32x32x4bf16)
MFMA_KERNEL(bf16_16x16x8, Short2, F4, __builtin_amdgcn_mfma_f32_16x16x8bf16)
MFMA_KERNEL(bf16_32x32x4_1k, Short4, F32, __builtin_amdgcn_mfma_f32_32x32x4bf16_1k)
MFMA_KERNEL(bf16_16x16x4_1k, Short4, F16, __builtin_amdgcn_mfma_f32_16x16x4bf16_1k)
MFMA_KERNEL(bf16_4x4x4_1k, Short4, F4, __builtin_amdgcn_mfma_f32_4x4x4bf16_1k)
MFMA_KERNEL(bf16_32x32x8_1k, Short4, F16, __builtin_amdgcn_mfma_f32_32x32x8bf16_1k)
MFMA_KERNEL(bf16_16x16x16_1k, Short4, F4, __builtin_amdgcn_mfma_f32_16x16x16bf16_1k)
MFMA_KERNEL(f64_16x16x4, double, D4, __builtin_amdgcn_mfma_f64_16x16x4f64)
MFMA_KERNEL(f64_4x4x4, double, double, __builtin_amdgcn_mfma_f64_4x4x4f64)

// One element of a lane's operand: how it is stored, and what number it is.
template <typename A>
struct Element;
template <>
struct Element<float> {
  static constexpr int kCount = 1;
  static void set(float& lane, int, int number) { lane = static_cast<float>(number); }
};
template <>
struct Element<double> {
  static constexpr int kCount = 1;
  static void set(double& lane, int, int number) { lane = number; }
};
template <>
struct Element<Half4> {
  static constexpr int kCount = 4;
  static void set(Half4& lane, int k, int number) { lane[k] = static_cast<_Float16>(number); }
};
template <>
struct Element<int> {
  static constexpr int kCount = 4;
  static void set(int& lane, int k, int number) {
    const unsigned shift = static_cast<unsigned>(k) * 8;
    const unsigned bits = static_cast<unsigned>(lane);
    lane = static_cast<int>((bits & ~(0xffU << shift)) | (static_cast<unsigned>(number) & 0xffU) << shift);
  }
};
short bf16_bits(int number) {
  const float value = static_cast<float>(number);
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<short>(bits >> 16);
}
template <>
struct Element<Short2> {
  static constexpr int kCount = 2;
  static void set(Short2& lane, int k, int number) { lane[k] = bf16_bits(number); }
};
template <>
struct Element<Short4> {
  static constexpr int kCount = 4;
  static void set(Short4& lane, int k, int number) { lane[k] = bf16_bits(number); }
};

template <typename D>
struct Accumulator {
  static constexpr int kCount = sizeof(D) / sizeof(float);
  using Number = std::remove_reference_t<decltype(D{}[0])>;
  static auto get(const D& lane, int k) { return lane[k]; }
  static void set(D& lane, int k, int number) { lane[k] = number; }
};
template <>
struct Accumulator<D4> {
  static constexpr int kCount = 4;
  static double get(const D4& lane, int k) { return lane[k]; }
  static void set(D4& lane, int k, int number) { lane[k] = number; }
};
template <>
struct Accumulator<double> {
  static constexpr int kCount = 1;
  static double get(const double& lane, int) { return lane; }
  static void set(double& lane, int, int number) { lane = number; }
};

struct Shape {
  int rows;    // M = N
  int depth;   // K
  int blocks;  // independent products
};

// Where element (row, column) of block `block` of C and D lies: lane and register.
struct Place {
  int lane;
  int reg;
};
Place place(const Shape& shape, int block, int row, int column, bool doubles) {
  if (doubles) {
    // 16x16: four rows per register, register r holds rows r, r+4 ... by lane group. 4x4x4: one register, block by row group.
    if (shape.rows == 16) return {column + 16 * (row % 4), row / 4};
    return {column + 4 * block + 16 * row, 0};
  }
  if (shape.rows == 4) return {block * 4 + column, row};
  const int groups = kLanes / shape.rows;  // rows are dealt in fours to groups of lanes
  const int per_block = shape.rows * shape.rows / kLanes;
  const int chunk = row / 4;
  return {column + shape.rows * (chunk % groups), block * per_block + chunk / groups * 4 + row % 4};
}

// Which lane and element of A holds (row, k) of block `block`; B's (k, column) lies alike.
Place source(const Shape& shape, int per_lane, int block, int row, int k, bool doubles) {
  if (doubles && shape.rows == 4) return {row + 4 * block + 16 * k, 0};
  return {row + shape.rows * (block + shape.blocks * (k / per_lane)), k % per_lane};
}

template <typename A, typename D>
void check(const char* name, void (*kernel)(const A*, const A*, const D*, D*), Shape shape) {
  SCOPED_TRACE(name);
  constexpr bool kDoubles = std::is_same_v<A, double>;
  constexpr int kPerLane = Element<A>::kCount;
  Pattern pattern(static_cast<std::uint64_t>(shape.rows * 1000 + shape.depth * 10 + shape.blocks));
  const auto number = [&pattern] { return static_cast<int>(pattern.below(41)) - 20; };
  std::vector<A> a(kLanes);
  std::vector<A> b(kLanes);
  std::vector<D> c(kLanes);
  std::vector<std::array<int, 4>> a_numbers(kLanes);
  std::vector<std::array<int, 4>> b_numbers(kLanes);
  std::vector<std::array<int, 32>> c_numbers(kLanes);
  for (int lane = 0; lane < kLanes; ++lane) {
    std::memset(&a[lane], 0, sizeof(A));
    std::memset(&b[lane], 0, sizeof(A));
    for (int k = 0; k < kPerLane; ++k) {
      Element<A>::set(a[lane], k, a_numbers[lane][k] = number());
      Element<A>::set(b[lane], k, b_numbers[lane][k] = number());
    }
    for (int k = 0; k < Accumulator<D>::kCount; ++k) Accumulator<D>::set(c[lane], k, c_numbers[lane][k] = number());
  }
  DeviceArray<A> device_a(a);
  DeviceArray<A> device_b(b);
  DeviceArray<D> device_c(c);
  DeviceArray<D> out(kLanes);
  kernel<<<1, kLanes>>>(device_a, device_b, device_c, out);
  KERNELS_OK();
  const auto found = out.read();
  for (int block = 0; block < shape.blocks; ++block) {
    for (int row = 0; row < shape.rows; ++row) {
      for (int column = 0; column < shape.rows; ++column) {
        const Place at = place(shape, block, row, column, kDoubles);
        int wanted = c_numbers[at.lane][at.reg];
        for (int k = 0; k < shape.depth; ++k) {
          const Place from_a = source(shape, kPerLane, block, row, k, kDoubles);
          const Place from_b = source(shape, kPerLane, block, column, k, kDoubles);
          wanted += a_numbers[from_a.lane][from_a.reg] * b_numbers[from_b.lane][from_b.reg];
        }
        ASSERT_EQ(static_cast<double>(Accumulator<D>::get(found[at.lane], at.reg)), wanted)
            << "block " << block << " row " << row << " column " << column;
      }
    }
  }
}

#define CHECK_MFMA(name, rows, depth, blocks) check(#name, name, Shape{rows, depth, blocks})

TEST(HipMfma, SinglesOfEveryShape) {
  CHECK_MFMA(f32_32x32x1, 32, 1, 2);
  CHECK_MFMA(f32_16x16x1, 16, 1, 4);
  CHECK_MFMA(f32_4x4x1, 4, 1, 16);
  CHECK_MFMA(f32_32x32x2, 32, 2, 1);
  CHECK_MFMA(f32_16x16x4, 16, 4, 1);
}

TEST(HipMfma, HalvesOfEveryShape) {
  CHECK_MFMA(f16_32x32x4, 32, 4, 2);
  CHECK_MFMA(f16_16x16x4, 16, 4, 4);
  CHECK_MFMA(f16_4x4x4, 4, 4, 16);
  CHECK_MFMA(f16_32x32x8, 32, 8, 1);
  CHECK_MFMA(f16_16x16x16, 16, 16, 1);
}

TEST(HipMfma, BytesOfEveryShape) {
  CHECK_MFMA(i8_32x32x4, 32, 4, 2);
  CHECK_MFMA(i8_16x16x4, 16, 4, 4);
  CHECK_MFMA(i8_4x4x4, 4, 4, 16);
  CHECK_MFMA(i8_32x32x8, 32, 8, 1);
  CHECK_MFMA(i8_16x16x16, 16, 16, 1);
}

TEST(HipMfma, BfloatsOfEveryShape) {
  CHECK_MFMA(bf16_32x32x2, 32, 2, 2);
  CHECK_MFMA(bf16_16x16x2, 16, 2, 4);
  CHECK_MFMA(bf16_4x4x2, 4, 2, 16);
  CHECK_MFMA(bf16_32x32x4, 32, 4, 1);
  CHECK_MFMA(bf16_16x16x8, 16, 8, 1);
  CHECK_MFMA(bf16_32x32x4_1k, 32, 4, 2);
  CHECK_MFMA(bf16_16x16x4_1k, 16, 4, 4);
  CHECK_MFMA(bf16_4x4x4_1k, 4, 4, 16);
  CHECK_MFMA(bf16_32x32x8_1k, 32, 8, 1);
  CHECK_MFMA(bf16_16x16x16_1k, 16, 16, 1);
}

TEST(HipMfma, DoublesOfEveryShape) {
  CHECK_MFMA(f64_16x16x4, 16, 4, 1);
  CHECK_MFMA(f64_4x4x4, 4, 4, 4);
}

}  // namespace
}  // namespace kfdlab
