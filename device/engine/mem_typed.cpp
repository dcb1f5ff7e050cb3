// SPDX-License-Identifier: MIT
// Typed buffers: MUBUF's *_format_* (format and order of components are the descriptor's) and MTBUF (the format is the
// instruction's, components in their order). One lane at a time: compute code seldom uses them.
//
// Loads give as many components as the mnemonic says; stores write whole elements, with 0 for components that they do
// not have. D16: two 16-bit components to a register, f16 or the low bits of an integer; one component leaves the other
// half. Facts: CDNA 2 ISA chapter 9.1.
#include "device/engine/formats.h"
#include "device/engine/mem_buffer.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

// aux8 of a micro-op.
constexpr unsigned kComponentsAt = 0;
constexpr unsigned kHalfAt = 1;  // 0: 32-bit components, 1: D16, 2: D16 in the high half
constexpr unsigned kDataFormatAt = 2;
constexpr unsigned kNumberFormatAt = 3;
constexpr unsigned kFromDescriptorAt = 4;

struct Typed {
  BufferFormat format;
  NumberFormat number = NumberFormat::Unorm;
  unsigned select[4] = {4, 5, 6, 7};  // 0: zero, 1: one, 4..7: X to W
};

KFDLAB_INLINE Typed read_typed(const Wave& wave, const MicroOp& op) {
  Typed typed;
  if (op.aux8[kFromDescriptorAt] == 0) {
    typed.format = buffer_format(op.aux8[kDataFormatAt]);
    typed.number = static_cast<NumberFormat>(op.aux8[kNumberFormatAt]);
    return typed;
  }
  const std::uint32_t word = scalar_source(wave, op, 2)[3];
  typed.format = buffer_format(word >> 15 & 0xf);
  typed.number = static_cast<NumberFormat>(word >> 12 & 7);
  for (unsigned i = 0; i < 4; ++i) {
    typed.select[i] = word >> (3 * i) & 7;
  }
  return typed;
}

// One plan for each dword of an element, or one for a smaller element.
struct TypedPlan {
  Plan part[4];
  std::uint64_t inside = 0;  // lanes whose element is in range
};

template <MemoryAccess kAccess, unsigned kPartBytes>
[[nodiscard]] bool plan_parts(Wave& wave, const MicroOp& op, const Buffer& buffer, unsigned bytes, std::uint64_t lanes,
                              TypedPlan& plan) {
  alignas(64) std::uint64_t address[kLanes];
  const BufferLane lane(wave, op);
  plan.inside = 0;
  for_lanes(lanes, [&](unsigned l) {
    std::uint64_t ignored;
    const std::uint32_t last = lane.offset(l) + (bytes > 4 ? bytes - 4 : 0);
    if (place_in_buffer(buffer, lane.index(buffer, l), last, kPartBytes, ignored)) {
      plan.inside |= 1ull << l;
    }
  });
  for (unsigned d = 0; d * 4 < bytes; ++d) {
    for_lanes(plan.inside, [&](unsigned l) {
      static_cast<void>(place_in_buffer(buffer, lane.index(buffer, l), lane.offset(l) + 4 * d, kPartBytes, address[l]));
    });
    if (!plan_lanes<kAccess, kPartBytes>(wave, address, plan.inside, plan.part[d])) {
      return false;
    }
  }
  return true;
}

template <MemoryAccess kAccess>
[[nodiscard]] bool plan_typed(Wave& wave, const MicroOp& op, unsigned bytes, std::uint64_t lanes, TypedPlan& plan) {
  const Buffer buffer = read_buffer(wave, op);
  switch (bytes) {
    case 0:
      return true;  // no such format: every lane is out of range
    case 1:
      return plan_parts<kAccess, 1>(wave, op, buffer, bytes, lanes, plan);
    case 2:
      return plan_parts<kAccess, 2>(wave, op, buffer, bytes, lanes, plan);
    default:
      return plan_parts<kAccess, 4>(wave, op, buffer, bytes, lanes, plan);
  }
}

void write_components(Wave& wave, const MicroOp& op, const Typed& typed, unsigned lane, const FormatWords& values) {
  std::uint32_t* const to = row_at(wave, op.dst);
  const unsigned count = op.aux8[kComponentsAt];
  if (op.aux8[kHalfAt] == 0) {
    for (unsigned i = 0; i < count; ++i) {
      to[i * kLanes + lane] = values[i];
    }
    return;
  }
  std::uint32_t halves[4] = {};
  for (unsigned i = 0; i < count; ++i) {
    halves[i] = is_integer(typed.number) ? values[i] & 0xffffu : half_of(values[i]);
  }
  if (count == 1) {
    to[lane] = op.aux8[kHalfAt] == 2 ? (to[lane] & 0xffffu) | halves[0] << 16 : (to[lane] & 0xffff0000u) | halves[0];
    return;
  }
  for (unsigned i = 0; i < count; i += 2) {
    to[i / 2 * kLanes + lane] = halves[i] | halves[i + 1] << 16;
  }
}

