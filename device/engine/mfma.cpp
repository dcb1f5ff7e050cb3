// SPDX-License-Identifier: MIT
// Matrix instructions: D = A * B + C in blocks of M x N, K terms each. EXEC is ignored; every lane takes part.
//
// Where elements live (facts: CDNA 2 ISA chapter 7 and AMD's matrix instruction calculator):
//   A[i][k] of block b: lane i + M * group, element k % E of the tuple; group = b for several blocks, else k / E, E
//   being the elements of one lane. B[k][j] the same with j. D[i][j]: j is lane % N; for N = 32 row i = 8 * (r / 4) +
//   4 * (lane / 32) + r % 4 in register r of the block, for N = 16 row 4 * (lane / 16) + r, for N = 4 block lane / 4,
//   row r. f64: 16 x 16 row 4 * r + lane / 16; 4 x 4 block lane / 4 % 4, row and k in lane / 16.
// Sums start from C and go up in k, one fused rounding per term; hardware does not publish its order.
#include <cmath>
#include <cstring>
#include <limits>

#include "device/engine/half_ops.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

constexpr unsigned kMaxElements = 4;

struct FloatTerms {
  using Term = float;
  using Vector = F32;
  KFDLAB_INLINE static F32 add_product(float a, F32 b, F32 c) { return fma(splatf(a), b, c); }
  static float add_product(float a, float b, float c) { return std::fma(a, b, c); }
  // A NaN is the default one, whatever went in.
  KFDLAB_INLINE static F32 finish(F32 v) {
    return (F32)select(compare<_CMP_UNORD_Q>(v, v), splat(0x7fc00000u), (U32)v);
  }
  static float finish(float v) { return std::isnan(v) ? std::numeric_limits<float>::quiet_NaN() : v; }
};
struct FormatF32 : FloatTerms {
  static constexpr unsigned kElements = 1;
  static constexpr unsigned kDwords = 1;
  static void read(const std::uint32_t* row, unsigned lane, float* out) { std::memcpy(out, &row[lane], 4); }
};
struct FormatF16 : FloatTerms {
  static constexpr unsigned kElements = 4;
  static constexpr unsigned kDwords = 2;
  static void read(const std::uint32_t* row, unsigned lane, float* out) {
    for (unsigned i = 0; i < 4; ++i) {
      const std::uint32_t dword = row[lane + kLanes * (i / 2)];
      out[i] = _cvtsh_ss(static_cast<unsigned short>(dword >> (16 * (i % 2))));
    }
  }
};
float from_bf16(std::uint32_t bits) {
  const std::uint32_t wide = bits << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}
template <unsigned kCount>
struct FormatBf16 : FloatTerms {
  static constexpr unsigned kElements = kCount;
  static constexpr unsigned kDwords = kCount / 2;
  static void read(const std::uint32_t* row, unsigned lane, float* out) {
    for (unsigned i = 0; i < kCount; ++i) {
      out[i] = from_bf16(row[lane + kLanes * (i / 2)] >> (16 * (i % 2)) & 0xffffu);
    }
  }
};
struct FormatI8 {
  using Term = std::int32_t;
  using Vector = U32;
  static constexpr unsigned kElements = 4;
  static constexpr unsigned kDwords = 1;
  static void read(const std::uint32_t* row, unsigned lane, std::int32_t* out) {
    for (unsigned i = 0; i < 4; ++i) {
      out[i] = static_cast<std::int8_t>(row[lane] >> (8 * i));
    }
  }
  KFDLAB_INLINE static U32 add_product(std::int32_t a, U32 b, U32 c) {
    return splat(static_cast<std::uint32_t>(a)) * b + c;
  }
  static std::int32_t add_product(std::int32_t a, std::int32_t b, std::int32_t c) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(b) +
                                     static_cast<std::uint32_t>(c));
  }
  KFDLAB_INLINE static U32 finish(U32 v) { return v; }
  static std::int32_t finish(std::int32_t v) { return v; }
};

