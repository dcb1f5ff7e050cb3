// SPDX-License-Identifier: MIT
// kfdlab_bench: speed of migrations and long-term pins in this machine, with what they are compared to measured in
// the same run. Prints one JSON object on the descriptor given as argument (default stdout), progress on stderr.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/bench/measure.h"
#include "tests/support/buffer.h"
#include "tests/support/counters.h"
#include "tests/support/gup_client.h"
#include "tests/support/kfd_client.h"
#include "tests/support/pattern.h"
#include "uapi/kfdlab_test.h"

namespace kfdlab::bench {
namespace {

constexpr std::uint64_t kSizes[] = {4ull << 10, 64ull << 10, 1ull << 20, 16ull << 20, 64ull << 20, 256ull << 20};
constexpr std::uint64_t kLargestCpu = 64ull << 20;  // beyond this the slow ways tell nothing new
constexpr std::uint64_t kLargestLoop = 16ull << 20;
constexpr std::uint64_t kSeed = 7;
constexpr GupFlavour kLongterm{KFDLAB_GUP_FAST, KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM | KFDLAB_GUP_WRITE};

// A measurement that is not of what it claims is worse than none.
[[noreturn]] void give_up(const std::string& why) {
  ::dprintf(STDERR_FILENO, "kfdlab_bench: %s\n", why.c_str());
  std::exit(1);
}

template <typename T>
T must(Result<T> result) {
  if (!result) {
    give_up(result.error().message);
  }
  return result.take();
}

class Bench {
 public:
  Bench() : kfd_(must(KfdClient::open())), gup_(must(GupClient::open())), device_(must(TestDevice::open())) {
    const auto gpus = topology_gpu_ids();
    if (gpus.empty()) {
      give_up("the KFD topology shows no GPU");
    }
    gpu_id_ = gpus.front();
  }

  nlohmann::json run() {
    const std::uint64_t vram = counters().vram_size;
    for (const std::uint64_t bytes : kSizes) {
      if (bytes <= vram / 2) {
        ::dprintf(STDERR_FILENO, "%llu KiB\n", static_cast<unsigned long long>(bytes >> 10));
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
    return {{"rows", rows}, {"metadata", metadata_}, {"vram_bytes", vram}};
  }

 private:
  [[nodiscard]] kfdlab_test_counters counters() const { return must(device_.counters(gpu_id_)); }

  void copy_mode(bool cpu) const {
    kfdlab_test_copy_mode mode{.gpu_id = gpu_id_, .cpu = cpu ? 1u : 0u};
    if (const int error = device_.raw(KFDLAB_TEST_COPY_MODE, &mode)) {
      give_up(std::string("KFDLAB_TEST_COPY_MODE: ") + std::strerror(error));
    }
  }

  // In calls of at most `pages_per_call` pages.
  void prefetch(const Buffer& buffer, std::uint32_t location, std::size_t pages_per_call) const {
    for (std::size_t first = 0; first < buffer.npages(); first += pages_per_call) {
      const std::size_t count = std::min(pages_per_call, buffer.npages() - first);
      if (const int error = kfd_.svm_prefetch(buffer.page_address(first), count * kPageSize, location)) {
        give_up(std::string("prefetch: ") + std::strerror(error));
      }
    }
  }

  void add(const char* operation, std::uint64_t bytes, std::vector<double> times) {
    const auto repeats = static_cast<unsigned>(times.size());
    rows_.push_back({operation, bytes, repeats, median(std::move(times))});
  }

  void one_size(std::uint64_t bytes) {
    Buffer buffer(bytes / kPageSize);
    fill_pattern(buffer.bytes(), kSeed);
    measure_memcpy(buffer);
    measure_migration(buffer, "to_vram", "to_ram", buffer.npages());
    copy_mode(true);
    if (bytes <= kLargestCpu) {
      measure_migration(buffer, "to_vram_cpu", "to_ram_cpu", buffer.npages());
    }
    if (bytes <= kLargestLoop) {
      measure_migration(buffer, "to_vram_loop", "to_ram_loop", 1);
    }
    copy_mode(false);
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
    const kfdlab_test_counters before = counters();
    for (unsigned i = 0; i < repeats_for(buffer.size()); ++i) {
      there.push_back(microseconds([&] { prefetch(buffer, gpu_id_, pages_per_call); }));
      if (i == 0) {
        metadata_ = {{"vmalloc_bytes", module_vmalloc_bytes()},
                     {"slab_growth_bytes",
                      std::max<std::int64_t>(0, static_cast<std::int64_t>(unreclaimable_slab_bytes() - slab))},
                     {"resident_bytes", buffer.size()}};
      }
      back.push_back(microseconds([&] { prefetch(buffer, kSvmSystem, pages_per_call); }));
    }
    const kfdlab_test_counters after = counters();
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
      prefetch(buffer, gpu_id_, buffer.npages());
      vram.push_back(pin_us(buffer));
    }
    add("pin_ram", buffer.size(), std::move(ram));
    add("pin_vram", buffer.size(), std::move(vram));
  }

  double pin_us(const Buffer& buffer) const {
    GupHold hold;
    if (const int error = gup_.hold(kLongterm, buffer.data(), buffer.npages(), &hold)) {
      give_up(std::string("pin: ") + std::strerror(error));
    }
    if (hold.npages() != buffer.npages() || hold.vram() != 0) {
      give_up("the long-term pin holds " + std::to_string(hold.npages()) + " pages, " + std::to_string(hold.vram()) +
              " of them in VRAM");
    }
    return static_cast<double>(hold.nanoseconds()) / 1000.0;
  }

  KfdClient kfd_;
  GupClient gup_;
  TestDevice device_;
  std::uint32_t gpu_id_ = 0;
  std::vector<Measurement> rows_;
  nlohmann::json metadata_;
};

}  // namespace
}  // namespace kfdlab::bench

int main(int argc, char** argv) {
  const int fd = argc > 1 ? std::atoi(argv[1]) : STDOUT_FILENO;
  const std::string text = kfdlab::bench::Bench().run().dump() + "\n";
  return ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1;
}
