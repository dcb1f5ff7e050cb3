// SPDX-License-Identifier: MIT
// The kernels of the memory tests, as functions that launch them. Each returns the launch's error and does not wait.
// Words are 8 bytes and carry the pattern of tests/support/pattern.h: what belongs at an address is a function of that
// address. `stream` nullptr is the default stream. Usable from both of the suite's compilers.
#pragma once

#include <hip/hip_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace kfdlab {

inline constexpr unsigned kBlockSize = 256;

// The pattern of `seed` as it belongs at virtual address `address` into `count` words at `words`.
hipError_t launch_fill(void* words, std::size_t count, std::uint64_t address, std::uint64_t seed, hipStream_t stream);

// Adds to *wrong how many of the words differ from the pattern.
hipError_t launch_check(const void* words, std::size_t count, std::uint64_t address, std::uint64_t seed,
                        std::uint64_t* wrong, hipStream_t stream);

// Both: each word that has the pattern of `from` gets that of `to`; *wrong counts those that had not.
hipError_t launch_reseed(void* words, std::size_t count, std::uint64_t address, std::uint64_t from, std::uint64_t to,
                         std::uint64_t* wrong, hipStream_t stream);

// Reseeds only the first word of each `stride` bytes: a fault per page costs more than its words.
hipError_t launch_reseed_strided(void* start, std::size_t bytes, std::size_t stride, std::uint64_t from,
                                 std::uint64_t to, std::uint64_t* wrong, hipStream_t stream);

// Until *stop is not 0: reseeds all words from seed `from` + n to `from` + n + 1 and then stores n + 1, the rounds done,
// to *rounds (system scope). One workgroup; at least one round.
hipError_t launch_reseed_until(void* words, std::size_t count, std::uint64_t from, const std::uint32_t* stop,
                               std::uint64_t* wrong, std::uint32_t* rounds, hipStream_t stream);

// Sets *started, then waits (system scope) until *stop is not 0. One wave.
hipError_t launch_wait(std::uint32_t* started, const std::uint32_t* stop, hipStream_t stream);

// Never ends; does not touch memory after *started was set.
hipError_t launch_endless(std::uint32_t* started, unsigned blocks, hipStream_t stream);

// Each of `threads` threads adds 1 to *counter `times` times, atomically at system scope.
hipError_t launch_add(std::uint32_t* counter, unsigned threads, unsigned times, hipStream_t stream);
// The same by compare-and-swap.
hipError_t launch_add_by_cas(std::uint32_t* counter, unsigned threads, unsigned times, hipStream_t stream);

// `turns` times: waits until *box is 2n, then stores 2n + 1. The other side answers with 2n + 2.
hipError_t launch_answer(std::uint32_t* box, unsigned turns, hipStream_t stream);

// Appends `id` to log: log[atomic ++*used] = id.
hipError_t launch_append(std::uint32_t* log, std::uint32_t* used, std::uint32_t id, hipStream_t stream);
// Spins for about `iterations` rounds of arithmetic first.
hipError_t launch_slow_append(std::uint32_t* log, std::uint32_t* used, std::uint32_t id, unsigned iterations,
                              hipStream_t stream);

// One lane: *result = *address; *address = value; call what lies at `address`.
hipError_t launch_load(const void* address, std::uint64_t* result, hipStream_t stream);
hipError_t launch_store(void* address, std::uint64_t value, hipStream_t stream);
hipError_t launch_jump(const void* address, hipStream_t stream);

// *count gets the number of threads of a grid of `blocks` blocks of `threads` threads.
hipError_t launch_count_threads(std::uint64_t* count, unsigned blocks, unsigned threads, hipStream_t stream);

}  // namespace kfdlab
