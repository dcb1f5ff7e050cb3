// SPDX-License-Identifier: MIT
// GLOBAL and FLAT: every mnemonic against the lane-by-lane reference, with random addresses, EXEC and faults.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <string>

#include "tests/unit/engine_mem/support/address_patterns.h"
#include "tests/unit/engine_mem/support/memory_bench.h"
#include "tests/unit/engine_mem/support/reference.h"

namespace kfdlab::engine {
namespace {

using device::TestGpu;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kVa = 0x7f0000000000;
constexpr unsigned kPages = 24;
constexpr unsigned kUnmapped = 17;  // pages of the area
constexpr unsigned kReadOnly = 20;
constexpr std::uint64_t kScratchVa = 0x7f0010000000;
constexpr unsigned kScratchPages = 8;        // 512 bytes of each lane
constexpr unsigned kHugeFrame = 512;         // 2 MiB
constexpr std::uint32_t kLdsReach = 0x3840;  // beyond its end; a multiple of every element size
constexpr std::uint64_t kHugeVa = 0x7f0040000000;

class GlobalTest : public testing::TestWithParam<SimdLevel> {
 protected:
  GlobalTest() : bench_(GetParam()) {
    std::array<unsigned, kPages> frames;
    std::iota(frames.begin(), frames.end(), 0);
    std::shuffle(frames.begin(), frames.end(), random_);
    for (unsigned i = 0; i < kPages; ++i) {
      const std::uint64_t flags = i == kReadOnly ? TestGpu::kReadOnly : TestGpu::kReadWrite;
      bench_.gpu().map(kVa + i * kPage, i == kUnmapped ? 0 : frames[i] * kPage | flags);
    }
    bench_.gpu().map_range(kScratchVa, kPages * kPage | TestGpu::kReadWrite, kScratchPages * kPage);
    bench_.gpu().map(kHugeVa, kHugeFrame * kPage | AMDGPU_PDE_PTE | TestGpu::kReadWrite, KFDLAB_GPUVM_PDB0);
    bench_.wave().set_u64(isa::kFlatScratchLo, kScratchVa);
  }

  // What the instruction may change.
  std::span<std::byte> memory() { return bench_.gpu().vram().subspan(0, (kPages + kScratchPages) * kPage); }
  struct Snapshot {
    std::vector<std::byte> memory, huge, lds;
    std::vector<std::uint32_t> registers;
    bool operator==(const Snapshot&) const = default;
  };
  std::span<std::byte> huge() { return bench_.gpu().vram().subspan(kHugeFrame * kPage, 4 * kPage); }
  Snapshot take() {
    return {{memory().begin(), memory().end()},
            {huge().begin(), huge().end()},
            {bench_.lds().begin(), bench_.lds().end()},
            {bench_.registers().begin(), bench_.registers().end()}};
  }
  void put(const Snapshot& from) {
    std::ranges::copy(from.memory, memory().begin());
    std::ranges::copy(from.huge, huge().begin());
    std::ranges::copy(from.lds, bench_.lds().begin());
    std::ranges::copy(from.registers, bench_.registers().begin());
  }
  // No NaN or infinity in any float format.
  std::uint32_t finite_bits() { return static_cast<std::uint32_t>(random_()) & 0xbfffbfffu; }
  void randomize() {
    const auto fill = [&](std::span<std::byte> bytes) {
      for (std::size_t i = 0; i < bytes.size(); i += 4) {
        const std::uint32_t bits = finite_bits();
        std::memcpy(bytes.data() + i, &bits, 4);
      }
    };
    fill(memory());
    fill(huge());
    fill(bench_.lds());
    for (std::uint32_t& value : bench_.registers()) {
      value = finite_bits();
    }
  }

