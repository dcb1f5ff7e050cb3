// SPDX-License-Identifier: MIT
// Finding, making and verifying blocks; the run loop of a wave.
#include "device/engine/code_cache.h"

#include <algorithm>
#include <new>
#include <span>

#include "device/isa/decoder.h"

namespace kfdlab::engine {
namespace {

constexpr unsigned kMaxDwords = isa::kMaxInstDwords;
constexpr std::uint64_t kFetchPage = device::Tlb::kPageSize;

// Words of code from a wave's PC on, page by page.
class Fetch {
 public:
  explicit Fetch(Wave& wave) : wave_(wave), start_(wave.pc) {}

  // Makes `count` words at word `index` available, or as many as can be translated. Returns how many there are.
  std::size_t available(std::size_t index, std::size_t count) {
    while (words_.size() < index + count && more()) {
    }
    return std::min(count, words_.size() - std::min(words_.size(), index));
  }
  [[nodiscard]] std::span<const std::uint32_t> words() const { return words_; }

 private:
  bool more() {
    const std::uint64_t va = start_ + words_.size() * 4;
    const std::byte* host = wave_.tlb->translate<device::MemoryAccess::Execute>(wave_.tlb_key, va, wave_.fault);
    if (host == nullptr) {
      return false;
    }
    const std::size_t count = std::min<std::size_t>((kFetchPage - va % kFetchPage) / 4, 64);
    const std::size_t old = words_.size();
    words_.resize(old + count);
    std::memcpy(&words_[old], host, count * 4);
    return true;
  }

