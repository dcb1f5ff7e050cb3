// SPDX-License-Identifier: MIT
// What the driver does when the device process stops, dies and is replaced. The tests drive the process through
// the launcher, on the virtio-serial port org.kfdlab.device (tools/vm/control_port.h), and judge by contents, by
// counters of who copied, and by where the pages are.
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <optional>
#include <sstream>
#include <string>

#include "tests/kfd/svm_fixture.h"
#include "tests/support/device_port.h"

namespace kfdlab {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr char kRings[] = "/sys/kernel/debug/kfd/gpu0/rings";
constexpr std::uint64_t kSeed = 0xdead;
// What the driver waits for a device without progress in these tests, and what a launcher on a busy machine may take
// to kill, reap and restart it.
constexpr milliseconds kResetTimeout = seconds(1);
constexpr milliseconds kReapTime = seconds(5);

class KfdDevice : public SvmTest {
 protected:
  void SetUp() override {
    KFDLAB_NEEDS_NODE(kDevicePort);
    SvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    default_timeout_ = reset_timeout();
    EXPECT_TRUE(set_reset_timeout(kResetTimeout));
    ASSERT_TRUE(port_.open()) << kDevicePort << ": " << std::strerror(errno);
    ASSERT_TRUE(serving()) << port_.ask("status");
  }

  void TearDown() override {
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    EXPECT_TRUE(set_reset_timeout(default_timeout_));
    go_on();
    ask("resume");
    EXPECT_TRUE(eventually([&] { return serving(); }, kReapTime)) << port_.ask("status");
  }

  void ask(const std::string& request) const {
    const std::string answer = port_.ask(request);
    ASSERT_TRUE(answer.starts_with("generation=")) << request << ": " << answer;
  }
  // SIGCONT for a process that was stopped, if the driver has not had it killed meanwhile.
  void go_on() const {
    const std::string answer = port_.ask("cont");
    ASSERT_TRUE(answer.starts_with("generation=") || answer == "error no device process is running") << answer;
  }
  [[nodiscard]] int ping() const {
    kfdlab_test_ping request{};
    request.gpu_id = gpu();
    return device().raw(KFDLAB_TEST_PING, &request);
  }
  [[nodiscard]] bool serving() const { return ping() == 0; }
  // Stop the process for good: it is dead and no successor starts before `resume`.
  void take_away() const {
    ask("hold");
    ask("kill");
    ASSERT_TRUE(eventually([&] { return ping() == ENODEV; }));
  }
  [[nodiscard]] static Buffer filled(std::size_t npages) {
    Buffer buffer(npages);
    fill_pattern(buffer.bytes(), kSeed);
    return buffer;
  }
  // Has the driver queued copies that the device has not consumed? Only the driver's own view can say.
  [[nodiscard]] static bool copies_wait() {
    std::ifstream rings(kRings);
    for (std::string line; std::getline(rings, line);) {
      unsigned long long wptr = 0;
      unsigned long long rptr = 0;
      if (std::sscanf(line.c_str(), "copy wptr %llu rptr %llu", &wptr, &rptr) == 2) {
        return wptr != rptr;
      }
    }
    return false;
  }

