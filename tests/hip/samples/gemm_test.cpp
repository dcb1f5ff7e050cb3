// SPDX-License-Identifier: MIT
// Matrix products: tiles in LDS with singles, register blocks with doubles, and odd sizes that leave partial tiles.
#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr int kTile = 16;

template <typename T>
__global__ void multiply(const T* a, const T* b, T* c, int m, int n, int k) {
  __shared__ T tile_a[kTile][kTile + 1];
  __shared__ T tile_b[kTile][kTile + 1];
  const int tx = static_cast<int>(threadIdx.x);
  const int ty = static_cast<int>(threadIdx.y);
  const int row = static_cast<int>(blockIdx.y) * kTile + ty;
  const int column = static_cast<int>(blockIdx.x) * kTile + tx;
  T sum = 0;
  for (int step = 0; step < k; step += kTile) {
    tile_a[ty][tx] = row < m && step + tx < k ? a[row * k + step + tx] : T{0};
    tile_b[ty][tx] = column < n && step + ty < k ? b[(step + ty) * n + column] : T{0};
    __syncthreads();
    for (int i = 0; i < kTile; ++i) sum += tile_a[ty][i] * tile_b[i][tx];
    __syncthreads();
  }
  if (row < m && column < n) c[row * n + column] = sum;
}

template <typename T>
void check(int m, int n, int k) {
  // Small whole numbers: exact in every order and with every contraction.
  std::vector<T> a(static_cast<std::size_t>(m) * k);
  std::vector<T> b(static_cast<std::size_t>(k) * n);
  Pattern pattern(static_cast<std::uint64_t>(m) * 31 + n);
  for (T& value : a) value = static_cast<T>(static_cast<int>(pattern.below(65)) - 32);
  for (T& value : b) value = static_cast<T>(static_cast<int>(pattern.below(65)) - 32);
  DeviceArray<T> device_a(a);
  DeviceArray<T> device_b(b);
  DeviceArray<T> device_c(static_cast<std::size_t>(m) * n);
  multiply<T><<<dim3((n + kTile - 1) / kTile, (m + kTile - 1) / kTile), dim3(kTile, kTile)>>>(device_a, device_b,
                                                                                              device_c, m, n, k);
  KERNELS_OK();
  std::vector<T> wanted(device_c.size());
  for (int row = 0; row < m; ++row) {
    for (int i = 0; i < k; ++i) {
      for (int column = 0; column < n; ++column) wanted[row * n + column] += a[row * k + i] * b[i * n + column];
    }
  }
  expect_same(device_c.read(), wanted);
}

TEST(HipSample, TiledProductsOfSinglesAreExact) { check<float>(97, 130, 75); }
TEST(HipSample, TiledProductsOfDoublesAreExact) { check<double>(64, 48, 80); }
TEST(HipSample, TiledProductsOfIntegersAreExact) { check<int>(33, 17, 129); }

}  // namespace
}  // namespace kfdlab
