// SPDX-License-Identifier: MIT
// DS: every form against a reference that reads the mnemonic, with addresses in and out of range.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>

#include "device/engine/gws.h"
#include "tests/unit/engine_mem/support/address_patterns.h"
#include "tests/unit/engine_mem/support/memory_bench.h"
#include "tests/unit/engine_mem/support/reference.h"

namespace kfdlab::engine {
namespace {

constexpr unsigned kAddress = 2;
constexpr unsigned kData0 = 8;
constexpr unsigned kData1 = 12;
constexpr unsigned kResult = 20;

// What a mnemonic of the regular kind asks for.
struct LdsForm {
  enum class Kind { Other, Read, Write, Atomic } kind = Kind::Other;
  MemoryShape shape;
  unsigned places = 1;  // 2: read2 and its like
  unsigned scale = 1;   // of their offsets
  bool returns = false;
};

LdsForm form_of(std::string name) {
  LdsForm form;
  const auto take = [&](const std::string& part) {
    const std::size_t at = name.find(part);
    if (at == std::string::npos) return false;
    name.erase(at, part.size());
    return true;
  };
  if (name.find("addtid") != std::string::npos || name.find("gws") != std::string::npos ||
      name.find("permute") != std::string::npos || name.find("swizzle") != std::string::npos ||
      name.find("wrxchg2") != std::string::npos || name.find("condxchg") != std::string::npos) {
    return form;
  }
  take("ds_");
  const bool st64 = take("st64");
  if (take("read2") || take("write2")) {
    form.places = 2;
    form.kind = name.find("b") == std::string::npos ? LdsForm::Kind::Other : LdsForm::Kind::Read;
  }
  if (take("_d16_hi")) form.shape.half = MemoryShape::Half::High;
  if (take("_d16")) form.shape.half = MemoryShape::Half::Low;
  form.returns = take("_rtn");
  const std::size_t bar = name.rfind('_');
  if (bar == std::string::npos) return {};
  const char type = name[bar + 1];
  const int bits = std::atoi(name.c_str() + bar + 2);
  if (bits % 8 != 0 || bits == 0) return {};
  form.shape.bytes = static_cast<unsigned>(bits) / 8;
  form.shape.is_signed = type == 'i' && bits < 32;
  form.scale = form.shape.bytes * (st64 ? 64 : 1);
  name.resize(bar);
  if (form.places == 2 || name == "read" || name == "write") {
    return form;  // the caller knows which of the two
  }
  form.kind = LdsForm::Kind::Atomic;
  if (name == "cmpst") {
    form.shape.operation = "cmpswap";
  } else if (name == "wrxchg") {
    form.shape.operation = "swap";
  } else if (type == 'f') {
    form.shape.operation = name + "_f";
  } else if (name == "min" || name == "max") {
    form.shape.operation = (type == 'i' ? "s" : "u") + name;
  } else {
    form.shape.operation = name;
  }
  return form;
}

class LdsTest : public testing::TestWithParam<SimdLevel> {
 protected:
  LdsTest() : bench_(GetParam()) {}

  std::uint32_t finite_bits() { return static_cast<std::uint32_t>(random_()) & 0xbfffbfffu; }
  void randomize() {
    for (std::size_t i = 0; i < bench_.lds().size(); i += 4) {
      const std::uint32_t bits = finite_bits();
      std::memcpy(bench_.lds().data() + i, &bits, 4);
    }
    for (std::uint32_t& value : bench_.registers()) value = finite_bits();
  }

  isa::Inst make_inst(isa::Op op, const LdsForm& form) {
    isa::Inst inst;
    inst.op = op;
    inst.encoding = isa::Encoding::Ds;
    inst.size = 2;
    inst.src[0] = v(kAddress);
    const unsigned dwords = form.shape.dwords();
    if (form.kind == LdsForm::Kind::Read) {
      inst.dst = v(random_() % 4 == 0 ? kAddress : kResult, dwords * form.places);
    } else {
      inst.src[1] = v(kData0, dwords);
      inst.src[2] = v(kData1, dwords);
      if (form.returns) inst.dst = v(kResult, dwords);
    }
    inst.offset = static_cast<std::int32_t>(form.places == 2 ? random_() % 256 : random_() % 1024);
    inst.offset1 = static_cast<std::uint8_t>(random_());
    return inst;
  }

