// SPDX-License-Identifier: MIT
// Pages that the kernel has merged, or knows or believes to be broken.
#include <sys/mman.h>

#include <csignal>

#include "tests/kfd/merging.h"
#include "tests/states/makers.h"
#include "tests/support/buffer.h"
#include "tests/support/kmsg.h"
#include "tests/support/needs.h"
#include "tests/support/pages.h"
#include "tests/support/pattern.h"

namespace kfdlab::states {
namespace {

// The same page over and over.
class Merged : public Subject {
 public:
  Merged() {
    for (std::size_t page = 0; page < kPages; ++page) {
      fill_pattern(buffer_.pages(page, 1), buffer_.address(), kSeed);
    }
  }
  [[nodiscard]] bool runs() const { return merging_.works(); }
  [[nodiscard]] bool merge() const {
    const auto oracle = PageOracle::open();
    const bool merged = oracle.ok() && ::madvise(buffer_.data(), buffer_.size(), MADV_MERGEABLE) == 0 &&
                        eventually(
                            [&] {
                              for (const std::uint64_t frame : oracle.value().frames(buffer_.data(), kPages)) {
                                if (frame == 0 || frame != oracle.value().frame(buffer_.data())) {
                                  return false;
                                }
                              }
                              return true;
                            },
                            std::chrono::seconds(10));
    merging_.pause();
    return merged;
  }
  [[nodiscard]] std::span<std::byte> pages() const override { return buffer_.bytes(); }
  [[nodiscard]] std::string error() override {
    for (std::size_t page = 0; page < kPages; ++page) {
      if (std::string wrong = pattern_error(buffer_.pages(page, 1), buffer_.address(), kSeed); !wrong.empty()) {
        return wrong;
      }
    }
    return {};
  }

 private:
  Buffer buffer_{kPages};
  Merging merging_;
};

constexpr std::size_t kBad = 3;

// One page of it is given up. The kernel sends its owner SIGBUS at once.
class Broken : public Subject {
 public:
  explicit Broken(int advice) : poisoned_(advice == MADV_HWPOISON) {
    fill_pattern(buffer_.bytes(), kSeed);
    struct sigaction passing {};
    struct sigaction before {};
    passing.sa_handler = [](int) {};
    ::sigaction(SIGBUS, &passing, &before);
    done_ = ::madvise(buffer_.page(kBad), kPageSize, advice) == 0;
    ::sigaction(SIGBUS, &before, nullptr);
  }
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] std::span<std::byte> pages() const override { return buffer_.bytes(); }
  [[nodiscard]] std::string error() override {
    if (!poisoned_) {
      return Subject::error();
    }
    const std::string before = pattern_error(buffer_.pages(0, kBad), kSeed);
    return before + pattern_error(buffer_.pages(kBad + 1, kPages - kBad - 1), kSeed);
  }

 private:
  Buffer buffer_{kPages};
  bool poisoned_;
  bool done_ = false;
};

Made make_broken(int advice) {
  expect_kernel_line("Memory failure|Injecting memory failure|soft offline|Soft offlining|MCE: Killing", 0);
  auto subject = std::make_unique<Broken>(advice);
  if (!subject->done()) {
    return Error{"this kernel was built without CONFIG_MEMORY_FAILURE"};
  }
  return Made(std::move(subject));
}

}  // namespace

Made make_merged() {
  auto subject = std::make_unique<Merged>();
  if (!subject->runs()) {
    return Error{"this kernel has no KSM"};
  }
  if (!subject->merge()) {
    return Error{"KSM did not merge the pages"};
  }
  return Made(std::move(subject));
}

Made make_poisoned() { return make_broken(MADV_HWPOISON); }
// MADV_SOFT_OFFLINE, which glibc does not name.
Made make_soft_offlined() { return make_broken(101); }

}  // namespace kfdlab::states
