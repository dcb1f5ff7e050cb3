// SPDX-License-Identifier: MIT
#include "tests/unit/engine_mem/support/memory_bench.h"

#include <algorithm>

namespace kfdlab::engine {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t round_up(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

// A block of one instruction, laid out as the code cache does it: ops, then constants.
struct alignas(64) OneBlock {
  std::array<MicroOp, 6> ops;
  std::array<std::uint64_t, 8> constants;
};

const MicroOp* stop_here(Wave& wave, const MicroOp&) {
  wave.exit = Exit::None;
  return nullptr;
}

void place_constant(OneBlock& block, MicroOp& op, std::int32_t& slot) {
  slot = static_cast<std::int32_t>(reinterpret_cast<std::byte*>(&block.constants[static_cast<std::size_t>(slot)]) -
                                   reinterpret_cast<std::byte*>(&op));
}

}  // namespace

std::vector<SimdLevel> simd_levels() {
  if (host_simd_level() == SimdLevel::None) {
    return {};
  }
  return host_simd_level() == SimdLevel::Avx512 ? std::vector{SimdLevel::Avx512, SimdLevel::Avx2}
                                                : std::vector{SimdLevel::Avx2};
}

MemoryBench::MemoryBench(SimdLevel level)
    : registers_(round_up((kRows + kTempRows) * kRowBytes)), lds_(round_up(kLdsSize)) {
  if (level == SimdLevel::Avx512) {
    avx512::add_memory(table_);
  } else {
    avx2::add_memory(table_);
  }
  wave_.vgpr = registers_.bytes().data();
  wave_.vgpr_rows = kRows;
  wave_.accum_offset = kAccumOffset;
  wave_.tlb = &tlb_;
  wave_.tlb_key = device::Tlb::key(device::TestGpu::kVmid);
  wave_.lds = lds_.bytes().data() + (lds_.bytes().size() - kLdsSize);  // ends at the guard
  wave_.lds_size = kLdsSize;
  wave_.shared_aperture_hi = kSharedHigh;
  wave_.private_aperture_hi = kPrivateHigh;
  wave_.set_exec(~0ull);
  tlb_.catch_up();
}

Exit MemoryBench::run(const isa::Inst& inst) {
  const CodeKey key{.vgpr_rows = kRows, .accum_offset = kAccumOffset};
  Lowering lowering(table_, key);
  lowering.run(inst, 0);
  OneBlock block;
  std::size_t count = 0;
  for (const MicroOp& op : lowering.ops()) {
    MicroOp& placed = block.ops[count++] = op;
    for (unsigned i = 0; i < 4; ++i) {
      if (placed.kind[i] == Kind::Constant) {
        place_constant(block, placed, i < 3 ? placed.src[i] : placed.src3);
      }
    }
  }
  std::ranges::copy(lowering.constants(), block.constants.begin());
  block.ops[count].handler = stop_here;
  wave_.exit = Exit::None;
  for (const MicroOp* op = block.ops.data(); op != nullptr;) {
    op = op->handler(wave_, *op);
  }
  return wave_.exit;
}

}  // namespace kfdlab::engine
