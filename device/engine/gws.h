// SPDX-License-Identifier: MIT
// Gws: global wave sync, the 64 counters with which waves of all workgroups of a queue wait for one another
// (cooperative groups). One object per queue that has GWS; any engine thread.
//
// A wave that must wait leaves with Exit::Wait and runs the same instruction again later; its ticket (Wave::gws_ticket,
// 0 while it does not wait) remembers that it has been counted. A wave that is killed while it waits leaves its
// resource unusable until the next init, as on hardware. Facts: CDNA 2 ISA chapter 11.4 and DS_GWS_* in chapter 12.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace kfdlab::engine {

class Gws {
 public:
  static constexpr unsigned kResources = 64;

  // value: waves of a barrier minus one, or the count of a semaphore.
  void init(unsigned resource, std::uint32_t value) {
    change(resource, [&](State state) { return State{value, state.round}; });
  }

  // True: all have arrived, go on. False: wait; call again with the same ticket. The last one to arrive loads the
  // counter with `value` for the next round.
  [[nodiscard]] bool barrier(unsigned resource, std::uint32_t value, std::uint64_t& ticket) {
    if (ticket != 0) {
      return leave_if_over(resource, ticket);
    }
    const State before = change(resource, [&](State state) {
      return state.counter == 0 ? State{value, state.round + 1} : State{state.counter - 1, state.round};
    });
    if (before.counter == 0) {
      return true;
    }
    ticket = kWaits | before.round;
    return false;
  }

  // Semaphore: takes one if there is one; else wait until then or until release_all().
  [[nodiscard]] bool take(unsigned resource, std::uint64_t& ticket) {
    if (ticket != 0 && leave_if_over(resource, ticket)) {
      return true;
    }
    const State before = change(resource, [](State state) {
      return state.counter == 0 ? state : State{state.counter - 1, state.round};
    });
    ticket = before.counter != 0 ? 0 : kWaits | before.round;
    return before.counter != 0;
  }
  void give(unsigned resource, std::uint32_t count) {
    change(resource, [&](State state) { return State{state.counter + count, state.round}; });
  }
  void release_all(unsigned resource) {
    change(resource, [](State state) { return State{state.counter, state.round + 1}; });
  }

 private:
  static constexpr std::uint64_t kWaits = 1ull << 32;
  struct State {
    std::uint32_t counter = 0;
    std::uint32_t round = 0;  // changes when waiting waves are let go
  };

  // Returns the state before.
  template <typename Next>
  State change(unsigned resource, Next&& next) {
    std::atomic<State>& state = states_[resource % kResources];
    State before = state.load(std::memory_order_relaxed);
    while (!state.compare_exchange_weak(before, next(before), std::memory_order_seq_cst)) {
    }
    return before;
  }
  bool leave_if_over(unsigned resource, std::uint64_t& ticket) {
    const State now = states_[resource % kResources].load(std::memory_order_seq_cst);
    if (now.round == static_cast<std::uint32_t>(ticket)) {
      return false;
    }
    ticket = 0;
    return true;
  }

  static_assert(std::atomic<State>::is_always_lock_free);
  std::array<std::atomic<State>, kResources> states_{};
};

}  // namespace kfdlab::engine
