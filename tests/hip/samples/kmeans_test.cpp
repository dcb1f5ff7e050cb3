// SPDX-License-Identifier: MIT
// k-means: each point to its nearest centre, sums by atomics, until nothing changes; whole numbers keep it exact.
#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr int kDimensions = 5;
constexpr int kCentres = 7;

__host__ __device__ inline int nearest(const int* point, const int* centres) {
  int best = 0;
  long long best_distance = -1;
  for (int c = 0; c < kCentres; ++c) {
    long long distance = 0;
    for (int d = 0; d < kDimensions; ++d) {
      const long long difference = point[d] - centres[c * kDimensions + d];
      distance += difference * difference;
    }
    if (best_distance < 0 || distance < best_distance) {
      best = c;
      best_distance = distance;
    }
  }
  return best;
}

__global__ void assign(const int* points, int n, const int* centres, int* owners, unsigned long long* sums,
                       int* counts, int* changed) {
  __shared__ int local[kCentres * kDimensions];
  for (unsigned i = threadIdx.x; i < kCentres * kDimensions; i += blockDim.x) local[i] = centres[i];
  __syncthreads();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  const int best = nearest(points + i * kDimensions, local);
  if (owners[i] != best) atomicAdd(changed, 1);
  owners[i] = best;
  atomicAdd(&counts[best], 1);
  for (int d = 0; d < kDimensions; ++d) {
    atomicAdd(&sums[best * kDimensions + d], static_cast<unsigned long long>(points[i * kDimensions + d]));
  }
}

__global__ void move_centres(int* centres, const unsigned long long* sums, const int* counts) {
  const int c = static_cast<int>(threadIdx.x) / kDimensions;
  if (c < kCentres && counts[c] != 0) {
    centres[threadIdx.x] = static_cast<int>(static_cast<long long>(sums[threadIdx.x]) / counts[c]);
  }
}

TEST(HipSample, ClustersAreTheHosts) {
  constexpr int kPoints = 2000;
  Pattern pattern(31);
  std::vector<int> points(kPoints * kDimensions);
  for (int i = 0; i < kPoints; ++i) {
    for (int d = 0; d < kDimensions; ++d) {
      points[i * kDimensions + d] =
          static_cast<int>(mix(static_cast<std::uint64_t>(i % kCentres * 10 + d)) % 20000) - 10000 +
          static_cast<int>(pattern.below(3000));
    }
  }
  std::vector<int> centres(points.begin(), points.begin() + kCentres * kDimensions);
  std::vector<int> owners(kPoints, -1);
  DeviceArray<int> device_points(points);
  DeviceArray<int> device_centres(centres);
  DeviceArray<int> device_owners(owners);
  DeviceArray<unsigned long long> sums(centres.size());
  DeviceArray<int> counts(kCentres);
  DeviceArray<int> changed(1);
  for (int round = 0; round < 20; ++round) {
    HIP_OK(hipMemset(sums, 0, sums.bytes()));
    HIP_OK(hipMemset(counts, 0, counts.bytes()));
    HIP_OK(hipMemset(changed, 0, changed.bytes()));
    assign<<<(kPoints + 255) / 256, 256>>>(device_points, kPoints, device_centres, device_owners, sums, counts, changed);
    move_centres<<<1, 64>>>(device_centres, sums, counts);

    std::vector<long long> host_sums(centres.size());
    std::vector<int> host_counts(kCentres);
    int host_changed = 0;
    for (int i = 0; i < kPoints; ++i) {
      const int best = nearest(&points[i * kDimensions], centres.data());
      host_changed += owners[i] != best;
      owners[i] = best;
      ++host_counts[best];
      for (int d = 0; d < kDimensions; ++d) host_sums[best * kDimensions + d] += points[i * kDimensions + d];
    }
    for (unsigned k = 0; k < centres.size(); ++k) {
      const int count = host_counts[k / kDimensions];
      if (count != 0) centres[k] = static_cast<int>(host_sums[k] / count);
    }
    const int device_changed = changed.read()[0];
    ASSERT_EQ(device_changed, host_changed) << "round " << round;
    if (device_changed == 0) break;
  }
  KERNELS_OK();
  expect_same(device_owners.read(), owners);
  expect_same(device_centres.read(), centres);
}

}  // namespace
}  // namespace kfdlab
