// SPDX-License-Identifier: MIT
// Bodies that attract each other: positions pass through LDS in tiles, several steps, doubles.
#include <cmath>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr unsigned kTile = 128;

__global__ void step_bodies(const double4* from, double4* to, double4* speed, unsigned n, double dt) {
  __shared__ double4 tile[kTile];
  const unsigned i = blockIdx.x * kTile + threadIdx.x;
  const double4 me = from[i < n ? i : 0];
  double3 force = make_double3(0, 0, 0);
  for (unsigned base = 0; base < n; base += kTile) {
    if (base + threadIdx.x < n) tile[threadIdx.x] = from[base + threadIdx.x];
    __syncthreads();
    for (unsigned k = 0; k < kTile && base + k < n; ++k) {
      const double dx = tile[k].x - me.x;
      const double dy = tile[k].y - me.y;
      const double dz = tile[k].z - me.z;
      const double inverse = rsqrt(dx * dx + dy * dy + dz * dz + 0.01);
      const double pull = tile[k].w * inverse * inverse * inverse;
      force.x += dx * pull;
      force.y += dy * pull;
      force.z += dz * pull;
    }
    __syncthreads();
  }
  if (i >= n) return;
  double4 v = speed[i];
  v.x += force.x * dt;
  v.y += force.y * dt;
  v.z += force.z * dt;
  speed[i] = v;
  to[i] = make_double4(me.x + v.x * dt, me.y + v.y * dt, me.z + v.z * dt, me.w);
}

TEST(HipSample, BodiesMoveAsOnTheHost) {
  constexpr unsigned kBodies = 300;
  constexpr int kSteps = 3;
  constexpr double kDt = 0.01;
  Pattern pattern(19);
  std::vector<double4> bodies(kBodies);
  std::vector<double4> speed(kBodies, make_double4(0, 0, 0, 0));
  for (double4& body : bodies) {
    body = make_double4(pattern.real(-1, 1), pattern.real(-1, 1), pattern.real(-1, 1), pattern.real(0.1, 1));
  }
  DeviceArray<double4> a(bodies);
  DeviceArray<double4> b(kBodies);
  DeviceArray<double4> device_speed(speed);
  double4* from = a;
  double4* to = b;
  for (int step = 0; step < kSteps; ++step) {
    step_bodies<<<(kBodies + kTile - 1) / kTile, kTile>>>(from, to, device_speed, kBodies, kDt);
    std::swap(from, to);
  }
  KERNELS_OK();
  for (int step = 0; step < kSteps; ++step) {
    const std::vector<double4> before = bodies;
    for (unsigned i = 0; i < kBodies; ++i) {
      double force[3] = {};
      for (const double4& other : before) {
        const double d[3] = {other.x - before[i].x, other.y - before[i].y, other.z - before[i].z};
        const double inverse = 1 / std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + 0.01);
        for (int k = 0; k < 3; ++k) force[k] += d[k] * other.w * inverse * inverse * inverse;
      }
      speed[i].x += force[0] * kDt;
      speed[i].y += force[1] * kDt;
      speed[i].z += force[2] * kDt;
      bodies[i] = make_double4(before[i].x + speed[i].x * kDt, before[i].y + speed[i].y * kDt,
                               before[i].z + speed[i].z * kDt, before[i].w);
    }
  }
  const auto found = (kSteps % 2 == 0 ? a : b).read();
  for (unsigned i = 0; i < kBodies; ++i) {
    ASSERT_NEAR(found[i].x, bodies[i].x, 1e-9) << i;
    ASSERT_NEAR(found[i].y, bodies[i].y, 1e-9) << i;
    ASSERT_NEAR(found[i].z, bodies[i].z, 1e-9) << i;
    ASSERT_EQ(found[i].w, bodies[i].w) << i;
  }
}

}  // namespace
}  // namespace kfdlab