const MicroOp* load_typed(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  const Typed typed = read_typed(wave, op);
  TypedPlan plan;
  if (!plan_typed<MemoryAccess::Read>(wave, op, typed.format.bytes, lanes, plan)) {
    return fault(wave, op);
  }
  for_lanes(lanes, [&](unsigned l) {
    FormatWords values{};
    if ((plan.inside >> l & 1) != 0) {
      FormatWords words{};
      for (unsigned at = 0; at < typed.format.bytes; at += 4) {
        const unsigned bytes = typed.format.bytes - at < 4 ? typed.format.bytes - at : 4;
        std::memcpy(&words[at / 4], reinterpret_cast<const void*>(plan.part[at / 4].host[l]), bytes);
      }
      const FormatWords components = unpack_components(typed.format, typed.number, words);
      for (unsigned i = 0; i < 4; ++i) {
        const unsigned select = typed.select[i];
        values[i] = select >= 4   ? components[select - 4]
                    : select == 1 ? (is_integer(typed.number) ? 1u : 0x3f800000u)
                                  : 0;
      }
    }
    write_components(wave, op, typed, l, values);
  });
  return next(op);
}

FormatWords read_components(const Wave& wave, const MicroOp& op, const Typed& typed, unsigned lane) {
  const std::uint32_t* const from = row_at(wave, op.src[1]);
  FormatWords values{};
  for (unsigned i = 0; i < op.aux8[kComponentsAt]; ++i) {
    if (op.aux8[kHalfAt] == 0) {
      values[i] = from[i * kLanes + lane];
      continue;
    }
    const std::uint32_t pair = from[i / 2 * kLanes + lane];
    const std::uint32_t half = (i % 2 != 0 || op.aux8[kHalfAt] == 2 ? pair >> 16 : pair) & 0xffffu;
    const auto extended = static_cast<std::uint32_t>(std::int32_t{static_cast<std::int16_t>(half)});
    values[i] = typed.number == NumberFormat::Uint   ? half
                : typed.number == NumberFormat::Sint ? extended
                                                     : single_of_half(half);
  }
  return values;
}

const MicroOp* store_typed(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  const Typed typed = read_typed(wave, op);
  TypedPlan plan;
  if (!plan_typed<MemoryAccess::Write>(wave, op, typed.format.bytes, lanes, plan)) {
    return fault(wave, op);
  }
  for_lanes(plan.inside, [&](unsigned l) {
    const FormatWords words = pack_components(typed.format, typed.number, read_components(wave, op, typed, l));
    for (unsigned at = 0; at < typed.format.bytes; at += 4) {
      const unsigned bytes = typed.format.bytes - at < 4 ? typed.format.bytes - at : 4;
      std::memcpy(reinterpret_cast<void*>(plan.part[at / 4].host[l]), &words[at / 4], bytes);
    }
  });
  for (unsigned at = 0; at < typed.format.bytes; at += 4) {
    if (typed.format.bytes == 2) {
      finish_stores<2>(plan.part[0]);
    } else {
      finish_stores<4>(plan.part[at / 4]);
    }
  }
  return next(op);
}

// kHalf as in kHalfAt.
template <bool kStore, unsigned kComponents, unsigned kHalf>
bool lower_typed(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (inst.lds) {
    return !kStore && kComponents == 1 && kHalf == 0 && lower_buffer_to_lds(lowering, Element::B32);
  }
  constexpr unsigned kDwords = kHalf == 0 ? kComponents : (kComponents + 1) / 2;
  if (!has_buffer_address(inst) || !is_tuple(kStore ? inst.src[1] : inst.dst, kDwords)) {
    return false;
  }
  MicroOp& op = lowering.emit(kStore ? store_typed : load_typed);
  op.aux8[kComponentsAt] = kComponents;
  op.aux8[kHalfAt] = kHalf;
  op.aux8[kDataFormatAt] = inst.format & 0xfu;
  op.aux8[kNumberFormatAt] = inst.format >> 4 & 7u;
  op.aux8[kFromDescriptorAt] = inst.encoding == isa::Encoding::Mubuf ? 1 : 0;
  return true;
}

}  // namespace

void add_typed_buffer(LowerTable& table) {
  using isa::Op;
#define KFDLAB_TYPED(prefix, name, store)                                    \
  table.set(Op::prefix##_##name##_format_x, lower_typed<store, 1, 0>);       \
  table.set(Op::prefix##_##name##_format_xy, lower_typed<store, 2, 0>);      \
  table.set(Op::prefix##_##name##_format_xyz, lower_typed<store, 3, 0>);     \
  table.set(Op::prefix##_##name##_format_xyzw, lower_typed<store, 4, 0>);    \
  table.set(Op::prefix##_##name##_format_d16_x, lower_typed<store, 1, 1>);   \
  table.set(Op::prefix##_##name##_format_d16_xy, lower_typed<store, 2, 1>);  \
  table.set(Op::prefix##_##name##_format_d16_xyz, lower_typed<store, 3, 1>); \
  table.set(Op::prefix##_##name##_format_d16_xyzw, lower_typed<store, 4, 1>)
  KFDLAB_TYPED(buffer, load, false);
  KFDLAB_TYPED(buffer, store, true);
  KFDLAB_TYPED(tbuffer, load, false);
  KFDLAB_TYPED(tbuffer, store, true);
#undef KFDLAB_TYPED
  table.set(Op::buffer_load_format_d16_hi_x, lower_typed<false, 1, 2>);
  table.set(Op::buffer_store_format_d16_hi_x, lower_typed<true, 1, 2>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
