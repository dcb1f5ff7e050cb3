// SPDX-License-Identifier: MIT
// What every part of the bench stands on: the clients, the first GPU, and the rule that a measurement which is not of
// what it claims ends the program.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "common/fd.h"
#include "common/result.h"
#include "tests/support/buffer.h"
#include "tests/support/counters.h"
#include "tests/support/gup_client.h"
#include "tests/support/kfd_client.h"

namespace kfdlab::bench {

[[noreturn]] void give_up(const std::string& why);
// On stderr, for who waits.
void progress(const std::string& what);

template <typename T>
T must(Result<T> result) {
  if (!result) {
    give_up(result.error().message);
  }
  return result.take();
}

class Session {
 public:
  // Opens everything; ends the program if something is missing.
  Session();

  [[nodiscard]] const KfdClient& kfd() const { return kfd_; }
  [[nodiscard]] const GupClient& gup() const { return gup_; }
  [[nodiscard]] const TestDevice& device() const { return device_; }
  [[nodiscard]] std::uint32_t gpu_id() const { return gpu_id_; }
  [[nodiscard]] kfdlab_test_counters counters() const { return must(device_.counters(gpu_id_)); }
  [[nodiscard]] std::uint64_t vram_bytes() const { return counters().vram_size; }

  // Moves the buffer in calls of at most `pages_per_call` pages, 0 for all at once.
  void prefetch(const Buffer& buffer, std::uint32_t location, std::size_t pages_per_call = 0) const;
  void to_vram(const Buffer& buffer) const { prefetch(buffer, gpu_id_); }
  void to_ram(const Buffer& buffer) const { prefetch(buffer, kSvmSystem); }
  // Evicts everything; it must be exactly `npages` pages.
  void evict(std::size_t npages) const;
  // Copies by CPU instead of by the device.
  void copy_mode(bool cpu) const;

 private:
  KfdClient kfd_;
  GupClient gup_;
  TestDevice device_;
  std::uint32_t gpu_id_ = 0;
};

// Leaves only so many bytes of VRAM to allocate from until the object dies; VRAM must be empty.
class SmallVram {
 public:
  SmallVram(const Session& session, std::uint64_t bytes_left);

 private:
  TestDevice device_;
};

// The parts; each returns what it adds to the JSON object.
[[nodiscard]] nlohmann::json pages_part(const Session& session);
[[nodiscard]] nlohmann::json eviction_part(const Session& session);
[[nodiscard]] nlohmann::json allocation_part(const Session& session);
[[nodiscard]] nlohmann::json scaling_part(const Session& session);

}  // namespace kfdlab::bench
