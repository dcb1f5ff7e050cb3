// SPDX-License-Identifier: MIT
// Retry faults: with XNACK on, SDMA packets use memory that nobody mapped for the GPU. What may be served is, where the
// attributes want the pages; what may not is told to the process with the exact address, and changes nothing.
#include <fcntl.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>

#include "tests/kfd/queue_fixture.h"
#include "tests/kfd/svm_fixture.h"
#include "tests/kfd/vm_fixture.h"
#include "tests/support/child.h"
#include "tests/support/gup_client.h"

namespace kfdlab {
namespace {

class VmFault : public VmTest {
 protected:
  void SetUp() override {
    VmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    std::int32_t now = 0;
    ASSERT_EQ(kfd().set_xnack_mode(xnack(), &now), 0);
    ASSERT_EQ(now, xnack());
    done_.emplace(access_gpu(), 1);
    ASSERT_TRUE(done_->ok()) << done_->error();
    queue_.emplace(access_gpu(), kSdma);
    ASSERT_TRUE(queue_->ok()) << queue_->error();
  }
  void TearDown() override {
    queue_.reset();
    done_.reset();
  }

  [[nodiscard]] virtual std::int32_t xnack() const { return 1; }
  [[nodiscard]] QueueGpu access_gpu() const { return {&kfd(), gpu(), render()}; }

