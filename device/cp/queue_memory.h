// SPDX-License-Identifier: MIT
// QueueMemory: the memory of a process as the packet processors see it, by GPU VA, for one thread. It is that
// thread's part in the epochs and owns its TLB. Whatever it returns is good until the next safe point.
//
// Every access either succeeds as a whole or says no and leaves the reason in fault(): nothing here waits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "common/check.h"
#include "device/host/shared_word.h"
#include "device/mmu/address_spaces.h"
#include "device/mmu/epoch.h"
#include "device/mmu/tlb.h"

namespace kfdlab::device {

class QueueMemory {
 public:
  // Borrows all. `thread` belongs to the thread that uses this object.
  QueueMemory(const AddressSpaces& spaces, const PageWalker& walker, EpochDomain::Participant& thread)
      : spaces_(spaces), thread_(thread), tlb_(spaces, walker) {}
  QueueMemory(const QueueMemory&) = delete;
  QueueMemory& operator=(const QueueMemory&) = delete;

  // Around every use of the object.
  void enter() {
    thread_.enter();
    tlb_.catch_up();
  }
  void safe_point() {
    thread_.pass();
    tlb_.catch_up();
  }
  void leave() { thread_.leave(); }

  // Whose memory the accesses below mean.
  void select(std::uint32_t vmid) { key_ = Tlb::key(vmid); }
  // Grows with every invalidation: a reason to try a faulting access again.
  [[nodiscard]] std::uint64_t sequence() const { return spaces_.sequence(); }

  // The bytes from `va` on, at least 1 and at most `limit` (> 0) of them, never beyond the page; empty: fault().
  template <MemoryAccess kAccess>
  [[nodiscard]] std::span<std::byte> find(std::uint64_t va, std::uint64_t limit) {
    std::byte* host = tlb_.translate<kAccess>(key_, va, fault_);
    if (host == nullptr) {
      return {};
    }
    const std::uint64_t in_page = Tlb::kPageSize - va % Tlb::kPageSize;
    return {host, limit < in_page ? limit : in_page};
  }

  // An object that lies in one page because `va` is a multiple of its size, a power of two: that is the caller's to
  // have checked. Null: fault().
  template <typename T, MemoryAccess kAccess>
  [[nodiscard]] T* object(std::uint64_t va) {
    static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) & (sizeof(T) - 1)) == 0);
    KFDLAB_CHECK(va % sizeof(T) == 0);
    return reinterpret_cast<T*>(tlb_.translate<kAccess>(key_, va, fault_));
  }
  template <typename T>
  [[nodiscard]] bool load(std::uint64_t va, T& value) {
    T* word = object<T, MemoryAccess::Read>(va);
    if (word != nullptr) {
      value = load_acquire(*word);
    }
    return word != nullptr;
  }
  template <typename T>
  [[nodiscard]] bool store(std::uint64_t va, T value) {
    T* word = object<T, MemoryAccess::Write>(va);
    if (word != nullptr) {
      store_release(*word, value);
    }
    return word != nullptr;
  }

  // Any address and size; not atomic.
  [[nodiscard]] bool read(std::uint64_t va, std::span<std::byte> to);

  // Why the last access that failed did.
  [[nodiscard]] const MemoryFault& fault() const { return fault_; }

 private:
  const AddressSpaces& spaces_;
  EpochDomain::Participant& thread_;
  Tlb tlb_;
  Tlb::Key key_ = 0;
  MemoryFault fault_;
};

}  // namespace kfdlab::device
