// SPDX-License-Identifier: MIT
// What the processes of a run count together. Each row becomes a counter of the test in the JSON.
#pragma once

#include <array>
#include <cstddef>

namespace kfdlab::stress {

enum class Count : unsigned {
  OpsTotal,  // operations that changed state
  BytesChecked,
  Writes,        // pages written by a CPU
  DmaWrites,     // pages written through a pin
  PrefetchVram,  // calls
  PrefetchRam,
  PrefetchHoles,  // calls answered EFAULT because another thread's window had a hole
  Attributes,
  Munmaps,
  Mmaps,
  Mremaps,
  MremapsRefused,  // EFAULT: the run crossed a mapping's end
  Mprotects,
  Discards,   // MADV_DONTNEED
  LazyFrees,  // MADV_FREE
  LazyFreed,  // pages that were then found empty
  Pageouts,   // MADV_PAGEOUT
  Colds,
  Merges,      // MADV_MERGEABLE, MADV_UNMERGEABLE
  HugeAdvice,  // MADV_HUGEPAGE, MADV_NOHUGEPAGE
  HugeFills,
  Forks,
  ForksRefused,  // ENOMEM, EAGAIN
  ChildrenEnded,
  ChildrenKilled,
  ChildrenOutlivedParent,
  PinsLongterm,
  PinsLongtermPages,
  PinsOrdinary,    // FOLL_PIN
  PinsGet,         // FOLL_GET
  PinsDenied,      // EFAULT: the protection forbids it
  Ebusy,           // long-term pins refused while somebody of this run may hold a page
  EbusyTransient,  // refused although nobody of this run held one: tried again, with success
  Vmsplices,
  Releases,
  HeldPagesInVram,  // pages held by ordinary pins, gets and pipes that were in VRAM when taken
  HeldPagesChecked,
  BuffersAllocated,
  BuffersRefused,  // ENOMEM: VRAM full of held pages
  BuffersFreed,
  GemCreated,
  GemClosed,
  EvictAll,
  ProcessesEnded,    // with everything checked and given back
  ProcessesAborted,  // exit() with everything still held
  ProcessesKilled,
  Compactions,
  Reclaims,
  KsmUnmerges,
  Swapoffs,
  Count,
};

inline constexpr std::size_t kCounts = static_cast<std::size_t>(Count::Count);

inline constexpr std::array<const char*, kCounts> kCountNames = {"ops_total",
                                                                 "bytes_checked",
                                                                 "pages_written",
                                                                 "pages_written_by_dma",
                                                                 "prefetches_to_vram",
                                                                 "prefetches_to_ram",
                                                                 "prefetches_refused",
                                                                 "attribute_changes",
                                                                 "munmaps",
                                                                 "mmaps",
                                                                 "mremaps",
                                                                 "mremaps_refused",
                                                                 "mprotects",
                                                                 "discards",
                                                                 "lazy_frees",
                                                                 "lazily_freed_pages",
                                                                 "pageouts",
                                                                 "colds",
                                                                 "merge_advice",
                                                                 "huge_advice",
                                                                 "huge_fills",
                                                                 "forks",
                                                                 "forks_refused",
                                                                 "children_ended",
                                                                 "children_killed",
                                                                 "children_outlived_parent",
                                                                 "pins_longterm",
                                                                 "pins_longterm_pages",
                                                                 "pins_ordinary",
                                                                 "pins_get",
                                                                 "pins_denied",
                                                                 "ebusy",
                                                                 "ebusy_transient",
                                                                 "vmsplices",
                                                                 "releases",
                                                                 "held_pages_in_vram",
                                                                 "held_pages_checked",
                                                                 "buffers_allocated",
                                                                 "buffers_refused",
                                                                 "buffers_freed",
                                                                 "gem_created",
                                                                 "gem_closed",
                                                                 "evictions_of_all",
                                                                 "processes_ended",
                                                                 "processes_aborted",
                                                                 "processes_killed",
                                                                 "compactions",
                                                                 "reclaims",
                                                                 "ksm_unmerges",
                                                                 "swapoffs"};
static_assert(kCountNames.back() != nullptr);

}  // namespace kfdlab::stress