// Lane that gives `lane` its B, by blgp.
unsigned b_lane(unsigned blgp, unsigned lane) {
  switch (blgp) {
    case 1:
      return lane % 32;
    case 2:
      return lane % 32 + 32;
    case 3:
      return (lane + 16) % 64;
    case 4:
    case 5:
    case 6:
    case 7:
      return lane % 16 + 16 * (blgp - 4);
    default:
      return lane;
  }
}
// Block that gives block `b` its A, by cbsz and abid.
unsigned a_block(unsigned cbsz, unsigned abid, unsigned b) {
  const unsigned group = 1u << cbsz;
  return b / group * group + abid % group;
}

// A source row set: VGPRs as they are, scalars and constants spread.
const std::uint32_t* rows_of(const Wave& wave, const MicroOp& op, unsigned i, unsigned dwords, std::uint32_t* storage) {
  if (op.kind[i] == Kind::Vector) {
    return row_at(wave, op.src[i]);
  }
  const std::uint32_t value = *scalar_source(wave, op, i);
  for (unsigned lane = 0; lane < dwords * kLanes; ++lane) {
    storage[lane] = value;
  }
  return storage;
}

// aux8: cbsz, abid, blgp.
template <typename Format, unsigned kM, unsigned kK, unsigned kBlocks>
const MicroOp* multiply(Wave& wave, const MicroOp& op) {
  using Term = typename Format::Term;
  using Vector = typename Format::Vector;
  constexpr unsigned kE = Format::kElements;
  constexpr unsigned kRegisters = kM * kM / kLanes;  // of a block, 0 for 4 x 4
  static_assert(kK == (kBlocks > 1 ? kE : kE * (kLanes / kM)));
  static_assert(kM * kBlocks * (kK / kE) == kLanes);
  alignas(64) Term a[kBlocks][kK][kM];
  alignas(64) Term b[kBlocks][kK][kM];
  const std::uint32_t* a_rows = row_at(wave, op.src[0]);
  const std::uint32_t* b_rows = row_at(wave, op.src[1]);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const unsigned group = lane / kM;
    const unsigned block = kBlocks > 1 ? group : 0;
    const unsigned first = kBlocks > 1 ? 0 : group * kE;
    Term elements[kMaxElements];
    Format::read(a_rows, lane, elements);
    for (unsigned e = 0; e < kE; ++e) {
      a[block][first + e][lane % kM] = elements[e];
    }
    Format::read(b_rows, b_lane(op.aux8[2], lane), elements);
    for (unsigned e = 0; e < kE; ++e) {
      b[block][first + e][lane % kM] = elements[e];
    }
  }
  alignas(64) std::uint32_t spread[kM * kM * kBlocks];
  const std::uint32_t* c_rows = rows_of(wave, op, 2, kM * kM * kBlocks / kLanes, spread);
  std::uint32_t* out = row_at(wave, op.dst);
  if constexpr (kM == 4) {
    for (unsigned r = 0; r < 4; ++r) {
      for (unsigned lane = 0; lane < kLanes; ++lane) {
        const unsigned block = lane / 4;
        Term sum;
        std::memcpy(&sum, &c_rows[r * kLanes + lane], sizeof sum);
        for (unsigned k = 0; k < kK; ++k) {
          sum = Format::add_product(a[a_block(op.aux8[0], op.aux8[1], block)][k][r], b[block][k][lane % 4], sum);
        }
        sum = Format::finish(sum);
        std::memcpy(&out[r * kLanes + lane], &sum, sizeof sum);
      }
    }
  } else {
    for (unsigned block = 0; block < kBlocks; ++block) {
      const unsigned from = a_block(op.aux8[0], op.aux8[1], block) % kBlocks;
      for (unsigned r = 0; r < kRegisters; ++r) {
        for (unsigned c = 0; c < kChunks; ++c) {
          const unsigned lane = c * kN;
          const unsigned i = kM == 32 ? 8 * (r / 4) + 4 * (lane / 32) + r % 4 : 4 * (lane / 16) + r;
          const std::size_t at = (block * kRegisters + r) * kLanes + lane;
          Vector sum = (Vector)load(c_rows + at);
          for (unsigned k = 0; k < kK; ++k) {
            Vector column;
            std::memcpy(&column, &b[block][k][lane % kM], sizeof column);
            sum = Format::add_product(a[from][k][i], column, sum);
          }
          store(out + at, (U32)Format::finish(sum));
        }
      }
    }
  }
  return next(op);
}