  void copy(std::uint64_t dst, std::uint64_t src, std::size_t bytes) {
    while (bytes > 0) {
      const std::size_t n = std::min<std::size_t>(bytes, 2u << 20);
      queue_->emit(copy_packet(dst, src, n));
      dst += n;
      src += n;
      bytes -= n;
    }
  }
  void fill(std::uint64_t dst, std::uint32_t value, std::size_t bytes) { queue_->emit(fill_packet(dst, value, bytes)); }
  // Everything emitted so far has been done.
  [[nodiscard]] bool finish() {
    queue_->emit(fence_packet(done_->address(), ++fence_));
    queue_->submit();
    return eventually([&] { return std::atomic_ref(*done_->as<std::uint32_t>()).load() == fence_; });
  }
  [[nodiscard]] std::uint32_t memory_event() const {
    KfdEvent event;
    event.type = KFD_IOC_EVENT_MEMORY;
    event.auto_reset = false;
    EXPECT_EQ(kfd().create_event(&event), 0);
    return event.id;
  }
  [[nodiscard]] std::optional<kfd_hsa_memory_exception_data> await_exception(std::uint32_t id) const {
    kfd_event_data data{};
    data.event_id = id;
    std::uint32_t result = KFD_IOC_WAIT_RESULT_FAIL;
    const int error = kfd().wait_events({&data, 1}, true, 20'000, &result);
    return error == 0 && result == KFD_IOC_WAIT_RESULT_COMPLETE ? std::optional(data.memory_exception_data)
                                                               : std::nullopt;
  }
  static bool same(const Buffer& a, const Buffer& b) { return std::memcmp(a.data(), b.data(), a.size()) == 0; }

  UserQueue& queue() { return *queue_; }

  // Copies `source` to `target` in rounds, and in each of them moves both about while the copy runs. The number of moves
  // is bounded, so that it comes to an end however slow the machine is.
  void copy_while_moving(const Buffer& source, const Buffer& target) {
    for (std::uint32_t round = 0; round < 6; ++round) {
      std::thread mover([&] {
        EXPECT_TRUE(prefetch(source, round % 2 != 0 ? gpu() : kSvmSystem));
        EXPECT_TRUE(prefetch(target, round % 3 != 0 ? kSvmSystem : gpu()));
        EXPECT_TRUE(device().evict(gpu()).ok());
        EXPECT_EQ(in_child([] { return 0; }), 0);
      });
      fill(target.address(), round, target.size());
      copy(target.address(), source.address(), source.size());
      EXPECT_TRUE(finish()) << "round " << round;
      EXPECT_TRUE(same(source, target)) << "round " << round;
      mover.join();
    }
  }

 private:
  std::optional<GpuMemory> done_;
  std::optional<UserQueue> queue_;
  std::uint32_t fence_ = 0;
};

TEST_F(VmFault, FirstTouchByTheGpuMovesPagesToItsVram) {
  Buffer source(1024), target(1024);
  fill_pattern(source.bytes(), 1);
  copy(target.address(), source.address(), source.size());
  ASSERT_TRUE(finish());
  EXPECT_TRUE(same(source, target));
  EXPECT_EQ(census(source), all_vram(1024)) << "read by the GPU";
  EXPECT_EQ(census(target), all_vram(1024)) << "first touched by the GPU";
  EXPECT_TRUE(gpu_sees(source));
  EXPECT_TRUE(gpu_sees(target));
}

TEST_F(VmFault, PreferredRamKeepsPagesThere) {
  Buffer source(64), target(64);
  fill_pattern(source.bytes(), 2);
  for (const Buffer* buffer : {&source, &target}) {
    ASSERT_EQ(set(buffer->address(), 64, {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, kSvmSystem}}), 0);
  }
  copy(target.address(), source.address(), source.size());
  ASSERT_TRUE(finish());
  EXPECT_TRUE(same(source, target));
  EXPECT_EQ(census(source), all_ram(64));
  EXPECT_EQ(census(target), all_ram(64));
}

TEST_F(VmFault, PreferredRamBringsPagesBack) {
  Buffer buffer(64);
  fill_pattern(buffer.bytes(), 3);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  ASSERT_EQ(set(buffer.address(), 64, {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, kSvmSystem}}), 0);
  fill(buffer.address(), 0x01010101, buffer.size());
  ASSERT_TRUE(finish());
  EXPECT_EQ(census(buffer), all_ram(64));
}

TEST_F(VmFault, AccessInPlaceLeavesPagesWhereTheyAre) {
  Buffer ram(32), vram(32);
  fill_pattern(ram.bytes(), 4);
  fill_pattern(vram.bytes(), 5);
  ASSERT_TRUE(prefetch_to_vram(vram));
  for (const Buffer* buffer : {&ram, &vram}) {
    ASSERT_EQ(set(buffer->address(), 32, in_place()), 0);
  }
  copy(ram.address(), vram.address(), ram.size());
  ASSERT_TRUE(finish());
  EXPECT_TRUE(same(ram, vram));
  EXPECT_EQ(census(ram), all_ram(32));
  EXPECT_EQ(census(vram), all_vram(32));
}

TEST_F(VmFault, AFaultMovesOneGranule) {
  Buffer buffer(512);
  fill_pattern(buffer.bytes(), 6);
  ASSERT_EQ(set_granularity(buffer.address(), 512, 3), 0);
  fill(buffer.page_address(19), 0x02020202, 64);
  ASSERT_TRUE(finish());
  EXPECT_EQ(census(buffer, 16, 8), all_vram(8));
  EXPECT_EQ(census(buffer, 0, 16), all_ram(16));
  EXPECT_EQ(census(buffer, 24, 488), all_ram(488));
}

TEST_F(VmFault, FullVramIsNoReasonToFail) {
  Buffer buffer(256);
  fill_pattern(buffer.bytes(), 7);
  for (std::uint64_t size = std::uint64_t{1} << 30; size >= kPageSize; size /= 2) {
    (void)device().reserve(gpu(), size);
  }
  Buffer target(256);
  copy(target.address(), buffer.address(), buffer.size());
  ASSERT_TRUE(finish());
  EXPECT_TRUE(same(buffer, target));
}

TEST_F(VmFault, FileMappingIsWrittenInPlace) {
  const Fd file(::memfd_create("mapped", MFD_CLOEXEC));
  ASSERT_TRUE(file.valid());
  ASSERT_EQ(::ftruncate(file.get(), 16 * kPageSize), 0);
  Buffer mapped(16, file.get(), MAP_SHARED), source(16);
  fill_pattern(source.bytes(), 8);
  copy(mapped.address(), source.address(), source.size());
  ASSERT_TRUE(finish());
  std::vector<std::byte> content(source.size());
  ASSERT_EQ(::pread(file.get(), content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
  EXPECT_EQ(std::memcmp(content.data(), source.data(), content.size()), 0);
}

TEST_F(VmFault, StackStaysInRam) {
  alignas(4096) std::array<std::byte, 8192> local{};
  const auto address = reinterpret_cast<std::uintptr_t>(local.data());
  fill(address, 0x03030303, local.size());
  ASSERT_TRUE(finish());
  EXPECT_EQ(local[0], std::byte{3});
  EXPECT_EQ(local[8191], std::byte{3});
  EXPECT_EQ(oracle().home(local.data()), PageHome::Ram);
}

TEST_F(VmFault, PageThatTheGpuMayWriteIsDirty) {
  Buffer buffer(8);
  fill_pattern(buffer.bytes(), 9);
  ASSERT_EQ(set(buffer.address(), 8, {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, kSvmSystem}}), 0);
  ASSERT_EQ(::madvise(buffer.data(), buffer.size(), MADV_FREE), 0);
  fill(buffer.address(), 0x04040404, buffer.size());
  ASSERT_TRUE(finish());
  const auto pages = device().pages(buffer.data(), 8);
  ASSERT_TRUE(pages.ok());
  for (const auto& page : pages.value()) {
    EXPECT_TRUE(page.flags & KFDLAB_PAGE_DIRTY) << "reclaim would drop what the GPU wrote";
  }
  EXPECT_EQ(buffer.data()[0], std::byte{4});
}

TEST_F(VmFault, LongtermPinTakesThePageAndTheGpuGoesOnInRam) {
  auto gup = GupClient::open();
  KFDLAB_NEEDS(gup.ok(), "needs kfdlab_gup");
  Buffer buffer(16);
  fill(buffer.address(), 0x05050505, buffer.size());
  ASSERT_TRUE(finish());
  ASSERT_EQ(census(buffer), all_vram(16));
  ASSERT_EQ(set(buffer.address(), 16, in_place()), 0);
  GupHold hold;
  const GupFlavour longterm{.path = KFDLAB_GUP_FAST, .flags = KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM | KFDLAB_GUP_WRITE};
  ASSERT_EQ(gup.value().hold(longterm, buffer.data(), 16, &hold), 0);
  EXPECT_EQ(census(buffer), all_ram(16));
  EXPECT_TRUE(gpu_sees_nothing(buffer.address(), 16)) << "the old frames are somebody else's";
  fill(buffer.address(), 0x06060606, buffer.size());
  ASSERT_TRUE(finish());
  EXPECT_EQ(census(buffer), all_ram(16));
  EXPECT_EQ(buffer.data()[0], std::byte{6});
  EXPECT_TRUE(gpu_sees(buffer));
}

TEST_F(VmFault, UnmappedMemoryIsTold) {
  const std::uint32_t event = memory_event();
  Buffer hole(16);
  fill_pattern(hole.bytes(), 10);
  hole.unmap(5, 1);
  fill(hole.page_address(5) + 128, 0, 64);
  queue().submit();
  const auto told = await_exception(event);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->va, hole.page_address(5));
  EXPECT_EQ(told->gpu_id, gpu());
  EXPECT_EQ(told->failure.NotPresent, 1u);
}

TEST_F(VmFault, WriteToReadOnlyMemoryIsToldAndChangesNothing) {
  const std::uint32_t event = memory_event();
  Buffer fixed(16), target(16);
  fill_pattern(fixed.bytes(), 11);
  fixed.protect(0, 16, PROT_READ);
  copy(target.address(), fixed.address(), fixed.size());
  ASSERT_TRUE(finish()) << "reading is allowed";
  EXPECT_TRUE(same(fixed, target));
  fill(fixed.page_address(3), 0, kPageSize);
  queue().submit();
  const auto told = await_exception(event);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->va, fixed.page_address(3));
  EXPECT_EQ(told->failure.ReadOnly, 1u);
  EXPECT_EQ(pattern_error(fixed.bytes(), 11), "");
}

