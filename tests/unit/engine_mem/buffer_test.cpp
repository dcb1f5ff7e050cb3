// SPDX-License-Identifier: MIT
// MUBUF: the swizzle of scratch, range checks, every addressing mode against the manual's formula.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "tests/unit/engine_mem/support/address_patterns.h"
#include "tests/unit/engine_mem/support/memory_bench.h"
#include "tests/unit/engine_mem/support/reference.h"

namespace kfdlab::engine {
namespace {

using device::TestGpu;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kVa = 0x7f0000000000;
constexpr unsigned kPages = 32;
constexpr std::uint32_t kAddLane = 1u << 23;
constexpr std::uint32_t kSwizzle = 1u << 31;

constexpr bool is_plain(std::string_view name) {
  return (name.starts_with("buffer_load_") || name.starts_with("buffer_store_")) &&
         name.find("format") == std::string_view::npos && name.find("lds") == std::string_view::npos;
}

class BufferTest : public testing::TestWithParam<SimdLevel> {
 protected:
  BufferTest() : bench_(GetParam()) {
    // Every second page lies elsewhere, so that nothing is contiguous by chance.
    for (unsigned i = 0; i < kPages; ++i) {
      bench_.gpu().map(kVa + i * kPage, (i ^ 1) * kPage | TestGpu::kReadWrite);
    }
    for (std::size_t i = 0; i < kPages * kPage; i += 4) {
      const auto bits = static_cast<std::uint32_t>(random_());
      std::memcpy(bench_.gpu().vram().data() + i, &bits, 4);
    }
    for (std::uint32_t& value : bench_.registers()) {
      value = static_cast<std::uint32_t>(random_());
    }
  }

  struct Descriptor {
    std::uint64_t base = kVa;
    std::uint32_t stride = 0;
    bool swizzle = false;
    std::uint32_t records = kPages * kPage;
    std::uint32_t index_stride = 64;
    bool add_lane = false;
  };
  void set_descriptor(const Descriptor& d) {
    bench_.wave().sgpr[8] = static_cast<std::uint32_t>(d.base);
    bench_.wave().sgpr[9] =
        static_cast<std::uint32_t>(d.base >> 32) | (d.stride & 0x3fff) << 16 | (d.swizzle ? kSwizzle : 0);
    bench_.wave().sgpr[10] = d.records;
    const auto code = static_cast<std::uint32_t>(__builtin_ctz(d.index_stride / 8));
    bench_.wave().sgpr[11] = code << 21 | (d.add_lane ? kAddLane | (d.stride >> 14) << 15 : 0);
    descriptor_ = d;
  }

  std::byte* host(std::uint64_t va) {
    const device::Translation found = bench_.gpu().walker().walk(bench_.gpu().root(), va);
    return found.size == 0 ? nullptr : found.host + (va - found.start);
  }

  // The manual's formula for the first byte of [offset, offset + bytes).
  bool locate(std::uint32_t index, std::uint32_t offset, unsigned bytes, std::uint64_t& va) const {
    const Descriptor& d = descriptor_;
    std::uint64_t at = std::uint64_t{index} * d.stride + offset;
    if (d.swizzle) {
      offset = offset / bytes * bytes;
      const std::uint64_t outer = index / d.index_stride;
      const std::uint64_t inner = index % d.index_stride;
      at = (outer * d.stride + offset / 4 * 4) * d.index_stride + inner * 4 + offset % 4;
    }
    va = d.base + soffset_ + at;
    const bool raw = d.stride == 0 || !d.swizzle;
    return raw ? at + soffset_ + bytes <= d.records : index < d.records;
  }

  isa::Inst make_inst(isa::Op op, const MemoryShape& shape, bool offen, bool idxen) {
    isa::Inst inst;
    inst.op = op;
    inst.encoding = isa::Encoding::Mubuf;
    inst.size = 2;
    inst.offen = offen;
    inst.idxen = idxen;
    if (offen || idxen) inst.src[0] = v(2, (offen ? 1u : 0u) + (idxen ? 1u : 0u));
    inst.src[2] = s(8, 4);
    inst.src[3] = s(20);
    inst.offset = static_cast<std::int32_t>(random_() % 1024);
    if (shape.bytes >= 4) inst.offset &= ~3;
    if (shape.kind == MemoryShape::Kind::Store) {
      inst.src[1] = v(10, shape.dwords());
    } else {
      inst.dst = v(20, shape.dwords());
    }
    return inst;
  }

