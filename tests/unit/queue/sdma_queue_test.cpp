// SPDX-License-Identifier: MIT
// SDMA queues of user space: each packet, the ring, and going on behind a fault or a pause in the midst of a packet.
#include <gtest/gtest.h>

#include "device/cp/gpu_clock.h"
#include "device/host/shared_word.h"
#include "tests/unit/device/support/test_driver.h"
#include "tests/unit/queue/support/queue_rig.h"

namespace kfdlab::device {
namespace {

using Rig = QueueRig;
using Act = UserQueue::Act;

constexpr std::uint64_t kPage = 4096;

std::uint32_t lo(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t hi(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

sdma_poll_regmem poll(std::uint64_t address, std::uint32_t function, std::uint32_t value, std::uint32_t mask) {
  return {.header = sdma_header(SDMA_OP_POLL_REGMEM, 0) | SDMA_POLL_MEMORY | function << 28,
          .addr_lo = lo(address),
          .addr_hi = hi(address),
          .value = value,
          .mask = mask,
          .interval_retries = 0xfff0004};
}

TEST(SdmaQueue, CopiesAcrossPagesAtAnyAlignment) {
  Rig rig(KFDLAB_QUEUE_SDMA);
  const std::uint64_t source = Rig::kData + 13;
  const std::uint64_t destination = Rig::kData + 0x80000 + 4001;
  constexpr std::uint32_t kBytes = 300'001;
  fill_pattern(rig.bytes(source, kBytes), 1);
  rig.emit_packet(copy_packet(source, destination, kBytes));
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_TRUE(has_pattern(rig.bytes(destination, kBytes), 1));
  EXPECT_EQ(rig.at<std::uint8_t>(destination - 1), 0);
  EXPECT_EQ(rig.at<std::uint8_t>(destination + kBytes), 0);
  EXPECT_EQ(rig.rptr(), sizeof(sdma_copy_linear));
  EXPECT_EQ(rig.work().copy_bytes, kBytes);
}

TEST(SdmaQueue, BroadcastReachesBothDestinations) {
  Rig rig(KFDLAB_QUEUE_SDMA);
  constexpr std::uint32_t kBytes = 100'000;
  const std::uint64_t first = Rig::kData + 0x40000;
  const std::uint64_t second = Rig::kData + 0x80000 + 100;
  fill_pattern(rig.bytes(Rig::kData, kBytes), 2);
  rig.emit_packet(sdma_copy_broadcast{.header = sdma_header(SDMA_OP_COPY, 0) | SDMA_COPY_BROADCAST,
                                      .count = kBytes - 1,
                                      .parameter = 0,
                                      .src_lo = lo(Rig::kData),
                                      .src_hi = hi(Rig::kData),
                                      .dst_lo = lo(first),
                                      .dst_hi = hi(first),
                                      .dst2_lo = lo(second),
                                      .dst2_hi = hi(second)});
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_TRUE(has_pattern(rig.bytes(first, kBytes), 2));
  EXPECT_TRUE(has_pattern(rig.bytes(second, kBytes), 2));
}

// Against the definition: element (x, y, z) of the rectangle, one at a time.
TEST(SdmaQueue, CopiesRectanglesOfEveryElementSize) {
  for (unsigned element = 0; element <= 4; ++element) {
    Rig rig(KFDLAB_QUEUE_SDMA);
    const std::uint64_t source = Rig::kData;
    const std::uint64_t destination = Rig::kData + 0x80000;
    constexpr std::uint32_t kWidth = 37, kHeight = 11, kDepth = 3;
    constexpr std::uint32_t kSourcePitch = 64, kSourceSlice = 64 * 20, kPitch = 50, kSlice = 50 * 16;
    fill_pattern(rig.bytes(source, 0x80000), element);
    rig.emit_packet(sdma_copy_linear_rect{
        .header = sdma_header(SDMA_OP_COPY, SDMA_SUBOP_COPY_LINEAR_RECT) | element << 29,
        .src_lo = lo(source),
        .src_hi = hi(source),
        .src_xy = 3 | 2 << 16,
        .src_z_pitch = 1 | (kSourcePitch - 1) << 13,
        .src_slice_pitch = kSourceSlice - 1,
        .dst_lo = lo(destination),
        .dst_hi = hi(destination),
        .dst_xy = 1 | 4 << 16,
        .dst_z_pitch = 0 | (kPitch - 1) << 13,
        .dst_slice_pitch = kSlice - 1,
        .rect_xy = (kWidth - 1) | (kHeight - 1) << 16,
        .rect_z = kDepth - 1});
    EXPECT_EQ(rig.run(), Act::Idle);
    std::vector<std::byte> expected(0x80000);
    const std::uint64_t size = 1ull << element;
    for (std::uint64_t z = 0; z < kDepth; ++z) {
      for (std::uint64_t y = 0; y < kHeight; ++y) {
        for (std::uint64_t x = 0; x < kWidth; ++x) {
          const std::uint64_t from = (x + 3 + (y + 2) * kSourcePitch + (z + 1) * kSourceSlice) * size;
          const std::uint64_t to = (x + 1 + (y + 4) * kPitch + z * kSlice) * size;
          std::memcpy(expected.data() + to, rig.bytes(source + from, size).data(), size);
        }
      }
    }
    EXPECT_EQ(std::memcmp(expected.data(), rig.bytes(destination, expected.size()).data(), expected.size()), 0)
        << element;
  }
}

TEST(SdmaQueue, FillsDwordsAndBytes) {
  Rig rig(KFDLAB_QUEUE_SDMA);
  constexpr std::uint32_t kBytes = 70'000;
  for (const std::uint32_t count : {kBytes - 1, kBytes - 4}) {  // amdgpu's and ROCr's way to say the same
    std::memset(rig.bytes(Rig::kData, kBytes + 8).data(), 0, kBytes + 8);
    sdma_const_fill fill = fill_packet(Rig::kData, 0x12345678, kBytes);
    fill.count = count;
    rig.emit_packet(fill);
    EXPECT_EQ(rig.run(), Act::Idle);
    EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData), 0x12345678u);
    EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData + kBytes - 4), 0x12345678u);
    EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData + kBytes), 0u);
  }
  sdma_const_fill bytes = fill_packet(Rig::kData + 5, 0xab, 4099);
  bytes.header = sdma_header(SDMA_OP_CONST_FILL, 0) | SDMA_FILL_BYTE;
  rig.emit_packet(bytes);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.at<std::uint8_t>(Rig::kData + 5), 0xab);
  EXPECT_EQ(rig.at<std::uint8_t>(Rig::kData + 5 + 4098), 0xab);
  EXPECT_NE(rig.at<std::uint8_t>(Rig::kData + 5 + 4099), 0xab);
  EXPECT_NE(rig.at<std::uint8_t>(Rig::kData + 4), 0xab);
}

