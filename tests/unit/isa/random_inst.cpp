// SPDX-License-Identifier: MIT
#include "tests/unit/isa/random_inst.h"

namespace kfdlab::isa {
namespace {

using namespace op_flags;

class Maker {
 public:
  Maker(const OpRow& row, Random& random) : row_(row), random_(random) {}

  std::vector<std::uint32_t> plain();
  std::vector<std::uint32_t> sdwa();
  std::vector<std::uint32_t> dpp();

 private:
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_()) % n; }
  std::uint32_t field(unsigned low, unsigned count) { return below(1u << count) << low; }
  std::uint32_t maybe(std::uint32_t value) { return below(2) != 0 ? value : 0; }
  std::uint32_t flag(std::uint32_t flag_in, std::uint32_t value) { return row_.has(flag_in) ? value : 0; }

  std::uint32_t vgpr(unsigned dwords) {
    const std::uint32_t number = below(257 - dwords);
    return dwords == 1 || below(16) == 0 ? number : number & ~1u;
  }
  std::uint32_t sgpr(unsigned dwords) {
    if (below(8) == 0) return below(128);
    const unsigned alignment = dwords >= 4 ? 4 : dwords;
    return below(103 - dwords) / alignment * alignment;
  }
  std::uint32_t constant(const Slot& slot) {
    // What integers read as from inline floats is a deviation from LLVM 15, see the oracle test.
    const bool half_integer = slot.element == Element::I16 || slot.element == Element::V2I16;
    if (below(3) == 0 && !half_integer) return 240 + below(9);
    return 128 + below(81);
  }
  std::uint32_t scalar_source(const Slot& slot, bool literal) {
    switch (below(8)) {
      case 0: {
        const std::uint32_t number = below(256);
        return number < 240 || number == 255 ? number : constant(slot);
      }
      case 1:
        return literal ? 255 : constant(slot);
      case 2:
      case 3:
        return constant(slot);
      default:
        return sgpr(slot.dwords);
    }
  }
  std::uint32_t any_source(const Slot& slot, bool literal) {
    if (!slot.exists()) return 0;
    if (slot.element == Element::Mask) return sgpr(2);
    return below(2) != 0 ? 256 + vgpr(slot.dwords) : scalar_source(slot, literal);
  }
  std::uint32_t vector_or(unsigned dwords) { return dwords == 0 ? 0 : vgpr(dwords); }

  std::uint32_t literal();
  std::vector<std::uint32_t> one(std::uint32_t word) { return {word, literal()}; }
  std::vector<std::uint32_t> scalar_memory();
  std::vector<std::uint32_t> vop3();
  std::vector<std::uint32_t> vop3p();
  std::vector<std::uint32_t> ds();
  std::vector<std::uint32_t> flat();
  std::vector<std::uint32_t> buffer();
  std::vector<std::uint32_t> image();
  // First dword of Vop1, Vop2 or Vopc.
  std::uint32_t vop(std::uint32_t source0);

  const OpRow& row_;
  Random& random_;
};

// No bits of an inline constant.
std::uint32_t Maker::literal() {
  const auto value = static_cast<std::uint32_t>(random_()) | 0x01000101;
  const bool half = row_.has(kLiteral) && row_.src[0].element == Element::F16;
  return half ? value & 0xffff : value;  // of v_madak_f16 LLVM writes more than the operand has
}

std::uint32_t Maker::vop(std::uint32_t source0) {
  const std::uint32_t op = row_.opcode;
  const std::uint32_t dst = row_.dst.exists() ? (row_.has(kScalarDst) ? sgpr(1) : vgpr(row_.dst.dwords)) : 0;
  const std::uint32_t source1 = vector_or(row_.src[1].dwords);
  switch (row_.encoding) {
    case Encoding::Vop1:
      return 0x3fu << 25 | dst << 17 | op << 9 | source0;
    case Encoding::Vop2:
      return op << 25 | dst << 17 | source1 << 9 | source0;
    default:
      return 0x3eu << 25 | op << 17 | source1 << 9 | source0;
  }
}

