// SPDX-License-Identifier: MIT
// Atomics of every type and scope, in VRAM and in LDS. Results that depend on no order are compared exactly; what an
// atomic returns is checked by sets, because lanes may arrive in any order.
#include <algorithm>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kBlocks = 8;
constexpr unsigned kCells = 37;  // threads collide within and between waves

enum class Kind { Add, Sub, Min, Max, And, Or, Xor };

template <typename T>
__device__ void apply(Kind kind, T* cell, T value) {
  switch (kind) {
    case Kind::Add: atomicAdd(cell, value); break;
    case Kind::Sub: if constexpr (std::is_same_v<T, int> || std::is_same_v<T, unsigned>) atomicSub(cell, value); break;
    case Kind::Min: if constexpr (!std::is_same_v<T, float> && !std::is_same_v<T, double>) atomicMin(cell, value); break;
    case Kind::Max: if constexpr (!std::is_same_v<T, float> && !std::is_same_v<T, double>) atomicMax(cell, value); break;
    case Kind::And: if constexpr (std::is_integral_v<T>) atomicAnd(cell, value); break;
    case Kind::Or: if constexpr (std::is_integral_v<T>) atomicOr(cell, value); break;
    case Kind::Xor: if constexpr (std::is_integral_v<T>) atomicXor(cell, value); break;
  }
}

template <typename T>
T applied(Kind kind, T cell, T value) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    switch (kind) {
      case Kind::Add: return static_cast<T>(static_cast<U>(cell) + static_cast<U>(value));
      case Kind::Sub: return static_cast<T>(static_cast<U>(cell) - static_cast<U>(value));
      case Kind::Min: return std::min(cell, value);
      case Kind::Max: return std::max(cell, value);
      case Kind::And: return cell & value;
      case Kind::Or: return cell | value;
      default: return cell ^ value;
    }
  }
  return cell + value;
}

template <typename T>
__global__ void in_memory(Kind kind, const T* in, T* cells) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  apply(kind, &cells[(i * 7 + blockIdx.x) % kCells], in[i]);
}

template <typename T>
__global__ void in_lds(Kind kind, const T* in, T* cells) {
  __shared__ T tile[kCells];
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (threadIdx.x < kCells) tile[threadIdx.x] = cells[blockIdx.x * kCells + threadIdx.x];
  __syncthreads();
  apply(kind, &tile[(i * 7 + blockIdx.x) % kCells], in[i]);
  __syncthreads();
  if (threadIdx.x < kCells) cells[blockIdx.x * kCells + threadIdx.x] = tile[threadIdx.x];
}

// Small whole numbers, so that sums of floats do not depend on the order.
template <typename T>
std::vector<T> operands(std::size_t count, std::uint64_t seed) {
  if constexpr (std::is_integral_v<T>) return random_values<T>(count, seed);
  std::vector<T> values(count);
  Pattern pattern(seed);
  for (T& value : values) value = static_cast<T>(static_cast<int>(pattern.below(2001)) - 1000);
  return values;
}

template <typename T>
void check(Kind kind) {
  SCOPED_TRACE("operation " + std::to_string(static_cast<int>(kind)));
  const auto values = operands<T>(kThreads * kBlocks, 71);
  const auto start = operands<T>(kCells * kBlocks, 73);
  DeviceArray<T> in(values);
  DeviceArray<T> cells(std::vector<T>(start.begin(), start.begin() + kCells));
  DeviceArray<T> block_cells(start);
  in_memory<T><<<kBlocks, kThreads>>>(kind, in, cells);
  in_lds<T><<<kBlocks, kThreads>>>(kind, in, block_cells);
  KERNELS_OK();
  std::vector<T> wanted(start.begin(), start.begin() + kCells);
  std::vector<T> wanted_blocks = start;
  for (unsigned i = 0; i < values.size(); ++i) {
    const unsigned block = i / kThreads;
    const unsigned cell = (i * 7 + block) % kCells;
    wanted[cell] = applied(kind, wanted[cell], values[i]);
    T& other = wanted_blocks[block * kCells + cell];
    other = applied(kind, other, values[i]);
  }
  expect_same(cells.read(), wanted, "memory");
  expect_same(block_cells.read(), wanted_blocks, "LDS");
}

