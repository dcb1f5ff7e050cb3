// SPDX-License-Identifier: MIT
// CodeCache: blocks of lowered code of one engine thread.
//
// A block begins where a wave entered and goes on past conditional branches (they leave it when taken) to the first
// instruction that never falls through, or kMaxInstructions. It remembers the words it was made of. After anything
// that may have changed code or its place (a TLB invalidation, an instruction cache invalidation) the epoch moves on,
// and each block is compared with memory before it runs again: code that is still the same is not lowered again.
//
// Bounded: when the limit is passed everything is dropped. Waves keep no pointers into it while they do not run.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "device/engine/lower.h"
#include "device/engine/micro_op.h"
#include "device/engine/wave.h"

namespace kfdlab::engine {

struct Block {
  std::uint64_t pc = 0;
  std::uint64_t verified = 0;  // epoch in which the words were last seen in memory
  std::uint32_t instructions = 0;
  std::vector<std::uint32_t> words;
  std::size_t bytes = 0;  // of `ops`
  struct Free {
    void operator()(MicroOp* ops) const { ::operator delete (ops, std::align_val_t{alignof(MicroOp)}); }
  };
  std::unique_ptr<MicroOp, Free> ops;  // and their constants behind them
};

// Enters a block: charges its length. Null if the wave's budget does not reach: then it has left with Exit::Yield.
[[nodiscard]] inline const MicroOp* enter_block(Wave& wave, const Block& block) {
  wave.budget -= block.instructions;
  if (wave.budget < 0) [[unlikely]] {
    wave.refund = block.instructions;
    wave.pc = block.pc;
    wave.exit = Exit::Yield;
    return nullptr;
  }
  wave.block_pc = block.pc;
  return block.ops.get();
}

class CodeCache {
 public:
  static constexpr unsigned kMaxInstructions = 128;

  CodeCache(const LowerTable& table, std::size_t limit_bytes) : table_(table), limit_(limit_bytes) {}
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;

  // The block at wave.pc for a wave of this shape. Null: the wave has left (Exit::Fault, access Execute).
  [[nodiscard]] Block* find(Wave& wave);

  // Code may have changed: blocks are compared before they run again. Waves that run take over epoch().
  void next_epoch() { ++epoch_; }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  // Grows when all blocks were dropped: pointers to blocks and their ops are dead then.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  void clear();

  [[nodiscard]] static CodeKey key_of(const Wave& wave);

 private:
  struct Place {
    std::uint64_t pc;
    std::uint64_t space;  // Tlb::Key
    CodeKey key;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    std::size_t operator()(const Place& place) const;
  };
  struct Recent {
    Place place{};
    Block* block = nullptr;
  };
  static constexpr std::size_t kRecent = 256;

  [[nodiscard]] bool same_as_memory(Wave& wave, const Block& block);
  [[nodiscard]] std::unique_ptr<Block> make(Wave& wave, const CodeKey& key);

  const LowerTable& table_;
  const std::size_t limit_;
  std::uint64_t epoch_ = 1;
  std::uint64_t generation_ = 0;
  std::size_t bytes_ = 0;
  std::unordered_map<Place, std::unique_ptr<Block>, PlaceHash> blocks_;
  std::array<Recent, kRecent> recent_{};
};

// Runs the wave until it leaves for a reason that is not Exit::Lookup: budget spent (Yield), barrier, fault, end ...
// The caller has set budget, tlb and tlb_key. Counts nothing: the caller compares budgets.
void run_wave(Wave& wave, CodeCache& cache);

}  // namespace kfdlab::engine