double lane64(const std::uint32_t* rows, unsigned lane) {
  const std::uint64_t bits = rows[lane] | std::uint64_t{rows[lane + kLanes]} << 32;
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
void set_lane64(std::uint32_t* rows, unsigned lane, double value) {
  value = std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  rows[lane] = static_cast<std::uint32_t>(bits);
  rows[lane + kLanes] = static_cast<std::uint32_t>(bits >> 32);
}
double with_sign(double value, bool negate) { return negate ? -value : value; }

// f64: blgp negates A, B and C instead. C may be a constant.
double c_lane64(const Wave& wave, const MicroOp& op, unsigned r, unsigned lane) {
  if (op.kind[2] == Kind::Vector) {
    return lane64(row_at(wave, op.src[2]) + 2 * r * kLanes, lane);
  }
  double value;
  std::memcpy(&value, scalar_source(wave, op, 2), sizeof value);
  return value;
}
const MicroOp* multiply_f64_16(Wave& wave, const MicroOp& op) {
  double a[4][16];
  double b[4][16];
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    a[lane / 16][lane % 16] = with_sign(lane64(row_at(wave, op.src[0]), lane), (op.aux8[2] & 1) != 0);
    b[lane / 16][lane % 16] = with_sign(lane64(row_at(wave, op.src[1]), lane), (op.aux8[2] & 2) != 0);
  }
  double d[4][kLanes];
  for (unsigned r = 0; r < 4; ++r) {
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      double sum = with_sign(c_lane64(wave, op, r, lane), (op.aux8[2] & 4) != 0);
      for (unsigned k = 0; k < 4; ++k) {
        sum = __builtin_fma(a[k][4 * r + lane / 16], b[k][lane % 16], sum);
      }
      d[r][lane] = sum;
    }
  }
  for (unsigned r = 0; r < 4; ++r) {
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      set_lane64(row_at(wave, op.dst) + 2 * r * kLanes, lane, d[r][lane]);
    }
  }
  return next(op);
}
const MicroOp* multiply_f64_4(Wave& wave, const MicroOp& op) {
  double a[4][4][4];  // block, k, row
  double b[4][4][4];
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    a[lane / 4 % 4][lane / 16][lane % 4] = with_sign(lane64(row_at(wave, op.src[0]), lane), (op.aux8[2] & 1) != 0);
    b[lane / 4 % 4][lane / 16][lane % 4] = with_sign(lane64(row_at(wave, op.src[1]), lane), (op.aux8[2] & 2) != 0);
  }
  double d[kLanes];
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    double sum = with_sign(c_lane64(wave, op, 0, lane), (op.aux8[2] & 4) != 0);
    for (unsigned k = 0; k < 4; ++k) {
      sum = __builtin_fma(a[lane / 4 % 4][k][lane / 16], b[lane / 4 % 4][k][lane % 4], sum);
    }
    d[lane] = sum;
  }
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    set_lane64(row_at(wave, op.dst), lane, d[lane]);
  }
  return next(op);
}

template <Handler kHandler>
bool lower_mfma(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  MicroOp& op = lowering.emit(kHandler);
  // More than all blocks are all.
  op.aux8[0] = (inst.cbsz & 4u) != 0 ? 4 : inst.cbsz & 3u;
  op.aux8[1] = inst.abid & 15u;
  op.aux8[2] = inst.blgp & 7u;
  return vector_result(op) && op.kind[0] == Kind::Vector && op.kind[1] == Kind::Vector && op.kind[2] != Kind::None;
}

}  // namespace

