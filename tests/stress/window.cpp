// SPDX-License-Identifier: MIT
#include "tests/stress/window.h"

#include <fmt/format.h>
#include <sys/mman.h>

namespace kfdlab::stress {
namespace {

// Far from the program, its heap, and the top of memory where mmap() begins.
constexpr std::uintptr_t kFirstWindow = 0x1000'0000'0000u;
constexpr std::uintptr_t kProcessStride = 64ull << 30;
constexpr std::uintptr_t kThreadStride = 4ull << 30;
constexpr std::uintptr_t kBuffers = 1ull << 30;  // behind a window's base
constexpr std::uintptr_t kBufferStride = 2ull << 20;

}  // namespace

Window::Window(unsigned process, unsigned thread, std::size_t slots)
    : base_(base_of(process, thread)), slots_(slots), histories_(slots) {}

char* Window::base_of(unsigned process, unsigned thread) {
  return reinterpret_cast<char*>(kFirstWindow + process * kProcessStride + thread * kThreadStride);
}

char* Window::buffer_base(unsigned process, unsigned thread, unsigned index) {
  return base_of(process, thread) + kBuffers + index * kBufferStride;
}

void Window::set_content(std::size_t slot, Content content, PageKey key) {
  Slot& entry = slots_[slot];
  mapped_ += entry.content == Content::Hole && content != Content::Hole ? 1 : 0;
  mapped_ -= entry.content != Content::Hole && content == Content::Hole ? 1 : 0;
  entry.content = content;
  entry.key = key;
}

void Window::set_protection(std::size_t slot, int protection) {
  slots_[slot].protection = static_cast<std::uint8_t>(protection);
}

bool Window::readable(std::size_t slot) const {
  return at(slot).content != Content::Hole && (at(slot).protection & PROT_READ) != 0;
}

bool Window::writable(std::size_t slot) const {
  return at(slot).content != Content::Hole && (at(slot).protection & PROT_WRITE) != 0;
}

Run Window::pick(Random& random, std::size_t most, const std::function<bool(std::size_t)>& condition) const {
  const std::size_t start = random.below(slots());
  for (std::size_t tried = 0; tried < slots(); ++tried) {
    const std::size_t first = (start + tried) % slots();
    if (!condition(first)) {
      continue;
    }
    Run run{first, 1};
    while (run.count < most && first + run.count < slots() && condition(first + run.count)) {
      ++run.count;
    }
    return run;
  }
  return {};
}

void Window::note(std::size_t slot, std::uint64_t operation, const char* what) {
  History& history = histories_[slot];
  history.events[history.next++ % kRemembered] = {what, operation};
}

void Window::move_history(std::size_t from, std::size_t to) {
  histories_[to] = histories_[from];
  histories_[from] = {};
}

std::string Window::history(std::size_t slot) const {
  const History& history = histories_[slot];
  std::string text;
  const std::size_t known = history.next < kRemembered ? history.next : kRemembered;
  for (std::size_t i = history.next - known; i < history.next; ++i) {
    const Event& event = history.events[i % kRemembered];
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", event.operation, event.what);
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace kfdlab::stress
