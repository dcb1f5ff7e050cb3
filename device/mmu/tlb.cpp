// SPDX-License-Identifier: MIT
#include "device/mmu/tlb.h"

#include <cstddef>

namespace kfdlab::device {
namespace {

bool allows(const Translation& translation, MemoryAccess access) {
  switch (access) {
    case MemoryAccess::Read:
      return translation.readable;
    case MemoryAccess::Write:
      return translation.writable;
    case MemoryAccess::Execute:
      return translation.executable;
  }
  return false;
}

}  // namespace

std::byte* Tlb::fill(Key key, std::uint64_t va, MemoryAccess access, MemoryFault& fault) {
  ++counters_.misses;
  Range& range = ranges_[(va / kRangeSize) % kRanges];
  if (range.key == key && va - range.translation.start < range.translation.size && allows(range.translation, access)) {
    remember_page(key, va, range.translation);
    return range.translation.host + (va - range.translation.start);
  }
  // Also when the range forbids the access: like a fault, that is not remembered.
  ++counters_.walks;
  const std::uint32_t vmid = vmid_of(key);
  const Translation translation = walker_.walk(spaces_.root(vmid), va);
  if (translation.size == 0 || !allows(translation, access)) {
    ++counters_.faults;
    fault = {.page = va & ~kPageMask,
             .vmid = vmid,
             .access = access,
             .reason = translation.size == 0 ? MemoryFault::Reason::NotPresent : MemoryFault::Reason::Permission,
             .no_retry = translation.no_retry};
    return nullptr;
  }
  if (translation.size > kPageSize) {
    range = {.key = key, .translation = translation};
  }
  remember_page(key, va, translation);
  return translation.host + (va - translation.start);
}

void Tlb::remember_page(Key key, std::uint64_t va, const Translation& translation) {
  const std::uint64_t tag = (va & ~kPageMask) | key;
  pages_[(va / kPageSize) % kPages] = {
      .read = translation.readable ? tag : 0,
      .write = translation.writable ? tag : 0,
      .execute = translation.executable ? tag : 0,
      .addend = reinterpret_cast<std::uint64_t>(translation.host) - translation.start,
  };
}

void Tlb::apply() {
  // What comes in bursts is mostly one unmapping; beyond a handful, refilling costs less than looking through all.
  constexpr std::size_t kPrecise = 8;
  std::array<Invalidation, kPrecise> pending;
  std::size_t count = 0;
  const bool known = spaces_.collect(seen_, [&](const Invalidation& what) {
    if (count < kPrecise) {
      pending[count] = what;
    }
    ++count;
  });
  counters_.invalidations += count;
  if (!known || count > kPrecise) {
    flush();
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    drop(pending[i]);
  }
}

void Tlb::drop(const Invalidation& what) {
  for (Page& page : pages_) {
    const std::uint64_t tag = page.read | page.write | page.execute;  // each is the tag or 0
    if (tag != 0 && what.hits(vmid_of(tag & kPageMask), tag & ~kPageMask, kPageSize)) {
      page = {};
    }
  }
  for (Range& range : ranges_) {
    if (range.key != 0 && what.hits(vmid_of(range.key), range.translation.start, range.translation.size)) {
      range = {};
    }
  }
}

void Tlb::flush() {
  ++counters_.flushes;
  pages_.fill({});
  ranges_.fill({});
}

}  // namespace kfdlab::device
