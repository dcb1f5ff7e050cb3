// SPDX-License-Identifier: MIT
// Lowering: isa::Inst -> MicroOps, through a table with one entry per mnemonic.
//
// Code is lowered per CodeKey: what a wave of this shape may touch is decided here, once, and costs nothing when the
// code runs. Lowering::run() checks every register operand of the instruction against the key before it calls the
// entry of the table, so entries and handlers never see a register outside the wave.
//
// The table is filled by add_*() functions, one per source file of handlers. Files with vector code are compiled
// twice, with KFDLAB_ENGINE_ISA set to avx2 or avx512 (a namespace inside kfdlab::engine); the engine takes the
// table of the best one the host has at start.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "device/engine/micro_op.h"
#include "device/isa/inst.h"

namespace kfdlab::engine {

struct CodeKey {
  std::uint16_t vgpr_rows = 0;     // allocated, AGPRs included
  std::uint16_t accum_offset = 0;  // row of AGPR 0; architected VGPRs are below
  std::uint32_t mode = 0;          // bits of MODE that change what code means (kModeKeyMask)
  std::uint32_t gpr_index = 0;     // M0 while kModeGprIndex is set, else 0
  bool operator==(const CodeKey&) const = default;
};
inline constexpr std::uint32_t kModeKeyMask = 0x3ffu | kModeFp16Ovfl | kModeGprIndex | kModeVskip;

class Lowering;
// Emits the micro-ops of one instruction. False: this form is not supported; the instruction becomes Exit::Illegal
// with its name, and what was emitted for it is dropped.
using LowerFunction = bool (*)(Lowering& lowering);

class LowerTable {
 public:
  void set(isa::Op op, LowerFunction function) { entries_[static_cast<std::size_t>(op)] = function; }
  // SDWA and DPP: wraps the entry of the mnemonic in ops that prepare sources and merge the result.
  bool (*lower_extended)(Lowering& lowering, isa::Inst& inst, LowerFunction entry) = nullptr;
  // Ds with the GDS bit. Global wave sync has entries of its own.
  LowerFunction lower_gds = nullptr;
  [[nodiscard]] LowerFunction find(isa::Op op) const {
    return op < isa::Op::kCount ? entries_[static_cast<std::size_t>(op)] : nullptr;
  }

 private:
  std::array<LowerFunction, static_cast<std::size_t>(isa::Op::kCount) + 1> entries_{};
};

// What a LowerFunction sees and uses.
class Lowering {
 public:
  Lowering(const LowerTable& table, const CodeKey& key) : table_(table), key_(key) {}

  // The bytes at `pc` are no instruction: a micro-op that says so.
  void undecodable(std::uint32_t pc);
  // A micro-op of no instruction at the end of the block.
  void emit_tail(Handler handler, std::uint32_t pc);
  // Lowers one instruction at `pc` bytes from the block's start. False: out of range registers or no entry; then a
  // micro-op that leaves with Exit::Illegal has been emitted.
  bool run(const isa::Inst& inst, std::uint32_t pc);

  [[nodiscard]] const isa::Inst& inst() const { return *inst_; }
  [[nodiscard]] const CodeKey& key() const { return key_; }

  // Appends a micro-op with every slot, kind, modifier and flag taken from inst(). The reference is good until the
  // next emit.
  MicroOp& emit(Handler handler);
  // The micro-op appended last.
  [[nodiscard]] MicroOp& last() { return ops_.back(); }
  // Appends a bare micro-op: pc, size and op set, no operands.
  MicroOp& emit_bare(Handler handler);
  // Makes slot `source` of `op` a constant.
  void set_constant(MicroOp& op, unsigned source, std::uint64_t value);
  // One more constant behind the last.
  void add_constant(std::uint64_t value) { constants_.push_back(value); }
  // Byte offset (Slot of Kind::Vector) of temp row i < kTempRows.
  [[nodiscard]] std::int32_t temp_row(unsigned i) const;
  // The same as an operand of an instruction, for lower_extended.
  [[nodiscard]] static isa::Operand temp_operand(unsigned i, std::uint8_t dwords);
  // Byte offset of a VGPR or AGPR number (isa numbering, >= 256).
  [[nodiscard]] std::int32_t vector_slot(std::uint16_t reg) const;
  // The instruction ends the block (branches, mode changes, barriers).
  void end_block() { ends_block_ = true; }
  [[nodiscard]] bool ends_block() const { return ends_block_; }

  // The block so far. Slots of Kind::Constant are indices into constants() until the code cache lays the block out.
  [[nodiscard]] const std::vector<MicroOp>& ops() const { return ops_; }
  [[nodiscard]] const std::vector<std::uint64_t>& constants() const { return constants_; }

 private:
  [[nodiscard]] bool operand_fits(const isa::Operand& operand) const;
  [[nodiscard]] bool operands_fit() const;
  [[nodiscard]] bool apply_gpr_index(isa::Inst& inst) const;
  void emit_illegal(isa::Op name);
  void assign(MicroOp& op, unsigned source, const isa::Operand& operand);

  const LowerTable& table_;
  CodeKey key_;
  const isa::Inst* inst_ = nullptr;
  std::uint32_t pc_ = 0;
  bool ends_block_ = false;
  std::vector<MicroOp> ops_;
  std::vector<std::uint64_t> constants_;
};

// Entries by source file. Scalar code needs no vector extension.
void add_salu(LowerTable& table);
namespace avx2 {
void add_valu(LowerTable& table);
void add_memory(LowerTable& table);
}  // namespace avx2
namespace avx512 {
void add_valu(LowerTable& table);
void add_memory(LowerTable& table);
}  // namespace avx512

enum class SimdLevel : std::uint8_t { None, Avx2, Avx512 };
// The best level this host has; KFDLAB_SIMD=avx2 in the environment lowers it.
[[nodiscard]] SimdLevel host_simd_level();
// Filled at first use, then constant. Level must not be above host_simd_level(), and not None.
[[nodiscard]] const LowerTable& lower_table(SimdLevel level);

}  // namespace kfdlab::engine
