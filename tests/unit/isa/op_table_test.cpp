// SPDX-License-Identifier: MIT
#include "device/isa/op_table.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>

namespace kfdlab::isa {
namespace {

unsigned opcode_limit(Encoding encoding) {
  switch (encoding) {
    case Encoding::Sop2:
      return 96;  // the numbers behind are Sopk, Sop1, Sopc and Sopp
    case Encoding::Sopk:
      return 29;
    case Encoding::Vop2:
      return 62;  // 62 is Vopc, 63 is Vop1
    case Encoding::Vop3:
      return 0x380;
    case Encoding::Sop1:
    case Encoding::Smem:
    case Encoding::Vop1:
    case Encoding::Vopc:
    case Encoding::Ds:
      return 256;
    case Encoding::Mtbuf:
      return 16;
    default:
      return 128;
  }
}

TEST(OpTable, OneRowForEachOpcode) {
  std::set<std::pair<Encoding, unsigned>> seen;
  for (const OpRow& row : op_rows()) {
    EXPECT_TRUE(seen.emplace(row.encoding, row.opcode).second) << name(row.encoding) << " " << row.opcode;
    EXPECT_LT(row.opcode, opcode_limit(row.encoding)) << name(row.op);
    EXPECT_EQ(find_row(row.encoding, row.opcode), &row);
  }
}

TEST(OpTable, OneOpcodeForEachMnemonicOfAnEncoding) {
  std::set<std::pair<Encoding, Op>> seen;
  for (const OpRow& row : op_rows()) {
    EXPECT_TRUE(seen.emplace(row.encoding, row.op).second) << name(row.encoding) << " " << name(row.op);
  }
}

TEST(OpTable, UnknownOpcodesHaveNoRow) {
  EXPECT_EQ(find_row(Encoding::Vop3, 1023), nullptr);
  EXPECT_EQ(find_row(Encoding::Vop3, 1u << 20), nullptr);
  EXPECT_EQ(find_row(Encoding::Vop1, 9), nullptr);
}

TEST(OpTable, EveryMnemonicHasARow) {
  std::set<Op> with_row;
  for (const OpRow& row : op_rows()) with_row.insert(row.op);
  for (unsigned i = 0; i < static_cast<unsigned>(Op::kCount); i++) {
    EXPECT_TRUE(with_row.contains(static_cast<Op>(i))) << name(static_cast<Op>(i));
  }
}

TEST(OpTable, MnemonicsOfHipProgramsHaveRows) {
  std::set<std::string> names;
  for (const OpRow& row : op_rows()) names.insert(name(row.op));
  std::ifstream file(KFDLAB_SOURCE_DIR "/tests/unit/isa/hip_mnemonics.txt");
  std::string line;
  unsigned count = 0;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    count++;
    EXPECT_TRUE(names.contains(line)) << line;
  }
  EXPECT_EQ(count, 510u);
}

// A 64-bit encoding of a 32-bit instruction has its number at a fixed distance.
TEST(OpTable, Vop3RepeatsTheShortEncodings) {
  const std::map<Encoding, unsigned> distance = {{Encoding::Vopc, 0}, {Encoding::Vop2, 0x100}, {Encoding::Vop1, 0x140}};
  for (const OpRow& row : op_rows()) {
    const auto it = distance.find(row.encoding);
    if (it == distance.end()) continue;
    const OpRow* longer = find_row(Encoding::Vop3, row.opcode + it->second);
    if (longer == nullptr) continue;
    EXPECT_EQ(longer->op, row.op);
    EXPECT_EQ(longer->dst.dwords, row.dst.dwords) << name(row.op);
    EXPECT_EQ(longer->src[0].element, row.src[0].element) << name(row.op);
  }
}

TEST(OpTable, NamesAreUnique) {
  std::set<std::string> names;
  for (unsigned i = 0; i < static_cast<unsigned>(Op::kCount); i++) {
    EXPECT_TRUE(names.insert(name(static_cast<Op>(i))).second) << i;
  }
  EXPECT_STREQ(name(Op::v_add_f32), "v_add_f32");
  EXPECT_STREQ(name(Op::kCount), "?");
}

}  // namespace
}  // namespace kfdlab::isa
