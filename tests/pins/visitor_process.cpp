// SPDX-License-Identifier: MIT
// What one process does to another's memory: process_vm_readv(), /proc/PID/mem, ptrace, futexes. Where the kernel does
// not mind, the process does it to itself.
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "common/fd.h"
#include "tests/pins/visitors.h"
#include "tests/support/buffer.h"
#include "tests/support/child.h"
#include "tests/support/pattern.h"

namespace kfdlab::pins {
namespace {

std::uintptr_t address_of(std::span<std::byte> pages) { return reinterpret_cast<std::uintptr_t>(pages.data()); }

Pieces pattern_pieces(std::span<std::byte> pages, std::uint64_t seed) {
  Pieces all{{0, std::vector<std::byte>(pages.size())}};
  fill_pattern(all[0].bytes, address_of(pages), seed);
  return all;
}

Result<Pieces> moved_all(const char* what, ssize_t moved, Pieces pieces) {
  if (moved != static_cast<ssize_t>(pieces[0].bytes.size())) {
    return errno_error(what, moved < 0 ? errno : EIO);
  }
  return pieces;
}

class ProcessVmRead : public Visitor {
 public:
  Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t) override {
    Pieces all{{0, std::vector<std::byte>(pages.size())}};
    const iovec local{all[0].bytes.data(), pages.size()};
    const iovec remote{pages.data(), pages.size()};
    const ssize_t moved = ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0);
    return moved_all("process_vm_readv()", moved, std::move(all));
  }
};

class ProcessVmWrite : public Visitor {
 public:
  Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t seed) override {
    Pieces all = pattern_pieces(pages, seed);
    const iovec local{all[0].bytes.data(), pages.size()};
    const iovec remote{pages.data(), pages.size()};
    const ssize_t moved = ::process_vm_writev(::getpid(), &local, 1, &remote, 1, 0);
    return moved_all("process_vm_writev()", moved, std::move(all));
  }
};

class ProcMem : public Visitor {
 public:
  ProcMem(Fd mem, bool write) : mem_(std::move(mem)), write_(write) {}
  Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t seed) override {
    const auto at = static_cast<off_t>(address_of(pages));
    if (write_) {
      Pieces all = pattern_pieces(pages, seed);
      const ssize_t moved = ::pwrite(mem_.get(), all[0].bytes.data(), pages.size(), at);
      return moved_all("writing /proc/self/mem", moved, std::move(all));
    }
    Pieces all{{0, std::vector<std::byte>(pages.size())}};
    const ssize_t moved = ::pread(mem_.get(), all[0].bytes.data(), pages.size(), at);
    return moved_all("reading /proc/self/mem", moved, std::move(all));
  }

 private:
  Fd mem_;
  bool write_;
};

