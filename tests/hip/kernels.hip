// SPDX-License-Identifier: MIT
#include "tests/hip/kernels.h"

#include <hip/hip_runtime.h>

namespace kfdlab {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kMostBlocks = 256;  // of a kernel whose threads stride over its words

// pattern_word() of tests/support/pattern.h.
__device__ std::uint64_t pattern_at(std::uint64_t address, std::uint64_t seed) {
  const std::uint64_t mixed = (address ^ (seed << 48) ^ seed) * 0x9e3779b97f4a7c15u;
  return mixed ^ (mixed >> 32);
}

__device__ std::size_t thread_index() { return std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; }
__device__ std::size_t thread_count() { return std::size_t{gridDim.x} * blockDim.x; }

template <typename T>
__device__ T load_system(const T* address) {
  return __hip_atomic_load(address, __ATOMIC_ACQUIRE, __HIP_MEMORY_SCOPE_SYSTEM);
}
template <typename T>
__device__ void store_system(T* address, T value) {
  __hip_atomic_store(address, value, __ATOMIC_RELEASE, __HIP_MEMORY_SCOPE_SYSTEM);
}
__device__ void add_system(std::uint64_t* address, std::uint64_t value) {
  __hip_atomic_fetch_add(address, value, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_SYSTEM);
}

__global__ void fill(std::uint64_t* words, std::size_t count, std::uint64_t address, std::uint64_t seed) {
  for (std::size_t i = thread_index(); i < count; i += thread_count()) {
    words[i] = pattern_at(address + i * kWord, seed);
  }
}

__global__ void check(const std::uint64_t* words, std::size_t count, std::uint64_t address, std::uint64_t seed,
                      std::uint64_t* wrong) {
  std::uint64_t found = 0;
  for (std::size_t i = thread_index(); i < count; i += thread_count()) {
    found += words[i] != pattern_at(address + i * kWord, seed);
  }
  if (found != 0) {
    add_system(wrong, found);
  }
}

__global__ void reseed(std::uint64_t* words, std::size_t count, std::size_t stride, std::uint64_t address,
                       std::uint64_t from, std::uint64_t to, std::uint64_t* wrong) {
  std::uint64_t found = 0;
  for (std::size_t i = thread_index(); i < count; i += thread_count()) {
    std::uint64_t* word = words + i * stride;
    const std::uint64_t at = address + i * stride * kWord;
    found += *word != pattern_at(at, from);
    *word = pattern_at(at, to);
  }
  if (found != 0) {
    add_system(wrong, found);
  }
}

__global__ void reseed_until(std::uint64_t* words, std::size_t count, std::uint64_t from, const std::uint32_t* stop,
                             std::uint64_t* wrong, std::uint32_t* rounds) {
  __shared__ bool ends;
  const auto address = reinterpret_cast<std::uint64_t>(words);
  std::uint64_t found = 0;
  for (std::uint32_t round = 0;; ++round) {
    for (std::size_t i = threadIdx.x; i < count; i += blockDim.x) {
      const std::uint64_t at = address + i * kWord;
      volatile std::uint64_t* word = words + i;
      found += *word != pattern_at(at, from + round);
      *word = pattern_at(at, from + round + 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      ends = load_system(stop) != 0;
      store_system(rounds, round + 1);
    }
    __syncthreads();
    if (ends) {
      break;
    }
  }
  if (found != 0) {
    add_system(wrong, found);
  }
}

__global__ void wait_for(std::uint32_t* started, const std::uint32_t* stop) {
  if (threadIdx.x == 0) {
    store_system(started, 1u);
    while (load_system(stop) == 0) {
      __builtin_amdgcn_s_sleep(8);
    }
  }
}

__global__ void endless(std::uint32_t* started) {
  store_system(started, 1u);
  while (true) {
    __builtin_amdgcn_s_sleep(1);
  }
}

__global__ void add(std::uint32_t* counter, unsigned threads, unsigned times) {
  if (thread_index() < threads) {
    for (unsigned i = 0; i < times; ++i) {
      __hip_atomic_fetch_add(counter, 1u, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_SYSTEM);
    }
  }
}

__global__ void add_by_cas(std::uint32_t* counter, unsigned threads, unsigned times) {
  if (thread_index() < threads) {
    for (unsigned i = 0; i < times; ++i) {
      std::uint32_t seen = load_system(counter);
      while (!__hip_atomic_compare_exchange_strong(counter, &seen, seen + 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED,
                                                   __HIP_MEMORY_SCOPE_SYSTEM)) {
      }
    }
  }
}

__global__ void answer(std::uint32_t* box, unsigned turns) {
  if (threadIdx.x == 0) {
    for (unsigned turn = 0; turn < turns; ++turn) {
      while (load_system(box) != 2 * turn) {
        __builtin_amdgcn_s_sleep(1);
      }
      store_system(box, 2 * turn + 1);
    }
  }
}

__global__ void append(std::uint32_t* log, std::uint32_t* used, std::uint32_t id, unsigned iterations) {
  if (threadIdx.x == 0) {
    std::uint32_t value = id;
    for (unsigned i = 0; i < iterations; ++i) {
      value = value * 1664525u + 1013904223u;
      asm volatile("" : "+v"(value));
    }
    const std::uint32_t at = __hip_atomic_fetch_add(used, 1u, __ATOMIC_ACQ_REL, __HIP_MEMORY_SCOPE_SYSTEM);
    store_system(log + at, iterations != 0 && value == 0 ? id + 0 : id);
  }
}

__global__ void load(const std::uint64_t* address, std::uint64_t* result) {
  if (threadIdx.x == 0) {
    *result = *static_cast<const volatile std::uint64_t*>(address);
  }
}

__global__ void store(std::uint64_t* address, std::uint64_t value) {
  if (threadIdx.x == 0) {
    *static_cast<volatile std::uint64_t*>(address) = value;
  }
}

__global__ void jump(const void* address) {
  asm volatile("s_setpc_b64 %0" ::"s"(address));
}

__global__ void count_threads(std::uint64_t* count) {
  const std::uint64_t active = __popcll(__ballot(1));
  if (__lane_id() == 0) {
    add_system(count, active);
  }
}

unsigned blocks_for(std::size_t count) {
  const std::size_t blocks = (count + kBlockSize - 1) / kBlockSize;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks < kMostBlocks ? blocks : kMostBlocks);
}

template <typename T>
T* as(void* pointer) {
  return static_cast<T*>(pointer);
}

}  // namespace