  void check(isa::Op op, std::string_view name) {
    const MemoryShape shape = shape_of(name);
    for (unsigned round = 0; round < 200; ++round) {
      Descriptor d;
      d.swizzle = random_() % 3 != 0;
      d.add_lane = random_() % 3 != 0;
      d.index_stride = random_() % 3 != 0 ? 64 : 8u << random_() % 4;
      d.stride = random_() % 2 == 0 ? 0 : static_cast<std::uint32_t>(random_() % 64) * 4;
      if (random_() % 4 == 0 && d.add_lane) d.stride |= 0x10000;  // as ROCr's scratch descriptor has it
      d.records = random_() % 2 == 0 ? kPages * kPage : static_cast<std::uint32_t>(random_() % 0x4000);
      set_descriptor(d);
      const isa::Inst inst = make_inst(op, shape, random_() % 2 == 0, random_() % 3 == 0);
      bench_.wave().sgpr[20] = soffset_ = static_cast<std::uint32_t>(random_() % 16) * 256;
      const bool uniform = random_() % 2 == 0;
      for (unsigned l = 0; l < kLanes; ++l) {
        bench_.vgpr(2, l) = inst.idxen ? static_cast<std::uint32_t>(random_() % 8)
                                       : static_cast<std::uint32_t>(uniform ? 64 : random_() % 256);
        bench_.vgpr(3, l) = static_cast<std::uint32_t>(uniform ? 32 : random_() % 256);
        if (shape.bytes >= 4) {
          bench_.vgpr(inst.idxen ? 3 : 2, l) &= ~3u;
        }
      }
      bench_.wave().set_exec(random_lanes(random_));
      check_one(inst, shape);
      if (HasFatalFailure()) return;
    }
  }

  // Dword `d` of one lane. False: it faults; what was done before is undone by the caller.
  bool run_part(const isa::Inst& inst, const MemoryShape& shape, unsigned l, unsigned d, unsigned part) {
    const std::uint32_t index = (inst.idxen ? bench_.vgpr(2, l) : 0) + (descriptor_.add_lane ? l : 0);
    const std::uint32_t offset =
        static_cast<std::uint32_t>(inst.offset) + (inst.offen ? bench_.vgpr(inst.idxen ? 3 : 2, l) : 0);
    std::uint64_t va;
    const bool inside = locate(index, offset + 4 * d, part, va);
    if (inside && (host(va) == nullptr || host(va + part - 1) == nullptr)) return false;
    std::uint8_t bits[4] = {};
    for (unsigned b = 0; inside && b < part; ++b) bits[b] = static_cast<std::uint8_t>(*host(va + b));
    MemoryShape one = shape;
    one.bytes = part;
    if (shape.kind == MemoryShape::Kind::Load) {
      reference_load(one, bits, &bench_.vgpr(20 + d, l));
    } else if (inside) {
      reference_store(one, &bench_.vgpr(10 + d, l), bits);
      for (unsigned b = 0; b < part; ++b) *host(va + b) = static_cast<std::byte>(bits[b]);
    }
    return true;
  }

  void check_one(const isa::Inst& inst, const MemoryShape& shape) {
    const std::span<std::byte> memory = bench_.gpu().vram().subspan(0, kPages * kPage);
    const std::vector<std::byte> old_memory(memory.begin(), memory.end());
    const std::vector<std::uint32_t> old_registers(bench_.registers().begin(), bench_.registers().end());
    bool faults = false;
    const unsigned part = shape.bytes < 4 ? shape.bytes : 4;
    for (unsigned d = 0; d < shape.dwords(); ++d) {  // by dwords: linear lanes may overlap
      for (unsigned l = 0; l < kLanes; ++l) {
        if ((bench_.wave().exec() >> l & 1) != 0) faults |= !run_part(inst, shape, l, d, part);
      }
    }
    const std::vector<std::byte> new_memory(memory.begin(), memory.end());
    const std::vector<std::uint32_t> new_registers(bench_.registers().begin(), bench_.registers().end());
    std::ranges::copy(old_memory, memory.begin());
    std::ranges::copy(old_registers, bench_.registers().begin());
    ASSERT_EQ(bench_.run(inst), faults ? Exit::Fault : Exit::None);
    ASSERT_TRUE(std::ranges::equal(memory, faults ? old_memory : new_memory)) << isa::name(inst.op);
    ASSERT_TRUE(std::ranges::equal(bench_.registers(), faults ? old_registers : new_registers)) << isa::name(inst.op);
  }

