// SPDX-License-Identifier: MIT
// Builds the table of opcodes and its index at compile time; a double or out-of-range opcode does not compile.
#include "device/isa/op_table.h"

#include <cstddef>

namespace kfdlab::isa {
namespace {

using namespace op_flags;

// Names of slots in ops.inc.
constexpr Slot None{};
constexpr Slot I16{Element::I16, 1};
constexpr Slot F16{Element::F16, 1};
constexpr Slot V2I16{Element::V2I16, 1};
constexpr Slot V2F16{Element::V2F16, 1};
constexpr Slot B32{Element::B32, 1};
constexpr Slot F32{Element::F32, 1};
constexpr Slot B64{Element::B64, 2};
constexpr Slot I64{Element::I64, 2};
constexpr Slot F64{Element::F64, 2};
constexpr Slot V2F32{Element::V2F32, 2};
constexpr Slot V2B32{Element::V2B32, 2};
constexpr Slot Mask{Element::Mask, 2};
constexpr Slot B96{Element::B32, 3};
constexpr Slot B128{Element::B32, 4};
constexpr Slot B256{Element::B32, 8};
constexpr Slot B512{Element::B32, 16};
constexpr Slot B1024{Element::B32, 32};
constexpr Slot F32x4{Element::F32, 4};
constexpr Slot F32x16{Element::F32, 16};
constexpr Slot F32x32{Element::F32, 32};
constexpr Slot I32x4{Element::B32, 4};
constexpr Slot I32x16{Element::B32, 16};
constexpr Slot I32x32{Element::B32, 32};
constexpr Slot F64x4{Element::F64, 8};

constexpr OpRow kRows[] = {
#define KFDLAB_OP(encoding, opcode, mnemonic, dst, src0, src1, src2, flags) \
  {Encoding::encoding, opcode, Op::mnemonic, dst, {src0, src1, src2}, flags},
#include "device/isa/ops.inc"
#undef KFDLAB_OP
};

constexpr std::size_t kEncodings = static_cast<std::size_t>(Encoding::Mimg) + 1;
// The width of the opcode field is at most 10 bits (Vop3).
constexpr std::size_t kOpcodes = 1024;
constexpr std::uint16_t kNoRow = 0xffff;

struct Index {
  std::uint16_t row[kEncodings][kOpcodes];
};

constexpr Index make_index() {
  Index index{};
  for (auto& encoding : index.row) {
    for (auto& entry : encoding) entry = kNoRow;
  }
  for (std::size_t i = 0; i < std::size(kRows); i++) {
    auto& entry = index.row[static_cast<std::size_t>(kRows[i].encoding)][kRows[i].opcode];
    if (entry != kNoRow) throw "two rows for one opcode";  // in a constant expression: does not compile
    entry = static_cast<std::uint16_t>(i);
  }
  return index;
}

constexpr Index kIndex = make_index();

}  // namespace

const OpRow* find_row(Encoding encoding, unsigned opcode) {
  if (opcode >= kOpcodes) return nullptr;
  const std::uint16_t row = kIndex.row[static_cast<std::size_t>(encoding)][opcode];
  return row == kNoRow ? nullptr : &kRows[row];
}

std::span<const OpRow> op_rows() { return kRows; }

const char* name(Encoding encoding) {
  constexpr const char* kNames[kEncodings] = {"sop2", "sopk",   "sop1",    "sopc",  "sopp",  "smem",
                                              "vop1", "vop2",   "vopc",    "vop3",  "vop3p", "ds",
                                              "flat", "global", "scratch", "mubuf", "mtbuf", "mimg"};
  return kNames[static_cast<std::size_t>(encoding)];
}

}  // namespace kfdlab::isa
