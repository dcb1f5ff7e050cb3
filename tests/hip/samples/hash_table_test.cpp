// SPDX-License-Identifier: MIT
// A hash table with open addressing that thousands of threads fill, count in and look up at once.
#include <map>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr unsigned kSlots = 8192;  // a power of two
constexpr std::uint64_t kEmpty = 0;

__device__ unsigned slot_of(std::uint64_t key) { return static_cast<unsigned>(mix(key)) & (kSlots - 1); }

__global__ void insert(const std::uint64_t* keys, unsigned n, unsigned long long* slots, unsigned* counts) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const unsigned long long key = keys[i];
  for (unsigned slot = slot_of(key);; slot = (slot + 1) & (kSlots - 1)) {
    const unsigned long long seen = atomicCAS(&slots[slot], kEmpty, key);
    if (seen == kEmpty || seen == key) {
      atomicAdd(&counts[slot], 1U);
      return;
    }
  }
}

__global__ void look_up(const std::uint64_t* keys, unsigned n, const unsigned long long* slots, const unsigned* counts,
                        unsigned* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  out[i] = 0;
  for (unsigned slot = slot_of(keys[i]); slots[slot] != kEmpty; slot = (slot + 1) & (kSlots - 1)) {
    if (slots[slot] == keys[i]) {
      out[i] = counts[slot];
      return;
    }
  }
}

TEST(HipSample, AHashTableCountsEveryKey) {
  constexpr unsigned kKeys = 9001;
  Pattern pattern(23);
  std::vector<std::uint64_t> keys(kKeys);
  for (auto& key : keys) key = mix(pattern.below(4000)) | 1;
  std::vector<std::uint64_t> asked(2000);
  for (unsigned i = 0; i < asked.size(); ++i) asked[i] = mix(i * 3) | 1;  // a part of them was never inserted
  DeviceArray<std::uint64_t> device_keys(keys);
  DeviceArray<std::uint64_t> device_asked(asked);
  DeviceArray<unsigned long long> slots(kSlots);
  DeviceArray<unsigned> counts(kSlots);
  DeviceArray<unsigned> out(asked.size());
  insert<<<(kKeys + 255) / 256, 256>>>(device_keys, kKeys, slots, counts);
  look_up<<<8, 256>>>(device_asked, static_cast<unsigned>(asked.size()), slots, counts, out);
  KERNELS_OK();
  std::map<std::uint64_t, unsigned> host;
  for (const std::uint64_t key : keys) ++host[key];
  std::vector<unsigned> wanted(asked.size());
  for (unsigned i = 0; i < asked.size(); ++i) wanted[i] = host.count(asked[i]) != 0 ? host[asked[i]] : 0;
  expect_same(out.read(), wanted);
}

}  // namespace
}  // namespace kfdlab
