// SPDX-License-Identifier: MIT
#include "tests/support/vram_user.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>

#include "tests/support/counters.h"
#include "tests/support/kfd_client.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

// A hold that nobody ends; longer than any look takes.
constexpr std::uint32_t kHoldLimitMs = 60'000;

Buffer shared_memory(std::size_t bytes) {
  return Buffer((bytes + kPageSize - 1) / kPageSize, -1, MAP_SHARED | MAP_ANONYMOUS);
}

std::uint64_t sum_of(std::span<const std::byte> bytes) {
  const auto* words = reinterpret_cast<const std::uint64_t*>(bytes.data());
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size() / sizeof(*words); ++i) {
    sum += words[i];
  }
  return sum;
}

}  // namespace

void PrintTo(const VramView& view, std::ostream* out) {
  *out << (view.alive ? "" : "no answer; ") << to_string(view.census) << (view.intact ? ", intact" : ", WRONG BYTES")
       << ", errno " << view.error;
}

bool empty_lru_batches() { return static_cast<bool>(std::ofstream("/proc/sys/vm/compact_memory") << 1 << std::flush); }

int move_to_vram(std::span<std::byte> pages, std::uint32_t gpu_id) {
  const auto kfd = KfdClient::open();
  const auto oracle = PageOracle::open();
  if (!kfd.ok() || !oracle.ok()) {
    return ENODEV;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(pages.data());
  if (const int error = kfd.value().svm_prefetch(address, pages.size(), gpu_id)) {
    return error;
  }
  if (oracle.value().census(pages.data(), pages.size() / kPageSize).ram != 0 && empty_lru_batches()) {
    return kfd.value().svm_prefetch(address, pages.size(), gpu_id);
  }
  return 0;
}

std::uint64_t pattern_sum(std::uint64_t address, std::size_t bytes, std::uint64_t seed) {
  std::uint64_t sum = 0;
  for (std::uint64_t at = address; at < address + bytes; at += 8) {
    sum += pattern_word(at, seed);
  }
  return sum;
}

VramUser::VramUser(std::uint32_t gpu_id, std::size_t npages, std::uint64_t seed, const std::function<void()>& first)
    : gpu_id_(gpu_id),
      npages_(npages),
      seed_(seed),
      frames_(shared_memory(npages * sizeof(std::uint64_t))),
      buffer_(npages),
      child_([&](Peer& parent) { return serve(parent, first); }) {}

VramView VramUser::run(Command command) {
  if (!send({command, 0, 0})) {
    return {};
  }
  return finish();
}

bool VramUser::start_sums(std::size_t piece_pages, unsigned rounds) {
  return send({Command::Sums, rounds, piece_pages});
}

bool VramUser::send(const Request& request) { return child_.peer().send(request); }

VramView VramUser::finish() {
  VramView view;
  return child_.peer().receive(&view) ? view : VramView{};
}

int VramUser::serve(Peer& parent, const std::function<void()>& first) {
  if (first) {
    first();
  }
  const auto kfd = KfdClient::open();  // what it registers lives as long as a file is open
  fill_pattern(buffer_.bytes(), seed_);
  Request request;
  while (parent.receive(&request) && parent.send(answer(request))) {
  }
  return 0;
}

VramView VramUser::answer(const Request& request) {
  VramView view;
  const auto kfd = KfdClient::open();
  const auto oracle = PageOracle::open();
  if (!kfd.ok() || !oracle.ok()) {
    view.error = ENODEV;
    return view;
  }
  switch (request.command) {
    case Command::ToVram:
      view.error = move_to_vram(buffer_.bytes(), gpu_id_);
      break;
    case Command::ToRam:
      view.error = kfd.value().svm_prefetch(buffer_.address(), buffer_.size(), kSvmSystem);
      break;
    case Command::Sums:
      view.error = add_up(request, &view.sum);
      break;
    case Command::Look:
      break;
  }
  view.alive = true;
  view.intact = !find_mismatch(buffer_.bytes(), seed_);
  const std::vector<std::uint64_t> frames = oracle.value().frames(buffer_.data(), npages_);
  std::copy(frames.begin(), frames.end(), shared_frames());
  view.census = oracle.value().census(buffer_.data(), npages_);
  return view;
}

int VramUser::add_up(const Request& request, std::uint64_t* sum) {
  const auto kfd = KfdClient::open();
  for (unsigned round = 0; round < request.rounds; ++round) {
    for (std::size_t first = 0; first < npages_; first += request.piece) {
      const std::size_t count = std::min<std::size_t>(request.piece, npages_ - first);
      if (const int error = kfd.value().svm_prefetch(buffer_.page_address(first), count * kPageSize, gpu_id_)) {
        return error;
      }
    }
    *sum += sum_of(buffer_.bytes());
  }
  return 0;
}

SharedWord::SharedWord() : memory_(shared_memory(sizeof(std::uint32_t))) { set(0); }

std::uint32_t SharedWord::get() const {
  return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(memory_.data())).load();
}

void SharedWord::set(std::uint32_t value) const {
  std::atomic_ref(*reinterpret_cast<std::uint32_t*>(memory_.data())).store(value);
}

int hold_lock(std::uint32_t what, const void* page, const SharedWord& word) {
  const auto device = TestDevice::open();
  if (!device.ok()) {
    return ENODEV;
  }
  kfdlab_test_hold request{};
  request.what = what;
  request.timeout_ms = kHoldLimitMs;
  request.addr = reinterpret_cast<std::uintptr_t>(page);
  request.word = word.address();
  return device.value().raw(KFDLAB_TEST_HOLD, &request);
}

}  // namespace kfdlab
