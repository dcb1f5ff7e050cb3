// SPDX-License-Identifier: MIT
// Streams: what is ordered, what is not, and host functions between kernels.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <vector>

#include "tests/hip/hip_fixture.h"

namespace kfdlab {
namespace {

class HipStreams : public HipTest {
 protected:
  void SetUp() override {
    HipTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      memory_.emplace(HipMemory::host(kPage, hipHostMallocCoherent));
      std::fill_n(memory_->as<std::uint32_t>(), kPage / 4, 0u);
    }
  }
  void TearDown() override {
    HipTest::TearDown();
    memory_.reset();
  }
  // Words of host memory that kernels and the CPU share.
  [[nodiscard]] std::uint32_t* started() const { return memory_->as<std::uint32_t>(); }
  [[nodiscard]] std::uint32_t* stop() const { return started() + 16; }
  [[nodiscard]] std::uint32_t* used() const { return started() + 32; }
  [[nodiscard]] std::uint32_t* log() const { return started() + 48; }
  void release() const { std::atomic_ref(*stop()).store(1); }
  [[nodiscard]] bool wait_started() const {
    return eventually([&] { return std::atomic_ref(*started()).load() == 1; });
  }
  [[nodiscard]] std::vector<std::uint32_t> entries() const { return {log(), log() + std::atomic_ref(*used()).load()}; }

