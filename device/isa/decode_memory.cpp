// SPDX-License-Identifier: MIT
// Vector memory formats: Ds, Flat with Global and Scratch, Mubuf, Mtbuf, Mimg.
#include <algorithm>
#include <bit>

#include "device/isa/reader.h"

namespace kfdlab::isa {
namespace {

using namespace op_flags;

constexpr unsigned kNoSaddr = 0x7f;

// The fields that Mubuf and Mtbuf place alike; `accumulator`: the data is in AGPRs.
bool buffer_operands(Reader& reader, const OpRow& row, bool has_data) {
  Inst& inst = reader.inst();
  const std::uint32_t low = reader.word(0);
  const std::uint32_t high = reader.word(1);
  const bool accumulator = bits(high, 23, 1) != 0;
  inst.offset = static_cast<std::int32_t>(bits(low, 0, 12));
  inst.offen = bits(low, 12, 1) != 0;
  inst.idxen = bits(low, 13, 1) != 0;
  inst.glc = bits(low, 14, 1) != 0;
  const unsigned address_dwords = (inst.offen ? 1u : 0u) + (inst.idxen ? 1u : 0u);
  if (address_dwords != 0 && !reader.vector(bits(high, 0, 8), address_dwords, false, inst.src[0])) return false;
  if (!reader.scalar(bits(high, 16, 5) * 4, 4, inst.src[2])) return false;
  constexpr Slot kOffset{Element::B32, 1};
  if (!reader.source(bits(high, 24, 8), kOffset, allow::kScalar | allow::kConstant, inst.src[3])) return false;
  if (!has_data) return true;
  const unsigned data = bits(high, 8, 8);
  if (row.src[1].exists() && !reader.vector(data, row.src[1].dwords, accumulator, inst.src[1])) return false;
  const bool returns = row.dst.exists() && (!row.has(kAtomic) || inst.glc);
  return !returns || reader.vector(data, row.dst.dwords, accumulator, inst.dst);
}

// FLAT's address is 64 bits; Global adds a VGPR offset to saddr when there is one; Scratch has one of the two.
bool flat_address(Reader& reader, const OpRow& row) {
  Inst& inst = reader.inst();
  const std::uint32_t high = reader.word(1);
  const unsigned address = bits(high, 0, 8);
  const unsigned saddr = bits(high, 16, 7);
  if (row.encoding == Encoding::Flat || saddr == kNoSaddr) {
    return reader.vector(address, row.src[0].dwords, false, inst.src[0]);
  }
  if (row.encoding == Encoding::Scratch) return reader.scalar(saddr, 1, inst.src[2]);
  return reader.vector(address, 1, false, inst.src[0]) && reader.scalar(saddr, 2, inst.src[2]);
}

// Registers of an image's data: one for each component of dmask, at least one. Atomics: by the size of the operand.
unsigned image_dwords(const OpRow& row, const Inst& inst) {
  const unsigned components = std::max(std::popcount(inst.dmask), 1);
  if (!row.has(kAtomic)) return inst.d16 ? (components + 1) / 2 : components;
  if (row.src[1].dwords == 2) return inst.dmask == 0xf ? 4 : 2;
  return inst.dmask == 3 ? 2 : 1;
}

void image_modifiers(Inst& inst, std::uint32_t low, std::uint32_t high) {
  inst.dmask = static_cast<std::uint8_t>(bits(low, 8, 4));
  inst.scc = bits(low, 7, 1) != 0;
  inst.unorm = bits(low, 12, 1) != 0;
  inst.glc = bits(low, 13, 1) != 0;
  inst.da = bits(low, 14, 1) != 0;
  inst.a16 = bits(low, 15, 1) != 0;
  inst.lwe = bits(low, 17, 1) != 0;
  inst.slc = bits(low, 25, 1) != 0;
  inst.d16 = bits(high, 31, 1) != 0;
}

}  // namespace

bool decode_ds(Reader& reader) {
  const std::uint32_t low = reader.word(0);
  const std::uint32_t high = reader.word(1);
  const OpRow* row = reader.row(Encoding::Ds, bits(low, 17, 8));
  if (row == nullptr) return false;
  Inst& inst = reader.inst();
  const bool accumulator = bits(low, 25, 1) != 0;
  inst.gds = bits(low, 16, 1) != 0;
  if (row->has(kTwoOffsets)) {
    inst.offset = static_cast<std::int32_t>(bits(low, 0, 8));
    inst.offset1 = static_cast<std::uint8_t>(bits(low, 8, 8));
  } else {
    inst.offset = static_cast<std::int32_t>(bits(low, 0, 16));
  }
  const unsigned data0 = row->has(kGws) ? bits(high, 0, 8) : bits(high, 8, 8);
  if (row->src[0].exists() && !reader.vector(bits(high, 0, 8), 1, false, inst.src[0])) return false;
  if (row->src[1].exists() && !reader.vector(data0, row->src[1].dwords, accumulator, inst.src[1])) return false;
  if (row->src[2].exists() && !reader.vector(bits(high, 16, 8), row->src[2].dwords, accumulator, inst.src[2])) {
    return false;
  }
  return !row->dst.exists() || reader.vector(bits(high, 24, 8), row->dst.dwords, accumulator, inst.dst);
}

bool decode_flat(Reader& reader) {
  const std::uint32_t low = reader.word(0);
  const std::uint32_t high = reader.word(1);
  constexpr Encoding kSegments[] = {Encoding::Flat, Encoding::Scratch, Encoding::Global};
  const unsigned segment = bits(low, 14, 2);
  if (segment > 2) return reader.illegal("reserved segment");
  const OpRow* row = reader.row(kSegments[segment], bits(low, 18, 7));
  if (row == nullptr) return false;
  if (bits(low, 13, 1) != 0) return reader.illegal("gfx90a has no LDS form of flat instructions");
  Inst& inst = reader.inst();
  const bool accumulator = bits(high, 23, 1) != 0;
  const std::uint32_t offset = bits(low, 0, 13);
  // 12 bits for FLAT; 13 bits with a sign for the others
  inst.offset =
      segment == 0 ? static_cast<std::int32_t>(offset & 0xfff) : static_cast<std::int32_t>(offset << 19) >> 19;
  inst.glc = bits(low, 16, 1) != 0;
  inst.slc = bits(low, 17, 1) != 0;
  inst.scc = bits(low, 25, 1) != 0;
  if (!flat_address(reader, *row)) return false;
  if (row->src[1].exists() && !reader.vector(bits(high, 8, 8), row->src[1].dwords, accumulator, inst.src[1])) {
    return false;
  }
  const bool returns = row->dst.exists() && (!row->has(kAtomic) || inst.glc);
  return !returns || reader.vector(bits(high, 24, 8), row->dst.dwords, accumulator, inst.dst);
}

bool decode_mubuf(Reader& reader) {
  const std::uint32_t low = reader.word(0);
  const OpRow* row = reader.row(Encoding::Mubuf, bits(low, 18, 7));
  if (row == nullptr) return false;
  Inst& inst = reader.inst();
  const bool has_data = row->dst.exists() || row->src[1].exists();
  if (!has_data && !row->has(kLds)) return true;  // cache control
  inst.scc = bits(low, 15, 1) != 0;
  inst.lds = bits(low, 16, 1) != 0 || !has_data;
  inst.slc = bits(low, 17, 1) != 0;
  if (inst.lds && !row->has(kLds)) return reader.illegal("no LDS form");
  return buffer_operands(reader, *row, !inst.lds);
}

bool decode_mtbuf(Reader& reader) {
  const std::uint32_t low = reader.word(0);
  const std::uint32_t high = reader.word(1);
  const OpRow* row = reader.row(Encoding::Mtbuf, bits(low, 15, 4));
  if (row == nullptr) return false;
  Inst& inst = reader.inst();
  inst.format = static_cast<std::uint8_t>(bits(low, 19, 7));
  inst.scc = bits(high, 21, 1) != 0;
  inst.slc = bits(high, 22, 1) != 0;
  return buffer_operands(reader, *row, true);
}

bool decode_mimg(Reader& reader) {
  const std::uint32_t low = reader.word(0);
  const std::uint32_t high = reader.word(1);
  const OpRow* row = reader.row(Encoding::Mimg, bits(low, 18, 7));
  if (row == nullptr) return false;
  Inst& inst = reader.inst();
  image_modifiers(inst, low, high);
  const bool accumulator = bits(low, 16, 1) != 0;
  if (inst.d16 && !row->has(kD16)) return reader.illegal("no D16 form");
  const unsigned dwords = image_dwords(*row, inst);
  if (!reader.vector(bits(high, 0, 8), 1, false, inst.src[0])) return false;
  if (!reader.scalar(bits(high, 16, 5) * 4, 8, inst.src[2])) return false;
  if (row->has(kSampler) && !reader.scalar(bits(high, 21, 5) * 4, 4, inst.src[3])) return false;
  const unsigned data = bits(high, 8, 8);
  if (row->src[1].exists() && !reader.vector(data, dwords, accumulator, inst.src[1])) return false;
  const bool returns = row->dst.exists() && (!row->has(kAtomic) || inst.glc);
  return !returns || reader.vector(data, row->src[1].dwords == 2 ? dwords / 2 : dwords, accumulator, inst.dst);
}

}  // namespace kfdlab::isa
