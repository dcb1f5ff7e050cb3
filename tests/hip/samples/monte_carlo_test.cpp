// SPDX-License-Identifier: MIT
// Monte Carlo with a generator per thread: the number of points in a quarter circle, and option prices by paths.
#include <cmath>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

__host__ __device__ inline std::uint32_t draw(std::uint64_t* state) {
  *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
  const std::uint32_t shifted = static_cast<std::uint32_t>((*state >> 18 ^ *state) >> 27);
  const std::uint32_t turn = static_cast<std::uint32_t>(*state >> 59);
  return shifted >> turn | shifted << (-turn & 31);
}

__host__ __device__ inline unsigned hits(std::uint64_t seed, int draws) {
  std::uint64_t state = mix(seed);
  unsigned inside = 0;
  for (int i = 0; i < draws; ++i) {
    const std::uint64_t x = draw(&state);
    const std::uint64_t y = draw(&state);
    inside += (x >> 1) * (x >> 1) + (y >> 1) * (y >> 1) < 1ULL << 62;
  }
  return inside;
}

__global__ void count_hits(unsigned long long* total, int draws) {
  __shared__ unsigned block_total;
  if (threadIdx.x == 0) block_total = 0;
  __syncthreads();
  atomicAdd(&block_total, hits(blockIdx.x * blockDim.x + threadIdx.x, draws));
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(total, static_cast<unsigned long long>(block_total));
}

TEST(HipSample, ThePointsInACircleAreTheHosts) {
  DeviceArray<unsigned long long> total(1);
  count_hits<<<10, 192>>>(total, 100);
  KERNELS_OK();
  unsigned long long wanted = 0;
  for (unsigned thread = 0; thread < 1920; ++thread) wanted += hits(thread, 100);
  expect_same(total.read(), {wanted});
  EXPECT_NEAR(4.0 * static_cast<double>(wanted) / 192000, M_PI, 0.02);
}

__global__ void price(const float* strikes, float* prices, int paths) {
  __shared__ float sums[256];
  std::uint64_t state = mix(blockIdx.x * 1000003ULL + threadIdx.x);
  float sum = 0;
  for (int i = 0; i < paths; ++i) {
    const float u = (static_cast<float>(draw(&state)) + 0.5F) * 0x1p-32F;
    const float v = static_cast<float>(draw(&state)) * 0x1p-32F;
    const float normal = sqrtf(-2 * logf(u)) * cosf(6.2831853F * v);
    sum += fmaxf(100 * expf(0.02F - 0.045F + 0.3F * normal) - strikes[blockIdx.x], 0);
  }
  sums[threadIdx.x] = sum;
  __syncthreads();
  for (unsigned half = 128; half > 0; half /= 2) {
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) prices[blockIdx.x] = expf(-0.02F) * sums[0] / (256.0F * static_cast<float>(paths));
}

TEST(HipSample, OptionPricesApproachTheClosedForm) {
  const std::vector<float> strikes = {80, 95, 100, 120};
  DeviceArray<float> device_strikes(strikes);
  DeviceArray<float> prices(4);
  price<<<4, 256>>>(device_strikes, prices, 60);
  KERNELS_OK();
  const auto found = prices.read();
  for (int i = 0; i < 4; ++i) {
    const double d1 = (std::log(100 / strikes[i]) + 0.02 + 0.045) / 0.3;
    const double d2 = d1 - 0.3;
    const auto normal = [](double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; };
    const double wanted = 100 * normal(d1) - strikes[i] * std::exp(-0.02) * normal(d2);
    EXPECT_NEAR(found[i], wanted, 0.9) << strikes[i];
  }
}

}  // namespace
}  // namespace kfdlab