  // The host byte of lane l's byte b, or null if it faults; `dropped` if there is none but no fault.
  std::byte* locate(std::uint64_t address, unsigned lane, unsigned byte, unsigned bytes, bool flat, bool write,
                    bool& dropped) {
    const unsigned part = std::min(bytes, 4u);
    const auto high = static_cast<std::uint32_t>(address >> 32);
    const std::uint32_t dword_offset = static_cast<std::uint32_t>(address) + byte / 4 * 4;
    dropped = false;
    if (flat && high == MemoryBench::kSharedHigh) {
      const unsigned whole = is_atomic_ ? bytes : part;
      const std::uint64_t start = is_atomic_ ? static_cast<std::uint32_t>(address) : dword_offset;
      dropped = start + whole > MemoryBench::kLdsSize;
      return dropped ? nullptr : bench_.lds().data() + dword_offset + byte % 4;
    }
    std::uint64_t va = address + byte;
    if (flat && high == MemoryBench::kPrivateHigh) {
      const std::uint64_t offset = dword_offset & ~(part - 1);
      va = kScratchVa + (offset & ~3ull) * 64 + lane * 4 + (offset & 3) + byte % 4;
    }
    const device::Translation found = bench_.gpu().walker().walk(bench_.gpu().root(), va);
    return found.size == 0 || (write && !found.writable) ? nullptr : found.host + (va - found.start);
  }

  // Executes on memory and registers as they are. False: it faults, and nothing has changed.
  bool run_reference(const isa::Inst& inst, const MemoryShape& shape, bool flat) {
    is_atomic_ = shape.kind == MemoryShape::Kind::Atomic;
    const bool write = shape.kind != MemoryShape::Kind::Load;
    const std::uint64_t lanes = bench_.wave().exec();
    std::vector<std::array<std::byte*, 16>> places(kLanes);
    std::vector<std::array<bool, 16>> dropped(kLanes);
    for (unsigned l = 0; l < kLanes; ++l) {
      if ((lanes >> l & 1) == 0) continue;
      std::uint64_t address = bench_.vgpr(inst.src[0].reg - isa::kVgpr0, l);
      if (inst.src[2].is_register()) {
        address += bench_.wave().u64(inst.src[2].reg);
      } else {
        address |= std::uint64_t{bench_.vgpr(inst.src[0].reg - isa::kVgpr0 + 1, l)} << 32;
      }
      address += static_cast<std::uint64_t>(std::int64_t{inst.offset});
      if (is_atomic_) {
        address &= ~std::uint64_t{shape.bytes - 1};
        if (shape.bytes == 8 && flat && address >> 32 == MemoryBench::kPrivateHigh) return false;
      }
      for (unsigned b = 0; b < shape.bytes; ++b) {
        places[l][b] = locate(address, l, b, shape.bytes, flat, write, dropped[l][b]);
        if (places[l][b] == nullptr && !dropped[l][b]) return false;
      }
    }
    for (unsigned l = 0; l < kLanes; ++l) {
      if ((lanes >> l & 1) == 0) continue;
      run_lane(inst, shape, l, places[l].data());
    }
    return true;
  }

  void run_lane(const isa::Inst& inst, const MemoryShape& shape, unsigned l, std::byte* const* places) {
    std::uint8_t bits[16] = {};
    for (unsigned b = 0; b < shape.bytes; ++b) {
      bits[b] = places[b] != nullptr ? static_cast<std::uint8_t>(*places[b]) : std::uint8_t{0};
    }
    const auto row = [](const isa::Operand& operand) {
      return operand.reg >= isa::kAgpr0 ? operand.reg - isa::kAgpr0 + MemoryBench::kAccumOffset
                                        : operand.reg - isa::kVgpr0 + 0u;
    };
    const auto data = [&](unsigned d) -> std::uint32_t& { return bench_.vgpr(row(inst.src[1]) + d, l); };
    std::uint32_t registers[4] = {};
    if (shape.kind == MemoryShape::Kind::Load) {
      registers[0] = bench_.vgpr(row(inst.dst), l);
      reference_load(shape, bits, registers);
      for (unsigned d = 0; d < shape.dwords(); ++d) bench_.vgpr(row(inst.dst) + d, l) = registers[d];
      return;
    }
    if (shape.kind == MemoryShape::Kind::Store) {
      for (unsigned d = 0; d < shape.dwords(); ++d) registers[d] = data(d);
      reference_store(shape, registers, bits);
    } else {
      std::uint64_t old = 0;
      std::memcpy(&old, bits, shape.bytes);
      const auto operand = [&](unsigned first) {
        return data(first) | (shape.bytes == 8 ? std::uint64_t{data(first + 1)} << 32 : 0);
      };
      const std::uint64_t value = reference_atomic(shape.operation, shape.bytes, old, operand(0),
                                                   shape.has_compare() ? operand(shape.dwords()) : 0);
      std::memcpy(bits, &value, shape.bytes);
      if (inst.glc) {
        for (unsigned d = 0; d < shape.dwords(); ++d) {
          bench_.vgpr(row(inst.dst) + d, l) = static_cast<std::uint32_t>(old >> (32 * d));
        }
      }
    }
    for (unsigned b = 0; b < shape.bytes; ++b) {
      if (places[b] != nullptr) *places[b] = static_cast<std::byte>(bits[b]);
    }
  }

