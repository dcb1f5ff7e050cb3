// SPDX-License-Identifier: MIT
// Which format a word has, and the scalar formats.
#include "device/isa/decoder.h"

#include "device/isa/reader.h"

namespace kfdlab::isa {
namespace {

using namespace op_flags;

constexpr unsigned kScalarAny = allow::kScalar | allow::kConstant | allow::kLiteral;

// Formats by the highest bits; the manual's table 13.1. Sop1, Sopc and Sopp are opcodes of Sopk's and Sop2's space.
bool decode_format(Reader& reader) {
  const std::uint32_t word = reader.word(0);
  if (bits(word, 31, 1) == 0) {
    const unsigned op = bits(word, 25, 6);
    return op == 63 ? decode_vop1(reader) : op == 62 ? decode_vopc(reader) : decode_vop2(reader);
  }
  if (bits(word, 30, 2) == 2) return decode_scalar(reader);
  if (!reader.need(2)) return false;
  switch (bits(word, 26, 6)) {
    case 0x30:
      return decode_smem(reader);
    case 0x34:
      return bits(word, 23, 3) == 7 ? decode_vop3p(reader) : decode_vop3(reader);
    case 0x36:
      return decode_ds(reader);
    case 0x37:
      return decode_flat(reader);
    case 0x38:
      return decode_mubuf(reader);
    case 0x3a:
      return decode_mtbuf(reader);
    case 0x3c:
      return decode_mimg(reader);
    default:
      return reader.illegal("unknown encoding");
  }
}

bool decode_sop2(Reader& reader, std::uint32_t word) {
  const OpRow* row = reader.row(Encoding::Sop2, bits(word, 23, 7));
  if (row == nullptr) return false;
  Inst& inst = reader.inst();
  if (row->dst.exists() && !reader.scalar(bits(word, 16, 7), row->dst.dwords, inst.dst)) return false;
  const unsigned allowed = row->has(kRegisterSrc0) ? allow::kScalar : kScalarAny;
  return reader.source(bits(word, 0, 8), row->src[0], allowed, inst.src[0]) &&
         reader.source(bits(word, 8, 8), row->src[1], kScalarAny, inst.src[1]);
}

bool decode_sopk(Reader& reader, std::uint32_t word) {
  const OpRow* row = reader.row(Encoding::Sopk, bits(word, 23, 5));
  if (row == nullptr) return false;
  Inst& inst = reader.inst();
  inst.imm = static_cast<std::int16_t>(bits(word, 0, 16));
  const unsigned number = bits(word, 16, 7);
  if (row->has(kLiteral)) return reader.literal(row->src[0].element, inst.src[0], row->src[0].dwords);
  if (row->dst.exists()) return reader.scalar(number, row->dst.dwords, inst.dst);
  return reader.scalar(number, row->src[0].dwords, inst.src[0]);
}

bool decode_sop1(Reader& reader, std::uint32_t word) {
  const OpRow* row = reader.row(Encoding::Sop1, bits(word, 8, 8));
  if (row == nullptr) return false;
  Inst& inst = reader.inst();
  if (row->dst.exists() && !reader.scalar(bits(word, 16, 7), row->dst.dwords, inst.dst)) return false;
  const unsigned allowed = row->has(kRegisterSrc0) ? allow::kScalar : kScalarAny;
  return !row->src[0].exists() || reader.source(bits(word, 0, 8), row->src[0], allowed, inst.src[0]);
}

bool decode_sopc(Reader& reader, std::uint32_t word) {
  const OpRow* row = reader.row(Encoding::Sopc, bits(word, 16, 7));
  if (row == nullptr) return false;
  Inst& inst = reader.inst();
  if (!reader.source(bits(word, 0, 8), row->src[0], kScalarAny, inst.src[0])) return false;
  if (row->has(kImmediateSrc1)) {
    inst.imm = static_cast<std::int32_t>(bits(word, 8, 8));
    return true;
  }
  return reader.source(bits(word, 8, 8), row->src[1], kScalarAny, inst.src[1]);
}

bool decode_sopp(Reader& reader, std::uint32_t word) {
  if (reader.row(Encoding::Sopp, bits(word, 16, 7)) == nullptr) return false;
  reader.inst().imm = static_cast<std::int16_t>(bits(word, 0, 16));
  return true;
}

// The 21-bit offset counts bytes and is signed.
std::int32_t smem_offset(std::uint32_t word) { return static_cast<std::int32_t>(word << 11) >> 11; }

bool smem_addresses(Reader& reader, const OpRow& row) {
  Inst& inst = reader.inst();
  const std::uint32_t low = reader.word(0);
  const std::uint32_t high = reader.word(1);
  if (!reader.scalar(bits(low, 0, 6) * 2, row.src[0].dwords, inst.src[0])) return false;
  const bool has_immediate = bits(low, 17, 1) != 0;
  const bool has_register = bits(low, 14, 1) != 0;
  if (has_immediate) inst.offset = smem_offset(high);
  if (has_register) return reader.scalar(bits(high, 25, 7), 1, inst.src[2]);
  return has_immediate || reader.scalar(bits(high, 0, 7), 1, inst.src[2]);
}

}  // namespace

bool decode_scalar(Reader& reader) {
  const std::uint32_t word = reader.word(0);
  switch (bits(word, 23, 9)) {
    case 0x17d:
      return decode_sop1(reader, word);
    case 0x17e:
      return decode_sopc(reader, word);
    case 0x17f:
      return decode_sopp(reader, word);
    default:
      return bits(word, 28, 4) == 0xb ? decode_sopk(reader, word) : decode_sop2(reader, word);
  }
}

bool decode_smem(Reader& reader) {
  const std::uint32_t word = reader.word(0);
  const OpRow* row = reader.row(Encoding::Smem, bits(word, 18, 8));
  if (row == nullptr) return false;
  Inst& inst = reader.inst();
  const unsigned data = bits(word, 6, 7);
  inst.glc = bits(word, 16, 1) != 0;
  if (row->src[0].exists() && !smem_addresses(reader, *row)) return false;
  if (row->has(kProbe)) inst.imm = static_cast<std::int32_t>(data);
  if (row->src[1].exists() && !reader.scalar(data, row->src[1].dwords, inst.src[1])) return false;
  const bool returns = row->dst.exists() && (!row->has(kAtomic) || inst.glc);
  return !returns || reader.scalar(data, row->dst.dwords, inst.dst);
}

DecodeResult decode(std::span<const std::uint32_t> words) {
  Reader reader(words);
  if (reader.need(1) && decode_format(reader)) reader.result().status = DecodeResult::Status::Ok;
  return reader.result();
}

}  // namespace kfdlab::isa
