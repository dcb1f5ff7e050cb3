// SPDX-License-Identifier: MIT
#include "tests/stress/worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "tests/stress/actor.h"

namespace kfdlab::stress {
namespace {

enum class End { Orderly, Abort, Kill };

thread_local Actor* current_actor = nullptr;

// A page that is gone, or was taken as poisoned, is found by touching it.
void on_fault(int signal, siginfo_t* info, void*) {
  if (current_actor != nullptr) {
    current_actor->fail(fmt::format("signal {} (code {}) at {}", signal, info->si_code, info->si_addr));
  }
  ::signal(signal, SIG_DFL);
}

[[noreturn]] void give_up(Board* board, const std::string& text) {
  board->fail(text.c_str());
  ::_exit(1);
}

void join_cgroup(const Setup& setup, Board* board) {
  if (!setup.cgroup.empty() && !(std::ofstream(setup.cgroup + "/cgroup.procs") << ::getpid() << std::flush)) {
    give_up(board, "a worker cannot enter " + setup.cgroup);
  }
}

class Worker {
 public:
  Worker(const Setup& setup, Board* board, unsigned process, unsigned incarnation) {
    Random random(mix(mix(setup.seed) + process * 1000003u) + incarnation);
    const std::size_t dice = random.below(4);
    end_ = dice == 0 ? End::Kill : dice == 1 ? End::Abort : End::Orderly;
    steps_ = random.between(300, 3000);
    context_ = {&setup, board, process, incarnation, nullptr, {}};
    board->processes[process].incarnation = incarnation;
    board->processes[process].kills_itself = end_ == End::Kill;
  }

  [[noreturn]] void run() {
    open_devices();
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < context_.setup->threads; ++i) {
      threads.emplace_back([this, i] { live(i); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    context_.board->add(Count::ProcessesEnded);
    ::_exit(0);
  }

 private:
  void open_devices() {
    auto kfd = KfdClient::open();
    if (!kfd) {
      give_up(context_.board, kfd.error().message);
    }
    kfd_ = std::make_unique<KfdClient>(kfd.take());
    context_.kfd = kfd_.get();
    for (std::size_t i = 0; i < context_.setup->gpus.size(); ++i) {
      const int node = ::open(context_.setup->render_nodes[i].c_str(), O_RDWR | O_CLOEXEC);
      if (node < 0 || kfd_->acquire_vm(context_.setup->gpus[i], node) != 0) {
        give_up(context_.board, "a worker cannot use " + context_.setup->render_nodes[i]);
      }
      context_.render_fds.push_back(node);
    }
    // Without retry faults a GPU's mapping is made in advance and again after every change, at any time, and counts as a
    // write: whoever holds a page that a fork shared would be parted from it without anybody's doing here.
    std::int32_t mode = 0;
    if (const int error = kfd_->set_xnack_mode(1, &mode); error != 0) {
      give_up(context_.board, "XNACK cannot be switched on: errno " + std::to_string(error));
    }
  }

  void live(unsigned thread) {
    auto actor = std::make_unique<Actor>(context_, thread);
    current_actor = actor.get();
    actor->move_in();
    bool to_corrupt = context_.setup->corrupt;
    while (!context_.board->stopping() && actor->operation() < steps_) {
      actor->step();
      to_corrupt = to_corrupt && !actor->corrupt();
    }
    if (thread == 0 && !context_.board->stopping()) {
      end_early();
    }
    actor->finish();
  }

  void end_early() {
    if (end_ == End::Kill && !context_.board->failed()) {
      context_.board->add(Count::ProcessesKilled);
      ::kill(::getpid(), SIGKILL);
    }
    if (end_ == End::Abort) {
      context_.board->add(Count::ProcessesAborted);
      ::_exit(0);
    }
  }

  Context context_;
  std::unique_ptr<KfdClient> kfd_;
  End end_ = End::Orderly;
  std::size_t steps_ = 0;
};

}  // namespace

void run_worker(const Setup& setup, Board* board, unsigned process, unsigned incarnation) {
  ::prctl(PR_SET_NAME, "stress-worker");
  // What the run and the runner hold open is not for workers.
  ::close_range(3, ~0u, 0);
  join_cgroup(setup, board);
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSEGV, &action, nullptr);
  ::sigaction(SIGBUS, &action, nullptr);
  auto* worker = new Worker(setup, board, process, incarnation);
  worker->run();
}

}  // namespace kfdlab::stress