  isa::Inst make_inst(isa::Op op, const MemoryShape& shape, bool flat) {
    isa::Inst inst;
    inst.op = op;
    inst.encoding = flat ? isa::Encoding::Flat : isa::Encoding::Global;
    inst.size = 2;
    const unsigned dwords = shape.dwords();
    const bool saddr = !flat && random_() % 2 == 0;
    inst.src[0] = v(2, saddr ? 1 : 2);
    if (saddr) inst.src[2] = s(10, 2);
    inst.offset =
        flat ? static_cast<std::int32_t>(random_() % 4096) : static_cast<std::int32_t>(random_() % 8192) - 4096;
    if (shape.kind == MemoryShape::Kind::Atomic) inst.glc = random_() % 2 == 0;
    const bool accumulator = random_() % 4 == 0;
    // Sometimes the result overlaps the address or the data.
    const unsigned dst = random_() % 4 == 0 ? 2 : 20;
    if (shape.kind == MemoryShape::Kind::Load || inst.glc) {
      inst.dst = accumulator ? a(4, dwords) : v(dst, dwords);
    }
    if (shape.kind != MemoryShape::Kind::Load) {
      const unsigned width = dwords * (shape.has_compare() ? 2 : 1);
      inst.src[1] = accumulator ? a(4, width) : v(10, width);
    }
    return inst;
  }

  // Addresses into the area (mostly the part without holes), the huge page and, for FLAT, the apertures.
  void make_addresses(const isa::Inst& inst, const MemoryShape& shape) {
    const bool flat = inst.encoding == isa::Encoding::Flat;
    const bool saddr = inst.src[2].is_register();
    const std::uint32_t limit = random_() % 8 == 0 ? kPages * kPage : kUnmapped * kPage;
    const LaneOffsets offsets = random_pattern(random_, shape.bytes, limit, shape.kind == MemoryShape::Kind::Load);
    const bool in_huge = random_() % 4 == 0;
    const std::uint64_t base = in_huge ? kHugeVa : kVa;
    const std::uint64_t bias = static_cast<std::uint64_t>(-std::int64_t{inst.offset});
    bench_.wave().set_u64(10, saddr ? base + bias - 0x1000 : 0);
    const unsigned apertures = flat ? static_cast<unsigned>(random_() % 5) : 0;
    for (unsigned l = 0; l < kLanes; ++l) {
      const std::uint32_t offset = in_huge ? offsets[l] % (3 * kPage) : offsets[l];
      const unsigned kind = apertures < 3 ? apertures : static_cast<unsigned>(random_() % 3);
      if (saddr) {
        bench_.vgpr(2, l) = offset + 0x1000;
      } else if (kind == 1) {
        bench_.set_pair(2, l, (std::uint64_t{MemoryBench::kSharedHigh} << 32 | offset % kLdsReach) + bias);
      } else if (kind == 2) {
        bench_.set_pair(2, l, (std::uint64_t{MemoryBench::kPrivateHigh} << 32 | offset % 480) + bias);
      } else {
        bench_.set_pair(2, l, base + offset + bias);
      }
    }
  }

