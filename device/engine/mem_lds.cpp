// SPDX-License-Identifier: MIT
// DS loads and stores. LDS belongs to the workgroup and only its engine thread touches it, so nothing is atomic or
// translated here; an element that is not wholly inside the allocation reads 0 and is not written.
// Facts: CDNA 2 ISA chapters 11 and 12 (DS opcodes). Any alignment is allowed.
#include "device/engine/mem_element.h"
#include "device/engine/mem_plan.h"
#include "device/engine/mem_tables.h"
#include "device/engine/micro_op.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

// The largest offset an element may begin at; false if none fits.
KFDLAB_INLINE bool last_offset(const Wave& wave, unsigned bytes, std::uint32_t& limit) {
  limit = wave.lds_size - bytes;
  return wave.lds_size >= bytes;
}

// If the lanes' elements are one run inside LDS: where lane 0's would be.
template <Element kE>
KFDLAB_INLINE std::byte* find_lds_run(const Wave& wave, const std::uint32_t* row, std::uint32_t offset,
                                      std::uint64_t lanes) {
  constexpr unsigned kBytes = bytes_of(kE);
  const unsigned first = first_lane(lanes);
  if (!is_run32(row, lanes, row[first] - std::uint64_t{first} * kBytes, kBytes)) {
    return nullptr;
  }
  const std::uint32_t start = row[first] + offset;
  const std::uint32_t size = (last_lane(lanes) - first + 1) * kBytes;
  return wave.lds_size >= size && start <= wave.lds_size - size ? wave.lds + start - first * kBytes : nullptr;
}

template <Element kE>
KFDLAB_INLINE void load_lds(const Wave& wave, std::uint32_t* to, const std::uint32_t* row, std::uint32_t offset,
                            std::uint64_t lanes) {
  if (const std::byte* run = find_lds_run<kE>(wave, row, offset, lanes)) {
    return load_run<kE>(to, run, lanes);
  }
  alignas(64) std::uint64_t host[kLanes];
  std::uint32_t limit;
  const bool any = last_offset(wave, bytes_of(kE), limit);
  add_offsets(host, row, offset, limit, any ? wave.lds : kZeros, kZeros);
  if (!any) {
    for (std::uint64_t& at : host) {
      at = reinterpret_cast<std::uint64_t>(kZeros);
    }
  }
  load_lanes<kE>(to, host, lanes);
}

template <Element kE>
KFDLAB_INLINE void store_lds(Wave& wave, const std::uint32_t* from, const std::uint32_t* row, std::uint32_t offset,
                             std::uint64_t lanes) {
  if (std::byte* run = find_lds_run<kE>(wave, row, offset, lanes)) {
    return store_run<kE>(run, from, lanes);
  }
  alignas(64) std::uint64_t host[kLanes];
  std::uint32_t limit;
  if (last_offset(wave, bytes_of(kE), limit)) {
    const std::uint64_t inside = add_offsets(host, row, offset, limit, wave.lds, kZeros);
    store_lanes<kE>(host, from, lanes & inside);
  }
}

template <Element kE>
const MicroOp* read_lds(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes != 0) {
    load_lds<kE>(wave, row_at(wave, op.dst), row_at(wave, op.src[0]), static_cast<std::uint32_t>(op.imm), lanes);
  }
  return next(op);
}

template <Element kE>
const MicroOp* write_lds(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes != 0) {
    store_lds<kE>(wave, row_at(wave, op.src[1]), row_at(wave, op.src[0]), static_cast<std::uint32_t>(op.imm), lanes);
  }
  return next(op);
}

// Two elements: at imm and at aux32[0].
template <Element kE>
const MicroOp* read2_lds(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes != 0) {
    alignas(64) std::uint32_t row[kLanes];  // the first result may replace the addresses
    std::memcpy(row, row_at(wave, op.src[0]), sizeof row);
    std::uint32_t* const to = row_at(wave, op.dst);
    load_lds<kE>(wave, to, row, static_cast<std::uint32_t>(op.imm), lanes);
    load_lds<kE>(wave, to + dwords_of(kE) * kLanes, row, op.aux32[0], lanes);
  }
  return next(op);
}

