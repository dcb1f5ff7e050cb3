// SPDX-License-Identifier: MIT
// AddressSpaces: what the VMIDs of one GPU mean: the root of each one's page tables, and a log of what has been
// invalidated, from which each thread brings its own Tlb up to date.
//
// The owner of the control ring changes it; threads that translate read it. How an invalidation becomes final:
//   1. control: invalidate() or set_root();
//   2. control: EpochDomain::synchronize();
//   3. each translating thread, at its next safe point: Participant::pass() or enter(), and THEN, before it
//      translates anything, Tlb::catch_up(). In this order: whatever step 1 wrote before the epoch that pass() has
//      published is visible to catch_up(), and what is appended later waits for a later pass().
// When synchronize() returns, no thread will use an older translation.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "hw/gpuvm.h"

namespace kfdlab::device {

struct Invalidation {
  std::uint32_t vmid = 0;
  std::uint64_t first_page = 0;  // GPU VA >> 12
  std::uint64_t pages = 0;       // 0: the whole VMID

  // True if it hits any byte of [start, start + size), size > 0, start + size not beyond 2^48. No sum here wraps.
  [[nodiscard]] bool hits(std::uint32_t other_vmid, std::uint64_t start, std::uint64_t size) const {
    const std::uint64_t first = start >> 12;
    const std::uint64_t last = (start + size - 1) >> 12;
    return vmid == other_vmid &&
           (pages == 0 || (first_page <= last && (first < first_page || first - first_page < pages)));
  }
};

class AddressSpaces {
 public:
  AddressSpaces() = default;
  AddressSpaces(const AddressSpaces&) = delete;
  AddressSpaces& operator=(const AddressSpaces&) = delete;

  // A PDE in the format of hw/gpuvm.h, not judged here; 0 (not valid) at first and for an unused VMID. Appends an
  // invalidation of the whole VMID. vmid is reduced modulo KFDLAB_VMID_COUNT. Any thread.
  void set_root(std::uint32_t vmid, std::uint64_t root);
  [[nodiscard]] std::uint64_t root(std::uint32_t vmid) const {
    return roots_[vmid % KFDLAB_VMID_COUNT].load(std::memory_order_relaxed);
  }

  // Any values: a range beyond the address space hits nothing. Any thread.
  void invalidate(const Invalidation& what);

  // Number of invalidations so far. A parked wave retries when it has grown; costs one load.
  [[nodiscard]] std::uint64_t sequence() const { return sequence_.load(std::memory_order_acquire); }

  // Calls `drop(Invalidation)` for each invalidation behind the first `cursor` and moves the cursor to the end. If
  // too many have passed to know them all, returns false instead: the caller drops everything it holds.
  template <typename Drop>
  [[nodiscard]] bool collect(std::uint64_t& cursor, Drop&& drop) const {
    const std::lock_guard lock(mutex_);
    const std::uint64_t end = sequence_.load(std::memory_order_relaxed);
    const bool known = end - cursor <= kKept;
    for (std::uint64_t i = cursor; known && i != end; ++i) {
      drop(log_[i % kKept]);
    }
    cursor = end;
    return known;
  }

 private:
  static constexpr std::size_t kKept = 64;

  std::array<std::atomic<std::uint64_t>, KFDLAB_VMID_COUNT> roots_{};
  std::atomic<std::uint64_t> sequence_{0};
  mutable std::mutex mutex_;  // guards log_ and the growth of sequence_
  std::array<Invalidation, kKept> log_{};
};

}  // namespace kfdlab::device