MadeVisitor make_proc_mem(bool write) {
  Fd mem(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  if (!mem.valid()) {
    return errno_error("/proc/self/mem", errno);
  }
  return MadeVisitor(std::make_unique<ProcMem>(std::move(mem), write));
}

constexpr std::size_t kWords = 4;  // of each page that a debugger looks at

struct DebugOrder {
  std::uint64_t address = 0;
  std::size_t npages = 0;
  std::uint64_t seed = 0;
};
struct DebugAnswer {
  int error = 0;
  std::uint64_t words[64] = {};
};
static_assert(sizeof DebugAnswer{}.words / sizeof(std::uint64_t) >= 16 * kWords);

std::uint64_t word_address(const DebugOrder& order, std::size_t index) {
  return order.address + index / kWords * kPageSize + index % kWords * 1000;
}

// In the debugger: stops its parent, does one word after the other, lets it go.
DebugAnswer debug(pid_t tracee, bool write, const DebugOrder& order) {
  DebugAnswer answer;
  if (::ptrace(PTRACE_ATTACH, tracee, nullptr, nullptr) != 0 || ::waitpid(tracee, nullptr, __WALL) != tracee) {
    answer.error = errno;
    return answer;
  }
  for (std::size_t i = 0; i < order.npages * kWords && answer.error == 0; ++i) {
    auto* at = reinterpret_cast<void*>(word_address(order, i));
    errno = 0;
    if (write) {
      answer.words[i] = pattern_word(word_address(order, i), order.seed);
      ::ptrace(PTRACE_POKEDATA, tracee, at, reinterpret_cast<void*>(answer.words[i]));
    } else {
      answer.words[i] = static_cast<std::uint64_t>(::ptrace(PTRACE_PEEKDATA, tracee, at, nullptr));
    }
    answer.error = errno;
  }
  ::ptrace(PTRACE_DETACH, tracee, nullptr, nullptr);
  return answer;
}

// The debugger is a child that was there before the pages, so it shares none of them.
class Debugger : public Visitor {
 public:
  explicit Debugger(bool write)
      : child_([write](Peer& parent) {
          DebugOrder order;
          while (parent.receive(&order) && parent.send(debug(::getppid(), write, order))) {
          }
          return 0;
        }) {}
  Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t seed) override {
    const DebugOrder order{address_of(pages), pages.size() / kPageSize, seed};
    DebugAnswer answer;
    if (!child_.peer().send(order) || !child_.peer().receive(&answer)) {
      return Error{"the debugger does not answer"};
    }
    if (answer.error != 0) {
      return errno_error("ptrace()", answer.error);
    }
    Pieces words;
    for (std::size_t i = 0; i < order.npages * kWords; ++i) {
      Piece word{word_address(order, i) - order.address, std::vector<std::byte>(sizeof(std::uint64_t))};
      std::memcpy(word.bytes.data(), &answer.words[i], sizeof(std::uint64_t));
      words.push_back(std::move(word));
    }
    return words;
  }

 private:
  Child child_;
};

// One futex in the middle of each page. FUTEX_WAKE_OP sets a word and compares what was there.
class Futex : public Visitor {
 public:
  Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t seed) override {
    Pieces words;
    for (std::size_t offset = kPageSize / 2; offset < pages.size(); offset += kPageSize) {
      auto* word = reinterpret_cast<std::uint32_t*>(pages.data() + offset);
      // Whoever waits for another value than is there does not wait.
      if (::syscall(SYS_futex, word, FUTEX_WAIT, *word + 1, nullptr, nullptr, 0) != -1 || errno != EAGAIN) {
        return Error{"FUTEX_WAIT saw another value than is there"};
      }
      // The operand has 12 bits, with a sign.
      const auto value = static_cast<std::uint32_t>(pattern_word(address_of(pages) + offset, seed) & 0x7ff);
      if (::syscall(SYS_futex, word, FUTEX_WAKE_OP, 1, 1, word, FUTEX_OP(FUTEX_OP_SET, value, FUTEX_OP_CMP_EQ, 0)) < 0) {
        return errno_error("FUTEX_WAKE_OP", errno);
      }
      Piece piece{offset, std::vector<std::byte>(sizeof value)};
      std::memcpy(piece.bytes.data(), &value, sizeof value);
      words.push_back(std::move(piece));
    }
    return words;
  }
};

}  // namespace

MadeVisitor make_process_vm_readv() { return MadeVisitor(std::make_unique<ProcessVmRead>()); }
MadeVisitor make_process_vm_writev() { return MadeVisitor(std::make_unique<ProcessVmWrite>()); }
MadeVisitor make_proc_mem_read() { return make_proc_mem(false); }
MadeVisitor make_proc_mem_write() { return make_proc_mem(true); }
MadeVisitor make_ptrace_peek() { return MadeVisitor(std::make_unique<Debugger>(false)); }
MadeVisitor make_ptrace_poke() { return MadeVisitor(std::make_unique<Debugger>(true)); }
MadeVisitor make_futex() { return MadeVisitor(std::make_unique<Futex>()); }

}  // namespace kfdlab::pins
