// SPDX-License-Identifier: MIT
// Heat on a plate: an explicit stencil with tiles in LDS, two buffers swapped over many launches.
#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr int kTile = 16;

__global__ void diffuse(const float* temperature, const float* power, float* out, int width, int height) {
  __shared__ float tile[kTile + 2][kTile + 2];
  const int x = static_cast<int>(blockIdx.x) * kTile + static_cast<int>(threadIdx.x);
  const int y = static_cast<int>(blockIdx.y) * kTile + static_cast<int>(threadIdx.y);
  // Each thread of the block loads cells of the tile with its border; cells outside repeat the edge.
  for (int i = static_cast<int>(threadIdx.y) * kTile + static_cast<int>(threadIdx.x); i < (kTile + 2) * (kTile + 2);
       i += kTile * kTile) {
    const int row = min(max(static_cast<int>(blockIdx.y) * kTile + i / (kTile + 2) - 1, 0), height - 1);
    const int column = min(max(static_cast<int>(blockIdx.x) * kTile + i % (kTile + 2) - 1, 0), width - 1);
    tile[i / (kTile + 2)][i % (kTile + 2)] = temperature[row * width + column];
  }
  __syncthreads();
  if (x >= width || y >= height) return;
  const int tx = static_cast<int>(threadIdx.x) + 1;
  const int ty = static_cast<int>(threadIdx.y) + 1;
  const float centre = tile[ty][tx];
  const float around = tile[ty - 1][tx] + tile[ty + 1][tx] + tile[ty][tx - 1] + tile[ty][tx + 1];
  out[y * width + x] = fmaf(0.2F, fmaf(-4.0F, centre, around), centre + power[y * width + x]);
}

TEST(HipSample, HeatSpreadsAsOnTheHost) {
  constexpr int kWidth = 125;
  constexpr int kHeight = 83;
  constexpr int kSteps = 20;
  auto plate = random_values<float>(kWidth * kHeight, 3);
  auto power = random_values<float>(kWidth * kHeight, 5);
  for (float& value : power) value *= 0.01F;
  DeviceArray<float> a(plate);
  DeviceArray<float> b(plate.size());
  DeviceArray<float> device_power(power);
  float* from = a;
  float* to = b;
  for (int step = 0; step < kSteps; ++step) {
    diffuse<<<dim3((kWidth + kTile - 1) / kTile, (kHeight + kTile - 1) / kTile), dim3(kTile, kTile)>>>(
        from, device_power, to, kWidth, kHeight);
    std::swap(from, to);
  }
  KERNELS_OK();
  std::vector<float> next(plate.size());
  for (int step = 0; step < kSteps; ++step) {
    const auto at = [&plate](int y, int x) {
      return plate[static_cast<std::size_t>(std::min(std::max(y, 0), kHeight - 1) * kWidth +
                                            std::min(std::max(x, 0), kWidth - 1))];
    };
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        const float centre = at(y, x);
        const float around = at(y - 1, x) + at(y + 1, x) + at(y, x - 1) + at(y, x + 1);
        next[y * kWidth + x] =
            std::fmaf(0.2F, std::fmaf(-4.0F, centre, around), centre + power[y * kWidth + x]);
      }
    }
    plate.swap(next);
  }
  expect_same((kSteps % 2 == 0 ? a : b).read(), plate);
}

}  // namespace
}  // namespace kfdlab
