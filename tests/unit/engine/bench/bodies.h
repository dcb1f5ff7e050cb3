// SPDX-License-Identifier: MIT
// What one work-item of the bench's kernels does, as plain C++ that hipcc compiles for the GPU (kernels.hip) and the
// host's compiler for the CPU (native.cpp): the ratio of the two is what the engine costs.
#pragma once

#include <math.h>

#ifdef __HIP__
#define KFDLAB_BODY __device__ static inline
#else
#define KFDLAB_BODY static inline
#endif

namespace kfdlab::bench {

struct Quad {
  float x, y, z, w;
};

KFDLAB_BODY void saxpy(int i, float a, const float* x, float* y) { y[i] = a * x[i] + y[i]; }
KFDLAB_BODY void copy(int i, const Quad* from, Quad* to) { to[i] = from[i]; }
KFDLAB_BODY void fill(int i, unsigned value, unsigned* to) { to[i] = value ^ static_cast<unsigned>(i); }

KFDLAB_BODY void matmul(int row, int column, const float* a, const float* b, float* c, int n) {
  float sum = 0;
  for (int k = 0; k < n; ++k) sum += a[row * n + k] * b[k * n + column];
  c[row * n + column] = sum;
}

KFDLAB_BODY float inverse_root(float v) {
#ifdef __HIP__
  return rsqrtf(v);
#else
  return 1.0f / sqrtf(v);
#endif
}
KFDLAB_BODY void nbody(int i, const Quad* bodies, Quad* out, int n) {
  const Quad me = bodies[i];
  Quad sum{0, 0, 0, 0};
  for (int j = 0; j < n; ++j) {
    const Quad other = bodies[j];
    const float dx = other.x - me.x;
    const float dy = other.y - me.y;
    const float dz = other.z - me.z;
    const float inverse = inverse_root(dx * dx + dy * dy + dz * dz + 1e-6f);
    const float force = other.w * inverse * inverse * inverse;
    sum.x += dx * force;
    sum.y += dy * force;
    sum.z += dz * force;
  }
  out[i] = sum;
}

KFDLAB_BODY void mathf(int i, const float* x, float* y) {
  const float v = x[i];
  y[i] = sinf(v) + expf(-v * 0.01f) + logf(fabsf(v) + 1) + sqrtf(fabsf(v)) + v / (1 + v * v) + powf(fabsf(v), 0.3f);
}
KFDLAB_BODY void mathd(int i, const double* x, double* y) {
  const double v = x[i];
  y[i] = sin(v) + exp(-v * 0.01) + log(fabs(v) + 1) + sqrt(fabs(v)) + v / (1 + v * v);
}
KFDLAB_BODY void division(int i, const int* x, int* y) {
  y[i] = x[i] / (i % 97 + 1) + static_cast<int>(static_cast<long>(x[i]) * 1234567891L / (i + 3));
}

KFDLAB_BODY void stencil(int x, int y, const float* from, float* to, int n) {
  const int at = y * n + x;
  if (x == 0 || y == 0 || x == n - 1 || y == n - 1) {
    to[at] = from[at];
    return;
  }
  to[at] = 0.5f * from[at] + 0.125f * (from[at - 1] + from[at + 1] + from[at - n] + from[at + n]);
}

// Random reads, far apart.
KFDLAB_BODY void chase(int i, const unsigned* next, unsigned* out, int steps) {
  unsigned at = static_cast<unsigned>(i);
  for (int s = 0; s < steps; ++s) at = next[at];
  out[i] = at;
}

// Lanes of a wave take different ways.
KFDLAB_BODY void branches(int i, const unsigned* x, unsigned* out, int rounds) {
  unsigned v = x[i];
  for (int r = 0; r < rounds; ++r) {
    switch (v & 7u) {
      case 0:
        v = v * 3 + 1;
        break;
      case 1:
        v ^= v >> 5;
        break;
      case 2:
        v += 0x9e3779b9u;
        break;
      case 3:
        v = v << 7 | v >> 25;
        break;
      default:
        v -= v >> 3;
    }
  }
  out[i] = v;
}

}  // namespace kfdlab::bench
