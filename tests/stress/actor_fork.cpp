// SPDX-License-Identifier: MIT
// fork(): the child sees every page as it was, goes on with operations of its own on its copy of the window, and ends
// when it likes, perhaps after its parent. Neither may ever see what the other wrote.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "tests/stress/actor.h"

namespace kfdlab::stress {
namespace {

constexpr std::size_t kChildSteps = 40;

ChildSlot* claim(ProcessSlot* process) {
  for (ChildSlot& slot : process->children) {
    ChildState free = ChildState::Free;
    if (slot.state.compare_exchange_strong(free, ChildState::Claimed)) {
      slot.kills_itself = false;
      slot.orphaned = false;
      slot.activity.began_ns = 0;
      slot.activity.pid = 0;
      return &slot;
    }
  }
  return nullptr;
}

}  // namespace

unsigned Actor::living_children() const {
  unsigned living = 0;
  for (const ChildSlot& slot : context_.board->processes[context_.process].children) {
    living += slot.state != ChildState::Free ? 1 : 0;
  }
  return living;
}

void Actor::fork_child(Random& random) {
  ChildSlot* slot = claim(&context_.board->processes[context_.process]);
  if (slot == nullptr) {
    return;
  }
  holds_.forked();
  remember(window_.address(0), window_.slots(), "fork");
  const pid_t pid = ::fork();
  if (pid == 0) {
    live_as_child(slot, random);
  }
  if (pid < 0) {
    const int error = errno;
    slot->state = ChildState::Free;
    expect_ok(error == ENOMEM || error == EAGAIN ? 0 : error, "fork", {0, window_.slots()});
    context_.board->add(Count::ForksRefused);
    return;
  }
  changed(Count::Forks);
  // The first writes after a fork part what it shared.
  for (std::size_t n = random.below(4); n > 0; --n) {
    touch_write(random);
  }
}

void Actor::live_as_child(ChildSlot* slot, Random& random) {
  ChildState claimed = ChildState::Claimed;
  slot->activity.pid = ::getpid();
  slot->activity.tid = ::getpid();
  if (!slot->state.compare_exchange_strong(claimed, ChildState::Running)) {
    ::_exit(0);  // the parent is dead already and the run has given the slot away
  }
  child_ = true;
  activity_ = &slot->activity;
  stream_ = mix(stream_ + operation_);
  generation_ = static_cast<std::uint32_t>(mix(stream_));
  begin("birth of a child");
  holds_.abandon();
  buffers_ = {};
  static_cast<void>(gup_.release());
  static_cast<void>(device_.release());
  context_.kfd = nullptr;
  // The parent's and its other threads' pins and pipes are theirs; an open copy here would keep them alive.
  ::close_range(3, ~0u, 0);
  auto gup = GupClient::open();
  auto oracle = PageOracle::open();
  if (!gup || !oracle) {
    fail("birth of a child: " + (gup ? oracle.error().message : gup.error().message));
  }
  gup_ = std::make_unique<GupClient>(gup.take());
  static_cast<void>(new std::optional<PageOracle>(std::move(oracle_)));  // its descriptor is closed already
  oracle_.emplace(oracle.take());
  if (random.one_in(3)) {
    auto kfd = KfdClient::open();
    if (!kfd) {
      fail(kfd.error().message);
    }
    own_kfd_.emplace(kfd.take());
    context_.kfd = &*own_kfd_;
    // Attributes belong to the KFD process, and this one is new.
    for (std::size_t at = 0; at < window_.slots(); ++at) {
      window_.set_granularity(at, kDefaultGranularity);
    }
  }
  if (random.one_in(3)) {
    check_all();
  }
  const bool killed = random.one_in(5);
  slot->kills_itself = killed;
  for (std::size_t steps = random.size(kChildSteps); steps > 0 && !context_.board->stopping(); --steps) {
    step();
  }
  if (killed && !context_.board->failed()) {
    ::kill(::getpid(), SIGKILL);
  }
  finish();
  ::_exit(0);
}

void Actor::reap_children() {
  if (child_) {
    return;
  }
  for (ChildSlot& slot : context_.board->processes[context_.process].children) {
    const pid_t pid = slot.activity.pid;
    int status = 0;
    // Any thread of the process may get it; who does gives the slot back. Another may have claimed the slot anew since
    // its number was read: 0 would reap any child, and that one's slot would never be given back.
    if (pid == 0 || slot.state != ChildState::Running || slot.orphaned || ::waitpid(pid, &status, WNOHANG) != pid) {
      continue;
    }
    const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && slot.kills_itself;
    if (!killed && !(WIFEXITED(status) && WEXITSTATUS(status) == 0) && !context_.board->failed()) {
      fail(fmt::format("child {} ended with wait status {:#x}", pid, status));
    }
    context_.board->add(killed ? Count::ChildrenKilled : Count::ChildrenEnded);
    slot.state = ChildState::Free;
  }
}

}  // namespace kfdlab::stress