TEST(SdmaQueue, WritesDwordsThatWrapAroundTheRing) {
  constexpr std::uint64_t kRingBytes = 256;
  Rig rig(KFDLAB_QUEUE_SDMA, kRingBytes);
  for (std::uint32_t round = 0; round < 10; ++round) {
    constexpr std::uint32_t kDwords = 29;
    std::vector<std::uint32_t> packet = {sdma_header(SDMA_OP_WRITE, 0), lo(Rig::kData), hi(Rig::kData), kDwords - 1};
    for (std::uint32_t i = 0; i < kDwords; ++i) {
      packet.push_back(round * 1000 + i);
    }
    rig.emit(packet);
    EXPECT_EQ(rig.run(), Act::Idle);
    for (std::uint32_t i = 0; i < kDwords; ++i) {
      ASSERT_EQ(rig.at<std::uint32_t>(Rig::kData + 4 * i), round * 1000 + i);
    }
    EXPECT_EQ(rig.rptr(), rig.wptr());
  }
}

// What ROCr sends around a copy, in its order.
TEST(SdmaQueue, RunsACopyAsTheRuntimeSubmitsIt) {
  Rig rig(KFDLAB_QUEUE_SDMA);
  const std::uint64_t dependency = rig.make_signal(0, 1);
  const std::uint64_t completion = rig.make_signal(1, 1, 21);
  const std::uint64_t stamps = Rig::kData + 0x100;
  fill_pattern(rig.bytes(Rig::kData + kPage, kPage), 3);
  const std::array<std::uint32_t, 6> flush = {0x8, 0, 0x80000000, 0, 0, 0};
  rig.emit(flush);
  rig.emit_packet(poll(dependency + 8, 3, 0, 0xffffffff));
  rig.emit_packet(poll(dependency + 12, 3, 0, 0xffffffff));
  const sdma_timestamp start = {
      .header = sdma_header(SDMA_OP_TIMESTAMP, SDMA_SUBOP_TIMESTAMP_GET_GLOBAL), .addr_lo = lo(stamps), .addr_hi = hi(stamps)};
  rig.emit_packet(start);
  rig.emit_packet(copy_packet(Rig::kData + kPage, Rig::kData + 2 * kPage, kPage));
  sdma_timestamp end = start;
  end.addr_lo += 32;
  rig.emit_packet(end);
  rig.emit_packet(sdma_atomic{.header = sdma_header(SDMA_OP_ATOMIC, 0) | SDMA_ATOMIC_ADD64 << 25,
                              .addr_lo = lo(completion + 8),
                              .addr_hi = hi(completion + 8),
                              .src_lo = 0xffffffff,
                              .src_hi = 0xffffffff,
                              .cmp_lo = 0,
                              .cmp_hi = 0,
                              .loop_interval = 0});
  rig.emit_packet(fence_packet(Rig::kEvents + 8 * 21, 21));
  rig.emit_packet(trap_packet(21));
  EXPECT_EQ(rig.run(), Act::Waiting);
  EXPECT_EQ(rig.at<std::uint64_t>(stamps), 0u);
  store_release(rig.signal(dependency).value, std::int64_t{0});
  const std::uint64_t before = gpu_clock();
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_TRUE(has_pattern(rig.bytes(Rig::kData + 2 * kPage, kPage), 3));
  EXPECT_GE(rig.at<std::uint64_t>(stamps), before);
  EXPECT_GE(rig.at<std::uint64_t>(stamps + 32), rig.at<std::uint64_t>(stamps));
  EXPECT_EQ(rig.signal(completion).value, 0);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kEvents + 8 * 21), 21u);
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_SDMA0, IH_SOURCE_SDMA_TRAP, 21));
  EXPECT_EQ(rig.rptr(), rig.wptr());
}