void add_mfma(LowerTable& table) {
  using F = FormatF32;
  using H = FormatF16;
  using B2 = FormatBf16<2>;
  using B4 = FormatBf16<4>;
  using I = FormatI8;
  table.set(Op::v_mfma_f32_32x32x1f32, lower_mfma<multiply<F, 32, 1, 2>>);
  table.set(Op::v_mfma_f32_16x16x1f32, lower_mfma<multiply<F, 16, 1, 4>>);
  table.set(Op::v_mfma_f32_4x4x1f32, lower_mfma<multiply<F, 4, 1, 16>>);
  table.set(Op::v_mfma_f32_32x32x2f32, lower_mfma<multiply<F, 32, 2, 1>>);
  table.set(Op::v_mfma_f32_16x16x4f32, lower_mfma<multiply<F, 16, 4, 1>>);
  table.set(Op::v_mfma_f32_32x32x4f16, lower_mfma<multiply<H, 32, 4, 2>>);
  table.set(Op::v_mfma_f32_16x16x4f16, lower_mfma<multiply<H, 16, 4, 4>>);
  table.set(Op::v_mfma_f32_4x4x4f16, lower_mfma<multiply<H, 4, 4, 16>>);
  table.set(Op::v_mfma_f32_32x32x8f16, lower_mfma<multiply<H, 32, 8, 1>>);
  table.set(Op::v_mfma_f32_16x16x16f16, lower_mfma<multiply<H, 16, 16, 1>>);
  table.set(Op::v_mfma_f32_32x32x2bf16, lower_mfma<multiply<B2, 32, 2, 2>>);
  table.set(Op::v_mfma_f32_16x16x2bf16, lower_mfma<multiply<B2, 16, 2, 4>>);
  table.set(Op::v_mfma_f32_4x4x2bf16, lower_mfma<multiply<B2, 4, 2, 16>>);
  table.set(Op::v_mfma_f32_32x32x4bf16, lower_mfma<multiply<B2, 32, 4, 1>>);
  table.set(Op::v_mfma_f32_16x16x8bf16, lower_mfma<multiply<B2, 16, 8, 1>>);
  table.set(Op::v_mfma_f32_32x32x4bf16_1k, lower_mfma<multiply<B4, 32, 4, 2>>);
  table.set(Op::v_mfma_f32_16x16x4bf16_1k, lower_mfma<multiply<B4, 16, 4, 4>>);
  table.set(Op::v_mfma_f32_4x4x4bf16_1k, lower_mfma<multiply<B4, 4, 4, 16>>);
  table.set(Op::v_mfma_f32_32x32x8bf16_1k, lower_mfma<multiply<B4, 32, 8, 1>>);
  table.set(Op::v_mfma_f32_16x16x16bf16_1k, lower_mfma<multiply<B4, 16, 16, 1>>);
  table.set(Op::v_mfma_i32_32x32x4i8, lower_mfma<multiply<I, 32, 4, 2>>);
  table.set(Op::v_mfma_i32_16x16x4i8, lower_mfma<multiply<I, 16, 4, 4>>);
  table.set(Op::v_mfma_i32_4x4x4i8, lower_mfma<multiply<I, 4, 4, 16>>);
  table.set(Op::v_mfma_i32_32x32x8i8, lower_mfma<multiply<I, 32, 8, 1>>);
  table.set(Op::v_mfma_i32_16x16x16i8, lower_mfma<multiply<I, 16, 16, 1>>);
  table.set(Op::v_mfma_f64_16x16x4f64, lower_mfma<multiply_f64_16>);
  table.set(Op::v_mfma_f64_4x4x4f64, lower_mfma<multiply_f64_4>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