std::vector<std::uint32_t> Maker::scalar_memory() {
  std::uint32_t low = 0x30u << 26 | static_cast<std::uint32_t>(row_.opcode) << 18;
  std::uint32_t high = 0;
  if (row_.src[0].exists()) {
    low |= sgpr(row_.src[0].dwords) / 2;
    const unsigned form = below(3);
    if (form != 0) low |= 1u << 17;
    if (form == 2) low |= 1u << 14;
    if (form != 0) high |= maybe(field(0, row_.src[0].dwords == 2 ? 21 : 20));
    if (form == 0) high |= sgpr(1);
    if (form == 2) high |= sgpr(1) << 25;
  }
  const bool data = row_.src[1].exists() || row_.dst.exists();
  if (data) low |= sgpr(row_.src[1].exists() ? row_.src[1].dwords : row_.dst.dwords) << 6;
  if (row_.has(kProbe)) low |= field(6, 7);
  if (data && row_.src[0].exists()) low |= field(16, 1);
  return {low, high};
}

std::vector<std::uint32_t> Maker::vop3() {
  std::uint32_t low = 0x34u << 26 | static_cast<std::uint32_t>(row_.opcode) << 16;
  std::uint32_t high = 0;
  const bool compare = row_.opcode < 256;
  if (compare) low |= sgpr(2);
  if (row_.dst.exists()) low |= row_.has(kScalarDst) ? sgpr(1) : vgpr(row_.dst.dwords);
  if (!compare && row_.has(kSdst)) low |= sgpr(2) << 8;
  for (unsigned i = 0; i < 3; i++) high |= any_source(row_.src[i], false) << (9 * i);
  if (row_.has(kVectorSrc0)) high = (high & ~0x1ffu) | 256 | vgpr(1);
  if (row_.has(kScalarSrc0)) high = (high & ~0x1ffu) | scalar_source(row_.src[0], false);
  if (row_.has(kScalarSrc1)) high = (high & ~(0x1ffu << 9)) | scalar_source(row_.src[1], false) << 9;
  for (unsigned i = 0; i < 3; i++) {
    const Element element = row_.src[i].element;
    if (!row_.has(kMods) || (element != Element::F16 && element != Element::F32 && element != Element::F64)) continue;
    high |= maybe(field(29 + i, 1));
    if (compare || !row_.has(kSdst)) low |= maybe(field(8 + i, 1));
    if (row_.has(kOpSel)) low |= maybe(field(11 + i, 1));
  }
  return {low | maybe(flag(kClamp, field(15, 1))) | maybe(flag(kOpSel, field(14, 1))),
          high | maybe(flag(kOmod, field(27, 2)))};
}

std::vector<std::uint32_t> Maker::vop3p() {
  std::uint32_t low = 0x1a7u << 23 | static_cast<std::uint32_t>(row_.opcode) << 16 | vgpr(row_.dst.dwords);
  std::uint32_t high = 0;
  if (row_.has(kMfma)) {
    high = (256 | vgpr(row_.src[0].dwords)) | (256 | vgpr(row_.src[1].dwords)) << 9;
    const std::uint32_t c = below(3) == 0 ? constant(row_.src[2]) : 256 | vgpr(row_.src[2].dwords);
    return {low | field(8, 8), high | c << 18 | field(27, 5)};
  }
  if (row_.has(kAccSrc0)) return {low, 1u << 27 | 256 | vgpr(1)};
  for (unsigned i = 0; i < 3; i++) {
    if (!row_.src[i].exists()) continue;
    const bool mix = row_.has(kMix);
    high |= (mix ? 256 | vgpr(1) : any_source(row_.src[i], false)) << (9 * i);
    if (row_.has(kPacked)) low |= maybe(field(11 + i, 1)) | (i == 2 ? field(14, 1) : 0);
    if (row_.has(kMods)) low |= maybe(field(8 + i, 1));
    if (row_.has(kMods)) high |= maybe(field(29 + i, 1));
    if (row_.has(kPacked) && i < 2) high |= field(27 + i, 1);
  }
  if (row_.has(kAccDst)) high |= 1u << 27;
  return {low | maybe(flag(kClamp, field(15, 1))), high};
}

std::vector<std::uint32_t> Maker::ds() {
  std::uint32_t low = 0x36u << 26 | static_cast<std::uint32_t>(row_.opcode) << 17;
  std::uint32_t high = 0;
  if (row_.src[0].exists()) high |= vgpr(1);
  if (row_.src[1].exists()) high |= vgpr(row_.src[1].dwords) << (row_.has(kGws) ? 0 : 8);
  if (row_.src[2].exists()) high |= vgpr(row_.src[2].dwords) << 16;
  if (row_.dst.exists()) high |= vgpr(row_.dst.dwords) << 24;
  if (row_.op != Op::ds_nop) low |= maybe(field(0, 16));
  if (row_.dst.exists() || row_.src[1].exists()) low |= field(25, 1);
  if (row_.has(kGws)) low |= 1u << 16;
  if (!row_.has(kGws) && row_.op != Op::ds_nop) low |= maybe(field(16, 1));
  return {low, high};
}