  std::mt19937 random_{7};
  MemoryBench bench_;
  Descriptor descriptor_;
  std::uint32_t soffset_ = 0;
};

TEST_P(BufferTest, EveryLoadAndStoreFollowsTheAddressFormula) {
#define KFDLAB_MNEMONIC(name)                                \
  if (is_plain(#name)) {                                     \
    check(isa::Op::name, std::string_view(#name).substr(7)); \
    if (HasFatalFailure()) return;                           \
  }
#include "device/isa/mnemonics.inc"
#undef KFDLAB_MNEMONIC
}

TEST_P(BufferTest, ScratchOfAWaveIsInterleavedByDword) {
  set_descriptor({.swizzle = true, .add_lane = true});
  isa::Inst inst;
  inst.op = isa::Op::buffer_store_dwordx2;
  inst.encoding = isa::Encoding::Mubuf;
  inst.size = 2;
  inst.src[1] = v(10, 2);
  inst.src[2] = s(8, 4);
  inst.src[3] = constant(0);
  inst.offset = 12;
  EXPECT_EQ(bench_.run(inst), Exit::None);
  for (unsigned l = 0; l < kLanes; ++l) {
    for (unsigned d = 0; d < 2; ++d) {
      std::uint32_t value;
      std::memcpy(&value, host(kVa + (12 + 4 * d) * 64 + 4 * l), 4);
      ASSERT_EQ(value, bench_.vgpr(10 + d, l));
    }
  }
}

TEST_P(BufferTest, AtomicsOutOfRangeAreDroppedAndReturnZero) {
  set_descriptor({.records = 4 * 32});
  isa::Inst inst;
  inst.op = isa::Op::buffer_atomic_add;
  inst.encoding = isa::Encoding::Mubuf;
  inst.size = 2;
  inst.offen = true;
  inst.glc = true;
  inst.src[0] = v(2);
  inst.dst = inst.src[1] = v(10);
  inst.src[2] = s(8, 4);
  inst.src[3] = constant(0);
  std::array<std::uint32_t, kLanes> before{};
  std::array<std::uint32_t, kLanes> data{};
  for (unsigned l = 0; l < kLanes; ++l) {
    bench_.vgpr(2, l) = 4 * l;
    data[l] = bench_.vgpr(10, l);
    std::memcpy(&before[l], host(kVa + 4 * l), 4);
  }
  EXPECT_EQ(bench_.run(inst), Exit::None);
  for (unsigned l = 0; l < kLanes; ++l) {
    std::uint32_t now;
    std::memcpy(&now, host(kVa + 4 * l), 4);
    ASSERT_EQ(now, l < 32 ? before[l] + data[l] : before[l]);
    ASSERT_EQ(bench_.vgpr(10, l), l < 32 ? before[l] : 0);
  }
}

TEST_P(BufferTest, CacheControlDoesNothingElse) {
  for (const isa::Op op :
       {isa::Op::buffer_wbl2, isa::Op::buffer_invl2, isa::Op::buffer_wbinvl1, isa::Op::buffer_wbinvl1_vol}) {
    isa::Inst inst;
    inst.op = op;
    inst.encoding = isa::Encoding::Mubuf;
    inst.size = 2;
    EXPECT_EQ(bench_.run(inst), Exit::None);
  }
}

INSTANTIATE_TEST_SUITE_P(Simd, BufferTest, testing::ValuesIn(simd_levels()),
                         [](const auto& level) { return simd_name(level.param); });

}  // namespace
}  // namespace kfdlab::engine
