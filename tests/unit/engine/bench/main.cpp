// SPDX-License-Identifier: MIT
// Speed of the engine, one engine thread, in CPU time:
//   kfdlab_engine_bench [--json FILE] [NAME...]
// Wave instructions a second of the kernels of kernels.hip (all, or those of these names) with the ratio to the same
// work compiled for the host, and their geometric mean; then what a dispatch, a wave, a retried fault and an atomic
// cost, and the memory with every wave slot in use. Exits with 1 if a result is wrong, 2 if a goal below is missed.
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/engine/bench/cases.h"
#include "tests/unit/engine/support/assembler.h"

namespace kfdlab::engine {
namespace {

constexpr double kGoalRate = 40e6;       // geometric mean, wave instructions a second
constexpr double kGoalDispatch = 20e-6;  // seconds
constexpr double kGoalFault = 20e-6;
constexpr double kGoalAtomics = 50e6;        // lanes a second
constexpr double kGoalResident = 256 << 20;  // bytes
constexpr int kRuns = 5;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
template <typename Work>
double cpu_time(Work&& work) {
  const double before = cpu_seconds();
  work();
  return cpu_seconds() - before;
}

class Bench {
 public:
  explicit Bench(std::vector<std::string> only) : only_(std::move(only)) {}

  void kernels() {
    const auto object = CodeObject::load(rig_, KFDLAB_BENCH_KERNELS, EngineRig::kMemory);
    if (!object) {
      std::printf("no kernels: built without hipcc\n");
      return;
    }
    double logarithms = 0;
    int count = 0;
    for (const BenchCase& each : bench_cases(rig_)) {
      if (!only_.empty() && std::find(only_.begin(), only_.end(), each.name) == only_.end()) {
        continue;
      }
      const double rate = measure(*object, each);
      if (rate > 0) {
        logarithms += std::log(rate);
        ++count;
      }
    }
    if (count != 0) {
      judge("geometric mean", std::exp(logarithms / count) * 1e-6, kGoalRate * 1e-6, "M wave-inst/s", true);
    }
  }

  // From launch() to the completion of a kernel that ends at once: both sides' CPU time.
  void dispatch() {
    if (!load("s_endpgm")) return;
    constexpr int kCount = 2000;
    double best = 1;
    for (int run = 0; run < kRuns; ++run) {
      best = std::min(best, cpu_time([&] {
                        for (int i = 0; i < kCount; ++i) static_cast<void>(rig_.run(rig_.linear(64, 64)));
                      }));
    }
    judge("empty dispatch", best / kCount * 1e6, kGoalDispatch * 1e6, "us", false);
    constexpr std::uint32_t kWaves = 1 << 16;
    best = 1;
    for (int run = 0; run < kRuns; ++run) {
      best = std::min(best, cpu_time([&] { static_cast<void>(rig_.run(rig_.linear(kWaves * 64, 256))); }));
    }
    std::printf("%-16s %10.3f us\n", "start of a wave", best / kWaves * 1e6);
  }

  // Stores to unmapped pages, mapped when the engine reports them: report, entry, invalidation and retry together.
  void faults() {
    if (!load("s_lshl_b32 s3, s2, 12\n v_mov_b32 v1, s3\n global_store_dword v1, v0, s[0:1]\n s_endpgm")) return;
    constexpr std::uint32_t kPages = 512;
    rig_.on_fault = [this](const device::MemoryFault& fault) { rig_.map_page(fault.page); };
    double best = 1;
    for (int run = 0; run < kRuns; ++run) {
      for (std::uint32_t i = 0; i < kPages; ++i) rig_.unmap_page(EngineRig::kData + i * 4096u);
      Dispatch dispatch = rig_.linear(kPages * 64, 64);
      dispatch.xnack = true;
      best = std::min(best, cpu_time([&] { static_cast<void>(rig_.run(dispatch)); }));
    }
    judge("retried fault", best / kPages * 1e6, kGoalFault * 1e6, "us", false);
    rig_.on_fault = nullptr;
  }

  void atomics() {
    if (!load("v_mov_b32 v1, 0\n v_mov_b32 v2, 1\n s_movk_i32 s3, 0\n loop:\n global_atomic_add v1, v2, s[0:1]\n"
              "s_addk_i32 s3, 1\n s_cmpk_lt_u32 s3, 0x400\n s_cbranch_scc1 loop\n s_endpgm")) {
      return;
    }
    constexpr std::uint32_t kWaves = 256;
    double best = 1;
    for (int run = 0; run < kRuns; ++run) {
      best = std::min(best, cpu_time([&] { static_cast<void>(rig_.run(rig_.linear(kWaves * 64, 256))); }));
    }
    judge("atomics, 1 place", kWaves * 64 * 1024.0 / best * 1e-6, kGoalAtomics * 1e-6, "M lanes/s", true);
  }