  // Lane by lane, on LDS and registers as they are.
  void run_reference(const isa::Inst& inst, const LdsForm& form) {
    std::array<std::uint32_t, kLanes> base;
    for (unsigned l = 0; l < kLanes; ++l) base[l] = bench_.vgpr(kAddress, l);
    for (unsigned place = 0; place < form.places; ++place) {
      for (unsigned l = 0; l < kLanes; ++l) {
        if ((bench_.wave().exec() >> l & 1) == 0) continue;
        const auto first = static_cast<std::uint32_t>(inst.offset);
        const std::uint32_t offset = form.places == 1 ? first : (place == 0 ? first : inst.offset1) * form.scale;
        run_lane(inst, form, l, base[l] + offset, place);
      }
    }
  }

  void run_lane(const isa::Inst& inst, const LdsForm& form, unsigned l, std::uint32_t at, unsigned place) {
    const unsigned bytes = form.shape.bytes;
    const unsigned dwords = form.shape.dwords();
    if (form.kind == LdsForm::Kind::Atomic) at &= ~(bytes - 1);
    const bool inside = std::uint64_t{at} + bytes <= MemoryBench::kLdsSize;
    std::uint8_t bits[16] = {};
    if (inside) std::memcpy(bits, bench_.lds().data() + at, bytes);
    std::uint32_t registers[4] = {};
    if (form.kind == LdsForm::Kind::Read) {
      const unsigned row = inst.dst.reg - isa::kVgpr0 + place * dwords;
      registers[0] = bench_.vgpr(row, l);
      reference_load(form.shape, bits, registers);
      for (unsigned d = 0; d < dwords; ++d) bench_.vgpr(row + d, l) = registers[d];
      return;
    }
    const auto data = [&](unsigned row, unsigned d) { return bench_.vgpr(row + d, l); };
    if (form.kind == LdsForm::Kind::Write) {
      for (unsigned d = 0; d < dwords; ++d) registers[d] = data(place == 0 ? kData0 : kData1, d);
      reference_store(form.shape, registers, bits);
    } else {
      const auto operand = [&](unsigned row) {
        return data(row, 0) | (bytes == 8 ? std::uint64_t{data(row, 1)} << 32 : 0);
      };
      std::uint64_t old = 0;
      std::memcpy(&old, bits, bytes);
      const bool swap_roles = form.shape.operation == "cmpswap";
      const std::uint64_t value =
          reference_atomic(form.shape.operation, bytes, old, operand(swap_roles ? kData1 : kData0),
                           operand(swap_roles ? kData0 : kData1));
      std::memcpy(bits, &value, bytes);
      for (unsigned d = 0; form.returns && d < dwords; ++d) {
        bench_.vgpr(kResult + d, l) = static_cast<std::uint32_t>(old >> (32 * d));
      }
    }
    if (inside) std::memcpy(bench_.lds().data() + at, bits, bytes);
  }

  void check(isa::Op op, LdsForm form) {
    for (unsigned round = 0; round < 150; ++round) {
      if (round % 16 == 0) randomize();
      const isa::Inst inst = make_inst(op, form);
      const LaneOffsets offsets =
          random_pattern(random_, form.shape.bytes, MemoryBench::kLdsSize + 0x100, form.kind == LdsForm::Kind::Read);
      const std::uint32_t bias = random_() % 8 == 0 ? static_cast<std::uint32_t>(inst.offset) : 0;
      for (unsigned l = 0; l < kLanes; ++l) bench_.vgpr(kAddress, l) = offsets[l] - bias;
      if (form.shape.has_compare()) {
        for (unsigned l = 0; l < kLanes; l += 2) bench_.vgpr(kData0, l) = 0;
      }
      bench_.wave().set_exec(random_lanes(random_));
      const std::vector<std::byte> lds(bench_.lds().begin(), bench_.lds().end());
      const std::vector<std::uint32_t> registers(bench_.registers().begin(), bench_.registers().end());
      run_reference(inst, form);
      const std::vector<std::byte> new_lds(bench_.lds().begin(), bench_.lds().end());
      const std::vector<std::uint32_t> new_registers(bench_.registers().begin(), bench_.registers().end());
      std::ranges::copy(lds, bench_.lds().begin());
      std::ranges::copy(registers, bench_.registers().begin());
      ASSERT_EQ(bench_.run(inst), Exit::None) << isa::name(op);
      ASSERT_TRUE(std::ranges::equal(bench_.lds(), new_lds)) << isa::name(op) << " round " << round;
      ASSERT_TRUE(std::ranges::equal(bench_.registers(), new_registers)) << isa::name(op) << " round " << round;
    }
    ++checked_;
  }