 private:
  std::optional<HipMemory> memory_;
};

TEST_F(HipStreams, KernelsOfOneStreamRunInOrder) {
  const HipStream stream;
  std::vector<std::uint32_t> expected(64);
  std::iota(expected.begin(), expected.end(), 1u);
  for (const std::uint32_t id : expected) {
    HIP_OK(launch_slow_append(log(), used(), id, id % 2 == 0 ? 0 : 1000, stream));
  }
  HIP_OK(hipStreamSynchronize(stream));
  EXPECT_EQ(entries(), expected);
}

TEST_F(HipStreams, AStreamDoesNotWaitForAnother) {
  const HipStream blocked;
  const HipStream free_stream;
  HIP_OK(launch_wait(started(), stop(), blocked));
  ASSERT_TRUE(wait_started());
  HIP_OK(launch_append(log(), used(), 7, free_stream));
  HIP_OK(hipStreamSynchronize(free_stream));
  EXPECT_EQ(entries(), std::vector<std::uint32_t>{7});
  EXPECT_EQ(hipStreamQuery(free_stream), hipSuccess);
  EXPECT_EQ(hipStreamQuery(blocked), hipErrorNotReady);
  release();
  HIP_OK(hipStreamSynchronize(blocked));
  EXPECT_EQ(hipStreamQuery(blocked), hipSuccess);
}

TEST_F(HipStreams, WaitEventHoldsBackTheOtherStreamOnly) {
  const HipStream first;
  const HipStream second;
  const HipStream third;
  const HipEvent event(hipEventDisableTiming);
  HIP_OK(launch_wait(started(), stop(), first));
  HIP_OK(launch_append(log(), used(), 1, first));
  HIP_OK(hipEventRecord(event, first));
  HIP_OK(hipStreamWaitEvent(second, event, 0));
  HIP_OK(launch_append(log(), used(), 2, second));
  HIP_OK(launch_append(log(), used(), 3, third));
  HIP_OK(hipStreamSynchronize(third));
  EXPECT_EQ(entries(), std::vector<std::uint32_t>{3});
  EXPECT_EQ(hipEventQuery(event), hipErrorNotReady);
  EXPECT_EQ(hipStreamQuery(second), hipErrorNotReady);
  release();
  HIP_OK(hipStreamSynchronize(second));
  EXPECT_EQ(entries(), (std::vector<std::uint32_t>{3, 1, 2}));
}

TEST_F(HipStreams, TheDefaultStreamIsOrderedWithBlockingStreams) {
  const HipStream blocking(hipStreamDefault);
  HIP_OK(launch_slow_append(log(), used(), 1, 10'000, blocking));
  HIP_OK(launch_slow_append(log(), used(), 2, 10'000, nullptr));
  HIP_OK(launch_append(log(), used(), 3, blocking));
  HIP_OK(hipDeviceSynchronize());
  EXPECT_EQ(entries(), (std::vector<std::uint32_t>{1, 2, 3}));
}

TEST_F(HipStreams, TheDefaultStreamDoesNotWaitForNonBlockingStreams) {
  const HipStream other(hipStreamNonBlocking);
  HIP_OK(launch_wait(started(), stop(), other));
  ASSERT_TRUE(wait_started());
  HIP_OK(launch_append(log(), used(), 5, nullptr));
  HIP_OK(hipStreamSynchronize(nullptr));
  EXPECT_EQ(entries(), std::vector<std::uint32_t>{5});
  release();
}

struct HostEntry {
  std::uint32_t* log;
  std::uint32_t* used;
  std::uint32_t id;
};

void append_when_called_back(hipStream_t, hipError_t status, void* data) {
  const auto* entry = static_cast<const HostEntry*>(data);
  if (status == hipSuccess) {
    entry->log[std::atomic_ref(*entry->used).fetch_add(1)] = entry->id;
  }
}

TEST_F(HipStreams, HostFunctionsRunBetweenKernels) {
  const HipStream stream;
  HostEntry second{log(), used(), 2};
  HostEntry fourth{log(), used(), 4};
  HIP_OK(launch_slow_append(log(), used(), 1, 10'000, stream));
  HIP_OK(hipStreamAddCallback(stream, append_when_called_back, &second, 0));
  HIP_OK(launch_append(log(), used(), 3, stream));
  HIP_OK(hipStreamAddCallback(stream, append_when_called_back, &fourth, 0));
  HIP_OK(hipStreamSynchronize(stream));
  EXPECT_TRUE(eventually([&] { return std::atomic_ref(*used()).load() == 4; }));
  EXPECT_EQ(entries(), (std::vector<std::uint32_t>{1, 2, 3, 4}));
}

TEST_F(HipStreams, ManyStreamsFinishTheirWork) {
  constexpr unsigned kStreams = 12;  // more than ROCm has hardware queues for
  std::vector<std::unique_ptr<HipStream>> streams;
  for (unsigned i = 0; i < kStreams; ++i) {
    streams.push_back(std::make_unique<HipStream>());
    for (unsigned turn = 0; turn < 4; ++turn) {
      HIP_OK(launch_add(used(), 64, 5, *streams.back()));
    }
  }
  HIP_OK(hipDeviceSynchronize());
  EXPECT_EQ(*used(), kStreams * 4 * 64 * 5);
}

TEST_F(HipStreams, PrioritiesAreAcceptedWithinTheirRange) {
  int least = 0;
  int greatest = 0;
  HIP_OK(hipDeviceGetStreamPriorityRange(&least, &greatest));
  EXPECT_GE(least, greatest);
  for (int priority = greatest; priority <= least; ++priority) {
    hipStream_t stream = nullptr;
    HIP_OK(hipStreamCreateWithPriority(&stream, hipStreamNonBlocking, priority));
    HIP_OK(launch_append(log(), used(), 1, stream));
    HIP_OK(hipStreamSynchronize(stream));
    HIP_OK(hipStreamDestroy(stream));
  }
  EXPECT_EQ(*used(), static_cast<std::uint32_t>(least - greatest + 1));
}

TEST_F(HipStreams, ZeroSizedLaunchesAreRefusedAndNothingRuns) {
  auto* count = reinterpret_cast<std::uint64_t*>(log());
  EXPECT_NE(launch_count_threads(count, 0, 64, nullptr), hipSuccess);
  EXPECT_NE(launch_count_threads(count, 1, 0, nullptr), hipSuccess);
  EXPECT_NE(launch_count_threads(count, 1, 2048, nullptr), hipSuccess) << "more threads than a block may have";
  (void)hipGetLastError();
  HIP_OK(launch_count_threads(count, 3, 100, nullptr));
  HIP_OK(hipDeviceSynchronize());
  EXPECT_EQ(*count, 300u);
}

TEST_F(HipStreams, HugeGridsRunEveryThread) {
  auto* count = reinterpret_cast<std::uint64_t*>(log());
  HIP_OK(launch_count_threads(count, 40'000, 64, nullptr));
  HIP_OK(launch_count_threads(count, 1000, 1024, nullptr));
  HIP_OK(launch_count_threads(count, 1, 1, nullptr));
  HIP_OK(hipDeviceSynchronize());
  EXPECT_EQ(*count, 40'000u * 64 + 1000u * 1024 + 1);
}

// ---- events ----

class HipEvents : public HipStreams {};

TEST_F(HipEvents, QueryIsNotReadyUntilTheWorkBeforeIsDone) {
  const HipStream stream;
  const HipEvent event;
  HIP_OK(launch_wait(started(), stop(), stream));
  HIP_OK(hipEventRecord(event, stream));
  EXPECT_EQ(hipEventQuery(event), hipErrorNotReady);
  release();
  HIP_OK(hipEventSynchronize(event));
  EXPECT_EQ(hipEventQuery(event), hipSuccess);
}

TEST_F(HipEvents, ElapsedTimeIsThatOfTheClockOnTheWall) {
  const HipStream stream;
  const HipEvent begin;
  const HipEvent end;
  HIP_OK(launch_append(log(), used(), 1, stream));
  HIP_OK(hipStreamSynchronize(stream));
  const auto outer = std::chrono::steady_clock::now();
  HIP_OK(hipEventRecord(begin, stream));
  HIP_OK(launch_wait(started(), stop(), stream));
  HIP_OK(hipEventRecord(end, stream));
  ASSERT_TRUE(wait_started());
  const auto inner = std::chrono::steady_clock::now();
  const auto deadline = inner + std::chrono::milliseconds(200);
  ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() >= deadline; }));
  const std::chrono::duration<float, std::milli> least = std::chrono::steady_clock::now() - inner;
  release();
  HIP_OK(hipEventSynchronize(end));
  const std::chrono::duration<float, std::milli> most = std::chrono::steady_clock::now() - outer;
  float elapsed = 0;
  HIP_OK(hipEventElapsedTime(&elapsed, begin, end));
  EXPECT_GE(elapsed, least.count() * 0.9f);
  EXPECT_LE(elapsed, most.count() * 1.1f);
}

TEST_F(HipEvents, TimesOfEventsOfAStreamGrow) {
  const HipStream stream;
  const HipEvent events[4];
  for (const HipEvent& event : events) {
    HIP_OK(launch_slow_append(log(), used(), 1, 20'000, stream));
    HIP_OK(hipEventRecord(event, stream));
  }
  HIP_OK(hipStreamSynchronize(stream));
  float before = 0;
  for (int i = 1; i < 4; ++i) {
    float elapsed = 0;
    HIP_OK(hipEventElapsedTime(&elapsed, events[0], events[i]));
    EXPECT_GT(elapsed, before);
    before = elapsed;
  }
}

TEST_F(HipEvents, EventsWithoutATimeOrARecordHaveNoElapsedTime) {
  const HipStream stream;
  const HipEvent timed;
  const HipEvent untimed(hipEventDisableTiming);
  const HipEvent unrecorded;
  float elapsed = 0;
  EXPECT_EQ(hipEventElapsedTime(&elapsed, timed, unrecorded), hipErrorInvalidHandle);
  HIP_OK(hipEventRecord(timed, stream));
  HIP_OK(hipEventRecord(untimed, stream));
  HIP_OK(hipStreamSynchronize(stream));
  EXPECT_EQ(hipEventElapsedTime(&elapsed, timed, untimed), hipErrorInvalidHandle);
  (void)hipGetLastError();
}

}  // namespace
}  // namespace kfdlab