  // Every wave slot holds a wave that sleeps for ever.
  void memory() {
    if (!load("loop:\n s_sleep 10\n s_branch loop")) return;
    constexpr unsigned kUnits = 8;
    constexpr std::uint32_t kWaves = kUnits * 32;
    const DispatchId id = rig_.launch(rig_.linear(kWaves * 64, 64));
    while (rig_.engine().counters().waves < waves_before_ + kWaves && ++waited_ < 100'000'000) {
    }
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    judge("resident memory", static_cast<double>(usage.ru_maxrss) / 1024, kGoalResident / (1 << 20), "MiB", false);
    rig_.engine().kill_vmid(device::TestGpu::kVmid);
    static_cast<void>(rig_.wait(id));
  }

  [[nodiscard]] const nlohmann::json& json() const { return json_; }
  [[nodiscard]] int result() const { return wrong_ != 0 ? 1 : missed_ != 0 ? 2 : 0; }

 private:
  bool load(const char* text) {
    const auto words = assemble(text);
    if (!only_.empty() || !words || words->empty()) return false;
    rig_.load(*words);
    rig_.engine().invalidate_code(device::TestGpu::kVmid);
    waves_before_ = rig_.engine().counters().waves;
    return true;
  }
  void judge(const char* name, double value, double goal, const char* unit, bool higher_is_better) {
    const bool reached = higher_is_better ? value >= goal : value <= goal;
    std::printf("%-16s %10.1f %s  (goal %s %.0f%s)\n", name, value, unit, higher_is_better ? ">=" : "<=", goal,
                reached ? "" : ": MISSED");
    std::fflush(stdout);
    missed_ += reached ? 0 : 1;
    json_["figures"].push_back({{"name", name}, {"value", value}, {"goal", goal}, {"unit", unit}, {"reached", reached}});
  }

  // Wave instructions a second; 0 if it went wrong.
  double measure(const CodeObject& object, const BenchCase& each) {
    const auto dispatch = object.dispatch(each.kernel, each.grid, each.arguments);
    if (!dispatch) {
      std::printf("%-16s not in the code object\n", each.name.c_str());
      ++wrong_;
      return 0;
    }
    double seconds = 1e9;
    double native = 1e9;
    std::uint64_t instructions = 0;
    for (int run = 0; run < kRuns; ++run) {
      each.prepare();
      if (each.native) native = std::min(native, cpu_time(each.native));
      std::optional<Outcome> outcome;
      seconds = std::min(seconds, cpu_time([&] { outcome = rig_.run(*dispatch); }));
      if (!outcome || outcome->verdict != Verdict::Done || !each.is_right()) {
        std::printf("%-16s WRONG %s\n", each.name.c_str(), outcome ? outcome->name.c_str() : "(does not end)");
        ++wrong_;
        return 0;
      }
      instructions = outcome->instructions;
    }
    const double rate = static_cast<double>(instructions) / seconds;
    std::printf("%-16s %10.1f M wave-inst/s  %8.2f ms", each.name.c_str(), rate * 1e-6, seconds * 1e3);
    nlohmann::json row = {{"name", each.name}, {"wave_instructions_per_s", rate}, {"instructions", instructions}};
    if (each.native) {
      std::printf("  %7.1f times the host's own", seconds / std::max(native, 1e-9));
      row["over_native"] = seconds / std::max(native, 1e-9);
    }
    json_["kernels"].push_back(row);
    std::printf("\n");
    std::fflush(stdout);
    return rate;
  }

  std::vector<std::string> only_;
  EngineRig rig_{EngineOptions{.threads = 1, .compute_units = 8, .quantum = 200'000}};
  std::uint64_t waves_before_ = 0;
  std::uint64_t waited_ = 0;
  nlohmann::json json_ = nlohmann::json::object();
  int wrong_ = 0;
  int missed_ = 0;
};

}  // namespace
}  // namespace kfdlab::engine

int main(int argc, char** argv) {
  std::vector<std::string> names(argv + 1, argv + argc);
  std::string file;
  if (names.size() >= 2 && names.front() == "--json") {
    file = names[1];
    names.erase(names.begin(), names.begin() + 2);
  }
  kfdlab::engine::Bench bench(names);
  bench.kernels();
  bench.dispatch();
  bench.faults();
  bench.atomics();
  bench.memory();
  if (!file.empty() && !(std::ofstream(file) << bench.json().dump(2) << "\n")) {
    std::fprintf(stderr, "kfdlab_engine_bench: cannot write %s\n", file.c_str());
    return 1;
  }
  return bench.result();
}
