// SPDX-License-Identifier: MIT
// kfdlab-gpu as the launcher sees it: a process with inherited descriptors that can be killed and replaced.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "device/host/shared_word.h"
#include "tests/unit/device/support/process_vm.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KFDLAB_UNDER_SANITIZER 1
#else
#define KFDLAB_UNDER_SANITIZER 0
#endif

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kPage = 4096;

// Starts a child, takes it over and proves that it copies.
void start_and_adopt(ProcessVm& vm) {
  const std::uint32_t generation = vm.start();
  ASSERT_TRUE(vm.gpu().wait_ready(generation));
  EXPECT_TRUE(vm.wait_irq(KFDLAB_IRQ_STATE, kTestDeadline));
  vm.gpu().adopt(generation);
}

void expect_copies(ProcessVm& vm, std::uint64_t seed) {
  fill_pattern(vm.ram().first(16 * kPage), seed);
  for (std::uint64_t page = 0; page < 16; ++page) {
    vm.gpu().emit(copy_packet(ProcessVm::kRamBase + page * kPage, vm.gpu().vram_address(page * kPage), kPage));
  }
  ASSERT_TRUE(vm.gpu().wait_fence(vm.gpu().submit_fence()));
  EXPECT_TRUE(has_pattern(vm.gpu().vram().first(16 * kPage), seed));
}

TEST(Process, ServesRingsAndInterrupts) {
  ProcessVm vm;
  start_and_adopt(vm);
  expect_copies(vm, 1);
  vm.gpu().emit(trap_packet(5));
  ASSERT_TRUE(vm.gpu().run());
  EXPECT_TRUE(vm.wait_irq(KFDLAB_IRQ_IH, kTestDeadline));
  EXPECT_TRUE(vm.gpu().wait_control(vm.gpu().submit_control(KFDLAB_CONTROL_TLB_INVALIDATE)));
  EXPECT_TRUE(vm.wait_irq(KFDLAB_IRQ_CONTROL, kTestDeadline));
}