TEST(SdmaQueue, PollComparesAsItsFunctionSays) {
  struct Case {
    std::uint32_t function, closed, open;
  };
  for (const Case& c : {Case{1, 5, 4}, Case{2, 6, 5}, Case{3, 4, 5}, Case{4, 5, 6}, Case{5, 4, 5}, Case{6, 5, 6}}) {
    Rig rig(KFDLAB_QUEUE_SDMA);
    rig.at<std::uint32_t>(Rig::kData) = c.closed | 0x100;
    rig.emit_packet(poll(Rig::kData, c.function, 5, 0xff));
    EXPECT_EQ(rig.run(), Act::Waiting) << c.function;
    store_release(rig.at<std::uint32_t>(Rig::kData), c.open | 0x200);
    EXPECT_EQ(rig.run(), Act::Idle) << c.function;
  }
}

TEST(SdmaQueue, NopSkipsItsDwordsAndZerosAreNops) {
  Rig rig(KFDLAB_QUEUE_SDMA);
  const std::array<std::uint32_t, 4> nop = {3u << SDMA_NOP_COUNT_SHIFT, 0xffffffff, 0xffffffff, 0xffffffff};
  rig.emit(nop);
  rig.emit(std::array<std::uint32_t, 5>{});
  rig.emit_packet(trap_packet(4));
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_SDMA0, IH_SOURCE_SDMA_TRAP, 4));
}

