// SPDX-License-Identifier: MIT
// Memory of a workgroup (LDS) and its barriers: static and dynamic arrays, every width, all shapes of workgroups.
#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr int kMaxThreads = 1024;

__device__ unsigned flat_thread() {
  return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}
__device__ unsigned flat_block() { return blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z); }
__device__ unsigned threads_per_block() { return blockDim.x * blockDim.y * blockDim.z; }

// Every thread stores, all meet, every thread reads what another one stored.
template <typename T>
__global__ void reverse_static(const T* in, T* out) {
  __shared__ T tile[kMaxThreads];
  const unsigned n = threads_per_block();
  const unsigned i = flat_thread();
  const unsigned base = flat_block() * n;
  tile[i] = in[base + i];
  __syncthreads();
  out[base + i] = tile[n - 1 - i];
}

template <typename T>
__global__ void reverse_dynamic(const T* in, T* out) {
  extern __shared__ __align__(16) unsigned char raw[];
  T* tile = reinterpret_cast<T*>(raw);
  const unsigned n = threads_per_block();
  const unsigned i = flat_thread();
  const unsigned base = flat_block() * n;
  tile[n - 1 - i] = in[base + i];
  __syncthreads();
  out[base + i] = tile[i];
}

template <typename T>
void check_reverse(dim3 grid, dim3 block, bool dynamic) {
  const unsigned threads = block.x * block.y * block.z;
  const unsigned blocks = grid.x * grid.y * grid.z;
  const auto values = random_values<T>(std::size_t{threads} * blocks, 7 + threads);
  DeviceArray<T> in(values);
  DeviceArray<T> out(values.size());
  ASSERT_TRUE(in.ok() && out.ok());
  if (dynamic) {
    reverse_dynamic<T><<<grid, block, threads * sizeof(T)>>>(in, out);
  } else {
    reverse_static<T><<<grid, block>>>(in, out);
  }
  KERNELS_OK();
  std::vector<T> wanted(values.size());
  for (unsigned b = 0; b < blocks; ++b) {
    for (unsigned i = 0; i < threads; ++i) wanted[b * threads + i] = values[b * threads + threads - 1 - i];
  }
  expect_same(out.read(), wanted,
              "block " + std::to_string(block.x) + "x" + std::to_string(block.y) + "x" + std::to_string(block.z));
}

const dim3 kBlocks[] = {dim3(1),          dim3(2),         dim3(63),        dim3(64),      dim3(65),
                        dim3(127),        dim3(1000),      dim3(1024),      dim3(8, 8),    dim3(3, 5, 7),
                        dim3(1, 1, 1024), dim3(1, 1023),   dim3(4, 4, 4),   dim3(33, 31),  dim3(2, 256, 2)};

TEST(HipLds, StaticArrayIsSharedByWorkgroupsOfEveryShape) {
  for (const dim3& block : kBlocks) check_reverse<std::uint32_t>(dim3(3), block, false);
}

TEST(HipLds, DynamicArrayIsSharedByWorkgroupsOfEveryShape) {
  for (const dim3& block : kBlocks) check_reverse<std::uint32_t>(dim3(2, 3, 2), block, true);
}

TEST(HipLds, ElementsOfEveryWidthAreKept) {
  check_reverse<std::uint8_t>(dim3(2), dim3(250), false);
  check_reverse<std::int16_t>(dim3(2), dim3(250), true);
  check_reverse<float>(dim3(2), dim3(250), false);
  check_reverse<double>(dim3(2), dim3(250), true);
  check_reverse<std::int64_t>(dim3(2), dim3(250), false);
}

struct alignas(16) Quad {
  std::uint32_t part[4];
};