  void check_name(isa::Op op, std::string_view name) {
    LdsForm form = form_of(std::string(name));
    if (form.kind != LdsForm::Kind::Atomic) {
      if (form.shape.bytes == 0 || !(name.starts_with("ds_read") || name.starts_with("ds_write"))) return;
      if (name.find("addtid") != std::string_view::npos) return;
      form.kind = name.starts_with("ds_read") ? LdsForm::Kind::Read : LdsForm::Kind::Write;
    }
    check(op, form);
  }

  std::mt19937 random_{11};
  MemoryBench bench_;
  unsigned checked_ = 0;
};

TEST_P(LdsTest, EveryReadWriteAndAtomicDoesWhatItsNameSays) {
#define KFDLAB_MNEMONIC(name)                       \
  if (std::string_view(#name).starts_with("ds_")) { \
    check_name(isa::Op::name, #name);               \
    if (HasFatalFailure()) return;                  \
  }
#include "device/isa/mnemonics.inc"
#undef KFDLAB_MNEMONIC
  EXPECT_GT(checked_, 95u);
}

isa::Inst lane_inst(isa::Op op) {
  isa::Inst inst;
  inst.op = op;
  inst.encoding = isa::Encoding::Ds;
  inst.size = 2;
  inst.dst = v(kResult);
  inst.src[0] = v(kAddress);
  inst.src[1] = v(kData0);
  return inst;
}

TEST_P(LdsTest, BpermuteReadsAnotherLaneAndZeroFromInactiveOnes) {
  for (unsigned round = 0; round < 200; ++round) {
    randomize();
    const std::uint64_t lanes = random_lanes(random_);
    bench_.wave().set_exec(lanes);
    isa::Inst inst = lane_inst(isa::Op::ds_bpermute_b32);
    inst.offset = static_cast<std::int32_t>(random_() % 64);
    if (round % 2 == 0) inst.dst = v(kData0);
    std::array<std::uint32_t, kLanes> expected;
    for (unsigned l = 0; l < kLanes; ++l) {
      bench_.vgpr(kAddress, l) = static_cast<std::uint32_t>(random_());
    }
    for (unsigned l = 0; l < kLanes; ++l) {
      const unsigned from = (bench_.vgpr(kAddress, l) + static_cast<std::uint32_t>(inst.offset)) >> 2 & 63;
      expected[l] = (lanes >> l & 1) == 0      ? bench_.vgpr(inst.dst.reg - isa::kVgpr0, l)
                    : (lanes >> from & 1) == 0 ? 0
                                               : bench_.vgpr(kData0, from);
    }
    ASSERT_EQ(bench_.run(inst), Exit::None);
    for (unsigned l = 0; l < kLanes; ++l) ASSERT_EQ(bench_.vgpr(inst.dst.reg - isa::kVgpr0, l), expected[l]) << l;
  }
}

TEST_P(LdsTest, PermutePushesAndTheHighestLaneWins) {
  for (unsigned round = 0; round < 100; ++round) {
    randomize();
    const std::uint64_t lanes = random_lanes(random_);
    bench_.wave().set_exec(lanes);
    std::array<std::uint32_t, kLanes> expected{};
    for (unsigned l = 0; l < kLanes; ++l) {
      bench_.vgpr(kAddress, l) = static_cast<std::uint32_t>(random_());
      if ((lanes >> l & 1) != 0) expected[bench_.vgpr(kAddress, l) >> 2 & 63] = bench_.vgpr(kData0, l);
    }
    for (unsigned l = 0; l < kLanes; ++l) {
      if ((lanes >> l & 1) == 0) expected[l] = bench_.vgpr(kResult, l);
    }
    ASSERT_EQ(bench_.run(lane_inst(isa::Op::ds_permute_b32)), Exit::None);
    for (unsigned l = 0; l < kLanes; ++l) ASSERT_EQ(bench_.vgpr(kResult, l), expected[l]);
  }
}

TEST_P(LdsTest, SwizzleModes) {
  const auto lane_from = [&](std::int32_t offset, unsigned l) {
    randomize();
    for (unsigned i = 0; i < kLanes; ++i) bench_.vgpr(kAddress, i) = 100 + i;
    isa::Inst inst = lane_inst(isa::Op::ds_swizzle_b32);
    inst.src[1] = {};
    inst.offset = offset;
    EXPECT_EQ(bench_.run(inst), Exit::None);
    return bench_.vgpr(kResult, l) - 100;
  };
  const auto bit_mode = [](unsigned and_mask, unsigned or_mask, unsigned xor_mask) {
    return static_cast<std::int32_t>(and_mask | or_mask << 5 | xor_mask << 10);
  };
  EXPECT_EQ(lane_from(bit_mode(0x1f, 0, 1), 6), 7u);       // swap neighbours
  EXPECT_EQ(lane_from(bit_mode(0x1f, 0, 0x1f), 33), 62u);  // reverse within 32
  EXPECT_EQ(lane_from(bit_mode(0x18, 3, 0), 44), 43u);     // broadcast lane 3 of eight
  EXPECT_EQ(lane_from(0x8000 | 0b00011011, 4), 7u);        // quad reversed
  EXPECT_EQ(lane_from(0x8000 | 0b00011011, 6), 5u);
  EXPECT_EQ(lane_from(0xc000 | 1 << 5, 31), 0u);  // rotate by one
  EXPECT_EQ(lane_from(0xc000 | 1 << 10 | 1 << 5, 32), 63u);
  EXPECT_EQ(lane_from(0xe000, 1), 16u);  // bits reversed
}

TEST_P(LdsTest, AppendAndConsumeCountActiveLanes) {
  randomize();
  bench_.wave().sgpr[isa::kM0] = 0x40;
  const std::uint32_t start = 1000;
  std::memcpy(bench_.lds().data() + 0x50, &start, 4);
  bench_.wave().set_exec(0xff00);
  isa::Inst inst = lane_inst(isa::Op::ds_append);
  inst.src = {};
  inst.offset = 0x10;
  EXPECT_EQ(bench_.run(inst), Exit::None);
  EXPECT_EQ(bench_.vgpr(kResult, 9), 1000u);
  inst.op = isa::Op::ds_consume;
  EXPECT_EQ(bench_.run(inst), Exit::None);
  EXPECT_EQ(bench_.vgpr(kResult, 9), 1008u);
  std::uint32_t now;
  std::memcpy(&now, bench_.lds().data() + 0x50, 4);
  EXPECT_EQ(now, 1000u);
}

TEST_P(LdsTest, NoLdsReadsZeroAndWritesNothing) {
  randomize();
  bench_.wave().lds_size = 0;
  for (unsigned l = 0; l < kLanes; ++l) bench_.vgpr(kAddress, l) = 4 * l;
  isa::Inst inst = lane_inst(isa::Op::ds_read_b32);
  EXPECT_EQ(bench_.run(inst), Exit::None);
  EXPECT_EQ(bench_.vgpr(kResult, 0), 0u);
  const std::vector<std::byte> before(bench_.lds().begin(), bench_.lds().end());
  inst.op = isa::Op::ds_write_b32;
  EXPECT_EQ(bench_.run(inst), Exit::None);
  inst.op = isa::Op::ds_add_rtn_u32;
  EXPECT_EQ(bench_.run(inst), Exit::None);
  EXPECT_TRUE(std::ranges::equal(bench_.lds(), before));
}

TEST(Gws, BarrierLetsAllGoWhenTheLastArrivesAndIsReadyAgain) {
  Gws gws;
  gws.init(5, 2);
  for (int round = 0; round < 3; ++round) {
    std::uint64_t first = 0;
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    EXPECT_FALSE(gws.barrier(5, 2, first));
    EXPECT_FALSE(gws.barrier(5, 2, first)) << "counted once";
    EXPECT_FALSE(gws.barrier(5, 2, second));
    EXPECT_TRUE(gws.barrier(5, 2, third));
    EXPECT_TRUE(gws.barrier(5, 2, first));
    EXPECT_TRUE(gws.barrier(5, 2, second));
    EXPECT_EQ(first | second | third, 0u);
  }
}

TEST(Gws, SemaphoreHasAsManyAsWereGiven) {
  Gws gws;
  std::uint64_t ticket = 0;
  EXPECT_FALSE(gws.take(1, ticket));
  gws.give(1, 1);
  EXPECT_TRUE(gws.take(1, ticket));
  EXPECT_EQ(ticket, 0u);
  EXPECT_FALSE(gws.take(1, ticket));
  gws.release_all(1);
  EXPECT_TRUE(gws.take(1, ticket));
}

INSTANTIATE_TEST_SUITE_P(Simd, LdsTest, testing::ValuesIn(simd_levels()),
                         [](const auto& level) { return simd_name(level.param); });

}  // namespace
}  // namespace kfdlab::engine