 private:
  DevicePort port_;
  milliseconds default_timeout_{};
};

std::uint64_t device_bytes(const kfdlab_test_counters& counters) { return counters.bytes_copied_device; }
std::uint64_t cpu_bytes(const kfdlab_test_counters& counters) { return counters.bytes_copied_cpu; }

TEST_F(KfdDevice, CopiesOfPrefetchAreTheDevices) {
  const Buffer buffer = filled(2048);
  const auto before = counters();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  ASSERT_TRUE(prefetch_to_ram(buffer));
  const auto after = counters();
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  EXPECT_EQ(device_bytes(after) - device_bytes(before), 2 * buffer.size());
  EXPECT_EQ(cpu_bytes(after), cpu_bytes(before));
}

TEST_F(KfdDevice, HolesAreFilledWithZeroByTheDevice) {
  const Buffer buffer(2048);
  const auto before = counters();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  const auto after = counters();
  EXPECT_EQ(census(buffer), (PageCensus{.vram = buffer.npages()}));
  EXPECT_EQ(after.bytes_filled_device - before.bytes_filled_device, buffer.size());
  for (const std::byte byte : buffer.bytes()) {
    ASSERT_EQ(byte, std::byte{0});
  }
}

TEST_F(KfdDevice, PrefetchWithoutDeviceCopiesByCpu) {
  const Buffer buffer = filled(2048);
  take_away();
  const auto before = counters();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer), (PageCensus{.vram = buffer.npages()}));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(census(buffer), (PageCensus{.ram = buffer.npages()}));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  const auto after = counters();
  EXPECT_EQ(cpu_bytes(after) - cpu_bytes(before), 2 * buffer.size());
  EXPECT_EQ(device_bytes(after), device_bytes(before));
  EXPECT_EQ(after.device_resets, before.device_resets);
}

TEST_F(KfdDevice, EvictionWithoutDeviceKeepsContents) {
  const Buffer buffer = filled(1024);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  take_away();
  const auto evicted = device().evict(gpu());
  ASSERT_TRUE(evicted.ok()) << evicted.error().message;
  EXPECT_EQ(evicted.value().moved, buffer.npages());
  EXPECT_EQ(evicted.value().stayed, 0u);
  EXPECT_EQ(census(buffer), (PageCensus{.ram = buffer.npages()}));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
}

TEST_F(KfdDevice, PagesInVramStayReadableAndWritableWithoutDevice) {
  const Buffer buffer = filled(512);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  take_away();
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  fill_pattern(buffer.bytes(), kSeed + 1);
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed + 1), "");
  EXPECT_EQ(census(buffer), (PageCensus{.vram = buffer.npages()}));
}

TEST_F(KfdDevice, PingAnswersEnodevWhileNoDeviceRuns) {
  take_away();
  EXPECT_EQ(ping(), ENODEV);
  ask("resume");
  EXPECT_TRUE(eventually([&] { return serving(); }, kReapTime));
}

TEST_F(KfdDevice, ReplacementTakesOverWithNextGeneration) {
  const Buffer buffer = filled(2048);
  const auto before = counters();
  ask("kill");
  ASSERT_TRUE(eventually([&] { return serving() && counters().generation == before.generation + 1; }, kReapTime));
  ASSERT_TRUE(prefetch_to_vram(buffer));
  ASSERT_TRUE(prefetch_to_ram(buffer));
  const auto after = counters();
  EXPECT_EQ(device_bytes(after) - device_bytes(before), 2 * buffer.size());
  EXPECT_EQ(cpu_bytes(after), cpu_bytes(before));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
}

TEST_F(KfdDevice, KillDuringPrefetchLosesNothing) {
  const Buffer buffer = filled(8192);
  for (int round = 0; round < 3; ++round) {
    const auto before = counters();
    auto mover = std::async(std::launch::async, [&] {
      for (int i = 0; i < 2; ++i) {
        if (!prefetch_to_vram(buffer) || !prefetch_to_ram(buffer)) {
          return false;
        }
      }
      return true;
    });
    EXPECT_TRUE(eventually([&] { return counters().pages_to_vram != before.pages_to_vram; }));
    ask("kill");
    EXPECT_TRUE(mover.get());
    EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "") << "round " << round;
    EXPECT_EQ(census(buffer), (PageCensus{.ram = buffer.npages()}));
    EXPECT_TRUE(eventually([&] { return serving(); }, kReapTime));
  }
}