TEST(SdmaQueue, FaultInTheMidstOfACopyGoesOnWhereItWas) {
  Rig rig(KFDLAB_QUEUE_SDMA, 4096, true);
  constexpr std::uint32_t kBytes = 64 * kPage;
  const std::uint64_t destination = Rig::kData + 0x80000;
  fill_pattern(rig.bytes(Rig::kData, kBytes), 5);
  rig.unmap(Rig::kData + 40 * kPage);
  rig.unmap(destination + 50 * kPage);
  rig.emit_packet(copy_packet(Rig::kData, destination, kBytes));
  rig.emit_packet(trap_packet(1));
  EXPECT_EQ(rig.run(), Act::Waiting);
  ih_entry fault;
  ASSERT_TRUE(rig.take_ih(fault));
  EXPECT_EQ(ih_fault_address(&fault), Rig::kData + 40 * kPage);
  EXPECT_EQ(fault.src_data[1] & 0xf0, IH_FAULT_READ | IH_FAULT_RETRY);
  EXPECT_EQ(rig.work().copy_bytes, 40 * kPage);
  EXPECT_EQ(rig.rptr(), 0u);
  // What is done is not done again.
  std::memset(rig.bytes(destination, 40 * kPage).data(), 0, 40 * kPage);
  rig.map(Rig::kData + 40 * kPage);
  EXPECT_NE(rig.step_later(), Act::Idle);
  EXPECT_EQ(rig.run(), Act::Waiting);
  ASSERT_TRUE(rig.take_ih(fault));
  EXPECT_EQ(ih_fault_address(&fault), destination + 50 * kPage);
  EXPECT_EQ(fault.src_data[1] & 0xf0, IH_FAULT_WRITE | IH_FAULT_RETRY);
  rig.map(destination + 50 * kPage, false);
  EXPECT_EQ(rig.step_later(), Act::Waiting);
  ASSERT_TRUE(rig.take_ih(fault));
  EXPECT_EQ(fault.source >> 16 & 0xff, IH_FAULT_RING_NO_WRITE);
  rig.map(destination + 50 * kPage);
  EXPECT_NE(rig.step_later(), Act::Waiting);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.work().copy_bytes, kBytes);
  EXPECT_EQ(rig.at<std::uint8_t>(destination), 0);
  EXPECT_EQ(std::memcmp(rig.bytes(destination + 40 * kPage, 24 * kPage).data(),
                        rig.bytes(Rig::kData + 40 * kPage, 24 * kPage).data(), 24 * kPage),
            0);
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_SDMA0, IH_SOURCE_SDMA_TRAP, 1));
}

TEST(SdmaQueue, InvalidationEndsTheWaitForTheNextTry) {
  Rig rig(KFDLAB_QUEUE_SDMA, 4096, true);
  rig.unmap(Rig::kData);
  rig.emit_packet(fence_packet(Rig::kData, 7));
  EXPECT_EQ(rig.run(), Act::Waiting);
  rig.map(Rig::kData);
  EXPECT_EQ(rig.run(), Act::Waiting) << "not yet time, and nobody said anything";
  rig.gpu().spaces().invalidate({.vmid = Rig::kVmid, .first_page = Rig::kData >> 12, .pages = 1});
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData), 7u);
}

TEST(SdmaQueue, CopyIsDoneInPiecesBetweenWhichItCanBeStopped) {
  Rig rig(KFDLAB_QUEUE_SDMA);
  constexpr std::uint32_t kBytes = 512 * 1024;
  const std::uint64_t destination = Rig::kData + 0x80000;
  fill_pattern(rig.bytes(Rig::kData, kBytes), 6);
  rig.emit_packet(copy_packet(Rig::kData, destination, kBytes));
  EXPECT_EQ(rig.step_later(), Act::Progress);
  EXPECT_EQ(rig.work().copy_bytes, 64 * 1024u);
  rig.queue().set_quiesced(true);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.work().copy_bytes, 64 * 1024u);
  rig.queue().set_quiesced(false);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_TRUE(has_pattern(rig.bytes(destination, kBytes), 6));
}

TEST(SdmaQueue, DoorbellAloneIsEnough) {
  Rig rig(KFDLAB_QUEUE_SDMA);
  rig.emit_packet(trap_packet(2));
  store_release(rig.at<std::uint64_t>(Rig::kWptr), std::uint64_t{0});
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.rptr(), 0u);
  *reinterpret_cast<std::uint64_t*>(rig.gpu().bar().doorbells().data() + Rig::kDoorbell) = rig.wptr();
  rig.run();
  EXPECT_EQ(rig.rptr(), rig.wptr());
}

TEST(SdmaQueue, PacketThatIsNotWholeWaitsForItsRest) {
  Rig rig(KFDLAB_QUEUE_SDMA);
  const sdma_fence fence = fence_packet(Rig::kData, 9);
  const auto dwords = std::bit_cast<std::array<std::uint32_t, 4>>(fence);
  rig.emit(std::span(dwords).first(3));
  EXPECT_EQ(rig.run(), Act::Idle);
  rig.emit(std::span(dwords).subspan(3));
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData), 9u);
}

