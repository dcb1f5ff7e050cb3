// SPDX-License-Identifier: MIT
// Kernels of the engine's bench. Those with a body of their own are checked against a loop in native.cpp.
#include <hip/hip_runtime.h>

#include "tests/unit/engine/bench/bodies.h"

using namespace kfdlab;
using bench::Quad;

#define KERNEL extern "C" __global__ void
#define ITEM static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x)

KERNEL saxpy(float a, const float* x, float* y) { bench::saxpy(ITEM, a, x, y); }
KERNEL copy(const Quad* from, Quad* to) { bench::copy(ITEM, from, to); }
KERNEL fill(unsigned value, unsigned* to) { bench::fill(ITEM, value, to); }
KERNEL matmul(const float* a, const float* b, float* c, int n) {
  bench::matmul(static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y), ITEM, a, b, c, n);
}
KERNEL nbody(const Quad* bodies, Quad* out, int n) { bench::nbody(ITEM, bodies, out, n); }
KERNEL mathf(const float* x, float* y) { bench::mathf(ITEM, x, y); }
KERNEL mathd(const double* x, double* y) { bench::mathd(ITEM, x, y); }
KERNEL division(const int* x, int* y) { bench::division(ITEM, x, y); }
KERNEL stencil(const float* from, float* to, int n) {
  bench::stencil(ITEM, static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y), from, to, n);
}
KERNEL chase(const unsigned* next, unsigned* out, int steps) { bench::chase(ITEM, next, out, steps); }
KERNEL branches(const unsigned* x, unsigned* out, int rounds) { bench::branches(ITEM, x, out, rounds); }

template <typename T>
__device__ static void tiled(const T* a, const T* b, T* c, int n) {
  __shared__ T ta[16][16];
  __shared__ T tb[16][16];
  const int tx = threadIdx.x;
  const int ty = threadIdx.y;
  const int row = blockIdx.y * 16 + ty;
  const int column = blockIdx.x * 16 + tx;
  T sum = 0;
  for (int t = 0; t < n; t += 16) {
    ta[ty][tx] = a[row * n + t + tx];
    tb[ty][tx] = b[(t + ty) * n + column];
    __syncthreads();
    for (int k = 0; k < 16; ++k) sum += ta[ty][k] * tb[k][tx];
    __syncthreads();
  }
  c[row * n + column] = sum;
}
KERNEL tiled_f32(const float* a, const float* b, float* c, int n) { tiled(a, b, c, n); }
KERNEL tiled_f64(const double* a, const double* b, double* c, int n) { tiled(a, b, c, n); }

// One wave for each 32 x 32 of the result.
typedef float Accumulator __attribute__((ext_vector_type(16)));
KERNEL matrix(const float* a, const float* b, float* c, int n) {
  const int lane = threadIdx.x;
  const int row = blockIdx.y * 32;
  const int column = blockIdx.x * 32;
  Accumulator sum = {};
  for (int k = 0; k < n; k += 2) {
    const float x = a[(row + lane % 32) * n + k + lane / 32];
    const float y = b[(k + lane / 32) * n + column + lane % 32];
    sum = __builtin_amdgcn_mfma_f32_32x32x2f32(x, y, sum, 0, 0, 0);
  }
  for (int i = 0; i < 16; ++i) {
    c[(row + i / 4 * 8 + lane / 32 * 4 + i % 4) * n + column + lane % 32] = sum[i];
  }
}

KERNEL reduce(const int* x, int* sum) {
  __shared__ int part[256];
  part[threadIdx.x] = x[ITEM];
  __syncthreads();
  for (unsigned d = 128; d > 0; d >>= 1) {
    if (threadIdx.x < d) part[threadIdx.x] += part[threadIdx.x + d];
    __syncthreads();
  }
  if (threadIdx.x == 0) atomicAdd(sum, part[0]);
}

// Sums of all before, within each 256.
KERNEL scan(const int* x, int* y) {
  __shared__ int part[256];
  part[threadIdx.x] = x[ITEM];
  __syncthreads();
  for (unsigned d = 1; d < 256; d <<= 1) {
    const int before = threadIdx.x >= d ? part[threadIdx.x - d] : 0;
    __syncthreads();
    part[threadIdx.x] += before;
    __syncthreads();
  }
  y[ITEM] = part[threadIdx.x];
}

KERNEL histogram(const unsigned char* x, unsigned* counts, int n) {
  __shared__ unsigned part[256];
  part[threadIdx.x] = 0;
  __syncthreads();
  for (int i = ITEM; i < n; i += gridDim.x * blockDim.x) atomicAdd(&part[x[i]], 1u);
  __syncthreads();
  atomicAdd(&counts[threadIdx.x], part[threadIdx.x]);
}

KERNEL transpose(const float* from, float* to, int n) {
  __shared__ float tile[16][17];
  tile[threadIdx.y][threadIdx.x] = from[(blockIdx.y * 16 + threadIdx.y) * n + blockIdx.x * 16 + threadIdx.x];
  __syncthreads();
  to[(blockIdx.x * 16 + threadIdx.y) * n + blockIdx.y * 16 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}

// The sum of a wave's items plus the number of odd ones.
KERNEL shuffle(const int* x, int* y) {
  const int own = x[ITEM];
  int v = own;
  for (int d = 32; d > 0; d >>= 1) v += __shfl_xor(v, d);
  y[ITEM] = v + __popcll(__ballot(own & 1));
}

KERNEL same_address(unsigned* counter, int rounds) {
  for (int i = 0; i < rounds; ++i) atomicAdd(counter, 1u);
}
