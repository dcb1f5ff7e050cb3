// SPDX-License-Identifier: MIT
// Two sorts: bitonic over many launches with an LDS stage, and a radix sort by ballots, counts and scans.
#include <algorithm>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

__global__ void bitonic_step(unsigned* keys, unsigned distance, unsigned run) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned other = i ^ distance;
  if (other <= i) return;
  const bool ascending = (i & run) == 0;
  const unsigned a = keys[i];
  const unsigned b = keys[other];
  if ((a > b) == ascending) {
    keys[i] = b;
    keys[other] = a;
  }
}

__global__ void bitonic_block(unsigned* keys, unsigned first_distance, unsigned run) {
  __shared__ unsigned tile[512];
  const unsigned i = blockIdx.x * 512 + threadIdx.x;
  tile[threadIdx.x] = keys[i];
  tile[threadIdx.x + 256] = keys[i + 256];
  __syncthreads();
  for (unsigned distance = first_distance; distance > 0; distance /= 2) {
    const unsigned low = 2 * threadIdx.x - (threadIdx.x & (distance - 1));
    const bool ascending = ((blockIdx.x * 512 + low) & run) == 0;
    const unsigned a = tile[low];
    const unsigned b = tile[low + distance];
    if ((a > b) == ascending) {
      tile[low] = b;
      tile[low + distance] = a;
    }
    __syncthreads();
  }
  keys[i] = tile[threadIdx.x];
  keys[i + 256] = tile[threadIdx.x + 256];
}

TEST(HipSample, BitonicSortSorts) {
  constexpr unsigned kCount = 8192;
  auto keys = random_values<unsigned>(kCount, 11);
  DeviceArray<unsigned> device(keys);
  for (unsigned run = 2; run <= kCount; run *= 2) {
    unsigned distance = run / 2;
    for (; distance > 256; distance /= 2) bitonic_step<<<kCount / 256, 256>>>(device, distance, run);
    bitonic_block<<<kCount / 512, 256>>>(device, distance, run);
  }
  KERNELS_OK();
  std::sort(keys.begin(), keys.end());
  expect_same(device.read(), keys);
}

constexpr unsigned kRadix = 16;
constexpr unsigned kBlock = 256;

__global__ void count_digits(const unsigned* keys, unsigned n, unsigned shift, unsigned* counts) {
  __shared__ unsigned local[kRadix];
  if (threadIdx.x < kRadix) local[threadIdx.x] = 0;
  __syncthreads();
  const unsigned i = blockIdx.x * kBlock + threadIdx.x;
  if (i < n) atomicAdd(&local[keys[i] >> shift & (kRadix - 1)], 1U);
  __syncthreads();
  if (threadIdx.x < kRadix) counts[threadIdx.x * gridDim.x + blockIdx.x] = local[threadIdx.x];
}

__global__ void scan_counts(unsigned* counts, unsigned n) {
  unsigned sum = 0;
  for (unsigned i = 0; i < n; ++i) {
    const unsigned value = counts[i];
    counts[i] = sum;
    sum += value;
  }
}

// Stable: the rank of a key among its digit is the lanes before it in its wave, and the waves before it in its block.
__global__ void scatter(const unsigned* keys, unsigned n, unsigned shift, const unsigned* places, unsigned* out) {
  __shared__ unsigned wave_counts[kBlock / 64][kRadix];
  const unsigned i = blockIdx.x * kBlock + threadIdx.x;
  const unsigned wave = threadIdx.x / 64;
  const unsigned lane = threadIdx.x % 64;
  const bool mine = i < n;
  const unsigned key = mine ? keys[i] : 0;
  const unsigned digit = key >> shift & (kRadix - 1);
  unsigned rank = 0;
  for (unsigned d = 0; d < kRadix; ++d) {
    const unsigned long long same = __ballot(mine && digit == d);
    if (digit == d) rank = static_cast<unsigned>(__popcll(same & ((1ULL << lane) - 1)));
    if (lane == 0) wave_counts[wave][d] = static_cast<unsigned>(__popcll(same));
  }
  __syncthreads();
  if (!mine) return;
  for (unsigned w = 0; w < wave; ++w) rank += wave_counts[w][digit];
  out[places[digit * gridDim.x + blockIdx.x] + rank] = key;
}

TEST(HipSample, RadixSortSorts) {
  constexpr unsigned kCount = 5003;
  constexpr unsigned kBlocks = (kCount + kBlock - 1) / kBlock;
  auto keys = random_values<unsigned>(kCount, 13);
  DeviceArray<unsigned> a(keys);
  DeviceArray<unsigned> b(kCount);
  DeviceArray<unsigned> counts(kRadix * kBlocks);
  unsigned* from = a;
  unsigned* to = b;
  for (unsigned shift = 0; shift < 32; shift += 4) {
    count_digits<<<kBlocks, kBlock>>>(from, kCount, shift, counts);
    scan_counts<<<1, 1>>>(counts, kRadix * kBlocks);
    scatter<<<kBlocks, kBlock>>>(from, kCount, shift, counts, to);
    std::swap(from, to);
  }
  KERNELS_OK();
  std::sort(keys.begin(), keys.end());
  expect_same(a.read(), keys);
}

}  // namespace
}  // namespace kfdlab
