// SPDX-License-Identifier: MIT
// Cost of a page as more VRAM, or more processes, are at work. Every sample stands beside one of the smallest case
// taken right after it, and only their ratio counts.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/bench/measure.h"
#include "tests/bench/session.h"
#include "tests/support/child.h"

namespace kfdlab::bench {
namespace {

constexpr std::uint64_t kSmallest = 16ull << 20;
constexpr unsigned kMostProcesses = 32;
constexpr std::uint64_t kSharedOut = 128ull << 20;  // by all processes together
constexpr unsigned kRounds = 3;

// Microseconds per page.
struct Cost {
  double to_vram = 0, to_ram = 0, evict = 0;
};

struct Costs {
  std::vector<double> to_vram, to_ram, evict;
  void add(const Cost& cost, const Cost& reference) {
    to_vram.push_back(cost.to_vram / reference.to_vram);
    to_ram.push_back(cost.to_ram / reference.to_ram);
    evict.push_back(cost.evict / reference.evict);
  }
  [[nodiscard]] nlohmann::json json() const {
    return {{"to_vram", median(to_vram)}, {"to_ram", median(to_ram)}, {"evict", median(evict)}};
  }
};

std::uint64_t available_ram() {
  std::ifstream info("/proc/meminfo");
  std::string key;
  std::uint64_t kib = 0;
  for (std::string rest; info >> key >> kib && std::getline(info, rest);) {
    if (key == "MemAvailable:") {
      return kib << 10;
    }
  }
  return 0;
}

Cost cost_of(const Session& session, const Buffer& buffer) {
  const auto pages = static_cast<double>(buffer.npages());
  Cost cost;
  cost.to_vram = microseconds([&] { session.to_vram(buffer); }) / pages;
  if (session.counters().svm_pages_occupied != buffer.npages()) {
    give_up("not all of " + std::to_string(buffer.npages()) + " pages went to VRAM");
  }
  cost.to_ram = microseconds([&] { session.to_ram(buffer); }) / pages;
  session.to_vram(buffer);
  cost.evict = microseconds([&] { session.evict(buffer.npages()); }) / pages;
  return cost;
}

nlohmann::json by_size(const Session& session) {
  nlohmann::json rows = nlohmann::json::array();
  const std::uint64_t most = std::min(session.vram_bytes(), available_ram() / 4 * 3);
  Buffer reference(kSmallest / kPageSize);
  std::memset(reference.data(), 1, reference.size());
  for (std::uint64_t bytes = kSmallest; bytes <= most; bytes *= 4) {
    progress("scaling, " + std::to_string(bytes >> 20) + " MiB");
    Buffer buffer(bytes / kPageSize);
    std::memset(buffer.data(), 1, buffer.size());
    Costs costs;
    for (unsigned i = 0; i < kRounds; ++i) {
      const Cost cost = cost_of(session, buffer);
      costs.add(cost, cost_of(session, reference));
    }
    rows.push_back({{"bytes", bytes}, {"cost", costs.json()}});
  }
  return rows;
}

// Serves one buffer: 'v' to VRAM, 'r' to RAM, anything else ends it. Answers each when done.
int serve(Peer& peer, std::size_t npages) {
  const Session session;
  Buffer buffer(npages);
  std::memset(buffer.data(), 1, buffer.size());
  char order = 0;
  for (bool good = peer.signal(); good && peer.receive(&order) && (order == 'v' || order == 'r');) {
    session.prefetch(buffer, order == 'v' ? session.gpu_id() : kSvmSystem);
    good = peer.signal();
  }
  return 0;
}

class Crew {
 public:
  explicit Crew(unsigned processes) {
    for (unsigned i = 0; i < processes; ++i) {
      members_.push_back(
          std::make_unique<Child>([processes](Peer& peer) { return serve(peer, kSharedOut / kPageSize / processes); }));
    }
    await();
  }
  ~Crew() {
    for (const auto& member : members_) {
      if (!member->peer().send('q') || member->wait() != 0) {
        give_up("a process of the crew failed");
      }
    }
  }
  // All at once; returns when the last is done.
  void order(char what) {
    for (const auto& member : members_) {
      if (!member->peer().send(what)) {
        give_up("a process of the crew is gone");
      }
    }
    await();
  }

 private:
  void await() {
    for (const auto& member : members_) {
      if (!member->peer().await()) {
        give_up("a process of the crew is gone");
      }
    }
  }
  std::vector<std::unique_ptr<Child>> members_;
};

Cost cost_of(const Session& session, Crew* crew) {
  constexpr std::size_t kPages = kSharedOut / kPageSize;
  Cost cost;
  cost.to_vram = microseconds([&] { crew->order('v'); }) / kPages;
  if (session.counters().svm_pages_occupied != kPages) {
    give_up("not all pages of the crew went to VRAM");
  }
  cost.to_ram = microseconds([&] { crew->order('r'); }) / kPages;
  crew->order('v');
  cost.evict = microseconds([&] { session.evict(kPages); }) / kPages;
  return cost;
}

nlohmann::json by_processes(const Session& session) {
  nlohmann::json rows = nlohmann::json::array();
  if (kSharedOut > session.vram_bytes()) {
    return rows;
  }
  for (unsigned processes = 1; processes <= kMostProcesses; processes *= 2) {
    progress("scaling, " + std::to_string(processes) + " processes");
    Crew one(1);
    Crew many(processes);
    Costs costs;
    for (unsigned i = 0; i < kRounds; ++i) {
      const Cost cost = cost_of(session, &many);
      costs.add(cost, cost_of(session, &one));
    }
    rows.push_back({{"processes", processes}, {"cost", costs.json()}});
  }
  return rows;
}

}  // namespace

nlohmann::json scaling_part(const Session& session) {
  return {{"scaling", {{"size", by_size(session)}, {"processes", by_processes(session)}}}};
}

}  // namespace kfdlab::bench
