// SPDX-License-Identifier: MIT
// Cooperative groups: tiles, coalesced groups, and barriers of a whole grid.
#include "tests/hip/compute.h"

#include <hip/hip_cooperative_groups.h>

namespace kfdlab {
namespace {

namespace cg = cooperative_groups;

template <unsigned kSize>
__global__ void tile_sums(const int* in, int* out) {
  auto block = cg::this_thread_block();
  const auto tile = cg::tiled_partition<kSize>(block);
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  int value = in[i];
  for (unsigned offset = tile.size() / 2; offset > 0; offset /= 2) value += tile.shfl_down(value, offset);
  value = tile.shfl(value, 0);
  out[i * 3] = value;
  out[i * 3 + 1] = static_cast<int>(tile.thread_rank());
  out[i * 3 + 2] = tile.shfl_xor(in[i], 1) + static_cast<int>(tile.size());
}

template <unsigned kSize>
void check_tiles() {
  const auto values = random_values<int>(512, kSize);
  DeviceArray<int> in(values);
  DeviceArray<int> out(512 * 3);
  tile_sums<kSize><<<2, 256>>>(in, out);
  KERNELS_OK();
  std::vector<int> wanted(out.size());
  for (unsigned i = 0; i < 512; ++i) {
    unsigned sum = 0;
    for (unsigned k = 0; k < kSize; ++k) sum += static_cast<unsigned>(values[i / kSize * kSize + k]);
    wanted[i * 3] = static_cast<int>(sum);
    wanted[i * 3 + 1] = static_cast<int>(i % kSize);
    wanted[i * 3 + 2] = static_cast<int>(static_cast<unsigned>(values[i ^ 1]) + kSize);
  }
  expect_same(out.read(), wanted, "tiles of " + std::to_string(kSize));
}

TEST(HipGroup, TilesOfEverySizeShuffle) {
  check_tiles<2>();
  check_tiles<4>();
  check_tiles<8>();
  check_tiles<16>();
  check_tiles<32>();
  check_tiles<64>();
}

__global__ void coalesced(const int* in, int* out) {
  const unsigned i = threadIdx.x;
  out[i * 3] = out[i * 3 + 1] = out[i * 3 + 2] = -1;
  if (in[i] % 3 == 0) {
    const auto group = cg::coalesced_threads();
    out[i * 3] = static_cast<int>(group.size());
    out[i * 3 + 1] = static_cast<int>(group.thread_rank());
    out[i * 3 + 2] = group.shfl(in[i], 0);
  }
}

TEST(HipGroup, CoalescedThreadsAreThoseThatRun) {
  auto values = random_values<int>(192, 7);
  for (int& value : values) value &= 0xffff;
  DeviceArray<int> in(values);
  DeviceArray<int> out(192 * 3);
  coalesced<<<1, 192>>>(in, out);
  KERNELS_OK();
  std::vector<int> wanted(192 * 3, -1);
  for (unsigned wave = 0; wave < 3; ++wave) {
    std::vector<unsigned> members;
    for (unsigned lane = 0; lane < 64; ++lane) {
      if (values[wave * 64 + lane] % 3 == 0) members.push_back(wave * 64 + lane);
    }
    for (unsigned rank = 0; rank < members.size(); ++rank) {
      wanted[members[rank] * 3] = static_cast<int>(members.size());
      wanted[members[rank] * 3 + 1] = static_cast<int>(rank);
      wanted[members[rank] * 3 + 2] = values[members[0]];
    }
  }
  expect_same(out.read(), wanted);
}

__global__ void block_group(unsigned* out) {
  __shared__ unsigned tile[240];
  auto block = cg::this_thread_block();
  tile[block.thread_rank()] = block.thread_rank() * 5 + block.group_index().x;
  block.sync();
  const unsigned n = block.size();
  out[block.group_index().x * n + block.thread_rank()] = tile[n - 1 - block.thread_rank()];
}

TEST(HipGroup, BlocksOfThreeDimensionsHaveRanks) {
  DeviceArray<unsigned> out(2 * 240);
  block_group<<<2, dim3(8, 6, 5)>>>(out);
  KERNELS_OK();
  std::vector<unsigned> wanted(out.size());
  for (unsigned b = 0; b < 2; ++b) {
    for (unsigned i = 0; i < 240; ++i) wanted[b * 240 + i] = (239 - i) * 5 + b;
  }
  expect_same(out.read(), wanted);
}

// Each step reads what every other block wrote in the step before.
__global__ void grid_steps(unsigned* values, unsigned* next, unsigned n, int steps) {
  const auto grid = cg::this_grid();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  for (int step = 0; step < steps; ++step) {
    next[i] = values[(i + n / 2 + 1) % n] * 3 + values[i];
    grid.sync();
    values[i] = next[i];
    grid.sync();
  }
}

TEST(HipGroup, AGridMeetsAtItsBarrier) {
  hipDeviceProp_t properties{};
  HIP_OK(hipGetDeviceProperties(&properties, 0));
  ASSERT_NE(properties.cooperativeLaunch, 0) << "the device offers no cooperative launch";
  constexpr unsigned kBlocks = 24;
  constexpr unsigned kThreads = 128;
  unsigned n = kBlocks * kThreads;
  int steps = 5;
  auto values = random_values<unsigned>(n, 3);
  DeviceArray<unsigned> device_values(values);
  DeviceArray<unsigned> next(n);
  unsigned* values_pointer = device_values.get();
  unsigned* next_pointer = next.get();
  void* arguments[] = {&values_pointer, &next_pointer, &n, &steps};
  HIP_OK(hipLaunchCooperativeKernel(reinterpret_cast<void*>(&grid_steps), dim3(kBlocks), dim3(kThreads), arguments, 0,
                                    nullptr));
  KERNELS_OK();
  std::vector<unsigned> wanted_next(n);
  for (int step = 0; step < steps; ++step) {
    for (unsigned i = 0; i < n; ++i) wanted_next[i] = values[(i + n / 2 + 1) % n] * 3 + values[i];
    values = wanted_next;
  }
  expect_same(device_values.read(), values);
}

TEST(HipGroup, ACooperativeGridThatDoesNotFitIsRefused) {
  unsigned* values = nullptr;
  unsigned* next = nullptr;
  unsigned n = 1;
  int steps = 0;
  void* arguments[] = {&values, &next, &n, &steps};
  EXPECT_NE(hipLaunchCooperativeKernel(reinterpret_cast<void*>(&grid_steps), dim3(1U << 20), dim3(1024), arguments, 0,
                                       nullptr),
            hipSuccess);
  static_cast<void>(hipGetLastError());
}

TEST(HipGroup, OccupancyFitsTheComputeUnits) {
  int blocks = 0;
  HIP_OK(hipOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, reinterpret_cast<const void*>(&grid_steps), 256, 0));
  EXPECT_GE(blocks, 1);
  EXPECT_LE(blocks, 32);
  int with_lds = 0;
  HIP_OK(hipOccupancyMaxActiveBlocksPerMultiprocessor(&with_lds, reinterpret_cast<const void*>(&grid_steps), 64, 32768));
  EXPECT_EQ(with_lds, 2);
  int grid = 0;
  int block = 0;
  HIP_OK(hipOccupancyMaxPotentialBlockSize(&grid, &block, reinterpret_cast<const void*>(&grid_steps), 0, 0));
  EXPECT_GE(grid, 1);
  EXPECT_GE(block, 64);
}

}  // namespace
}  // namespace kfdlab
