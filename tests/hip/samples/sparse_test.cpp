// SPDX-License-Identifier: MIT
// Sparse matrices in compressed rows: a product by one wave per row, and conjugate gradients on top of it.
#include <cmath>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

__global__ void multiply(const int* starts, const int* columns, const double* values, const double* x, double* y,
                         int rows) {
  const int row = static_cast<int>((blockIdx.x * blockDim.x + threadIdx.x) / 64);
  const int lane = static_cast<int>(threadIdx.x % 64);
  if (row >= rows) return;
  double sum = 0;
  for (int i = starts[row] + lane; i < starts[row + 1]; i += 64) sum += values[i] * x[columns[i]];
  for (int offset = 32; offset > 0; offset /= 2) sum += __shfl_xor(sum, offset);
  if (lane == 0) y[row] = sum;
}

__global__ void dot(const double* a, const double* b, int n, double* result) {
  __shared__ double sums[256];
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += 256) sum += a[i] * b[i];
  sums[threadIdx.x] = sum;
  __syncthreads();
  for (unsigned half = 128; half > 0; half /= 2) {
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) *result = sums[0];
}

__global__ void combine(double* out, const double* a, const double* b, double factor, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) out[i] = fma(factor, b[i], a[i]);
}

struct Matrix {
  std::vector<int> starts;
  std::vector<int> columns;
  std::vector<double> values;
};

// Symmetric and dominated by its diagonal, with rows of very different length.
Matrix make_matrix(int n) {
  std::vector<std::vector<std::pair<int, double>>> rows(n);
  Pattern pattern(41);
  for (int row = 0; row < n; ++row) {
    const int links = row % 97 == 0 ? 120 : 3;
    for (int k = 0; k < links; ++k) {
      const int other = static_cast<int>(pattern.below(static_cast<std::uint32_t>(n)));
      const double value = pattern.real(-1, 1);
      if (other == row) continue;
      rows[row].emplace_back(other, value);
      rows[other].emplace_back(row, value);
    }
  }
  Matrix matrix;
  for (int row = 0; row < n; ++row) {
    matrix.starts.push_back(static_cast<int>(matrix.columns.size()));
    double sum = 1;
    for (const auto& [column, value] : rows[row]) {
      matrix.columns.push_back(column);
      matrix.values.push_back(value);
      sum += std::fabs(value);
    }
    matrix.columns.push_back(row);
    matrix.values.push_back(sum);
  }
  matrix.starts.push_back(static_cast<int>(matrix.columns.size()));
  return matrix;
}

TEST(HipSample, ConjugateGradientsSolveASparseSystem) {
  constexpr int kRows = 700;
  constexpr unsigned kBlocks = (kRows + 255) / 256;
  const Matrix matrix = make_matrix(kRows);
  const auto solution = random_values<double>(kRows, 43);
  std::vector<double> right(kRows);
  for (int row = 0; row < kRows; ++row) {
    for (int i = matrix.starts[row]; i < matrix.starts[row + 1]; ++i) {
      right[row] += matrix.values[i] * solution[matrix.columns[i]];
    }
  }
  DeviceArray<int> starts(matrix.starts);
  DeviceArray<int> columns(matrix.columns);
  DeviceArray<double> values(matrix.values);
  DeviceArray<double> x(kRows);
  DeviceArray<double> residual(right);
  DeviceArray<double> direction(right);
  DeviceArray<double> product(kRows);
  DeviceArray<double> result(1);
  const auto dot_of = [&result](double* a, double* b) {
    dot<<<1, 256>>>(a, b, kRows, result);
    return result.read()[0];
  };
  double square = dot_of(residual, residual);
  const double start = square;
  int rounds = 0;
  for (; rounds < 60 && square > start * 1e-24; ++rounds) {
    multiply<<<(kRows + 3) / 4, 256>>>(starts, columns, values, direction, product, kRows);
    const double step = square / dot_of(direction, product);
    combine<<<kBlocks, 256>>>(x, x, direction, step, kRows);
    combine<<<kBlocks, 256>>>(residual, residual, product, -step, kRows);
    const double next = dot_of(residual, residual);
    combine<<<kBlocks, 256>>>(direction, residual, direction, next / square, kRows);
    square = next;
  }
  KERNELS_OK();
  EXPECT_LT(rounds, 60);
  const auto found = x.read();
  for (int i = 0; i < kRows; ++i) ASSERT_NEAR(found[i], solution[i], 1e-8) << i;
}

}  // namespace
}  // namespace kfdlab
