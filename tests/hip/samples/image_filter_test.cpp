// SPDX-License-Identifier: MIT
// Images: a separable blur with weights in constant memory, and edges by Sobel with a median, on bytes.
#include <algorithm>
#include <cmath>

#include "tests/hip/compute.h"

namespace kfdlab {

// Not in the unnamed namespace: ROCm's runtime looks for it by name in the code object.
__constant__ int blur_weights[9];

namespace {

constexpr int kRadius = 4;

__host__ __device__ inline int clamped(int value, int bound) { return value < 0 ? 0 : value >= bound ? bound - 1 : value; }

__global__ void blur(const unsigned char* in, unsigned char* out, int width, int height, int dx, int dy) {
  const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);
  if (x >= width || y >= height) return;
  int sum = 0;
  for (int k = -kRadius; k <= kRadius; ++k) {
    sum += blur_weights[k + kRadius] * in[clamped(y + k * dy, height) * width + clamped(x + k * dx, width)];
  }
  out[y * width + x] = static_cast<unsigned char>(sum >> 8);
}

__host__ __device__ inline void order(int* a, int* b) {
  const int low = *a < *b ? *a : *b;
  *b = *a < *b ? *b : *a;
  *a = low;
}

// The gradient's length, and the median of nine.
__host__ __device__ inline unsigned edge_of(const unsigned char* in, int x, int y, int width, int height) {
  int p[9];
  for (int k = 0; k < 9; ++k) p[k] = in[clamped(y + k / 3 - 1, height) * width + clamped(x + k % 3 - 1, width)];
  const int gx = p[2] + 2 * p[5] + p[8] - p[0] - 2 * p[3] - p[6];
  const int gy = p[6] + 2 * p[7] + p[8] - p[0] - 2 * p[1] - p[2];
  const int length = static_cast<int>(sqrtf(static_cast<float>(gx * gx + gy * gy)));
  for (int i = 0; i < 9; ++i) {
    for (int k = 0; k + 1 < 9 - i; ++k) order(&p[k], &p[k + 1]);
  }
  return static_cast<unsigned>(length < 255 ? length : 255) << 8 | static_cast<unsigned>(p[4]);
}

__global__ void edges(const unsigned char* in, unsigned* out, int width, int height) {
  const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);
  if (x < width && y < height) out[y * width + x] = edge_of(in, x, y, width, height);
}

TEST(HipSample, ImagesAreFilteredAsOnTheHost) {
  constexpr int kWidth = 101;
  constexpr int kHeight = 67;
  const int host_weights[2 * kRadius + 1] = {5, 15, 31, 49, 56, 49, 31, 15, 5};
  auto image = random_values<unsigned char>(kWidth * kHeight, 29);
  HIP_OK(hipMemcpyToSymbol(HIP_SYMBOL(blur_weights), host_weights, sizeof(host_weights)));
  DeviceArray<unsigned char> a(image);
  DeviceArray<unsigned char> b(image.size());
  DeviceArray<unsigned> out(image.size());
  const dim3 block(32, 8);
  const dim3 grid((kWidth + 31) / 32, (kHeight + 7) / 8);
  blur<<<grid, block>>>(a, b, kWidth, kHeight, 1, 0);
  blur<<<grid, block>>>(b, a, kWidth, kHeight, 0, 1);
  edges<<<grid, block>>>(a, out, kWidth, kHeight);
  KERNELS_OK();
  for (int pass = 0; pass < 2; ++pass) {
    const auto before = image;
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        int sum = 0;
        for (int k = -kRadius; k <= kRadius; ++k) {
          const int row = clamped(y + (pass == 1 ? k : 0), kHeight);
          const int column = clamped(x + (pass == 0 ? k : 0), kWidth);
          sum += host_weights[k + kRadius] * before[row * kWidth + column];
        }
        image[y * kWidth + x] = static_cast<unsigned char>(sum >> 8);
      }
    }
  }
  expect_same(a.read(), image, "blur");
  std::vector<unsigned> wanted(image.size());
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) wanted[y * kWidth + x] = edge_of(image.data(), x, y, kWidth, kHeight);
  }
  expect_same(out.read(), wanted, "edges");
}

}  // namespace
}  // namespace kfdlab