template <Element kE>
const MicroOp* write2_lds(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes != 0) {
    const std::uint32_t* const row = row_at(wave, op.src[0]);
    store_lds<kE>(wave, row_at(wave, op.src[1]), row, static_cast<std::uint32_t>(op.imm), lanes);
    store_lds<kE>(wave, row_at(wave, op.src[2]), row, op.aux32[0], lanes);
  }
  return next(op);
}

// Exchanges two elements with the two of memory and returns the old ones.
template <Element kE>
const MicroOp* exchange2_lds(Wave& wave, const MicroOp& op) {
  constexpr unsigned kDwords = dwords_of(kE);
  std::uint32_t limit;
  const bool any = last_offset(wave, bytes_of(kE), limit);
  for_lanes(wave.exec(), [&](unsigned l) {
    const std::uint32_t base = row_at(wave, op.src[0])[l];
    std::uint32_t old[2 * kDwords] = {};
    for (unsigned half = 0; half < 2; ++half) {
      const std::uint32_t at = base + (half == 0 ? static_cast<std::uint32_t>(op.imm) : op.aux32[0]);
      if (any && at <= limit) {
        const std::uint32_t* const data = row_at(wave, op.src[1 + half]) + l;
        std::memcpy(old + half * kDwords, wave.lds + at, bytes_of(kE));
        for (unsigned d = 0; d < kDwords; ++d) {
          write_unaligned(wave.lds + at + 4 * d, data[d * kLanes]);
        }
      }
    }
    for (unsigned d = 0; d < 2 * kDwords; ++d) {  // last: it may replace addresses and data
      row_at(wave, op.dst)[d * kLanes + l] = old[d];
    }
  });
  return next(op);
}

// Two dwords, each replaced by 31 bits of the data if the data's highest bit is set; returns the old ones.
const MicroOp* exchange_if_marked(Wave& wave, const MicroOp& op) {
  constexpr std::uint32_t kMark = 1u << 31;
  for_lanes(wave.exec(), [&](unsigned l) {
    const std::uint32_t base = (row_at(wave, op.src[0])[l] + static_cast<std::uint32_t>(op.imm)) & 0xfff8u;
    std::uint32_t old[2] = {};
    for (unsigned d = 0; d < 2; ++d) {
      const std::uint32_t at = base + 4 * d;
      if (wave.lds_size < 4 || at > wave.lds_size - 4) {
        continue;
      }
      const std::uint32_t data = row_at(wave, op.src[1])[d * kLanes + l];
      old[d] = read_unaligned<std::uint32_t>(wave.lds + at);
      if ((data & kMark) != 0) {
        write_unaligned(wave.lds + at, data & ~kMark);
      }
    }
    for (unsigned d = 0; d < 2; ++d) {
      row_at(wave, op.dst)[d * kLanes + l] = old[d];
    }
  });
  return next(op);
}

bool is_lds_form(const isa::Inst& inst, const isa::Operand& value, unsigned dwords) {
  return inst.src[0].is_vector() && is_tuple(value, dwords) && !inst.gds;
}

template <Element kE, bool kStore>
bool lower_one(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (!is_lds_form(inst, kStore ? inst.src[1] : inst.dst, dwords_of(kE))) {
    return false;
  }
  lowering.emit(kStore ? write_lds<kE> : read_lds<kE>);
  return true;
}

// kScale: bytes that an offset of 1 means.
template <Element kE, Handler kHandler, bool kRead, bool kWrite, unsigned kScale>
bool lower_two(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if ((kRead && !is_lds_form(inst, inst.dst, 2 * dwords_of(kE))) ||
      (kWrite && !(is_lds_form(inst, inst.src[1], dwords_of(kE)) && is_tuple(inst.src[2], dwords_of(kE))))) {
    return false;
  }
  MicroOp& op = lowering.emit(kHandler);
  op.imm = static_cast<std::int32_t>((static_cast<std::uint32_t>(inst.offset) & 0xffu) * kScale);
  op.aux32[0] = inst.offset1 * kScale;
  return true;
}

