// SPDX-License-Identifier: MIT
// Access to words of memory shared with a guest. Every such word is read or written whole and through an atomic
// reference: the other side changes it at any time, so a value is read once into a local before it is judged.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

namespace kfdlab::device {

static_assert(std::endian::native == std::endian::little, "the register pages are little-endian");
static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free, "the other side does not know our locks");

template <typename T>
[[nodiscard]] inline T load_relaxed(T& word) {
  return std::atomic_ref<T>(word).load(std::memory_order_relaxed);
}

template <typename T>
[[nodiscard]] inline T load_acquire(T& word) {
  return std::atomic_ref<T>(word).load(std::memory_order_acquire);
}

// Ordered with store_seq_cst(): of two sides that each store one word and then load the other's, one sees the
// store. Fences would say the same but ThreadSanitizer does not understand them.
template <typename T>
[[nodiscard]] inline T load_seq_cst(T& word) {
  return std::atomic_ref<T>(word).load(std::memory_order_seq_cst);
}

template <typename T>
inline void store_relaxed(T& word, T value) {
  std::atomic_ref<T>(word).store(value, std::memory_order_relaxed);
}

template <typename T>
inline void store_release(T& word, T value) {
  std::atomic_ref<T>(word).store(value, std::memory_order_release);
}

template <typename T>
inline void store_seq_cst(T& word, T value) {
  std::atomic_ref<T>(word).store(value, std::memory_order_seq_cst);
}

}  // namespace kfdlab::device