  void check(isa::Op op, std::string_view shape_name, bool flat, unsigned rounds) {
    const MemoryShape shape = shape_of(shape_name);
    unsigned faults = 0;
    for (unsigned round = 0; round < rounds; ++round) {
      if (round % 16 == 0) randomize();
      const isa::Inst inst = make_inst(op, shape, flat);
      make_addresses(inst, shape);
      bench_.wave().set_exec(random_lanes(random_));
      const Snapshot before = take();
      const bool completes = run_reference(inst, shape, flat);
      const Snapshot expected = take();
      put(before);
      const Exit exit = bench_.run(inst);
      ASSERT_EQ(exit, completes ? Exit::None : Exit::Fault) << isa::name(op) << " round " << round;
      ASSERT_TRUE(take() == expected) << isa::name(op) << " round " << round << difference(expected);
      faults += completes ? 0 : 1;
    }
    faults_ += faults;
    EXPECT_LT(faults, rounds * 3 / 4) << isa::name(op);
  }

  std::string difference(const Snapshot& expected) {
    const Snapshot now = take();
    for (std::size_t i = 0; i < now.registers.size(); ++i) {
      if (now.registers[i] != expected.registers[i]) {
        return "; row " + std::to_string(i / kLanes) + " lane " + std::to_string(i % kLanes) + " is " +
               std::to_string(now.registers[i]) + ", expected " + std::to_string(expected.registers[i]);
      }
    }
    return "; memory differs";
  }

