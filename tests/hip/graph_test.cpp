// SPDX-License-Identifier: MIT
// Graphs, as far as HIP 5.2.3 has them: nodes made by hand, captured from a stream, launched again and again.
#include <cstring>
#include <vector>

#include "tests/hip/hip_fixture.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0x6a;

class HipGraphs : public HipTest {
 protected:
  static void launch_and_wait(hipGraphExec_t graph) {
    const HipStream stream;
    HIP_OK(hipGraphLaunch(graph, stream));
    HIP_OK(hipStreamSynchronize(stream));
  }
};

TEST_F(HipGraphs, NodesRunBehindTheirDependencies) {
  const HipMemory vram = HipMemory::vram(kPage);
  std::vector<std::uint32_t> source(kPage / 4);
  std::vector<std::uint32_t> target(kPage / 4);
  for (std::size_t i = 0; i < source.size(); ++i) {
    source[i] = static_cast<std::uint32_t>(pattern_word(i * 8, kSeed));
  }
  hipGraph_t graph = nullptr;
  HIP_OK(hipGraphCreate(&graph, 0));
  hipGraphNode_t in = nullptr;
  hipGraphNode_t set = nullptr;
  hipGraphNode_t out = nullptr;
  HIP_OK(hipGraphAddMemcpyNode1D(&in, graph, nullptr, 0, vram.data(), source.data(), kPage, hipMemcpyHostToDevice));
  hipMemsetParams half{};
  half.dst = vram.data() + kPage / 2;
  half.elementSize = 4;
  half.value = 0x01020304;
  half.width = kPage / 8;
  half.height = 1;
  half.pitch = kPage / 2;
  HIP_OK(hipGraphAddMemsetNode(&set, graph, &in, 1, &half));
  HIP_OK(hipGraphAddMemcpyNode1D(&out, graph, &set, 1, target.data(), vram.data(), kPage, hipMemcpyDeviceToHost));
  std::size_t nodes = 0;
  HIP_OK(hipGraphGetNodes(graph, nullptr, &nodes));
  EXPECT_EQ(nodes, 3u);
  hipGraphExec_t ready = nullptr;
  HIP_OK(hipGraphInstantiate(&ready, graph, nullptr, nullptr, 0));
  ASSERT_NO_FATAL_FAILURE(launch_and_wait(ready));
  EXPECT_EQ(std::memcmp(target.data(), source.data(), kPage / 2), 0);
  for (std::size_t i = target.size() / 2; i < target.size(); ++i) {
    ASSERT_EQ(target[i], 0x01020304u) << i;
  }
  HIP_OK(hipGraphExecDestroy(ready));
  HIP_OK(hipGraphDestroy(graph));
}

TEST_F(HipGraphs, ACapturedStreamRunsAtEachLaunchAndNotBefore) {
  const HipMemory memory = HipMemory::managed(kMiB / 4);
  const HipStream stream;
  fill_pattern(memory.bytes(), kSeed);
  hipGraph_t graph = nullptr;
  HIP_OK(hipStreamBeginCapture(stream, hipStreamCaptureModeGlobal));
  HIP_OK(launch_reseed(memory.data(), memory.words(), memory.address(), kSeed, kSeed + 1, wrong(), stream));
  HIP_OK(launch_reseed(memory.data(), memory.words(), memory.address(), kSeed + 1, kSeed, wrong(), stream));
  HIP_OK(launch_reseed(memory.data(), memory.words(), memory.address(), kSeed, kSeed + 2, wrong(), stream));
  HIP_OK(hipStreamEndCapture(stream, &graph));
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed), "");
  hipGraphExec_t ready = nullptr;
  HIP_OK(hipGraphInstantiate(&ready, graph, nullptr, nullptr, 0));
  for (int turn = 0; turn < 3; ++turn) {
    fill_pattern(memory.bytes(), kSeed);
    ASSERT_NO_FATAL_FAILURE(launch_and_wait(ready));
    EXPECT_EQ(kernel_errors(), "");
    EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 2), "");
  }
  HIP_OK(hipGraphExecDestroy(ready));
  HIP_OK(hipGraphDestroy(graph));
}

struct Note {
  const std::uint64_t* word;
  std::uint64_t seen;
};

void look(void* data) {
  auto* note = static_cast<Note*>(data);
  note->seen = *note->word;
}

TEST_F(HipGraphs, HostNodesSeeWhatTheNodeBeforeWrote) {
  const HipMemory host = HipMemory::host(kPage);
  auto* word = host.as<std::uint64_t>();
  *word = 1;
  Note note{word, 0};
  std::uint64_t value = pattern_word(0x2000, kSeed);
  hipGraph_t graph = nullptr;
  HIP_OK(hipGraphCreate(&graph, 0));
  hipGraphNode_t copy = nullptr;
  hipGraphNode_t call = nullptr;
  HIP_OK(hipGraphAddMemcpyNode1D(&copy, graph, nullptr, 0, word, &value, sizeof value, hipMemcpyHostToHost));
  hipHostNodeParams parameters{};
  parameters.fn = look;
  parameters.userData = &note;
  HIP_OK(hipGraphAddHostNode(&call, graph, &copy, 1, &parameters));
  hipGraphExec_t ready = nullptr;
  HIP_OK(hipGraphInstantiate(&ready, graph, nullptr, nullptr, 0));
  ASSERT_NO_FATAL_FAILURE(launch_and_wait(ready));
  EXPECT_EQ(note.seen, value);
  HIP_OK(hipGraphExecDestroy(ready));
  HIP_OK(hipGraphDestroy(graph));
}

}  // namespace
}  // namespace kfdlab
