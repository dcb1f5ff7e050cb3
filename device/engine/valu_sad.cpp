// SPDX-License-Identifier: MIT
// Sums of absolute differences of four bytes at four positions of an eight-byte window. Facts: CDNA 2 ISA chapter 12.9.
#include "device/engine/valu.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

// Of the window's bytes from `position` on with the reference; masked: bytes of the reference that are 0 do not count.
std::uint32_t sum_at(std::uint64_t window, std::uint32_t reference, unsigned position, bool masked) {
  std::uint32_t sum = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const auto a = static_cast<int>(window >> (8 * (position + i)) & 0xffu);
    const auto b = static_cast<int>(reference >> (8 * i) & 0xffu);
    sum += masked && b == 0 ? 0 : static_cast<std::uint32_t>(a > b ? a - b : b - a);
  }
  return sum;
}

class LaneDwords {
 public:
  LaneDwords(const Wave& wave, const MicroOp& op, unsigned i)
      : vector_(op.kind[i] == Kind::Vector), at_(vector_ ? row_at(wave, op.src[i]) : scalar_source(wave, op, i)) {}
  [[nodiscard]] std::uint32_t dword(unsigned lane, unsigned d) const { return at_[vector_ ? lane + d * kLanes : d]; }

 private:
  bool vector_;
  const std::uint32_t* at_;
};

// kWide: four 32-bit sums, else four 16-bit ones.
template <bool kMasked, bool kWide>
const MicroOp* quad_sums(Wave& wave, const MicroOp& op) {
  const LaneDwords window(wave, op, 0);
  const LaneDwords reference(wave, op, 1);
  const LaneDwords addend(wave, op, 2);
  std::uint32_t* out = row_at(wave, op.dst);
  for (std::uint64_t lanes = wave.exec(); lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(__builtin_ctzll(lanes));
    const std::uint64_t bytes = window.dword(lane, 0) | std::uint64_t{window.dword(lane, 1)} << 32;
    const std::uint32_t against = reference.dword(lane, 0);
    std::uint32_t results[4];
    for (unsigned i = 0; i < 4; ++i) {
      const std::uint32_t start = kWide ? addend.dword(lane, i) : addend.dword(lane, i / 2) >> (16 * (i % 2)) & 0xffffu;
      results[i] = start + sum_at(bytes, against, i, kMasked);
    }
    if (kWide) {
      for (unsigned i = 0; i < 4; ++i) {
        out[lane + i * kLanes] = results[i];
      }
    } else {
      out[lane] = (results[0] & 0xffffu) | results[1] << 16;
      out[lane + kLanes] = (results[2] & 0xffffu) | results[3] << 16;
    }
  }
  return next(op);
}

template <bool kMasked, bool kWide>
bool lower_quad(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  const MicroOp& op = lowering.emit(quad_sums<kMasked, kWide>);
  // A constant addend would have to be wider than constants are.
  return vector_result(op) && !inst.clamp && op.kind[0] != Kind::None && op.kind[1] != Kind::None &&
         (kWide ? op.kind[2] == Kind::Vector && inst.src[2].dwords == 4 && inst.dst.dwords == 4
                : op.kind[2] != Kind::None && inst.dst.dwords == 2);
}

}  // namespace

void add_valu_sad(LowerTable& table) {
  table.set(Op::v_qsad_pk_u16_u8, lower_quad<false, false>);
  table.set(Op::v_mqsad_pk_u16_u8, lower_quad<true, false>);
  table.set(Op::v_mqsad_u32_u8, lower_quad<true, true>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