hipError_t launch_fill(void* words, std::size_t count, std::uint64_t address, std::uint64_t seed, hipStream_t stream) {
  fill<<<blocks_for(count), kBlockSize, 0, stream>>>(as<std::uint64_t>(words), count, address, seed);
  return hipGetLastError();
}

hipError_t launch_check(const void* words, std::size_t count, std::uint64_t address, std::uint64_t seed,
                        std::uint64_t* wrong, hipStream_t stream) {
  check<<<blocks_for(count), kBlockSize, 0, stream>>>(static_cast<const std::uint64_t*>(words), count, address, seed,
                                                      wrong);
  return hipGetLastError();
}

hipError_t launch_reseed(void* words, std::size_t count, std::uint64_t address, std::uint64_t from, std::uint64_t to,
                         std::uint64_t* wrong, hipStream_t stream) {
  reseed<<<blocks_for(count), kBlockSize, 0, stream>>>(as<std::uint64_t>(words), count, 1, address, from, to, wrong);
  return hipGetLastError();
}

hipError_t launch_reseed_strided(void* start, std::size_t bytes, std::size_t stride, std::uint64_t from,
                                 std::uint64_t to, std::uint64_t* wrong, hipStream_t stream) {
  const std::size_t count = bytes / stride;
  reseed<<<blocks_for(count), kBlockSize, 0, stream>>>(as<std::uint64_t>(start), count, stride / kWord,
                                                       reinterpret_cast<std::uint64_t>(start), from, to, wrong);
  return hipGetLastError();
}

hipError_t launch_reseed_until(void* words, std::size_t count, std::uint64_t from, const std::uint32_t* stop,
                               std::uint64_t* wrong, std::uint32_t* rounds, hipStream_t stream) {
  reseed_until<<<1, kBlockSize, 0, stream>>>(as<std::uint64_t>(words), count, from, stop, wrong, rounds);
  return hipGetLastError();
}

hipError_t launch_wait(std::uint32_t* started, const std::uint32_t* stop, hipStream_t stream) {
  wait_for<<<1, 64, 0, stream>>>(started, stop);
  return hipGetLastError();
}

hipError_t launch_endless(std::uint32_t* started, unsigned blocks, hipStream_t stream) {
  endless<<<blocks, 64, 0, stream>>>(started);
  return hipGetLastError();
}

hipError_t launch_add(std::uint32_t* counter, unsigned threads, unsigned times, hipStream_t stream) {
  add<<<blocks_for(threads), kBlockSize, 0, stream>>>(counter, threads, times);
  return hipGetLastError();
}

hipError_t launch_add_by_cas(std::uint32_t* counter, unsigned threads, unsigned times, hipStream_t stream) {
  add_by_cas<<<blocks_for(threads), kBlockSize, 0, stream>>>(counter, threads, times);
  return hipGetLastError();
}

hipError_t launch_answer(std::uint32_t* box, unsigned turns, hipStream_t stream) {
  answer<<<1, 64, 0, stream>>>(box, turns);
  return hipGetLastError();
}

hipError_t launch_append(std::uint32_t* log, std::uint32_t* used, std::uint32_t id, hipStream_t stream) {
  return launch_slow_append(log, used, id, 0, stream);
}

hipError_t launch_slow_append(std::uint32_t* log, std::uint32_t* used, std::uint32_t id, unsigned iterations,
                              hipStream_t stream) {
  append<<<1, 64, 0, stream>>>(log, used, id, iterations);
  return hipGetLastError();
}

hipError_t launch_load(const void* address, std::uint64_t* result, hipStream_t stream) {
  load<<<1, 64, 0, stream>>>(static_cast<const std::uint64_t*>(address), result);
  return hipGetLastError();
}

hipError_t launch_store(void* address, std::uint64_t value, hipStream_t stream) {
  store<<<1, 64, 0, stream>>>(as<std::uint64_t>(address), value);
  return hipGetLastError();
}

hipError_t launch_jump(const void* address, hipStream_t stream) {
  jump<<<1, 64, 0, stream>>>(address);
  return hipGetLastError();
}

hipError_t launch_count_threads(std::uint64_t* count, unsigned blocks, unsigned threads, hipStream_t stream) {
  count_threads<<<blocks, threads, 0, stream>>>(count);
  return hipGetLastError();
}

}  // namespace kfdlab
