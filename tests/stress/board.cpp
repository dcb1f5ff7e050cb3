// SPDX-License-Identifier: MIT
#include "tests/stress/board.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <new>

#include "common/check.h"

namespace kfdlab::stress {

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

void Diary::write(unsigned thread, bool child, std::uint64_t operation, const char* what, std::uint64_t start,
                  std::uint64_t end) {
  Entry& entry = entries_[next_.fetch_add(1) % entries_.size()];
  entry.when = now_ns();
  entry.what = what;
  entry.operation = operation;
  entry.start = start;
  entry.end = end;
  entry.pid = child ? ::getpid() : 0;
  entry.thread = thread;
}

std::string Diary::about(std::uint64_t address) const {
  const std::int64_t now = now_ns();
  const std::uint64_t next = next_;
  std::string text;
  for (std::uint64_t i = next > entries_.size() ? next - entries_.size() : 0; i < next; ++i) {
    const Entry& entry = entries_[i % entries_.size()];
    if (entry.start > address || entry.end <= address) {
      continue;
    }
    const pid_t pid = entry.pid;
    text += fmt::format("\n  {:>9.6f} s ago: {} of thread {}{}, pages {:#x}..{:#x}",
                        static_cast<double>(now - entry.when) * 1e-9, entry.what.load(), entry.thread.load(),
                        pid != 0 ? fmt::format(" in child {}", pid) : "", entry.start.load(), entry.end.load());
  }
  return text;
}

Board* Board::create() {
  void* memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  KFDLAB_CHECK(memory != MAP_FAILED);
  return new (memory) Board{};
}

void Board::destroy(Board* board) { ::munmap(board, sizeof(Board)); }

void Board::fail(const char* text) {
  int none = 0;
  if (failed_.compare_exchange_strong(none, 1)) {
    // No more than the text: the less there is to do, the less is lost by a kill.
    std::memcpy(failure_.data(), text, ::strnlen(text, failure_.size() - 1));
    failed_ = 2;
  }
  stop_ = true;
}

std::string Board::failure() const {
  if (failed_ == 0) {
    return "";
  }
  return failed_ == 2 ? failure_.data() : "a process died while it reported a failure";
}

}  // namespace kfdlab::stress