TEST_F(VmFault, NoAccessIsTold) {
  const std::uint32_t event = memory_event();
  Buffer buffer(8);
  fill_pattern(buffer.bytes(), 12);
  ASSERT_EQ(set(buffer.address(), 8, no_access()), 0);
  fill(buffer.address(), 0, 64);
  queue().submit();
  const auto told = await_exception(event);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->va, buffer.address());
  EXPECT_EQ(pattern_error(buffer.bytes(), 12), "");
}

TEST_F(VmFault, ManyProcessesFaultAtOnce) {
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(std::make_unique<Child>([id = gpu(), i](Peer&) {
      const auto client = KfdClient::open();
      const Fd file = KfdRender::open();
      std::int32_t now = 0;
      if (!client || client.value().acquire_vm(id, file.get()) != 0 || client.value().set_xnack_mode(1, &now) != 0) {
        return 1;
      }
      const QueueGpu own{&client.value(), id, file.get()};
      UserQueue sdma(own, kSdma);
      const GpuMemory done(own, 1);
      if (!sdma.ok() || !done.ok()) {
        return 2;
      }
      Buffer source(512), target(512);
      fill_pattern(source.bytes(), static_cast<std::uint64_t>(100 + i));
      sdma.emit(copy_packet(target.address(), source.address(), source.size()));
      sdma.emit(fence_packet(done.address(), 1));
      sdma.submit();
      if (!eventually([&] { return std::atomic_ref(*done.as<std::uint32_t>()).load() == 1; })) {
        return 3;
      }
      return same(source, target) ? 0 : 4;
    }));
  }
  for (auto& child : children) {
    EXPECT_EQ(child->wait(), 0);
  }
}

