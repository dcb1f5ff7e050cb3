// SPDX-License-Identifier: MIT
// /dev/kfdlab_test itself: every ioctl of include/uapi/kfdlab_test.h with arguments it must refuse. The suites trust
// its answers, so it has to say no where it cannot give one.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "tests/kfd/svm_fixture.h"

namespace kfdlab {
namespace {

class KfdTestIoctl : public SvmTest {
 protected:
  [[nodiscard]] std::uint32_t dead_gpu() const { return gpu() + 0x1234; }
  [[nodiscard]] int look(std::uint64_t address, std::uint64_t npages, const void* into) const {
    kfdlab_test_pages request{address, npages, reinterpret_cast<std::uintptr_t>(into)};
    return device().raw(KFDLAB_TEST_PAGES, &request);
  }
};

TEST_F(KfdTestIoctl, UnknownCommandIsEnotty) {
  std::array<std::byte, 4096> room{};
  EXPECT_EQ(device().raw(_IO(KFDLAB_TEST_IOC, 0x7f), room.data()), ENOTTY);
  EXPECT_EQ(device().raw(_IOWR(KFDLAB_TEST_IOC, 2, kfdlab_test_ping), room.data()), ENOTTY)
      << "size is part of the number";
  EXPECT_EQ(device().raw(KFDLAB_TEST_PAGES ^ (1u << 8), room.data()), ENOTTY);
}

TEST_F(KfdTestIoctl, BadPointerIsEfault) {
  for (const unsigned long command :
       {KFDLAB_TEST_PAGES, KFDLAB_TEST_COUNTERS, KFDLAB_TEST_EVICT, KFDLAB_TEST_PING, KFDLAB_TEST_COPY_MODE}) {
    EXPECT_EQ(device().raw(command, nullptr), EFAULT) << std::hex << command;
    EXPECT_EQ(device().raw(command, reinterpret_cast<void*>(~0ul - 64)), EFAULT) << std::hex << command;
  }
}

TEST_F(KfdTestIoctl, PagesRefusesMalformedRanges) {
  const Buffer buffer(4);
  std::array<kfdlab_page, 4> pages{};
  EXPECT_EQ(look(buffer.address(), 0, pages.data()), EINVAL);
  EXPECT_EQ(look(buffer.address() + 8, 1, pages.data()), EINVAL);
  EXPECT_EQ(look(buffer.address(), 65537, pages.data()), EINVAL);
  EXPECT_EQ(look(buffer.address(), ~0ull, pages.data()), EINVAL);
  EXPECT_EQ(look(~0ull << 12, 2, pages.data()), EINVAL);
  EXPECT_EQ(look(buffer.address(), 4, nullptr), EFAULT);
}

TEST_F(KfdTestIoctl, PagesBeyondUserSpaceAreNotPresent) {
  std::array<kfdlab_page, 2> pages;
  std::memset(pages.data(), 0xff, sizeof(pages));
  EXPECT_EQ(look(0xffff'8880'0000'0000ull, 2, pages.data()), 0);
  for (const kfdlab_page& page : pages) {
    EXPECT_EQ(page.flags, 0u);
    EXPECT_EQ(page.pfn, 0u);
  }
}

TEST_F(KfdTestIoctl, UnknownGpuIsEnodev) {
  kfdlab_test_counters counters{};
  kfdlab_test_evict evict{};
  kfdlab_test_ping ping{};
  kfdlab_test_copy_mode mode{};
  for (const std::uint32_t id : {0u, dead_gpu(), kfd_gpu_ids().back() + 1, gpu() - 1, ~0u}) {
    counters.gpu_id = evict.gpu_id = ping.gpu_id = mode.gpu_id = id;
    EXPECT_EQ(device().raw(KFDLAB_TEST_COUNTERS, &counters), ENODEV) << id;
    EXPECT_EQ(device().raw(KFDLAB_TEST_EVICT, &evict), ENODEV) << id;
    EXPECT_EQ(device().raw(KFDLAB_TEST_PING, &ping), ENODEV) << id;
    EXPECT_EQ(device().raw(KFDLAB_TEST_COPY_MODE, &mode), ENODEV) << id;
  }
}

TEST_F(KfdTestIoctl, NonzeroReservedFieldIsEinval) {
  kfdlab_test_counters counters{};
  counters.gpu_id = gpu();
  counters.reserved[std::size(counters.reserved) - 1] = 1;
  EXPECT_EQ(device().raw(KFDLAB_TEST_COUNTERS, &counters), EINVAL);
  kfdlab_test_evict evict{.gpu_id = gpu(), .reserved = 1, .moved = 0, .stayed = 0};
  EXPECT_EQ(device().raw(KFDLAB_TEST_EVICT, &evict), EINVAL);
  kfdlab_test_ping ping{.gpu_id = gpu(), .reserved = 1, .ns = 0};
  EXPECT_EQ(device().raw(KFDLAB_TEST_PING, &ping), EINVAL);
  kfdlab_test_copy_mode mode{.gpu_id = gpu(), .cpu = 2};
  EXPECT_EQ(device().raw(KFDLAB_TEST_COPY_MODE, &mode), EINVAL);
}

TEST_F(KfdTestIoctl, PingTellsHowLongTheRoundTripTook) {
  kfdlab_test_ping ping{};
  ping.gpu_id = gpu();
  ASSERT_EQ(device().raw(KFDLAB_TEST_PING, &ping), 0);
  EXPECT_GT(ping.ns, 0u);
  EXPECT_LT(ping.ns, 10'000'000'000u);
}

TEST_F(KfdTestIoctl, CopyModeMakesMigrationsCopyByCpu) {
  Buffer buffer(1024);
  fill_pattern(buffer.bytes(), 1);
  kfdlab_test_copy_mode mode{.gpu_id = gpu(), .cpu = 1};
  ASSERT_EQ(device().raw(KFDLAB_TEST_COPY_MODE, &mode), 0);
  const auto before = counters();
  EXPECT_TRUE(prefetch_to_vram(buffer));
  const auto by_cpu = counters();
  mode.cpu = 0;
  ASSERT_EQ(device().raw(KFDLAB_TEST_COPY_MODE, &mode), 0);
  EXPECT_TRUE(prefetch_to_ram(buffer));
  const auto by_device = counters();
  EXPECT_EQ(by_cpu.bytes_copied_cpu - before.bytes_copied_cpu, buffer.size());
  EXPECT_EQ(by_cpu.bytes_copied_device, before.bytes_copied_device);
  EXPECT_EQ(by_device.bytes_copied_device - by_cpu.bytes_copied_device, buffer.size());
  EXPECT_EQ(pattern_error(buffer.bytes(), 1), "");
}

TEST_F(KfdTestIoctl, OnlyRootOpensTheDevice) {
  EXPECT_EQ(in_child([] {
              if (::setgid(65534) != 0 || ::setuid(65534) != 0) {
                return 1;
              }
              return ::open("/dev/kfdlab_test", O_RDWR) < 0 && errno == EACCES ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace kfdlab
