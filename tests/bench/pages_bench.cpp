// SPDX-License-Identifier: MIT
// Migrations and long-term pins by size, beside what they are compared to: memcpy, CPU copies, one call per page, and
// pins of pages that are in RAM already.
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/bench/measure.h"
#include "tests/bench/session.h"
#include "tests/support/pattern.h"
#include "uapi/kfdlab_test.h"

namespace kfdlab::bench {
namespace {

constexpr std::uint64_t kSizes[] = {4ull << 10, 64ull << 10, 1ull << 20, 16ull << 20, 64ull << 20, 256ull << 20};
constexpr std::uint64_t kLargestCpu = 64ull << 20;  // beyond this the slow ways tell nothing new
constexpr std::uint64_t kLargestLoop = 16ull << 20;
constexpr std::uint64_t kSeed = 7;
constexpr GupFlavour kLongterm{KFDLAB_GUP_FAST, KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM | KFDLAB_GUP_WRITE};

class PagesBench {
 public:
  explicit PagesBench(const Session& session) : session_(session) {}

  nlohmann::json run() {
    const std::uint64_t vram = session_.vram_bytes();
    for (const std::uint64_t bytes : kSizes) {
      if (bytes <= vram / 2) {
        progress(std::to_string(bytes >> 10) + " KiB");
        one_size(bytes);
      }
    }
    nlohmann::json rows = nlohmann::json::array();
    for (const Measurement& row : rows_) {
      rows.push_back({{"operation", row.operation},
                      {"bytes", row.bytes},
                      {"repeats", row.repeats},
                      {"median_us", row.median_us},
                      {"pages_per_second", row.pages_per_second()}});
    }
    return {{"rows", rows}, {"metadata", metadata_}};
  }

 private:
  void add(const char* operation, std::uint64_t bytes, std::vector<double> times) {
    const auto repeats = static_cast<unsigned>(times.size());
    rows_.push_back({operation, bytes, repeats, median(std::move(times))});
  }

  void one_size(std::uint64_t bytes) {
    Buffer buffer(bytes / kPageSize);
    fill_pattern(buffer.bytes(), kSeed);
    measure_memcpy(buffer);
    measure_migration(buffer, "to_vram", "to_ram", buffer.npages());
    session_.copy_mode(true);
    if (bytes <= kLargestCpu) {
      measure_migration(buffer, "to_vram_cpu", "to_ram_cpu", buffer.npages());
    }
    if (bytes <= kLargestLoop) {
      measure_migration(buffer, "to_vram_loop", "to_ram_loop", 1);
    }
    session_.copy_mode(false);
    measure_pins(buffer);
    const std::string wrong = pattern_error(buffer.bytes(), kSeed);
    if (!wrong.empty()) {
      give_up("contents were damaged: " + wrong);
    }
  }

  void measure_memcpy(const Buffer& from) {
    Buffer to(from.npages());
    std::memset(to.data(), 1, to.size());  // faults are not what is measured
    std::vector<double> times;
    for (unsigned i = 0; i < repeats_for(from.size()); ++i) {
      times.push_back(microseconds([&] { std::memcpy(to.data(), from.data(), from.size()); }));
    }
    add("memcpy", from.size(), std::move(times));
  }

  void measure_migration(const Buffer& buffer, const char* there_name, const char* back_name,
                         std::size_t pages_per_call) {
    std::vector<double> there;
    std::vector<double> back;
    const std::uint64_t slab = unreclaimable_slab_bytes();
    const kfdlab_test_counters before = session_.counters();
    for (unsigned i = 0; i < repeats_for(buffer.size()); ++i) {
      there.push_back(microseconds([&] { session_.prefetch(buffer, session_.gpu_id(), pages_per_call); }));
      if (i == 0) {
        metadata_ = {{"vmalloc_bytes", module_vmalloc_bytes()},
                     {"slab_growth_bytes",
                      std::max<std::int64_t>(0, static_cast<std::int64_t>(unreclaimable_slab_bytes() - slab))},
                     {"resident_bytes", buffer.size()}};
      }
      back.push_back(microseconds([&] { session_.prefetch(buffer, kSvmSystem, pages_per_call); }));
    }
    const kfdlab_test_counters after = session_.counters();
    const std::uint64_t expected = buffer.npages() * there.size();
    if (after.pages_to_vram - before.pages_to_vram != expected ||
        after.pages_to_ram_prefetch - before.pages_to_ram_prefetch != expected) {
      give_up(std::to_string(after.pages_to_vram - before.pages_to_vram) + " pages went to VRAM and " +
              std::to_string(after.pages_to_ram_prefetch - before.pages_to_ram_prefetch) + " back, not " +
              std::to_string(expected));
    }
    add(there_name, buffer.size(), std::move(there));
    add(back_name, buffer.size(), std::move(back));
  }

  void measure_pins(const Buffer& buffer) {
    std::vector<double> ram;
    std::vector<double> vram;
    for (unsigned i = 0; i < repeats_for(buffer.size()); ++i) {
      ram.push_back(pin_us(buffer));
      session_.prefetch(buffer, session_.gpu_id(), buffer.npages());
      vram.push_back(pin_us(buffer));
    }
    add("pin_ram", buffer.size(), std::move(ram));
    add("pin_vram", buffer.size(), std::move(vram));
  }

  double pin_us(const Buffer& buffer) const {
    GupHold hold;
    if (const int error = session_.gup().hold(kLongterm, buffer.data(), buffer.npages(), &hold)) {
      give_up(std::string("pin: ") + std::strerror(error));
    }
    if (hold.npages() != buffer.npages() || hold.vram() != 0) {
      give_up("the long-term pin holds " + std::to_string(hold.npages()) + " pages, " + std::to_string(hold.vram()) +
              " of them in VRAM");
    }
    return static_cast<double>(hold.nanoseconds()) / 1000.0;
  }

  const Session& session_;
  std::vector<Measurement> rows_;
  nlohmann::json metadata_;
};

}  // namespace

nlohmann::json pages_part(const Session& session) { return PagesBench(session).run(); }

}  // namespace kfdlab::bench