TEST_F(VmFault, CopiesAreRightWhileEverythingMoves) {
  Buffer source(512), target(512);
  fill_pattern(source.bytes(), 13);
  copy_while_moving(source, target);
  EXPECT_EQ(pattern_error(source.bytes(), 13), "");
}

// With XNACK off: the device cannot wait for a page, so queues stand still while something is not mapped.
class VmQuiesce : public VmFault {
 protected:
  [[nodiscard]] std::int32_t xnack() const override { return 0; }
};

TEST_F(VmQuiesce, CopiesAreRightWhileEverythingMoves) {
  const std::uint32_t event = memory_event();
  Buffer source(512), target(512);
  fill_pattern(source.bytes(), 14);
  for (const Buffer* buffer : {&source, &target}) {
    ASSERT_EQ(set(buffer->address(), buffer->npages(), access()), 0);
  }
  copy_while_moving(source, target);
  EXPECT_EQ(pattern_error(source.bytes(), 14), "");
  kfd_event_data data{};
  data.event_id = event;
  std::uint32_t result = KFD_IOC_WAIT_RESULT_FAIL;
  EXPECT_EQ(kfd().wait_events({&data, 1}, true, 0, &result), 0);
  EXPECT_EQ(result, KFD_IOC_WAIT_RESULT_TIMEOUT) << "no fault was seen";
}

TEST_F(VmQuiesce, BuffersMoveUnderARunningQueue) {
  GpuMemory vram(access_gpu(), 512, GpuMemory::Kind::Vram);
  ASSERT_TRUE(vram.ok()) << vram.error();
  Buffer source(512);
  fill_pattern(source.bytes(), 15);
  ASSERT_EQ(set(source.address(), 512, access()), 0);
  const std::string file =
      "/sys/kernel/debug/dri/" + std::to_string(node_properties(1)["drm_render_minor"]) + "/amdgpu_evict_vram";
  for (int round = 0; round < 5; ++round) {
    for (int n = 0; n < 8; ++n) {
      copy(vram.address(), source.address(), source.size());
    }
    queue().submit();
    std::ifstream evict(file);
    std::string answer;
    evict >> answer;
    EXPECT_EQ(answer, "0");
    EXPECT_TRUE(finish()) << "round " << round;
    EXPECT_EQ(std::memcmp(vram.bytes().data(), source.data(), source.size()), 0) << "round " << round;
    std::memset(vram.bytes().data(), round, vram.size());
  }
}

TEST_F(VmQuiesce, MemoryUnmappedUnderAQueueIsAFaultAndNothingElse) {
  const std::uint32_t event = memory_event();
  Buffer buffer(16);
  fill_pattern(buffer.bytes(), 16);
  ASSERT_EQ(set(buffer.address(), 16, access()), 0);
  buffer.unmap(4, 1);
  fill(buffer.page_address(4), 0, 64);
  queue().submit();
  const auto told = await_exception(event);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->va, buffer.page_address(4));
}

}  // namespace
}  // namespace kfdlab