  std::mt19937 random_{20240817};
  MemoryBench bench_;
  bool is_atomic_ = false;
  unsigned faults_ = 0;
};

TEST_P(GlobalTest, EveryGlobalMnemonicDoesWhatItsNameSays) {
#define KFDLAB_MNEMONIC(name)                                            \
  if (std::string_view(#name).starts_with("global_")) {                  \
    check(isa::Op::name, std::string_view(#name).substr(7), false, 100); \
    if (HasFatalFailure()) return;                                       \
  }
#include "device/isa/mnemonics.inc"
#undef KFDLAB_MNEMONIC
  EXPECT_GT(faults_, 50u);
}

TEST_P(GlobalTest, EveryFlatMnemonicDoesWhatItsNameSaysInAllApertures) {
#define KFDLAB_MNEMONIC(name)                                           \
  if (std::string_view(#name).starts_with("flat_")) {                   \
    check(isa::Op::name, std::string_view(#name).substr(5), true, 100); \
    if (HasFatalFailure()) return;                                      \
  }
#include "device/isa/mnemonics.inc"
#undef KFDLAB_MNEMONIC
  EXPECT_GT(faults_, 50u);
}

TEST_P(GlobalTest, ScratchInstructionsSeeWhatThePrivateApertureShows) {
  randomize();
  for (unsigned l = 0; l < kLanes; ++l) {
    bench_.vgpr(2, l) = l % 8 * 16;
    bench_.set_pair(4, l, std::uint64_t{MemoryBench::kPrivateHigh} << 32 | (l % 8 * 16 + 36));
  }
  isa::Inst store;
  store.op = isa::Op::scratch_store_dwordx3;
  store.encoding = isa::Encoding::Scratch;
  store.size = 2;
  store.src[0] = v(2);
  store.src[1] = v(10, 3);
  store.offset = 36;
  ASSERT_EQ(bench_.run(store), Exit::None);
  isa::Inst load;
  load.op = isa::Op::flat_load_dwordx3;
  load.encoding = isa::Encoding::Flat;
  load.size = 2;
  load.src[0] = v(4, 2);
  load.dst = v(20, 3);
  ASSERT_EQ(bench_.run(load), Exit::None);
  load.op = isa::Op::scratch_load_dwordx3;
  load.encoding = isa::Encoding::Scratch;
  load.src[0] = {};
  load.src[2] = s(30);
  load.dst = v(30, 3);
  load.offset = -4;
  bench_.wave().sgpr[30] = 40;
  ASSERT_EQ(bench_.run(load), Exit::None);
  for (unsigned l = 0; l < kLanes; ++l) {
    for (unsigned d = 0; d < 3; ++d) {
      ASSERT_EQ(bench_.vgpr(20 + d, l), bench_.vgpr(10 + d, l));
      if (l % 8 == 0) {
        ASSERT_EQ(bench_.vgpr(30 + d, l), bench_.vgpr(10 + d, l));
      }
    }
  }
}

isa::Inst load_dword() {
  isa::Inst inst;
  inst.op = isa::Op::global_load_dword;
  inst.encoding = isa::Encoding::Global;
  inst.size = 2;
  inst.dst = v(20);
  inst.src[0] = v(2, 2);
  return inst;
}

TEST_P(GlobalTest, FaultNamesThePageAndARetryAfterMappingWorks) {
  randomize();
  const std::uint64_t hole = kVa + kUnmapped * kPage;
  for (unsigned l = 0; l < kLanes; ++l) {
    bench_.set_pair(2, l, l == 40 ? hole + 0x10 : kVa + 4 * l);
  }
  bench_.wave().block_pc = 0x1000;
  const Snapshot before = take();
  EXPECT_EQ(bench_.run(load_dword()), Exit::Fault);
  EXPECT_EQ(bench_.wave().pc, 0x1000u);
  EXPECT_EQ(bench_.wave().fault, (device::MemoryFault{.page = hole, .vmid = TestGpu::kVmid}));
  EXPECT_TRUE(take() == before);
  bench_.gpu().map(hole, kPages * kPage | TestGpu::kReadWrite);
  EXPECT_EQ(bench_.run(load_dword()), Exit::None);
  std::uint32_t expected;
  std::memcpy(&expected, bench_.gpu().vram().data() + kPages * kPage + 0x10, 4);
  EXPECT_EQ(bench_.vgpr(20, 40), expected);
}

TEST_P(GlobalTest, StoreToAReadOnlyPageIsAPermissionFault) {
  for (unsigned l = 0; l < kLanes; ++l) {
    bench_.set_pair(2, l, kVa + kReadOnly * kPage + 4 * l);
  }
  isa::Inst inst = load_dword();
  EXPECT_EQ(bench_.run(inst), Exit::None);
  inst.op = isa::Op::global_store_dword;
  inst.dst = {};
  inst.src[1] = v(20);
  EXPECT_EQ(bench_.run(inst), Exit::Fault);
  EXPECT_EQ(bench_.wave().fault.reason, device::MemoryFault::Reason::Permission);
  EXPECT_EQ(bench_.wave().fault.access, device::MemoryAccess::Write);
}

TEST_P(GlobalTest, InactiveLanesNeverFault) {
  for (unsigned l = 0; l < kLanes; ++l) {
    bench_.set_pair(2, l, l == 7 ? kVa + 64 : 0xdead000000000000 + l);
  }
  bench_.wave().set_exec(1ull << 7);
  EXPECT_EQ(bench_.run(load_dword()), Exit::None);
  bench_.wave().set_exec(0);
  for (unsigned l = 0; l < kLanes; ++l) {
    bench_.set_pair(2, l, kVa + kUnmapped * kPage);
  }
  EXPECT_EQ(bench_.run(load_dword()), Exit::None);
}

TEST_P(GlobalTest, RunThatEndsAtTheLastByteOfAPageDoesNotTouchTheNext) {
  const std::uint64_t end = kVa + kUnmapped * kPage;
  for (const unsigned lanes : {1u, 5u, 16u, 33u, 64u}) {
    bench_.wave().set_exec(~0ull >> (64 - lanes));
    for (unsigned l = 0; l < kLanes; ++l) {
      bench_.set_pair(2, l, end - 4 * lanes + 4 * l);
    }
    EXPECT_EQ(bench_.run(load_dword()), Exit::None) << lanes;
  }
}

INSTANTIATE_TEST_SUITE_P(Simd, GlobalTest, testing::ValuesIn(simd_levels()),
                         [](const auto& level) { return simd_name(level.param); });

}  // namespace
}  // namespace kfdlab::engine