// A stopped process holds up whoever waits for it, but only until the deadline; then it is killed, so that it
// cannot go on later and write memory that has another owner by then.
TEST_F(KfdDevice, StoppedDeviceIsKilledWithinBoundedTimeAndWritesNothingLater) {
  std::optional<Buffer> buffer(filled(2048));
  const auto before = counters();
  ask("stop");
  const auto begin = Clock::now();
  ASSERT_TRUE(prefetch_to_vram(*buffer));
  EXPECT_LT(Clock::now() - begin, kResetTimeout + kReapTime * patience());
  EXPECT_GE(Clock::now() - begin, kResetTimeout / 2) << "the device was not stopped";
  EXPECT_EQ(pattern_error(buffer->bytes(), kSeed), "");
  EXPECT_EQ(census(*buffer), (PageCensus{.vram = buffer->npages()}));
  const auto after = counters();
  EXPECT_EQ(after.device_resets, before.device_resets + 1);
  // What the stopped process had been given went by CPU; its successor may have come in time for the rest.
  EXPECT_GT(cpu_bytes(after), cpu_bytes(before));
  EXPECT_EQ(cpu_bytes(after) - cpu_bytes(before) + device_bytes(after) - device_bytes(before), buffer->size());

  buffer.reset();
  const Buffer reused = filled(2048);
  const Buffer reused_vram(2048);
  ASSERT_TRUE(prefetch_to_vram(reused_vram));
  fill_pattern(reused_vram.bytes(), kSeed + 1);
  go_on();
  ASSERT_TRUE(eventually([&] { return serving(); }, kReapTime));
  EXPECT_EQ(counters().generation, before.generation + 1);
  EXPECT_EQ(pattern_error(reused.bytes(), kSeed), "");
  EXPECT_EQ(pattern_error(reused_vram.bytes(), kSeed + 1), "");
}

TEST_F(KfdDevice, UnmapDuringPrefetchByStoppedDeviceReturns) {
  std::optional<Buffer> buffer(filled(1024));
  ask("stop");
  auto mover = std::async(std::launch::async, [this, address = buffer->address(), size = buffer->size()] {
    return kfd().svm_prefetch(address, size, gpu());
  });
  ASSERT_TRUE(eventually([&] { return copies_wait(); }));
  const auto begin = Clock::now();
  buffer.reset();
  EXPECT_LT(Clock::now() - begin, kResetTimeout + kReapTime * patience());
  EXPECT_EQ(mover.get(), 0);
  const Buffer reused = filled(1024);
  go_on();
  ASSERT_TRUE(eventually([&] { return serving(); }, kReapTime));
  EXPECT_EQ(pattern_error(reused.bytes(), kSeed), "");
}

TEST_F(KfdDevice, DeviceThatGoesOnBeforeTheDeadlineIsNotReset) {
  const Buffer buffer = filled(2048);
  const auto before = counters();
  ask("stop");
  auto mover = std::async(std::launch::async, [&] { return bool{prefetch_to_vram(buffer)}; });
  EXPECT_TRUE(eventually([&] { return copies_wait(); }));
  ask("cont");
  EXPECT_TRUE(mover.get());
  const auto after = counters();
  EXPECT_EQ(after.device_resets, before.device_resets);
  EXPECT_EQ(after.generation, before.generation);
  EXPECT_EQ(device_bytes(after) - device_bytes(before), buffer.size());
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
}

TEST_F(KfdDevice, KilledProcessLeavesNoVramBehindWhileDeviceIsStopped) {
  const auto before = counters();
  ask("stop");
  EXPECT_EQ(in_child([&] {
              auto mine = KfdClient::open();
              const Buffer buffer = filled(1024);
              ::alarm(1);  // kills the child inside the ioctl
              mine.value().svm_prefetch(buffer.address(), buffer.size(), gpu());
              ::pause();
              return 0;
            }),
            128 + SIGALRM);
  EXPECT_TRUE(eventually([&] {
    const auto now = counters();
    return now.svm_pages_occupied == before.svm_pages_occupied && now.vram_held == before.vram_held &&
           now.processes == before.processes;
  }));
}

}  // namespace
}  // namespace kfdlab
