// SPDX-License-Identifier: MIT
// Prefix sums of any length in one launch: blocks publish their sums and look back at those before them, so every
// workgroup depends on earlier ones making progress.
#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr unsigned kBlock = 256;
constexpr unsigned long long kReady = 1ULL << 63;

__global__ void scan(const unsigned* in, unsigned* out, unsigned n, unsigned* ticket, unsigned long long* prefixes) {
  __shared__ unsigned tile[2][kBlock];
  __shared__ unsigned block;
  __shared__ unsigned before;
  if (threadIdx.x == 0) block = atomicAdd(ticket, 1U);
  __syncthreads();
  const unsigned i = block * kBlock + threadIdx.x;
  unsigned now = 0;
  tile[now][threadIdx.x] = i < n ? in[i] : 0;
  __syncthreads();
  for (unsigned distance = 1; distance < kBlock; distance *= 2) {
    tile[now ^ 1][threadIdx.x] =
        tile[now][threadIdx.x] + (threadIdx.x >= distance ? tile[now][threadIdx.x - distance] : 0);
    now ^= 1;
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    unsigned long long previous = kReady;
    while (block != 0 && ((previous = atomicAdd(&prefixes[block - 1], 0ULL)) & kReady) == 0) {
      __builtin_amdgcn_s_sleep(1);
    }
    before = static_cast<unsigned>(previous);
    __threadfence();
    atomicExch(&prefixes[block], kReady | (before + tile[now][kBlock - 1]));
  }
  __syncthreads();
  if (i < n) out[i] = before + tile[now][threadIdx.x];
}

TEST(HipSample, PrefixSumsOfOneLaunchAreRight) {
  for (const unsigned n : {1U, 255U, 257U, 20011U}) {
    const auto values = random_values<unsigned>(n, n);
    const unsigned blocks = (n + kBlock - 1) / kBlock;
    DeviceArray<unsigned> in(values);
    DeviceArray<unsigned> out(n);
    DeviceArray<unsigned> ticket(1);
    DeviceArray<unsigned long long> prefixes(blocks);
    scan<<<blocks, kBlock>>>(in, out, n, ticket, prefixes);
    KERNELS_OK();
    std::vector<unsigned> wanted(n);
    unsigned sum = 0;
    for (unsigned i = 0; i < n; ++i) wanted[i] = sum += values[i];
    expect_same(out.read(), wanted, std::to_string(n) + " values");
  }
}

}  // namespace
}  // namespace kfdlab
