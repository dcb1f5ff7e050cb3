// SPDX-License-Identifier: MIT
// Breadth-first search level by level on a random graph in compressed rows: irregular loads, a flag back to the host.
#include <deque>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

__global__ void expand(const unsigned* first_edge, const unsigned* edges, int* depth, unsigned nodes, int level,
                       int* found) {
  const unsigned node = blockIdx.x * blockDim.x + threadIdx.x;
  if (node >= nodes || depth[node] != level) return;
  for (unsigned e = first_edge[node]; e < first_edge[node + 1]; ++e) {
    const unsigned to = edges[e];
    if (atomicCAS(&depth[to], -1, level + 1) == -1) *found = 1;
  }
}

TEST(HipSample, BreadthFirstSearchFindsEveryDepth) {
  constexpr unsigned kNodes = 5000;
  Pattern pattern(7);
  std::vector<unsigned> first_edge(kNodes + 1);
  std::vector<unsigned> edges;
  for (unsigned node = 0; node < kNodes; ++node) {
    first_edge[node] = static_cast<unsigned>(edges.size());
    const unsigned degree = pattern.below(node % 50 == 0 ? 60 : 4);
    for (unsigned k = 0; k < degree; ++k) edges.push_back(pattern.below(kNodes));
  }
  first_edge[kNodes] = static_cast<unsigned>(edges.size());

  std::vector<int> wanted(kNodes, -1);
  wanted[0] = 0;
  std::deque<unsigned> queue = {0};
  while (!queue.empty()) {
    const unsigned node = queue.front();
    queue.pop_front();
    for (unsigned e = first_edge[node]; e < first_edge[node + 1]; ++e) {
      if (wanted[edges[e]] != -1) continue;
      wanted[edges[e]] = wanted[node] + 1;
      queue.push_back(edges[e]);
    }
  }

  DeviceArray<unsigned> device_first(first_edge);
  DeviceArray<unsigned> device_edges(edges);
  std::vector<int> start(kNodes, -1);
  start[0] = 0;
  DeviceArray<int> depth(start);
  DeviceArray<int> found(1);
  int more = 1;
  for (int level = 0; more != 0 && level < 1000; ++level) {
    HIP_OK(hipMemset(found, 0, sizeof(int)));
    expand<<<(kNodes + 127) / 128, 128>>>(device_first, device_edges, depth, kNodes, level, found);
    HIP_OK(hipMemcpy(&more, found, sizeof(int), hipMemcpyDeviceToHost));
  }
  KERNELS_OK();
  expect_same(depth.read(), wanted);
}

}  // namespace
}  // namespace kfdlab