__global__ void rotate_quads(const Quad* in, Quad* out) {
  __shared__ Quad tile[256];
  tile[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  Quad mine = tile[(threadIdx.x + 77) % blockDim.x];
  mine.part[1] ^= tile[(threadIdx.x + 5) % blockDim.x].part[2];
  out[threadIdx.x] = mine;
}

TEST(HipLds, SixteenByteElementsAreKept) {
  const auto words = random_values<std::uint32_t>(1024, 11);
  std::vector<Quad> values(256);
  std::memcpy(values.data(), words.data(), sizeof(Quad) * values.size());
  DeviceArray<Quad> in(values);
  DeviceArray<Quad> out(values.size());
  rotate_quads<<<1, 256>>>(in, out);
  KERNELS_OK();
  const auto found = out.read();
  for (unsigned i = 0; i < 256; ++i) {
    Quad wanted = values[(i + 77) % 256];
    wanted.part[1] ^= values[(i + 5) % 256].part[2];
    ASSERT_EQ(std::memcmp(&found[i], &wanted, sizeof(Quad)), 0) << i;
  }
}

__global__ void unaligned_bytes(const unsigned char* in, unsigned char* out, unsigned bytes) {
  __shared__ unsigned char tile[2048];
  for (unsigned i = threadIdx.x; i < bytes; i += blockDim.x) tile[i] = in[i];
  __syncthreads();
  std::uint64_t value;
  __builtin_memcpy(&value, tile + threadIdx.x * 7 + 1, sizeof(value));
  __builtin_memcpy(out + threadIdx.x * 8, &value, sizeof(value));
}

TEST(HipLds, UnalignedReadsSeeTheRightBytes) {
  const auto values = random_values<unsigned char>(2048, 3);
  DeviceArray<unsigned char> in(values);
  DeviceArray<unsigned char> out(256 * 8);
  unaligned_bytes<<<1, 256>>>(in, out, 2048);
  KERNELS_OK();
  std::vector<unsigned char> wanted(out.size());
  for (unsigned t = 0; t < 256; ++t) std::memcpy(&wanted[t * 8], &values[t * 7 + 1], 8);
  expect_same(out.read(), wanted);
}

// All 64 KiB of a compute unit in one workgroup, every word through a distant thread.
__global__ void permute_words(const std::uint32_t* in, std::uint32_t* out) {
  extern __shared__ __align__(16) unsigned char raw[];
  std::uint32_t* words = reinterpret_cast<std::uint32_t*>(raw);
  for (unsigned i = threadIdx.x; i < 16384; i += blockDim.x) words[(i * 4099) & 16383] = in[i];
  __syncthreads();
  for (unsigned i = threadIdx.x; i < 16384; i += blockDim.x) out[i] = words[i];
}

TEST(HipLds, AWorkgroupMayUseSixtyFourKilobytes) {
  const auto values = random_values<std::uint32_t>(16384, 5);
  DeviceArray<std::uint32_t> in(values);
  DeviceArray<std::uint32_t> out(values.size());
  permute_words<<<1, 1024, 65536>>>(in, out);
  KERNELS_OK();
  std::vector<std::uint32_t> wanted(values.size());
  for (unsigned i = 0; i < 16384; ++i) wanted[(i * 4099) & 16383] = values[i];
  expect_same(out.read(), wanted);
}

TEST(HipLds, MoreThanSixtyFourKilobytesAreRefused) {
  DeviceArray<std::uint64_t> data(1024);
  reverse_dynamic<std::uint64_t><<<1, 1024, 65536 + 512>>>(data, data);
  EXPECT_NE(hipGetLastError(), hipSuccess);
  HIP_OK(hipDeviceSynchronize());
}

__global__ void predicate_barriers(const int* flags, int* out) {
  const unsigned n = blockDim.x;
  const unsigned i = blockIdx.x * n + threadIdx.x;
  const int flag = flags[i];
  const int count = __syncthreads_count(flag);
  const int all = __syncthreads_and(flag);
  const int any = __syncthreads_or(flag);
  out[i * 3] = count;
  out[i * 3 + 1] = all != 0;
  out[i * 3 + 2] = any != 0;
}

TEST(HipLds, BarriersWithPredicatesCountAndCombine) {
  for (const unsigned n : {1U, 63U, 64U, 65U, 256U, 1000U}) {
    constexpr unsigned kGrid = 4;
    std::vector<int> flags(kGrid * n);
    Pattern pattern(n);
    for (unsigned i = 0; i < flags.size(); ++i) {
      const unsigned block = i / n;
      flags[i] = block == 0 ? 0 : block == 1 ? 5 : static_cast<int>(pattern.below(2));
    }
    DeviceArray<int> in(flags);
    DeviceArray<int> out(flags.size() * 3);
    predicate_barriers<<<kGrid, n>>>(in, out);
    KERNELS_OK();
    std::vector<int> wanted(out.size());
    for (unsigned b = 0; b < kGrid; ++b) {
      int count = 0;
      for (unsigned i = 0; i < n; ++i) count += flags[b * n + i] != 0;
      for (unsigned i = 0; i < n; ++i) {
        wanted[(b * n + i) * 3] = count;
        wanted[(b * n + i) * 3 + 1] = count == static_cast<int>(n);
        wanted[(b * n + i) * 3 + 2] = count != 0;
      }
    }
    expect_same(out.read(), wanted, "block of " + std::to_string(n));
  }
}

// Waves that leave early must not hold up the barrier of the others.
__global__ void early_leave(unsigned* out, unsigned keep) {
  __shared__ unsigned tile[kMaxThreads];
  tile[threadIdx.x] = 0;
  __syncthreads();
  if (threadIdx.x >= keep) return;
  tile[threadIdx.x] = threadIdx.x * 3 + blockIdx.x;
  __syncthreads();
  out[blockIdx.x * keep + threadIdx.x] = tile[keep - 1 - threadIdx.x];
}

TEST(HipLds, WavesThatEndedAreNotWaitedFor) {
  for (const unsigned keep : {64U, 128U, 448U}) {
    DeviceArray<unsigned> out(keep * 5);
    early_leave<<<5, 512>>>(out, keep);
    KERNELS_OK();
    std::vector<unsigned> wanted(out.size());
    for (unsigned b = 0; b < 5; ++b) {
      for (unsigned i = 0; i < keep; ++i) wanted[b * keep + i] = (keep - 1 - i) * 3 + b;
    }
    expect_same(out.read(), wanted, "keeping " + std::to_string(keep));
  }
}

// Many barriers in a row: a tree reduction per step of an outer loop.
__global__ void repeated_sums(const std::uint32_t* in, std::uint64_t* out, int rounds) {
  __shared__ std::uint64_t sums[256];
  std::uint64_t total = 0;
  for (int round = 0; round < rounds; ++round) {
    sums[threadIdx.x] = in[(threadIdx.x * 13 + round * 7) & 255];
    __syncthreads();
    for (unsigned half = 128; half != 0; half >>= 1) {
      if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half] ^ round;
      __syncthreads();
    }
    total += sums[0];
    __syncthreads();
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = total + threadIdx.x;
}

TEST(HipLds, HundredsOfBarriersKeepTheirOrder) {
  constexpr int kRounds = 50;
  const auto values = random_values<std::uint32_t>(256, 23);
  DeviceArray<std::uint32_t> in(values);
  DeviceArray<std::uint64_t> out(3 * 256);
  repeated_sums<<<3, 256>>>(in, out, kRounds);
  KERNELS_OK();
  std::uint64_t total = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::uint64_t> sums(256);
    for (unsigned i = 0; i < 256; ++i) sums[i] = values[(i * 13 + static_cast<unsigned>(round) * 7) & 255];
    for (unsigned half = 128; half != 0; half >>= 1) {
      for (unsigned i = 0; i < half; ++i) sums[i] += sums[i + half] ^ static_cast<std::uint64_t>(round);
    }
    total += sums[0];
  }
  std::vector<std::uint64_t> wanted(out.size());
  for (unsigned i = 0; i < wanted.size(); ++i) wanted[i] = total + i % 256;
  expect_same(out.read(), wanted);
}