TEST(HipComputeAtomic, IntegersOfThirtyTwoBits) {
  for (const Kind kind : {Kind::Add, Kind::Sub, Kind::Min, Kind::Max, Kind::And, Kind::Or, Kind::Xor}) {
    check<int>(kind);
    check<unsigned>(kind);
  }
}

TEST(HipComputeAtomic, IntegersOfSixtyFourBits) {
  for (const Kind kind : {Kind::Add, Kind::Min, Kind::Max, Kind::And, Kind::Or, Kind::Xor}) {
    check<unsigned long long>(kind);
  }
}

TEST(HipComputeAtomic, SinglesAreAdded) { check<float>(Kind::Add); }
TEST(HipComputeAtomic, DoublesAreAdded) { check<double>(Kind::Add); }

// Additions of one hand out every number once.
__global__ void tickets(unsigned* counter, unsigned* out, unsigned* lds_out) {
  __shared__ unsigned local;
  if (threadIdx.x == 0) local = 0;
  __syncthreads();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = atomicAdd(counter, 1U);
  lds_out[i] = atomicAdd(&local, 1U);
}

TEST(HipComputeAtomic, AdditionsReturnEveryValueOnce) {
  DeviceArray<unsigned> counter(1);
  DeviceArray<unsigned> out(1000 * 5);
  DeviceArray<unsigned> lds_out(out.size());
  tickets<<<5, 1000>>>(counter, out, lds_out);
  KERNELS_OK();
  auto found = out.read();
  std::sort(found.begin(), found.end());
  std::vector<unsigned> wanted(out.size());
  for (unsigned i = 0; i < wanted.size(); ++i) wanted[i] = i;
  expect_same(found, wanted, "memory");
  auto found_local = lds_out.read();
  for (unsigned b = 0; b < 5; ++b) std::sort(found_local.begin() + b * 1000, found_local.begin() + (b + 1) * 1000);
  for (unsigned i = 0; i < wanted.size(); ++i) wanted[i] = i % 1000;
  expect_same(found_local, wanted, "LDS");
}

__global__ void wrapping(unsigned* cells) {
  atomicInc(&cells[0], 16);
  atomicDec(&cells[1], 20);
}

TEST(HipComputeAtomic, IncrementsAndDecrementsWrap) {
  DeviceArray<unsigned> cells(std::vector<unsigned>{0, 20});
  wrapping<<<3, 100>>>(cells);
  KERNELS_OK();
  expect_same(cells.read(), {300 % 17, 20 - 300 % 21});
}

__global__ void exchanges(unsigned long long* wide, unsigned* narrow, float* single, unsigned long long* seen) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  seen[i * 3] = atomicExch(wide, (1ULL << 40) + i);
  seen[i * 3 + 1] = atomicExch(narrow, i + 1);
  seen[i * 3 + 2] = static_cast<unsigned long long>(atomicExch(single, static_cast<float>(i + 1)));
}

TEST(HipComputeAtomic, ExchangesLoseNoValue) {
  constexpr unsigned kCount = 300;
  DeviceArray<unsigned long long> wide(1);
  DeviceArray<unsigned> narrow(1);
  DeviceArray<float> single(1);
  DeviceArray<unsigned long long> seen(kCount * 3);
  exchanges<<<3, 100>>>(wide, narrow, single, seen);
  KERNELS_OK();
  const auto values = seen.read();
  std::vector<unsigned long long> found[3];
  for (unsigned i = 0; i < kCount; ++i) {
    for (unsigned k = 0; k < 3; ++k) found[k].push_back(values[i * 3 + k]);
  }
  found[0].push_back(wide.read()[0]);
  found[1].push_back(narrow.read()[0]);
  found[2].push_back(static_cast<unsigned long long>(single.read()[0]));
  for (unsigned k = 0; k < 3; ++k) {
    std::vector<unsigned long long> wanted = {0};
    for (unsigned i = 0; i < kCount; ++i) wanted.push_back(k == 0 ? (1ULL << 40) + i : i + 1);
    std::sort(found[k].begin(), found[k].end());
    expect_same(found[k], wanted, "kind " + std::to_string(k));
  }
}