  Wave& wave_;
  const std::uint64_t start_;
  std::vector<std::uint32_t> words_;
};

// Constants lie behind the ops; slots get their distance.
void lay_out(Block& block, const Lowering& lowering) {
  const std::vector<MicroOp>& ops = lowering.ops();
  const std::vector<std::uint64_t>& constants = lowering.constants();
  block.bytes = ops.size() * sizeof(MicroOp) + constants.size() * sizeof(std::uint64_t);
  auto* memory = static_cast<std::byte*>(::operator new (block.bytes, std::align_val_t{alignof(MicroOp)}));
  block.ops.reset(reinterpret_cast<MicroOp*>(memory));
  std::uninitialized_copy(ops.begin(), ops.end(), block.ops.get());
  std::byte* pool = memory + ops.size() * sizeof(MicroOp);
  if (!constants.empty()) {
    std::memcpy(pool, constants.data(), constants.size() * sizeof(std::uint64_t));
  }
  for (std::size_t i = 0; i < ops.size(); ++i) {
    MicroOp& op = block.ops.get()[i];
    for (unsigned source = 0; source < 4; ++source) {
      std::int32_t& slot = source < 3 ? op.src[source] : op.src3;
      if (op.kind[source] == Kind::Constant) {
        slot = static_cast<std::int32_t>((ops.size() - i) * sizeof(MicroOp) +
                                         static_cast<std::size_t>(slot) * sizeof(std::uint64_t));
      }
    }
  }
}

// Behind a block that ends only because it is long enough.
const MicroOp* go_on(Wave& wave, const MicroOp& op) {
  wave.pc = wave.block_pc + op.pc;
  wave.refund = 0;
  wave.exit = Exit::Lookup;
  wave.link = nullptr;
  return nullptr;
}

}  // namespace

CodeKey CodeCache::key_of(const Wave& wave) {
  CodeKey key;
  key.vgpr_rows = static_cast<std::uint16_t>(wave.vgpr_rows);
  key.accum_offset = static_cast<std::uint16_t>(wave.accum_offset);
  key.mode = wave.mode & kModeKeyMask;
  key.gpr_index = (wave.mode & kModeGprIndex) != 0 ? wave.sgpr[isa::kM0] & 0xf0ffu : 0;
  return key;
}

std::size_t CodeCache::PlaceHash::operator()(const Place& place) const {
  std::uint64_t hash = place.pc * 0x9e3779b97f4a7c15ull;
  hash ^= (std::uint64_t{place.key.mode} << 20 ^ place.key.gpr_index ^ std::uint64_t{place.key.vgpr_rows} << 32 ^
           std::uint64_t{place.key.accum_offset} << 44 ^ place.space << 8) *
          0xc2b2ae3d27d4eb4full;
  return static_cast<std::size_t>(hash ^ hash >> 29);
}

void CodeCache::clear() {
  blocks_.clear();
  recent_.fill({});
  bytes_ = 0;
  ++generation_;
}

bool CodeCache::same_as_memory(Wave& wave, const Block& block) {
  device::MemoryFault ignored;
  std::size_t done = 0;
  const std::size_t size = block.words.size() * 4;
  while (done < size) {
    const std::uint64_t va = block.pc + done;
    const std::byte* host = wave.tlb->translate<device::MemoryAccess::Execute>(wave.tlb_key, va, ignored);
    if (host == nullptr) {
      return false;
    }
    const std::size_t part = std::min<std::size_t>(size - done, kFetchPage - va % kFetchPage);
    if (std::memcmp(host, reinterpret_cast<const std::byte*>(block.words.data()) + done, part) != 0) {
      return false;
    }
    done += part;
  }
  return true;
}

std::unique_ptr<Block> CodeCache::make(Wave& wave, const CodeKey& key) {
  Fetch fetch(wave);
  Lowering lowering(table_, key);
  std::size_t word = 0;
  unsigned count = 0;
  std::vector<std::size_t> first_op;
  // With VGPR indexing any write of M0 changes what follows: one instruction a block.
  const unsigned limit = (key.mode & kModeGprIndex) != 0 ? 1 : kMaxInstructions;
  while (count < limit && !lowering.ends_block()) {
    const std::size_t have = fetch.available(word, kMaxDwords);
    if (have == 0) {
      break;
    }
    const isa::DecodeResult decoded = isa::decode(fetch.words().subspan(word, have));
    if (decoded.status == isa::DecodeResult::Status::Truncated && have < kMaxDwords) {
      break;
    }
    first_op.push_back(lowering.ops().size());
    ++count;
    const auto pc = static_cast<std::uint32_t>(word * 4);
    if (!decoded.ok()) {
      lowering.undecodable(pc);
      ++word;
      break;
    }
    static_cast<void>(lowering.run(decoded.inst, pc));
    word += decoded.inst.size;
  }
  if (count == 0) {
    wave.exit = Exit::Fault;
    return nullptr;
  }
  if (!lowering.ends_block()) {
    lowering.emit_tail(go_on, static_cast<std::uint32_t>(word * 4));
  }
  auto block = std::make_unique<Block>();
  block->pc = wave.pc;
  block->instructions = count;
  block->words.assign(fetch.words().begin(), fetch.words().begin() + static_cast<std::ptrdiff_t>(word));
  lay_out(*block, lowering);
  first_op.push_back(lowering.ops().size());
  for (unsigned i = 0; i < count; ++i) {
    for (std::size_t op = first_op[i]; op < first_op[i + 1]; ++op) {
      block->ops.get()[op].remaining = static_cast<std::uint16_t>(count - i);
    }
  }
  return block;
}

Block* CodeCache::find(Wave& wave) {
  const Place place{wave.pc, wave.tlb_key, key_of(wave)};
  const std::size_t hash = PlaceHash{}(place);
  Recent& recent = recent_[hash % kRecent];
  if (recent.block != nullptr && recent.place == place && recent.block->verified == epoch_) [[likely]] {
    return recent.block;
  }
  const auto found = blocks_.find(place);
  if (found != blocks_.end()) {
    Block& block = *found->second;
    if (block.verified == epoch_ || same_as_memory(wave, block)) {
      block.verified = epoch_;
      recent = {place, &block};
      return &block;
    }
    // Other blocks may point at this one and waves of this thread do not run now: it goes with all the others.
    clear();
  }
  if (wave.pc % 4 != 0) {
    wave.illegal_op = isa::Op::kCount;
    wave.exit = Exit::Illegal;
    return nullptr;
  }
  if (bytes_ > limit_) {
    clear();
  }
  std::unique_ptr<Block> made = make(wave, place.key);
  if (made == nullptr) {
    return nullptr;
  }
  made->verified = epoch_;
  bytes_ += made->bytes + made->words.size() * 4 + 256;
  Block* block = made.get();
  blocks_.insert_or_assign(place, std::move(made));
  recent = {place, block};
  return block;
}

void run_wave(Wave& wave, CodeCache& cache) {
  wave.code_epoch = cache.epoch();
  wave.link = nullptr;
  while (true) {
    const std::uint64_t generation = cache.generation();
    Block* block = cache.find(wave);
    if (block == nullptr) {
      return;
    }
    if (wave.link != nullptr && generation == cache.generation()) {
      // The ops belong to this thread's cache, which alone changes them.
      const_cast<MicroOp*>(static_cast<const MicroOp*>(wave.link))->aux_pointer = block;
    }
    wave.link = nullptr;
    const MicroOp* op = enter_block(wave, *block);
    while (op != nullptr) {
      op = op->handler(wave, *op);
    }
    wave.budget += wave.refund;
    if (wave.exit != Exit::Lookup) {
      return;
    }
  }
}

}  // namespace kfdlab::engine
