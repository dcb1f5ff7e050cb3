// SPDX-License-Identifier: MIT
#include "tests/unit/engine/bench/native.h"

namespace kfdlab::bench::native {

void saxpy(int items, float a, const float* x, float* y) {
  for (int i = 0; i < items; ++i) bench::saxpy(i, a, x, y);
}
void copy(int items, const Quad* from, Quad* to) {
  for (int i = 0; i < items; ++i) bench::copy(i, from, to);
}
void fill(int items, unsigned value, unsigned* to) {
  for (int i = 0; i < items; ++i) bench::fill(i, value, to);
}
void matmul(const float* a, const float* b, float* c, int n) {
  for (int row = 0; row < n; ++row) {
    for (int column = 0; column < n; ++column) bench::matmul(row, column, a, b, c, n);
  }
}
void matmul(const double* a, const double* b, double* c, int n) {
  for (int row = 0; row < n; ++row) {
    for (int column = 0; column < n; ++column) {
      double sum = 0;
      for (int k = 0; k < n; ++k) sum += a[row * n + k] * b[k * n + column];
      c[row * n + column] = sum;
    }
  }
}
void nbody(const Quad* bodies, Quad* out, int n) {
  for (int i = 0; i < n; ++i) bench::nbody(i, bodies, out, n);
}
void mathf(int items, const float* x, float* y) {
  for (int i = 0; i < items; ++i) bench::mathf(i, x, y);
}
void mathd(int items, const double* x, double* y) {
  for (int i = 0; i < items; ++i) bench::mathd(i, x, y);
}
void division(int items, const int* x, int* y) {
  for (int i = 0; i < items; ++i) bench::division(i, x, y);
}
void stencil(const float* from, float* to, int n) {
  for (int y = 0; y < n; ++y) {
    for (int x = 0; x < n; ++x) bench::stencil(x, y, from, to, n);
  }
}
void chase(int items, const unsigned* next, unsigned* out, int steps) {
  for (int i = 0; i < items; ++i) bench::chase(i, next, out, steps);
}
void branches(int items, const unsigned* x, unsigned* out, int rounds) {
  for (int i = 0; i < items; ++i) bench::branches(i, x, out, rounds);
}
void reduce(int items, const int* x, int* sum) {
  unsigned total = 0;
  for (int i = 0; i < items; ++i) total += static_cast<unsigned>(x[i]);
  *sum = static_cast<int>(static_cast<unsigned>(*sum) + total);
}
void scan(int items, const int* x, int* y) {
  for (int block = 0; block < items; block += 256) {
    unsigned total = 0;
    for (int i = 0; i < 256; ++i) {
      total += static_cast<unsigned>(x[block + i]);
      y[block + i] = static_cast<int>(total);
    }
  }
}
void histogram(int items, const unsigned char* x, unsigned* counts) {
  for (int i = 0; i < items; ++i) ++counts[x[i]];
}
void transpose(const float* from, float* to, int n) {
  for (int y = 0; y < n; ++y) {
    for (int x = 0; x < n; ++x) to[x * n + y] = from[y * n + x];
  }
}
void shuffle(int items, const int* x, int* y) {
  for (int wave = 0; wave < items; wave += 64) {
    unsigned sum = 0;
    for (int i = 0; i < 64; ++i) sum += static_cast<unsigned>(x[wave + i]) + (static_cast<unsigned>(x[wave + i]) & 1u);
    for (int i = 0; i < 64; ++i) y[wave + i] = static_cast<int>(sum);
  }
}

}  // namespace kfdlab::bench::native