// A sum by compare-and-swap: loops until each lane won.
__global__ void cas_sums(const std::uint32_t* in, unsigned* narrow, unsigned long long* wide) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned seen = *narrow;
  for (unsigned before = ~seen; seen != before;) {
    before = seen;
    seen = atomicCAS(narrow, before, before * 1U + in[i]);
  }
  unsigned long long wide_seen = wide[i % 3];
  for (unsigned long long before = ~wide_seen; wide_seen != before;) {
    before = wide_seen;
    wide_seen = atomicCAS(&wide[i % 3], before, before + in[i] * 0x100000001ULL);
  }
}

TEST(HipComputeAtomic, CompareAndSwapLoopsEnd) {
  const auto values = random_values<std::uint32_t>(600, 79);
  DeviceArray<std::uint32_t> in(values);
  DeviceArray<unsigned> narrow(1);
  DeviceArray<unsigned long long> wide(3);
  cas_sums<<<3, 200>>>(in, narrow, wide);
  KERNELS_OK();
  unsigned sum = 0;
  std::vector<unsigned long long> sums(3);
  for (unsigned i = 0; i < 600; ++i) {
    sum += values[i];
    sums[i % 3] += values[i] * 0x100000001ULL;
  }
  expect_same(narrow.read(), {sum});
  expect_same(wide.read(), sums);
}

// A lock taken by one lane of each wave; whoever holds it updates two plain words.
__global__ void locked_updates(unsigned* lock, volatile unsigned* words) {
  if (threadIdx.x % warpSize != 0) return;
  bool done = false;
  while (!done) {
    if (atomicCAS(lock, 0U, 1U) == 0U) {
      __threadfence();
      words[0] = words[0] + 1;
      words[1] = words[1] + words[0];
      __threadfence();
      atomicExch(lock, 0U);
      done = true;
    }
  }
}

TEST(HipComputeAtomic, ASpinLockExcludesOtherWaves) {
  DeviceArray<unsigned> lock(1);
  DeviceArray<unsigned> words(2);
  locked_updates<<<20, 256>>>(lock, words);
  KERNELS_OK();
  expect_same(words.read(), {80, 80 * 81 / 2});
}

__global__ void system_scope(int* i, unsigned long long* u, float* f, double* d) {
  atomicAdd_system(i, 3);
  atomicAdd_system(u, 5ULL);
  atomicAdd_system(f, 1.0F);
  atomicAdd_system(d, 2.0);
  atomicMax_system(i + 1, static_cast<int>(threadIdx.x));
  atomicOr_system(i + 2, 1 << (threadIdx.x & 31));
}

struct SystemCells {
  int i[4];
  unsigned long long u;
  double d;
  float f;
};

TEST(HipComputeAtomic, SystemScopeReachesHostMemory) {
  SystemCells* host = nullptr;
  HIP_OK(hipHostMalloc(reinterpret_cast<void**>(&host), sizeof(SystemCells), hipHostMallocCoherent));
  std::memset(host, 0, sizeof(*host));
  SystemCells* cells = nullptr;
  HIP_OK(hipHostGetDevicePointer(reinterpret_cast<void**>(&cells), host, 0));
  system_scope<<<4, 100>>>(cells->i, &cells->u, &cells->f, &cells->d);
  KERNELS_OK();
  EXPECT_EQ(host->i[0], 1200);
  EXPECT_EQ(host->i[1], 99);
  EXPECT_EQ(host->i[2], -1);
  EXPECT_EQ(host->u, 2000U);
  EXPECT_EQ(host->f, 400.0F);
  EXPECT_EQ(host->d, 800.0);
  HIP_OK(hipHostFree(host));
}