TEST(SdmaQueue, UnmappedWritePointerIsNoNewsOrARetryFault) {
  for (const bool retry : {false, true}) {
    Rig rig(KFDLAB_QUEUE_SDMA, 4096, retry);
    rig.emit_packet(trap_packet(2));
    rig.unmap(Rig::kWptr & ~(kPage - 1));
    EXPECT_EQ(rig.run(), retry ? Act::Waiting : Act::Idle);
    EXPECT_EQ(rig.queue().error(), KFDLAB_QUEUE_OK);
    ih_entry fault;
    EXPECT_EQ(rig.take_ih(fault), retry);
    rig.map(Rig::kWptr & ~(kPage - 1));
    EXPECT_EQ(rig.step_later(), Act::Progress);
  }
}

class SdmaRefusal : public ::testing::TestWithParam<std::array<std::uint32_t, 13>> {};

TEST_P(SdmaRefusal, StopsTheQueue) {
  Rig rig(KFDLAB_QUEUE_SDMA);
  rig.emit(GetParam());
  EXPECT_EQ(rig.run(), Act::Stopped);
  EXPECT_EQ(rig.mqd().cp_hqd_error, KFDLAB_QUEUE_BAD_PACKET);
  EXPECT_EQ(rig.rptr(), 0u);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_SDMA0, IH_SOURCE_CP_BAD_OPCODE,
                          ih_queue_error(Rig::kDoorbell / 8, KFDLAB_QUEUE_BAD_PACKET)));
}

constexpr auto kLo = static_cast<std::uint32_t>(Rig::kData);
constexpr auto kHi = static_cast<std::uint32_t>(Rig::kData >> 32);

INSTANTIATE_TEST_SUITE_P(
    Packets, SdmaRefusal,
    ::testing::Values(std::array<std::uint32_t, 13>{0x3},                                  // no such opcode
                      std::array<std::uint32_t, 13>{0x0101},                               // tiled copy
                      std::array<std::uint32_t, 13>{0x1, 15, 1, kLo, kHi, kLo, kHi},       // byte swapping
                      std::array<std::uint32_t, 13>{0x5, kLo + 2, kHi, 1},                 // misaligned fence
                      std::array<std::uint32_t, 13>{0x8000000b, kLo + 1, kHi, 1, 15},      // misaligned fill
                      std::array<std::uint32_t, 13>{0x4000000b, kLo, kHi, 1, 15},          // 16-bit fill
                      std::array<std::uint32_t, 13>{0xb0000008, kLo + 1, kHi, 0, 0, 0},    // misaligned poll
                      std::array<std::uint32_t, 13>{0x5e00000a, kLo + 4, kHi, 1},          // misaligned atomic
                      std::array<std::uint32_t, 13>{0x6000000a, kLo, kHi, 1},              // another atomic
                      std::array<std::uint32_t, 13>{0x020d, kLo + 4, kHi},                 // misaligned stamp
                      std::array<std::uint32_t, 13>{0x2, kLo, kHi, 0xfffff},               // never fits
                      std::array<std::uint32_t, 13>{0xa0000401, kLo, kHi}));               // 32-byte elements

TEST(SdmaErrors, HostileWritePointersStopTheQueue) {
  for (const std::uint64_t pointer : {std::uint64_t{2}, std::uint64_t{4100}, ~std::uint64_t{0}, ~std::uint64_t{3}}) {
    Rig rig(KFDLAB_QUEUE_SDMA);
    store_release(rig.at<std::uint64_t>(Rig::kWptr), pointer);
    EXPECT_EQ(rig.run(), Act::Stopped);
    EXPECT_EQ(rig.queue().error(), KFDLAB_QUEUE_BAD_POINTER) << pointer;
  }
}

TEST(SdmaErrors, AddressesAtTheEndsOfTheWorldFault) {
  for (const std::uint64_t address : {std::uint64_t{0}, ~std::uint64_t{15}, std::uint64_t{1} << 48,
                                      (std::uint64_t{1} << 47) - 16, Rig::kVa + Rig::kSize - 16}) {
    Rig rig(KFDLAB_QUEUE_SDMA);
    rig.emit_packet(copy_packet(Rig::kData, address, 64));
    EXPECT_EQ(rig.run(), Act::Stopped);
    EXPECT_EQ(rig.queue().error(), KFDLAB_QUEUE_MEMORY_FAULT) << std::hex << address;
  }
}

}  // namespace
}  // namespace kfdlab::device