// A pointer that is known to be LDS only at run time goes through the flat aperture.
__device__ __noinline__ std::uint32_t sum_through(const std::uint32_t* data, unsigned n) {
  std::uint32_t sum = 0;
  for (unsigned i = 0; i < n; ++i) sum = sum * 31 + data[i];
  return sum;
}

__global__ void through_generic_pointers(const std::uint32_t* in, std::uint32_t* out, unsigned n) {
  __shared__ std::uint32_t tile[64];
  std::uint32_t mine[16];
  if (threadIdx.x < 64) tile[threadIdx.x] = in[threadIdx.x] ^ 0x5555U;
  __syncthreads();
  for (unsigned i = 0; i < 16; ++i) mine[i] = in[(threadIdx.x + i) % n];
  const std::uint32_t* chosen = threadIdx.x % 3 == 0 ? in : threadIdx.x % 3 == 1 ? tile : mine;
  out[threadIdx.x] = sum_through(chosen, 16);
}

TEST(HipLds, GenericPointersReachMemoryLdsAndScratch) {
  const auto values = random_values<std::uint32_t>(192, 31);
  DeviceArray<std::uint32_t> in(values);
  DeviceArray<std::uint32_t> out(192);
  through_generic_pointers<<<1, 192>>>(in, out, 192);
  KERNELS_OK();
  std::vector<std::uint32_t> wanted(192);
  for (unsigned t = 0; t < 192; ++t) {
    std::uint32_t sum = 0;
    for (unsigned i = 0; i < 16; ++i) {
      const std::uint32_t value =
          t % 3 == 0 ? values[i] : t % 3 == 1 ? values[i] ^ 0x5555U : values[(t + i) % 192];
      sum = sum * 31 + value;
    }
    wanted[t] = sum;
  }
  expect_same(out.read(), wanted);
}

}  // namespace
}  // namespace kfdlab
