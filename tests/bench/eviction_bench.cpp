// SPDX-License-Identifier: MIT
// Eviction against prefetch to RAM of the same pages. Three ways out of VRAM take turns in one loop: prefetch to RAM;
// eviction of everything, block by block; and TTM's, by prefetching another buffer into a GPU that is full, from which
// the cost of the same prefetch into free VRAM is subtracted.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/bench/measure.h"
#include "tests/bench/session.h"
#include "tests/support/pattern.h"

namespace kfdlab::bench {
namespace {

constexpr std::uint64_t kSizes[] = {16ull << 20, 64ull << 20, 256ull << 20};
constexpr std::uint64_t kBudget = 320ull << 20;  // bytes per way, so that small sizes are repeated more often
constexpr std::uint64_t kSeed = 11;

struct Times {
  std::vector<double> to_vram, to_ram, evict, pressure, by_ttm;
};

void one_round(const Session& session, const Buffer& a, const Buffer& b, Times* times) {
  times->to_vram.push_back(microseconds([&] { session.to_vram(a); }));
  times->to_ram.push_back(microseconds([&] { session.to_ram(a); }));

  session.to_vram(a);
  const kfdlab_test_counters before = session.counters();
  times->pressure.push_back(microseconds([&] { session.to_vram(b); }));
  const kfdlab_test_counters after = session.counters();
  if (after.pages_to_ram_evict - before.pages_to_ram_evict != a.npages() ||
      after.pages_to_vram - before.pages_to_vram != b.npages()) {
    give_up("a full GPU took " + std::to_string(after.pages_to_vram - before.pages_to_vram) + " pages and evicted " +
            std::to_string(after.pages_to_ram_evict - before.pages_to_ram_evict) + ", not " +
            std::to_string(a.npages()) + " each");
  }
  times->by_ttm.push_back(times->pressure.back() - times->to_vram.back());
  session.to_ram(b);

  session.to_vram(a);
  times->evict.push_back(microseconds([&] { session.evict(a.npages()); }));
}

nlohmann::json one_size(const Session& session, std::uint64_t bytes) {
  progress("eviction " + std::to_string(bytes >> 20) + " MiB");
  const SmallVram small(session, bytes);
  Buffer a(bytes / kPageSize);
  Buffer b(bytes / kPageSize);
  fill_pattern(a.bytes(), kSeed);
  fill_pattern(b.bytes(), kSeed + 1);
  Times times;
  for (unsigned i = 0; i < std::clamp<std::uint64_t>(kBudget / bytes, 3, 9); ++i) {
    one_round(session, a, b, &times);
  }
  const std::string wrong = pattern_error(a.bytes(), kSeed) + pattern_error(b.bytes(), kSeed + 1);
  if (!wrong.empty()) {
    give_up("contents were damaged: " + wrong);
  }
  return {{"bytes", bytes},
          {"repeats", times.to_ram.size()},
          {"to_vram_us", median(times.to_vram)},
          {"to_ram_us", median(times.to_ram)},
          {"evict_us", median(times.evict)},
          {"by_ttm_us", median(times.by_ttm)}};
}

}  // namespace

nlohmann::json eviction_part(const Session& session) {
  nlohmann::json rows = nlohmann::json::array();
  for (const std::uint64_t bytes : kSizes) {
    if (bytes <= session.vram_bytes() / 2) {
      rows.push_back(one_size(session, bytes));
    }
  }
  return {{"eviction", rows}};
}

}  // namespace kfdlab::bench
