// SPDX-License-Identifier: MIT
// The second dword of Vop1, Vop2 and Vopc: SDWA (parts of registers) and DPP (other lanes).
#include "device/isa/reader.h"

namespace kfdlab::isa {
namespace {

using namespace op_flags;

constexpr unsigned kRowNewBcast = 0x150;

// Controls gfx90a has; the manual, section 12.17.
bool is_dpp_control(unsigned control) {
  if (control <= 0xff) return true;                                       // quad_perm
  if (control >= 0x101 && control <= 0x12f) return (control & 0xf) != 0;  // row_shl, row_shr, row_ror
  if (control >= kRowNewBcast && control <= kRowNewBcast + 15) return true;
  switch (control) {
    case 0x130:  // wave_shl
    case 0x134:  // wave_rol
    case 0x138:  // wave_shr
    case 0x13c:  // wave_ror
    case 0x140:  // row_mirror
    case 0x141:  // row_half_mirror
    case 0x142:  // row_bcast15
    case 0x143:  // row_bcast31
      return true;
    default:
      return false;
  }
}

}  // namespace

// SDWA: sources are VGPRs, scalar registers or inline constants; Vopc has a mask register where the others select.
bool decode_sdwa(Reader& reader, const OpRow& row) {
  Inst& inst = reader.inst();
  const std::uint32_t word = reader.word(1);
  inst.is_sdwa = true;
  const unsigned fields[2] = {bits(word, 0, 8) + (bits(word, 23, 1) != 0 ? 0 : kVgpr0),
                              bits(reader.word(0), 9, 8) + (bits(word, 31, 1) != 0 ? 0 : kVgpr0)};
  for (unsigned i = 0; i < 2; i++) {
    if (!row.src[i].exists()) continue;
    if (!reader.source(fields[i], row.src[i], allow::kAny, inst.src[i])) return false;
    const unsigned select = bits(word, 16 + i * 8, 3);
    if (select > 6) return reader.illegal("reserved SDWA select");
    inst.src_select[i] = static_cast<SdwaSelect>(select);
    const bool modified = row.has(kMods) && is_float(row.src[i].element);
    const unsigned modifiers = bits(word, 19 + i * 8, 3);  // sext, neg, abs
    if (!modified) inst.sext |= static_cast<std::uint8_t>((modifiers & 1) << i);
    if (modified) inst.neg |= static_cast<std::uint8_t>((modifiers >> 1 & 1) << i);
    if (modified) inst.abs |= static_cast<std::uint8_t>((modifiers >> 2) << i);
  }
  if (row.encoding == Encoding::Vopc) return bits(word, 15, 1) == 0 || reader.scalar(bits(word, 8, 7), 2, inst.sdst);
  const unsigned select = bits(word, 8, 3);
  const unsigned unused = bits(word, 11, 2);
  if (select > 6 || unused > 2) return reader.illegal("reserved SDWA select");
  inst.dst_select = static_cast<SdwaSelect>(select);
  inst.dst_unused = static_cast<SdwaUnused>(unused);
  inst.clamp = row.has(kClamp) && bits(word, 13, 1) != 0;
  if (row.has(kOmod)) inst.omod = static_cast<std::uint8_t>(bits(word, 14, 2));
  return true;
}

bool decode_dpp(Reader& reader, const OpRow& row) {
  Inst& inst = reader.inst();
  const std::uint32_t word = reader.word(1);
  const unsigned control = bits(word, 8, 9);
  if (!is_dpp_control(control)) return reader.illegal("reserved DPP control");
  const bool wide = row.dst.dwords > 1 || row.src[0].dwords > 1;
  if (wide && (control < kRowNewBcast || control > kRowNewBcast + 15)) {
    return reader.illegal("64-bit DPP is row_newbcast only");
  }
  inst.is_dpp = true;
  inst.dpp_ctrl = static_cast<std::uint16_t>(control);
  inst.bound_ctrl = bits(word, 19, 1) != 0;
  inst.bank_mask = static_cast<std::uint8_t>(bits(word, 24, 4));
  inst.row_mask = static_cast<std::uint8_t>(bits(word, 28, 4));
  if (row.has(kMods)) {
    inst.neg = static_cast<std::uint8_t>((bits(word, 20, 1) | bits(word, 22, 1) << 1) & float_sources(row));
    inst.abs = static_cast<std::uint8_t>((bits(word, 21, 1) | bits(word, 23, 1) << 1) & float_sources(row));
  }
  return reader.vector(bits(word, 0, 8), row.src[0].dwords, false, inst.src[0]);
}

}  // namespace kfdlab::isa
