// SPDX-License-Identifier: MIT
// Tlb: one thread's memory of translations: GPU virtual address and VMID to host address.
//
// Two levels: pages of 4 KiB, direct-mapped, looked up inline by memory handlers (a compare and an add); behind them
// ranges of up to 2 MiB, so that the pages of a huge page or a fragment cost one walk. It belongs to one thread and
// has no locks. Host addresses it returns, and everything derived from them, are good until that thread's next safe
// point and must not be kept across it. At a safe point the thread calls Participant::pass() (or enter()) and then
// catch_up(): see address_spaces.h, which has the whole contract.
//
// Faults are never remembered: an entry that becomes valid needs no invalidation to be seen.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "device/mmu/address_spaces.h"
#include "device/mmu/fault.h"
#include "device/mmu/page_walker.h"

namespace kfdlab::device {

class Tlb {
 public:
  static constexpr std::uint64_t kPageSize = 4096;
  static constexpr std::uint64_t kPageMask = kPageSize - 1;
  static constexpr std::size_t kPages = 512;   // power of two
  static constexpr std::size_t kRanges = 256;  // power of two; one per 2 MiB of address space

  // Address space of a look-up, computed once per wave: bits that a tag has below the page number.
  using Key = std::uint64_t;
  [[nodiscard]] static constexpr Key key(std::uint32_t vmid) { return kValid | vmid % KFDLAB_VMID_COUNT; }
  [[nodiscard]] static constexpr std::uint32_t vmid_of(Key key) {
    return static_cast<std::uint32_t>(key % KFDLAB_VMID_COUNT);
  }

  struct alignas(32) Page {
    // Page address | key if that access is allowed, else 0, which no look-up asks for.
    std::uint64_t read = 0;
    std::uint64_t write = 0;
    std::uint64_t execute = 0;
    std::uint64_t addend = 0;  // host address minus GPU VA, modulo 2^64
  };

  struct Counters {
    std::uint64_t misses = 0;         // look-ups the pages could not answer
    std::uint64_t walks = 0;          // those the ranges could not answer either
    std::uint64_t faults = 0;         // fills that ended in a fault
    std::uint64_t invalidations = 0;  // invalidations applied
    std::uint64_t flushes = 0;        // of everything, because too many invalidations had come at once
  };

  // Borrows both.
  Tlb(const AddressSpaces& spaces, const PageWalker& walker) : spaces_(spaces), walker_(walker) {}
  Tlb(const Tlb&) = delete;
  Tlb& operator=(const Tlb&) = delete;

  // The host address of `va` if the page is known and allows the access, else null. Bytes from there to the end of
  // the 4 KiB page may be used.
  // Always inline, like the others below: files built for different instruction sets share this header.
  template <MemoryAccess kAccess>
  [[nodiscard, gnu::always_inline]] inline std::byte* find(Key key, std::uint64_t va) const {
    const Page& page = pages_[(va / kPageSize) % kPages];
    const std::uint64_t tag = kAccess == MemoryAccess::Read    ? page.read
                              : kAccess == MemoryAccess::Write ? page.write
                                                               : page.execute;
    if (tag != ((va & ~kPageMask) | key)) [[unlikely]] {
      return nullptr;
    }
    return reinterpret_cast<std::byte*>(va + page.addend);
  }

  // A run of addresses that one addition translates.
  struct Span {
    std::uint64_t start = 0;   // GPU VA
    std::uint64_t size = 0;    // bytes
    std::uint64_t addend = 0;  // host address minus GPU VA, modulo 2^64
  };
  // The largest known span around `va` that allows the access; walks if none is known. False: `fault` says why.
  template <MemoryAccess kAccess>
  [[nodiscard, gnu::always_inline]] inline bool find_span(Key key, std::uint64_t va, Span& span, MemoryFault& fault) {
    const Range& range = ranges_[(va / kRangeSize) % kRanges];
    const Translation& run = range.translation;
    const bool allowed = kAccess == MemoryAccess::Read    ? run.readable
                         : kAccess == MemoryAccess::Write ? run.writable
                                                          : run.executable;
    if (range.key == key && va - run.start < run.size && allowed) {
      span = {run.start, run.size, reinterpret_cast<std::uint64_t>(run.host) - run.start};
      return true;
    }
    const std::byte* const host = translate<kAccess>(key, va, fault);
    span = {va & ~kPageMask, kPageSize, reinterpret_cast<std::uint64_t>(host) - va};
    return host != nullptr;
  }

  // What to do when find() returned null: looks into the ranges, then walks. Null if that faults: `fault` says how.
  [[nodiscard]] std::byte* fill(Key key, std::uint64_t va, MemoryAccess access, MemoryFault& fault);

  // Both in one.
  template <MemoryAccess kAccess>
  [[nodiscard, gnu::always_inline]] inline std::byte* translate(Key key, std::uint64_t va, MemoryFault& fault) {
    if (std::byte* host = find<kAccess>(key, va)) [[likely]] {
      return host;
    }
    return fill(key, va, kAccess, fault);
  }

  // Drops what has been invalidated since the last call: after every pass() and enter(). One load if nothing was.
  // Returns true if something was, so that other caches of the thread (code) follow.
  bool catch_up() {
    if (spaces_.sequence() == seen_) [[likely]] {
      return false;
    }
    apply();
    return true;
  }

  void flush();

  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  static constexpr std::uint64_t kValid = 0x800;
  static constexpr std::uint64_t kRangeSize = 2ull << 20;

  struct Range {
    Key key = 0;  // 0: empty
    Translation translation;
  };

  void apply();
  void drop(const Invalidation& what);
  void remember_page(Key key, std::uint64_t va, const Translation& translation);

  const AddressSpaces& spaces_;
  const PageWalker& walker_;
  std::uint64_t seen_ = 0;
  std::array<Page, kPages> pages_{};
  std::array<Range, kRanges> ranges_{};
  Counters counters_;
};

}  // namespace kfdlab::device