std::vector<std::uint32_t> Maker::flat() {
  const std::uint32_t segment = row_.encoding == Encoding::Flat ? 0 : row_.encoding == Encoding::Scratch ? 1 : 2;
  std::uint32_t low = 0x37u << 26 | static_cast<std::uint32_t>(row_.opcode) << 18 | segment << 14;
  low |= maybe(field(0, segment == 0 ? 12 : 13)) | maybe(field(16, 2));
  const bool saddr = segment != 0 && below(2) != 0;
  std::uint32_t high = segment == 0 ? 0 : 0x7fu << 16;
  if (saddr) high = sgpr(segment == 1 ? 1 : 2) << 16;
  if (!saddr || segment == 2) high |= saddr ? vgpr(1) : vgpr(row_.src[0].dwords);
  if (row_.src[1].exists()) high |= vgpr(row_.src[1].dwords) << 8;
  const bool returns = row_.dst.exists() && (!row_.has(kAtomic) || (low >> 16 & 1) != 0);
  if (returns) high |= vgpr(row_.dst.dwords) << 24;
  return {low, high | field(23, 1)};
}

std::vector<std::uint32_t> Maker::buffer() {
  const bool typed = row_.encoding == Encoding::Mtbuf;
  std::uint32_t low = (typed ? 0x3au : 0x38u) << 26 | static_cast<std::uint32_t>(row_.opcode) << (typed ? 15 : 18);
  const bool data = row_.dst.exists() || row_.src[1].exists();
  if (!data && !row_.has(kLds)) return {low, 0};
  low |= maybe(field(0, 12)) | field(12, 2) | field(14, 1);
  if (row_.op == Op::buffer_store_lds_dword) low = (low & ~(3u << 12)) | 1u << 16;
  const bool lds = data && row_.has(kLds) && below(3) == 0;
  if (lds) low |= 1u << 16;
  low |= typed ? field(19, 7) : field(15, 1) | field(17, 1) * (lds ? 0u : 1u);
  const unsigned address = (low >> 12 & 1) + (low >> 13 & 1);
  std::uint32_t high = vector_or(address);
  if (data && !lds) high |= vgpr(row_.src[1].exists() ? row_.src[1].dwords : row_.dst.dwords) << 8 | field(23, 1);
  high |= sgpr(4) / 4 << 16 | scalar_source({Element::B32, 1}, false) << 24;
  if (typed) high |= field(21, 2);
  return {low, high};
}

// Without a sampler LLVM wants unorm set; of atomics it knows operands of one and two components.
std::vector<std::uint32_t> Maker::image() {
  std::uint32_t low = 0x3cu << 26 | static_cast<std::uint32_t>(row_.opcode) << 18;
  std::uint32_t mask = below(16);
  if (row_.has(kAtomic)) mask = row_.src[1].dwords == 2 ? (below(2) != 0 ? 0xf : 3) : (below(2) != 0 ? 3 : 1);
  low |= mask << 8 | field(7, 1) | field(13, 4) | field(17, 1) | field(25, 1);
  low |= row_.has(kSampler) ? field(12, 1) : 1u << 12;
  std::uint32_t high = vgpr(1) | vgpr(4) << 8 | (sgpr(4) / 4 % 23) << 16;
  if (row_.has(kSampler)) high |= sgpr(4) / 4 << 21;
  if (row_.has(kD16)) high |= field(31, 1);
  return {low, high};
}