TEST(Process, EndsCleanlyOnSigterm) {
  ProcessVm vm;
  start_and_adopt(vm);
  const int status = vm.end(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(Process, KilledInTheMiddleOfCopiesIsReplacedByTheNextGeneration) {
  ProcessVm vm;
  start_and_adopt(vm);
  const auto half = static_cast<std::uint32_t>(SDMA_MAX_BYTES);
  for (unsigned i = 0; i < 2000; ++i) {
    vm.gpu().emit(copy_packet(vm.gpu().vram_address(), vm.gpu().vram_address(half), half));
  }
  const std::uint32_t fence = vm.gpu().submit_fence();
  ASSERT_TRUE(eventually([&] { return load_acquire(vm.gpu().device().copy_packets) > 0; }));
  vm.kill();
  EXPECT_NE(load_acquire(vm.gpu().device().copy_fence), fence) << "the kill came too late to prove anything";

  const std::uint32_t next = vm.start();
  ASSERT_TRUE(vm.gpu().wait_ready(next));
  EXPECT_EQ(next, 2u);
  // The driver page still names generation 1 and a ring full of copies: nothing of that may run again.
  EXPECT_FALSE(
      eventually([&] { return load_acquire(vm.gpu().device().copy_rptr) != 0; }, std::chrono::milliseconds(50)));
  EXPECT_EQ(load_acquire(vm.gpu().device().copy_fence), 0u);
  vm.gpu().adopt(next);
  expect_copies(vm, 2);
  EXPECT_EQ(load_relaxed(vm.gpu().device().copy_bytes), 16 * kPage) << "counters began anew";
}

TEST(Process, StoppedWhileIdleGoesOnWhenContinued) {
  ProcessVm vm;
  start_and_adopt(vm);
  expect_copies(vm, 1);
  ::kill(vm.pid(), SIGSTOP);
  const std::uint32_t fence = vm.gpu().submit_fence();
  ::kill(vm.pid(), SIGCONT);
  EXPECT_TRUE(vm.gpu().wait_fence(fence));
}

TEST(Process, IdleCostsNextToNoCpu) {
  ProcessVm vm;
  start_and_adopt(vm);
  expect_copies(vm, 1);
  ASSERT_TRUE(eventually([&] { return load_acquire(vm.gpu().device().copy_awake) == 0; }));
  const auto before = vm.cpu_time();
  std::this_thread::sleep_for(std::chrono::seconds(1));  // the thing measured, not a synchronisation
  const auto used = std::chrono::duration_cast<std::chrono::microseconds>(vm.cpu_time() - before);
  RecordProperty("idle_us_per_second", static_cast<int>(used.count()));
  EXPECT_LT(used, std::chrono::milliseconds(20));
}

TEST(Process, OwnMemoryStaysSmallAfterTouchingAllOfTheSharedMappings) {
  if (KFDLAB_UNDER_SANITIZER) {
    GTEST_SKIP() << "a sanitizer's shadow memory is not ours";
  }
  ProcessVm vm;
  start_and_adopt(vm);
  for (std::uint64_t at = 0; at < ProcessVm::kRamSize; at += 1u << 20) {
    vm.gpu().emit(copy_packet(ProcessVm::kRamBase + at, vm.gpu().vram_address(at), 1u << 20));
  }
  ASSERT_TRUE(vm.gpu().run());
  const std::uint64_t own = vm.status_kib("RssAnon") + vm.status_kib("RssFile");
  RecordProperty("own_kib", static_cast<int>(own));
  EXPECT_GT(own, 0u);
  EXPECT_LT(own, 64u << 10);
}

TEST(Process, WrongIdentityPageIsAnErrorThatSaysSo) {
  ProcessVm vm;
  std::memset(vm.bar().data(), 0x5a, 8);
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const Fd reader(pipe[0]);
  Fd writer(pipe[1]);
  vm.start(writer.get());
  writer.reset();
  const int status = vm.reap();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
  char text[512] = {};
  ASSERT_GT(::read(reader.get(), text, sizeof(text) - 1), 0);
  EXPECT_NE(std::strstr(text, "identity magic"), nullptr) << text;
  EXPECT_EQ(load_acquire(vm.gpu().device().state), 0u) << "an unusable device announces nothing";
}

// The children's parent dies at once; the device must notice although nobody signals it.
TEST(Process, EndsWhenItsParentIsGone) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const Fd reader(pipe[0]);
  Fd writer(pipe[1]);
  const pid_t launcher = ::fork();
  ASSERT_GE(launcher, 0);
  if (launcher == 0) {
    ProcessVm vm;
    // The device's standard error is the pipe's writing end: the pipe ends when the device has ended.
    const bool ready = vm.gpu().wait_ready(vm.start(writer.get()));
    ::_exit(ready ? 0 : 1);
  }
  writer.reset();
  int status = -1;
  ASSERT_EQ(::waitpid(launcher, &status, 0), launcher);
  ASSERT_EQ(status, 0);
  std::string log;
  char text[512];
  ASSERT_EQ(::fcntl(reader.get(), F_SETFL, O_NONBLOCK), 0);
  EXPECT_TRUE(eventually([&] {
    const ssize_t got = ::read(reader.get(), text, sizeof(text));
    log.append(text, got > 0 ? static_cast<std::size_t>(got) : 0);
    return got == 0;
  })) << "the device outlived its launcher";
  EXPECT_NE(log.find("launcher is gone"), std::string::npos) << log;
}

TEST(Process, CopiesPagesInBatches) {
  ProcessVm vm;
  start_and_adopt(vm);
  constexpr std::uint64_t kPages = ProcessVm::kRamSize / kPage;
  constexpr std::uint64_t kBatch = 512;
  fill_pattern(vm.ram(), 9);
  int rates[2] = {};
  for (int& rate : rates) {  // the first round touches the mappings, the second is the steady state
    const auto start = std::chrono::steady_clock::now();
    std::uint32_t fence = 0;
    for (std::uint64_t page = 0; page < kPages; ++page) {
      const std::uint64_t at = page * kPage;
      vm.gpu().emit(copy_packet(ProcessVm::kRamBase + at, vm.gpu().vram_address(at), kPage));
      if (page % kBatch == kBatch - 1) {
        ASSERT_TRUE(fence == 0 || vm.gpu().wait_fence(fence));
        fence = vm.gpu().submit_fence();
      }
    }
    ASSERT_TRUE(vm.gpu().wait_fence(fence));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    rate = static_cast<int>(static_cast<double>(kPages) / seconds.count());
  }
  RecordProperty("pages_per_second_first_touch", rates[0]);
  RecordProperty("pages_per_second", rates[1]);
  EXPECT_TRUE(has_pattern(vm.gpu().vram().first(ProcessVm::kRamSize), 9));
}

}  // namespace
}  // namespace kfdlab::device