bool lower_exchange_if_marked(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (!is_lds_form(inst, inst.src[1], 2) || !is_tuple(inst.dst, 2)) {
    return false;
  }
  lowering.emit(exchange_if_marked);
  return true;
}

// The GPU has no GDS memory (only its wave sync): all of it is out of range.
const MicroOp* no_gds(Wave& wave, const MicroOp& op) {
  for (unsigned d = 0; d < op.aux8[0]; ++d) {
    fill_row(row_at(wave, op.dst) + d * kLanes, 0, wave.exec());
  }
  return next(op);
}
bool lower_gds(Lowering& lowering) {
  const isa::Operand dst = lowering.inst().dst;
  lowering.emit(no_gds).aux8[0] = dst.is_vector() ? dst.dwords : 0;
  return true;
}

}  // namespace

void add_lds(LowerTable& table) {
  using isa::Op;
  table.lower_gds = lower_gds;
  table.set(Op::ds_condxchg32_rtn_b64, lower_exchange_if_marked);
#define KFDLAB_READ(name, element) table.set(Op::ds_read_##name, lower_one<Element::element, false>)
#define KFDLAB_WRITE(name, element) table.set(Op::ds_write_##name, lower_one<Element::element, true>)
  KFDLAB_READ(u8, Ubyte);
  KFDLAB_READ(i8, Sbyte);
  KFDLAB_READ(u16, Ushort);
  KFDLAB_READ(i16, Sshort);
  KFDLAB_READ(u8_d16, UbyteLo);
  KFDLAB_READ(u8_d16_hi, UbyteHi);
  KFDLAB_READ(i8_d16, SbyteLo);
  KFDLAB_READ(i8_d16_hi, SbyteHi);
  KFDLAB_READ(u16_d16, UshortLo);
  KFDLAB_READ(u16_d16_hi, UshortHi);
  KFDLAB_READ(b32, B32);
  KFDLAB_READ(b64, B64);
  KFDLAB_READ(b96, B96);
  KFDLAB_READ(b128, B128);
  KFDLAB_WRITE(b8, Ubyte);
  KFDLAB_WRITE(b8_d16_hi, UbyteHi);
  KFDLAB_WRITE(b16, Ushort);
  KFDLAB_WRITE(b16_d16_hi, UshortHi);
  KFDLAB_WRITE(b32, B32);
  KFDLAB_WRITE(b64, B64);
  KFDLAB_WRITE(b96, B96);
  KFDLAB_WRITE(b128, B128);
#undef KFDLAB_READ
#undef KFDLAB_WRITE
#define KFDLAB_TWO(bits, element, bytes)                                                                          \
  table.set(Op::ds_read2_##bits, lower_two<Element::element, read2_lds<Element::element>, true, false, bytes>);   \
  table.set(Op::ds_read2st64_##bits,                                                                              \
            lower_two<Element::element, read2_lds<Element::element>, true, false, 64 * bytes>);                   \
  table.set(Op::ds_write2_##bits, lower_two<Element::element, write2_lds<Element::element>, false, true, bytes>); \
  table.set(Op::ds_write2st64_##bits,                                                                             \
            lower_two<Element::element, write2_lds<Element::element>, false, true, 64 * bytes>);                  \
  table.set(Op::ds_wrxchg2_rtn_##bits,                                                                            \
            lower_two<Element::element, exchange2_lds<Element::element>, true, true, bytes>);                     \
  table.set(Op::ds_wrxchg2st64_rtn_##bits,                                                                        \
            lower_two<Element::element, exchange2_lds<Element::element>, true, true, 64 * bytes>)
  KFDLAB_TWO(b32, B32, 4);
  KFDLAB_TWO(b64, B64, 8);
#undef KFDLAB_TWO
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
