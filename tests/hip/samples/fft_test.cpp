// SPDX-License-Identifier: MIT
// Fourier transform of one signal per workgroup in LDS (radix 2, in place), against the definition on the host.
#include <cmath>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr unsigned kPoints = 256;
constexpr unsigned kLog = 8;

__global__ void transform(const float2* in, float2* out, float direction) {
  __shared__ float2 points[kPoints];
  const unsigned base = blockIdx.x * kPoints;
  for (unsigned i = threadIdx.x; i < kPoints; i += blockDim.x) {
    points[__brev(i) >> (32 - kLog)] = in[base + i];
  }
  __syncthreads();
  for (unsigned half = 1; half < kPoints; half *= 2) {
    const unsigned within = threadIdx.x & (half - 1);
    const unsigned low = 2 * threadIdx.x - within;
    float sine = 0;
    float cosine = 0;
    sincosf(direction * 3.14159265358979F * static_cast<float>(within) / static_cast<float>(half), &sine, &cosine);
    const float2 a = points[low];
    const float2 b = points[low + half];
    const float2 turned = make_float2(b.x * cosine - b.y * sine, b.x * sine + b.y * cosine);
    points[low] = make_float2(a.x + turned.x, a.y + turned.y);
    points[low + half] = make_float2(a.x - turned.x, a.y - turned.y);
    __syncthreads();
  }
  for (unsigned i = threadIdx.x; i < kPoints; i += blockDim.x) out[base + i] = points[i];
}

TEST(HipSample, FourierTransformsMatchTheDefinitionAndInvert) {
  constexpr unsigned kSignals = 3;
  const auto numbers = random_values<float>(kSignals * kPoints * 2, 17);
  std::vector<float2> signal(kSignals * kPoints);
  for (unsigned i = 0; i < signal.size(); ++i) signal[i] = make_float2(numbers[2 * i], numbers[2 * i + 1]);
  DeviceArray<float2> in(signal);
  DeviceArray<float2> spectrum(signal.size());
  DeviceArray<float2> back(signal.size());
  transform<<<kSignals, kPoints / 2>>>(in, spectrum, -1.0F);
  transform<<<kSignals, kPoints / 2>>>(spectrum, back, 1.0F);
  KERNELS_OK();
  const auto found = spectrum.read();
  const auto returned = back.read();
  for (unsigned k = 0; k < kPoints; k += 5) {
    double real = 0;
    double imaginary = 0;
    for (unsigned i = 0; i < kPoints; ++i) {
      const double angle = -2 * M_PI * static_cast<double>(i * k % kPoints) / kPoints;
      const float2 value = signal[kPoints + i];
      real += value.x * std::cos(angle) - value.y * std::sin(angle);
      imaginary += value.x * std::sin(angle) + value.y * std::cos(angle);
    }
    ASSERT_NEAR(found[kPoints + k].x, real, 0.02) << k;
    ASSERT_NEAR(found[kPoints + k].y, imaginary, 0.02) << k;
  }
  for (unsigned i = 0; i < signal.size(); ++i) {
    ASSERT_NEAR(returned[i].x / kPoints, signal[i].x, 1e-3) << i;
    ASSERT_NEAR(returned[i].y / kPoints, signal[i].y, 1e-3) << i;
  }
}

}  // namespace
}  // namespace kfdlab
