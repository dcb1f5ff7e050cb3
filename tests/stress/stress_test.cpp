// SPDX-License-Identifier: MIT
// The stress suite: random operations of many processes against too little VRAM. One test is the run; the others show
// that it would say no.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/stress/run.h"
#include "tests/support/counters.h"
#include "tests/support/events.h"
#include "tests/support/leak_snapshot.h"
#include "tests/support/needs.h"

namespace kfdlab::stress {
namespace {

// Left free for a run. So little that evictions begin at once and forks are quick, and still whole huge pages.
constexpr std::size_t kVramMib = 8;

// The render node of a GPU, as the topology names it.
std::string render_node(std::uint32_t gpu_id) {
  std::error_code error;
  for (const auto& node : std::filesystem::directory_iterator("/sys/class/kfd/kfd/topology/nodes", error)) {
    std::uint32_t id = 0;
    std::ifstream(node.path() / "gpu_id") >> id;
    std::ifstream properties(node.path() / "properties");
    std::string name;
    for (std::uint64_t value = 0; id == gpu_id && properties >> name >> value;) {
      if (name == "drm_render_minor") {
        return "/dev/dri/renderD" + std::to_string(value);
      }
    }
  }
  return "";
}

std::size_t number_from(const char* variable, std::size_t fallback) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : fallback;
}

class Stress : public testing::Test {
 protected:
  void SetUp() override {
    KFDLAB_NEEDS(residency_backend() == "coherent", "needs VRAM that is coherent with the CPU");
    KFDLAB_NEEDS_ROOT();
    KFDLAB_NEEDS_NODE("/dev/kfdlab_test");
    KFDLAB_NEEDS_NODE("/dev/kfdlab_gup");
    setup_.seed = test_seed();
    setup_.gpus = topology_gpu_ids();
    ASSERT_FALSE(setup_.gpus.empty());
    for (const std::uint32_t gpu : setup_.gpus) {
      setup_.render_nodes.push_back(render_node(gpu));
    }
    setup_.processes = static_cast<unsigned>(number_from("KFDLAB_STRESS_PROCESSES", setup_.processes));
    setup_.threads = static_cast<unsigned>(number_from("KFDLAB_STRESS_THREADS", setup_.threads));
    ASSERT_LE(setup_.processes, kMaxProcesses);
    ASSERT_LE(setup_.threads, kMaxThreads);
    setup_.ksm = number_from("KFDLAB_STRESS_KSM", 1) != 0;
    setup_.vram_pages = number_from("KFDLAB_STRESS_VRAM_MIB", kVramMib) * 256;
    setup_.thread_pages = 4 * setup_.vram_pages / (setup_.processes * setup_.threads);
  }

  void record(const RunResult& result) {
    for (const auto& [name, value] : result.counts) {
      RecordProperty(name, std::to_string(value));
    }
  }

  // The last processes may still be on their way out of the driver.
  void expect_nothing_left(const LeakSnapshot& before) {
    LeakSnapshot now;
    (void)eventually([&] { return describe_leaks(before, now = take_leak_snapshot()).empty(); });
    EXPECT_EQ(describe_leaks(before, now), "");
    const auto left = [](const char* name, std::uint64_t was, std::uint64_t is) {
      RecordProperty(name, std::to_string(is > was ? is - was : 0));
    };
    left("left_pins", static_cast<std::uint64_t>(before.pins), static_cast<std::uint64_t>(now.pins));
    left("left_svm_pages", before.svm_pages_occupied, now.svm_pages_occupied);
    left("left_svm_ranges", before.svm_ranges, now.svm_ranges);
    left("left_objects", before.buffer_objects, now.buffer_objects);
    left("left_vram_bytes", before.vram_held, now.vram_held);
    left("left_processes", before.processes, now.processes);
  }

  stress::Setup setup_;
};

TEST_F(Stress, EveryByteSurvivesRandomOperationsWithTooLittleVram) {
  setup_.time = stress_time();
  setup_.operations = number_from(events::kStressOperationsVariable, 0);
  const LeakSnapshot before = take_leak_snapshot();
  const RunResult result = run_stress(setup_);
  record(result);
  EXPECT_EQ(result.failure, "");
  expect_nothing_left(before);
  const auto count = [&](const char* name) {
    const auto found = result.counts.find(name);
    return found == result.counts.end() ? 0 : found->second;
  };
  // A run that did nothing proves nothing.
  EXPECT_GT(count("bytes_checked"), 0u);
  EXPECT_GT(count("driver_pages_to_vram"), 0u);
  EXPECT_GT(count("driver_pages_to_ram_evict"), 0u) << "VRAM never ran short";
  EXPECT_GT(count("pins_longterm"), 0u);
  EXPECT_GT(count("forks"), 0u);
}

// The control: without it a run that looks at nothing would pass.
TEST_F(Stress, OneWrongBitIsFound) {
  // It ends when the first wrong bit is found; a debug kernel takes its time.
  setup_.time = std::chrono::seconds(120);
  setup_.corrupt = true;
  const RunResult result = run_stress(setup_);
  EXPECT_NE(result.failure.find("lost bytes"), std::string::npos) << result.failure;
  EXPECT_NE(result.failure.find("1 of 512 words wrong"), std::string::npos) << result.failure;
}

}  // namespace
}  // namespace kfdlab::stress