std::vector<std::uint32_t> Maker::plain() {
  const std::uint32_t op = row_.opcode;
  const std::uint32_t dst = row_.dst.exists() ? sgpr(row_.dst.dwords) : 0;
  const auto scalar = [this](unsigned i) { return row_.src[i].exists() ? scalar_source(row_.src[i], true) : 0; };
  switch (row_.encoding) {
    case Encoding::Sop2:
      return one(2u << 30 | op << 23 | dst << 16 | scalar(1) << 8 | scalar(0));
    case Encoding::Sop1:
      return one(0x17du << 23 | dst << 16 | op << 8 | scalar(0));
    case Encoding::Sopc:
      return one(0x17eu << 23 | op << 16 | (row_.has(kImmediateSrc1) ? below(16) : scalar(1)) << 8 | scalar(0));
    case Encoding::Sopp:
      return one(0x17fu << 23 | op << 16 | maybe(field(0, 16)));
    case Encoding::Sopk: {
      const std::uint32_t number = row_.has(kLiteral) ? 0 : dst | (row_.dst.exists() ? 0 : sgpr(row_.src[0].dwords));
      return one(0xbu << 28 | op << 23 | number << 16 | field(0, 16));
    }
    case Encoding::Smem:
      return scalar_memory();
    case Encoding::Vop1:
    case Encoding::Vop2:
    case Encoding::Vopc: {
      std::uint32_t source0 = any_source(row_.src[0], !row_.has(kLiteral));
      if (row_.has(kAccSrc0) || row_.has(kVectorSrc0)) source0 = 256 | vgpr(1);
      return one(vop(source0));
    }
    case Encoding::Vop3:
      return vop3();
    case Encoding::Vop3p:
      return vop3p();
    case Encoding::Ds:
      return ds();
    case Encoding::Flat:
    case Encoding::Global:
    case Encoding::Scratch:
      return flat();
    case Encoding::Mubuf:
    case Encoding::Mtbuf:
      return buffer();
    case Encoding::Mimg:
      return image();
  }
  return {};
}

std::vector<std::uint32_t> Maker::sdwa() {
  std::uint32_t low = vop(249);
  std::uint32_t high = 0;
  for (unsigned i = 0; i < 2; i++) {
    if (!row_.src[i].exists()) continue;
    const bool is_scalar = below(4) == 0;
    const std::uint32_t source = is_scalar ? scalar_source(row_.src[i], false) : vgpr(1);
    if (i == 0) high |= source | (is_scalar ? 1u << 23 : 0);
    if (i == 1) low = (low & ~(0xffu << 9)) | source << 9;
    if (i == 1 && is_scalar) high |= 1u << 31;
    high |= below(7) << (16 + 8 * i);
    const Element element = row_.src[i].element;
    const bool is_floating = element == Element::F16 || element == Element::F32;
    if (row_.has(kMods) && is_floating) high |= maybe(field(20 + 8 * i, 2));
    if (!row_.has(kMods) || !is_floating) high |= maybe(field(19 + 8 * i, 1));
  }
  if (row_.encoding == Encoding::Vopc) return {low, high | (below(2) != 0 ? 1u << 15 | sgpr(2) << 8 : 0)};
  high |= below(7) << 8 | below(3) << 11;
  return {low, high | maybe(flag(kClamp, field(13, 1))) | maybe(flag(kOmod, field(14, 2)))};
}

std::vector<std::uint32_t> Maker::dpp() {
  static constexpr std::uint32_t kControls[] = {0x130, 0x134, 0x138, 0x13c, 0x140, 0x141, 0x142, 0x143};
  const bool wide = row_.dst.dwords > 1 || row_.src[0].dwords > 1;
  std::uint32_t control = 0x150 + below(16);
  if (!wide) {
    const unsigned kind = below(4);
    control = kind == 0   ? below(256)
              : kind == 1 ? 0x101 + below(3) * 16 + below(15)
              : kind == 2 ? kControls[below(8)]
                          : control;
  }
  std::uint32_t high = vgpr(row_.src[0].dwords) | control << 8 | field(19, 1) | field(24, 8);
  for (unsigned i = 0; i < 2; i++) {
    const Element element = row_.src[i].element;
    if (row_.op == Op::v_cndmask_b32) continue;  // LLVM 15 does not know the modifiers
    if (!row_.has(kMods) || (element != Element::F16 && element != Element::F32 && element != Element::F64)) continue;
    high |= maybe(field(20 + 2 * i, 2));
  }
  return {vop(250), high};
}

}  // namespace

bool has_form(const OpRow& row, Form form) {
  return form == Form::Plain || (form == Form::Sdwa && row.has(kSdwa)) || (form == Form::Dpp && row.has(kDpp));
}

std::vector<std::uint32_t> random_instruction(const OpRow& row, Form form, Random& random) {
  Maker maker(row, random);
  return form == Form::Plain ? maker.plain() : form == Form::Sdwa ? maker.sdwa() : maker.dpp();
}

}  // namespace kfdlab::isa