// Scopes and orders written out, on memory and LDS.
__global__ void scoped(unsigned* cells, unsigned* failures) {
  __shared__ unsigned tile[2];
  if (threadIdx.x < 2) tile[threadIdx.x] = 0;
  __syncthreads();
  __hip_atomic_fetch_add(&cells[0], 2U, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
  __hip_atomic_fetch_add(&cells[1], 1U, __ATOMIC_ACQ_REL, __HIP_MEMORY_SCOPE_SYSTEM);
  __hip_atomic_fetch_xor(&cells[2], 1U << (threadIdx.x & 31), __ATOMIC_SEQ_CST, __HIP_MEMORY_SCOPE_SYSTEM);
  __hip_atomic_fetch_max(&tile[0], threadIdx.x, __ATOMIC_RELEASE, __HIP_MEMORY_SCOPE_WORKGROUP);
  __hip_atomic_fetch_add(&tile[1], 1U, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_WORKGROUP);
  __syncthreads();
  if (__hip_atomic_load(&tile[0], __ATOMIC_ACQUIRE, __HIP_MEMORY_SCOPE_WORKGROUP) != blockDim.x - 1) {
    atomicAdd(failures, 1U);
  }
  if (tile[1] != blockDim.x) atomicAdd(failures, 1U);
  unsigned expected = ~0U;
  if (__hip_atomic_compare_exchange_strong(&cells[3], &expected, 1U, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED,
                                           __HIP_MEMORY_SCOPE_AGENT)) {
    atomicAdd(failures, 1U);
  }
  __hip_atomic_store(&cells[4], 17U, __ATOMIC_RELEASE, __HIP_MEMORY_SCOPE_SYSTEM);
}

TEST(HipComputeAtomic, ScopesAndOrdersMayBeWrittenOut) {
  DeviceArray<unsigned> cells(std::vector<unsigned>{0, 0, 0, 9, 0});
  DeviceArray<unsigned> failures(1);
  scoped<<<6, 320>>>(cells, failures);
  KERNELS_OK();
  expect_same(failures.read(), {0U});
  expect_same(cells.read(), {6 * 320 * 2, 6 * 320, 0, 9, 17});
}

// The instructions that add floats without a loop, and keep the larger or smaller double.
__global__ void unsafe_floats(const float* in, float* single, double* wide) {
  __shared__ float local;
  if (threadIdx.x == 0) local = 0;
  __syncthreads();
  const float value = in[threadIdx.x];
  unsafeAtomicAdd(single, value);
  unsafeAtomicAdd(wide, static_cast<double>(value));
  using GlobalDouble = __attribute__((address_space(1))) double;
  using LocalFloat = __attribute__((address_space(3))) float;
  __builtin_amdgcn_global_atomic_fmax_f64((GlobalDouble*)(wide + 1), static_cast<double>(value));
  __builtin_amdgcn_global_atomic_fmin_f64((GlobalDouble*)(wide + 2), static_cast<double>(value));
  __builtin_amdgcn_ds_faddf((LocalFloat*)&local, value, 0, 0, false);
  __syncthreads();
  if (threadIdx.x == 0) single[1] = local;
}

TEST(HipComputeAtomic, HardwareAddsFloatsWithoutALoop) {
  const auto values = operands<float>(256, 83);
  DeviceArray<float> in(values);
  DeviceArray<float> single(2);
  DeviceArray<double> wide(3);
  unsafe_floats<<<1, 256>>>(in, single, wide);
  KERNELS_OK();
  float sum = 0;
  for (const float value : values) sum += value;
  expect_same(single.read(), {sum, sum});
  const double most = *std::max_element(values.begin(), values.end());
  const double least = *std::min_element(values.begin(), values.end());
  expect_same(wide.read(), {static_cast<double>(sum), most, least});
}

// Privatised histogram in LDS, merged into memory.
__global__ void histogram(const unsigned char* in, unsigned n, unsigned* bins) {
  __shared__ unsigned local[256];
  for (unsigned i = threadIdx.x; i < 256; i += blockDim.x) local[i] = 0;
  __syncthreads();
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    atomicAdd(&local[in[i]], 1U);
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < 256; i += blockDim.x) atomicAdd(&bins[i], local[i]);
}

TEST(HipComputeAtomic, AHistogramCountsEveryByte) {
  auto bytes = random_values<unsigned char>(100003, 89);
  for (std::size_t i = 0; i < bytes.size(); i += 2) bytes[i] &= 7;
  DeviceArray<unsigned char> in(bytes);
  DeviceArray<unsigned> bins(256);
  histogram<<<16, 200>>>(in, static_cast<unsigned>(bytes.size()), bins);
  KERNELS_OK();
  std::vector<unsigned> wanted(256);
  for (const unsigned char byte : bytes) ++wanted[byte];
  expect_same(bins.read(), wanted);
}

}  // namespace
}  // namespace kfdlab
