// SPDX-License-Identifier: MIT
#include "tests/unit/isa/asm_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <set>

namespace kfdlab::isa {
namespace {

using namespace op_flags;

void split(const std::string& text, char separator, std::vector<std::string>& out) {
  int depth = 0;
  std::string part;
  for (const char c : text) {
    depth += (c == '[' || c == '(') ? 1 : (c == ']' || c == ')') ? -1 : 0;
    if (c == separator && depth == 0) {
      out.push_back(part);
      part.clear();
    } else {
      part += c;
    }
  }
  out.push_back(part);
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// A word after the mnemonic that is a modifier although no operand precedes it.
bool is_modifier(const std::string& word) {
  static const std::set<std::string> kWords = {"gds", "glc", "slc", "scc", "lds", "clamp", "idxen", "offen"};
  return kWords.contains(word) || word.starts_with("offset") || word.starts_with("op_sel");
}

const char* inline_float_text(unsigned index, bool is_double) {
  static const char* const kTexts[] = {"0.5", "-0.5", "1.0", "-1.0", "2.0", "-2.0", "4.0", "-4.0", "0.15915494"};
  return is_double && index == 8 ? "0.15915494309189532" : kTexts[index];
}

// Literals are written as they are encoded.
std::string literal_text(std::uint64_t value, Element element) {
  if (element == Element::F64) value >>= 32;
  if (element == Element::V2F16) value &= 0xffff;  // all that LLVM 15 writes of it
  return fmt::format("0x{:x}", static_cast<std::uint32_t>(value));
}

// How the decoder reads the constants, backwards: inline numbers first.
constexpr unsigned kInlineFields[] = {240, 241, 242, 243, 244, 245, 246, 247, 248};

std::int64_t sign_extended(std::uint64_t value, Element element) {
  switch (element) {
    case Element::I16:
    case Element::F16:
      return static_cast<std::int16_t>(value);
    case Element::B64:
    case Element::I64:
    case Element::F64:
      return static_cast<std::int64_t>(value);
    default:
      return static_cast<std::int32_t>(value);
  }
}

std::uint64_t float_bits(unsigned field, Element element);

std::string scalar_name(unsigned number) {
  if (number < 102) return fmt::format("s{}", number);
  if (number >= kTtmp0 && number < kM0) return fmt::format("ttmp{}", number - kTtmp0);
  switch (number) {
    case 102:
      return "flat_scratch_lo";
    case 103:
      return "flat_scratch_hi";
    case 104:
      return "xnack_mask_lo";
    case 105:
      return "xnack_mask_hi";
    case 106:
      return "vcc_lo";
    case 107:
      return "vcc_hi";
    case 124:
      return "m0";
    case 126:
      return "exec_lo";
    case 127:
      return "exec_hi";
    case kSharedBase:
      return "src_shared_base";
    case kSharedLimit:
      return "src_shared_limit";
    case kPrivateBase:
      return "src_private_base";
    case kPrivateLimit:
      return "src_private_limit";
    case kPopsExitingWaveId:
      return "src_pops_exiting_wave_id";
    case kVccz:
      return "src_vccz";
    case kExecz:
      return "src_execz";
    case kScc:
      return "src_scc";
    default:
      return fmt::format("?{}", number);
  }
}

class Writer {
 public:
  Writer(const Inst& inst, const OpRow& row) : inst_(inst), row_(row) { text_.mnemonic = name(inst.op); }

  AsmText take() {
    std::sort(text_.modifiers.begin(), text_.modifiers.end());
    return std::move(text_);
  }

  void scalar();
  void smem();
  void vop();
  void vop3();
  void vop3p();
  void ds();
  void flat();
  void buffer();
  void image();

 private:
  void operand(const std::string& text) { text_.operands.push_back(text); }
  void modifier(const std::string& text) { text_.modifiers.push_back(text); }
  void flag(bool set, const char* text) {
    if (set) modifier(text);
  }
  void reg(const Operand& operand_in) {
    if (operand_in.is_register()) operand(register_text(operand_in.reg, operand_in.dwords));
  }
  std::string plain(unsigned i) const;
  void source(unsigned i, bool modifiers);
  void cache_flags() {
    flag(inst_.glc, "glc");
    flag(inst_.slc, "slc");
    flag(inst_.scc, "scc");
  }
  void offset() {
    if (inst_.offset != 0) modifier(fmt::format("offset:{}", inst_.offset));
  }
  void vop_output();
  void sdwa();
  void dpp();
  void mask(const char* what, unsigned bits_in, unsigned usual, unsigned count);

  const Inst& inst_;
  const OpRow& row_;
  AsmText text_;
};

std::string Writer::plain(unsigned i) const {
  const Operand& source_operand = inst_.src[i];
  if (source_operand.is_register()) return register_text(source_operand.reg, source_operand.dwords);
  Element element = row_.src[i].element;
  if (row_.has(kMix) && (inst_.op_sel_hi >> i & 1) == 0) element = Element::F32;
  return constant_text(source_operand.value, element);
}

void Writer::source(unsigned i, bool modifiers) {
  if (inst_.src[i].kind == Operand::Kind::None) return;
  std::string text = plain(i);
  if (modifiers) {
    const bool neg = (inst_.neg >> i & 1) != 0;
    const bool abs = (inst_.abs >> i & 1) != 0;
    if (abs) text = "|" + text + "|";
    if (neg) text = inst_.src[i].is_constant() && !abs ? "neg(" + text + ")" : "-" + text;
    if ((inst_.sext >> i & 1) != 0) text = "sext(" + text + ")";
  }
  operand(text);
}

void Writer::scalar() {
  reg(inst_.dst);
  for (unsigned i = 0; i < 3; i++) source(i, false);
}

void Writer::smem() {
  if (row_.has(kProbe)) operand(constant_text(static_cast<std::uint32_t>(inst_.imm), Element::B32));
  if (row_.src[1].exists()) {
    reg(inst_.src[1]);
  } else {
    reg(inst_.dst);
  }
  if (!row_.src[0].exists()) return;
  reg(inst_.src[0]);
  const auto hex = [](std::int32_t value) { return fmt::format("{}0x{:x}", value < 0 ? "-" : "", std::abs(value)); };
  if (inst_.src[2].is_register()) {
    reg(inst_.src[2]);
    if ((inst_.offset) != 0) modifier("offset:" + hex(inst_.offset));
  } else {
    operand(hex(inst_.offset));
  }
  cache_flags();
}

void Writer::vop_output() {
  reg(inst_.dst);
  reg(inst_.sdst);
}

void Writer::sdwa() {
  static const char* const kSelects[] = {"BYTE_0", "BYTE_1", "BYTE_2", "BYTE_3", "WORD_0", "WORD_1", "DWORD"};
  static const char* const kUnused[] = {"UNUSED_PAD", "UNUSED_SEXT", "UNUSED_PRESERVE"};
  const auto select = [](SdwaSelect s) { return kSelects[static_cast<unsigned>(s)]; };
  if (row_.encoding != Encoding::Vopc) {
    modifier(fmt::format("dst_sel:{}", select(inst_.dst_select)));
    modifier(fmt::format("dst_unused:{}", kUnused[static_cast<unsigned>(inst_.dst_unused)]));
  }
  modifier(fmt::format("src0_sel:{}", select(inst_.src_select[0])));
  if (row_.src[1].exists()) modifier(fmt::format("src1_sel:{}", select(inst_.src_select[1])));
}

void Writer::dpp() {
  const unsigned c = inst_.dpp_ctrl;
  if (c <= 0xff) {
    modifier(fmt::format("quad_perm:[{},{},{},{}]", c & 3, c >> 2 & 3, c >> 4 & 3, c >> 6));
  } else if (c < 0x130) {
    static const char* const kShifts[] = {"row_shl", "row_shr", "row_ror"};
    modifier(fmt::format("{}:{}", kShifts[(c >> 4 & 3)], c & 0xf));
  } else if (c >= 0x150) {
    modifier(fmt::format("row_newbcast:{}", c & 0xf));
  } else {
    modifier(c == 0x130   ? "wave_shl:1"
             : c == 0x134 ? "wave_rol:1"
             : c == 0x138 ? "wave_shr:1"
             : c == 0x13c ? "wave_ror:1"
             : c == 0x140 ? "row_mirror"
             : c == 0x141 ? "row_half_mirror"
             : c == 0x142 ? "row_bcast:15"
                          : "row_bcast:31");
  }
  modifier(fmt::format("row_mask:0x{:x}", inst_.row_mask));
  modifier(fmt::format("bank_mask:0x{:x}", inst_.bank_mask));
  flag(inst_.bound_ctrl, "bound_ctrl:1");
}

void Writer::vop() {
  vop_output();
  for (unsigned i = 0; i < 3; i++) source(i, inst_.is_sdwa || inst_.is_dpp);
  flag(inst_.clamp, "clamp");
  if (inst_.omod != 0) modifier(inst_.omod == 3 ? "div:2" : inst_.omod == 2 ? "mul:4" : "mul:2");
  if (inst_.is_sdwa) sdwa();
  if (inst_.is_dpp) dpp();
}

// [a,b,c] of the low `count` bits, unless all have the usual value.
void Writer::mask(const char* what, unsigned value, unsigned usual, unsigned count) {
  const unsigned all = (1u << count) - 1;
  if ((value & all) == (usual != 0 ? all : 0)) return;
  std::string text = fmt::format("{}:[", what);
  for (unsigned i = 0; i < count; i++) text += fmt::format("{}{}", i == 0 ? "" : ",", value >> i & 1);
  modifier(text + "]");
}

unsigned source_count(const OpRow& row) {
  return static_cast<unsigned>(
      std::count_if(row.src.begin(), row.src.end(), [](const Slot& slot) { return slot.exists(); }));
}

void Writer::vop3() {
  vop_output();
  for (unsigned i = 0; i < 3; i++) source(i, true);
  flag(inst_.clamp, "clamp");
  if (inst_.omod != 0) modifier(inst_.omod == 3 ? "div:2" : inst_.omod == 2 ? "mul:4" : "mul:2");
  if (row_.has(kOpSel)) {
    const unsigned count = source_count(row_);
    const unsigned low = inst_.op_sel & ((1u << count) - 1);
    mask("op_sel", low | (inst_.op_sel >> 3) << count, 0, count + 1);
  }
}

void Writer::vop3p() {
  vop_output();
  for (unsigned i = 0; i < 3; i++) source(i, row_.has(kMix));
  if (row_.has(kMfma)) {
    if (inst_.cbsz != 0) modifier(fmt::format("cbsz:{}", inst_.cbsz));
    if (inst_.abid != 0) modifier(fmt::format("abid:{}", inst_.abid));
    if (inst_.blgp != 0) modifier(fmt::format("blgp:{}", inst_.blgp));
    return;
  }
  if (!row_.has(kPacked)) return;
  const unsigned count = source_count(row_);
  mask("op_sel", inst_.op_sel, 0, count);
  mask("op_sel_hi", inst_.op_sel_hi, row_.has(kMix) ? 0 : 1, count);
  if (!row_.has(kMix)) {
    mask("neg_lo", inst_.neg, 0, count);
    mask("neg_hi", inst_.neg_hi, 0, count);
  }
  flag(inst_.clamp, "clamp");
}

void Writer::ds() {
  reg(inst_.dst);
  for (unsigned i = 0; i < 3; i++) source(i, false);
  if (row_.has(kTwoOffsets)) {
    if (inst_.offset != 0) modifier(fmt::format("offset0:{}", inst_.offset));
    if (inst_.offset1 != 0) modifier(fmt::format("offset1:{}", inst_.offset1));
  } else {
    offset();
  }
  flag(inst_.gds, "gds");
}

void Writer::flat() {
  reg(inst_.dst);
  if (inst_.src[0].is_register()) {
    reg(inst_.src[0]);
  } else {
    operand("off");
  }
  reg(inst_.src[1]);
  if (inst_.src[2].is_register()) {
    reg(inst_.src[2]);
  } else if (inst_.encoding != Encoding::Flat) {
    operand("off");
  }
  offset();
  cache_flags();
}

void Writer::buffer() {
  if (!row_.dst.exists() && !row_.src[1].exists() && !row_.has(kLds)) return;
  if (!inst_.lds) reg(row_.src[1].exists() ? inst_.src[1] : inst_.dst);
  if (inst_.src[0].is_register()) {
    reg(inst_.src[0]);
  } else if (row_.op != Op::buffer_store_lds_dword) {
    operand("off");
  }
  reg(inst_.src[2]);
  operand(inst_.src[3].is_register() ? register_text(inst_.src[3].reg, 1)
                                     : constant_text(inst_.src[3].value, Element::B32));
  flag(inst_.idxen, "idxen");
  flag(inst_.offen, "offen");
  flag(inst_.lds, "lds");
  offset();
  cache_flags();
}

void Writer::image() {
  reg(row_.src[1].exists() ? inst_.src[1] : inst_.dst);
  reg(inst_.src[0]);
  reg(inst_.src[2]);
  if (row_.has(kSampler)) reg(inst_.src[3]);
  if (inst_.dmask != 0) modifier(fmt::format("dmask:0x{:x}", inst_.dmask));
  flag(inst_.unorm, "unorm");
  flag(inst_.da, "da");
  flag(inst_.a16, "a16");
  flag(inst_.d16, "d16");
  flag(inst_.lwe, "lwe");
  cache_flags();
}

std::uint64_t float_bits(unsigned field, Element element) {
  static constexpr std::uint16_t kHalf[] = {0x3800, 0xb800, 0x3c00, 0xbc00, 0x4000, 0xc000, 0x4400, 0xc400, 0x3118};
  static constexpr std::uint32_t kSingle[] = {0x3f000000, 0xbf000000, 0x3f800000, 0xbf800000, 0x40000000,
                                              0xc0000000, 0x40800000, 0xc0800000, 0x3e22f983};
  static constexpr std::uint64_t kDouble[] = {0x3fe0000000000000, 0xbfe0000000000000, 0x3ff0000000000000,
                                              0xbff0000000000000, 0x4000000000000000, 0xc000000000000000,
                                              0x4010000000000000, 0xc010000000000000, 0x3fc45f306dc9c882};
  switch (element) {
    case Element::F16:
    case Element::V2F16:
      return kHalf[field - 240];
    case Element::F64:
    case Element::I64:
    case Element::B64:
      return kDouble[field - 240];
    default:
      return kSingle[field - 240];
  }
}

}  // namespace

std::string AsmText::str() const {
  std::string text = mnemonic;
  for (std::size_t i = 0; i < operands.size(); i++) text += (i == 0 ? " " : ", ") + operands[i];
  for (const std::string& modifier : modifiers) text += " " + modifier;
  return text;
}

std::string register_text(unsigned number, unsigned dwords) {
  if (number >= kVgpr0) {
    const char file = number >= kAgpr0 ? 'a' : 'v';
    const unsigned first = number - (number >= kAgpr0 ? kAgpr0 : kVgpr0);
    return dwords == 1 ? fmt::format("{}{}", file, first) : fmt::format("{}[{}:{}]", file, first, first + dwords - 1);
  }
  if (dwords == 1 || number > kScalarRegisters) return scalar_name(number);
  if (number == kFlatScratchLo) return "flat_scratch";
  if (number == kXnackMaskLo) return "xnack_mask";
  if (number == kVccLo) return "vcc";
  if (number == kExecLo) return "exec";
  const bool ttmp = number >= kTtmp0;
  const unsigned first = number - (ttmp ? kTtmp0 : 0);
  return fmt::format("{}[{}:{}]", ttmp ? "ttmp" : "s", first, first + dwords - 1);
}

std::string constant_text(std::uint64_t value, Element element) {
  if (element == Element::V2F32 || element == Element::V2B32) value &= 0xffffffff;
  const std::int64_t integer = sign_extended(value, element);
  if (integer >= -16 && integer <= 64) return std::to_string(integer);
  const bool wide = element == Element::F64 || element == Element::I64 || element == Element::B64;
  for (const unsigned field : kInlineFields) {
    if (float_bits(field, element) == value) return inline_float_text(field - 240, wide);
  }
  return literal_text(value, element);
}

AsmText asm_text(const Inst& inst, const OpRow& row) {
  Writer writer(inst, row);
  switch (inst.encoding) {
    case Encoding::Sop2:
    case Encoding::Sop1:
    case Encoding::Sopc:
    case Encoding::Sopk:
    case Encoding::Sopp:
      writer.scalar();
      break;
    case Encoding::Smem:
      writer.smem();
      break;
    case Encoding::Vop1:
    case Encoding::Vop2:
    case Encoding::Vopc:
      writer.vop();
      break;
    case Encoding::Vop3:
      writer.vop3();
      break;
    case Encoding::Vop3p:
      writer.vop3p();
      break;
    case Encoding::Ds:
      writer.ds();
      break;
    case Encoding::Flat:
    case Encoding::Global:
    case Encoding::Scratch:
      writer.flat();
      break;
    case Encoding::Mubuf:
    case Encoding::Mtbuf:
      writer.buffer();
      break;
    case Encoding::Mimg:
      writer.image();
      break;
  }
  return writer.take();
}

AsmText parse_asm(const std::string& line) {
  AsmText text;
  const std::string trimmed_line = trimmed(line);
  const auto space = trimmed_line.find_first_of(" \t");
  text.mnemonic = trimmed_line.substr(0, space);
  for (const char* suffix : {"_e32", "_e64", "_sdwa", "_dpp"}) {
    if (text.mnemonic.ends_with(suffix)) text.mnemonic.resize(text.mnemonic.size() - std::strlen(suffix));
  }
  if (space == std::string::npos) return text;
  split(trimmed(trimmed_line.substr(space)), ',', text.operands);
  std::vector<std::string> words;
  split(trimmed(text.operands.back()), ' ', words);
  text.operands.pop_back();
  for (std::string& operand : text.operands) operand = trimmed(operand);
  std::size_t first = 0;
  if (!is_modifier(words[0])) text.operands.push_back(words[first++]);
  for (; first < words.size(); first++) {
    if (!words[first].empty()) text.modifiers.push_back(words[first]);
  }
  std::sort(text.modifiers.begin(), text.modifiers.end());
  return text;
}

}  // namespace kfdlab::isa
