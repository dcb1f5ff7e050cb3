// SPDX-License-Identifier: MIT
// VramUser: a process of its own that owns pages with a pattern in them, brings them to VRAM and back when told, and
// says where they are and whether they are right. Between two commands it sleeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <ostream>
#include <span>
#include <vector>

#include "tests/support/buffer.h"
#include "tests/support/child.h"
#include "tests/support/pages.h"

namespace kfdlab {

// What the process found when it had done what it was told. `alive` false: it did not answer.
struct VramView {
  bool alive = false;
  bool intact = false;
  int error = 0;  // errno of the prefetch
  PageCensus census;
  std::uint64_t sum = 0;  // of all words, modulo 2^64
  // All pages in one place, all bytes right, nothing failed.
  [[nodiscard]] bool all_vram() const { return fine() && census.vram != 0 && census.ram == 0 && census.none == 0; }
  [[nodiscard]] bool all_ram() const { return fine() && census.ram != 0 && census.vram == 0 && census.none == 0; }
  [[nodiscard]] bool fine() const { return alive && intact && error == 0; }
};
void PrintTo(const VramView& view, std::ostream* out);

// Prefetches to VRAM. Batches of LRU updates of other CPUs keep single pages in RAM until they are full; the one way to
// empty them from user space is compaction, done once if pages stayed. errno.
int move_to_vram(std::span<std::byte> pages, std::uint32_t gpu_id);

// Empty another CPU's batches of LRU updates. False: not permitted.
bool empty_lru_batches();

// Sum of the words that fill_pattern() with this seed puts there.
[[nodiscard]] std::uint64_t pattern_sum(std::uint64_t address, std::size_t bytes, std::uint64_t seed);

class VramUser {
 public:
  // Starts with the pattern of `seed` in all pages, in RAM. `first` runs in the process before it touches them.
  VramUser(std::uint32_t gpu_id, std::size_t npages, std::uint64_t seed, const std::function<void()>& first = {});

  VramView to_vram() { return run(Command::ToVram); }
  VramView to_ram() { return run(Command::ToRam); }
  VramView look() { return run(Command::Look); }
  // Prefetches its pages to VRAM piece by piece, `rounds` times through, adding up all words after each round.
  // start_sums() returns at once; finish() waits.
  bool start_sums(std::size_t piece_pages, unsigned rounds);
  bool start_to_vram() { return send({Command::ToVram, 0, 0}); }
  VramView finish();
  // Frames of its pages, after its last command; 0 where none is present.
  [[nodiscard]] std::span<const std::uint64_t> frames() const { return {shared_frames(), npages_}; }

  [[nodiscard]] std::uint64_t address() const { return buffer_.address(); }
  [[nodiscard]] std::byte* data() const { return buffer_.data(); }
  [[nodiscard]] std::size_t npages() const { return npages_; }
  [[nodiscard]] pid_t pid() const { return child_.pid(); }
  // SIGKILL, and waits for its end.
  void kill() { child_.kill(); }

 private:
  enum class Command : std::uint32_t { ToVram, ToRam, Look, Sums };
  struct Request {
    Command command = Command::Look;
    std::uint32_t rounds = 0;
    std::uint64_t piece = 0;
  };

  VramView run(Command command);
  bool send(const Request& request);
  int serve(Peer& parent, const std::function<void()>& first);
  VramView answer(const Request& request);
  int add_up(const Request& request, std::uint64_t* sum);
  [[nodiscard]] std::uint64_t* shared_frames() const { return reinterpret_cast<std::uint64_t*>(frames_.data()); }

  std::uint32_t gpu_id_;
  std::size_t npages_;
  std::uint64_t seed_;
  Buffer frames_;  // shared with the child
  Buffer buffer_;  // untouched here; the child's copy is the memory
  Child child_;
};

// A word of shared memory: what a lock holder and its observer both see (KFDLAB_TEST_HOLD).
class SharedWord {
 public:
  SharedWord();
  [[nodiscard]] std::uint32_t get() const;
  void set(std::uint32_t value) const;
  [[nodiscard]] std::uint64_t address() const { return memory_.address(); }

 private:
  Buffer memory_;
};

// In the process whose lock it is: holds (KFDLAB_HOLD_*) until `word` is no longer 1. errno of the ioctl.
int hold_lock(std::uint32_t what, const void* page, const SharedWord& word);

}  // namespace kfdlab
