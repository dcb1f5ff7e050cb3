// SPDX-License-Identifier: MIT
// AMDGPU_INFO: answers that agree with the topology and among each other, and the errno of every malformed call.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/drm/drm_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

using AmdgpuInfo = DrmTest;

constexpr std::byte kCanary{0xc5};

// Queries without argument, and the size of their answer's struct as this libdrm knows it.
struct Query {
  std::uint32_t id;
  std::uint32_t size;
};
constexpr Query kQueries[] = {
    {AMDGPU_INFO_ACCEL_WORKING, sizeof(std::uint32_t)},       {AMDGPU_INFO_TIMESTAMP, sizeof(std::uint64_t)},
    {AMDGPU_INFO_VRAM_USAGE, sizeof(std::uint64_t)},          {AMDGPU_INFO_VIS_VRAM_USAGE, sizeof(std::uint64_t)},
    {AMDGPU_INFO_GTT_USAGE, sizeof(std::uint64_t)},           {AMDGPU_INFO_NUM_EVICTIONS, sizeof(std::uint64_t)},
    {AMDGPU_INFO_VRAM_GTT, sizeof(drm_amdgpu_info_vram_gtt)}, {AMDGPU_INFO_MEMORY, sizeof(drm_amdgpu_memory_info)},
    {AMDGPU_INFO_DEV_INFO, sizeof(drm_amdgpu_info_device)},   {AMDGPU_INFO_VRAM_LOST_COUNTER, sizeof(std::uint32_t)},
};

TEST_F(AmdgpuInfo, DeviceAgreesWithTheTopology) {
  drm_amdgpu_info_device device = {};
  ASSERT_EQ(info(AMDGPU_INFO_DEV_INFO, &device, sizeof(device)), 0);
  EXPECT_EQ(device.device_id, gpu().device_id);
  EXPECT_EQ(device.cu_active_number, gpu().compute_units);
  EXPECT_EQ(device.wave_front_size, 64u);
  unsigned cus = 0;
  for (const auto& row : device.cu_bitmap) {
    for (const std::uint32_t bits : row) {
      cus += static_cast<unsigned>(__builtin_popcount(bits));
    }
  }
  EXPECT_EQ(cus, gpu().compute_units);
}

TEST_F(AmdgpuInfo, VirtualAddressRangesAreOrderedAndAligned) {
  drm_amdgpu_info_device device = {};
  ASSERT_EQ(info(AMDGPU_INFO_DEV_INFO, &device, sizeof(device)), 0);
  EXPECT_LT(device.virtual_address_offset, device.virtual_address_max);
  EXPECT_LE(device.virtual_address_max, std::uint64_t{1} << 47);
  EXPECT_LE(device.high_va_offset, device.high_va_max);
  EXPECT_GT(device.high_va_offset, device.virtual_address_max);
  ASSERT_GE(device.virtual_address_alignment, static_cast<std::uint32_t>(::getpagesize()));
  EXPECT_EQ(device.virtual_address_offset % device.virtual_address_alignment, 0u);
}

TEST_F(AmdgpuInfo, LibdrmAllocatesVirtualAddresses) {
  const AmdgpuDevice device = initialize();
  ASSERT_NE(device, nullptr);
  std::uint64_t va = 0;
  amdgpu_va_handle handle = nullptr;
  ASSERT_EQ(amdgpu_va_range_alloc(device.get(), amdgpu_gpu_va_range_general, 1 << 21, 1 << 21, 0, &va, &handle, 0), 0);
  EXPECT_EQ(va % (1 << 21), 0u);
  EXPECT_EQ(amdgpu_va_range_free(handle), 0);
}

TEST_F(AmdgpuInfo, HeapTotalsAreTheVramSize) {
  const AmdgpuDevice device = initialize();
  ASSERT_NE(device, nullptr);
  amdgpu_heap_info vram = {};
  amdgpu_heap_info visible = {};
  amdgpu_heap_info gtt = {};
  ASSERT_EQ(amdgpu_query_heap_info(device.get(), AMDGPU_GEM_DOMAIN_VRAM, 0, &vram), 0);
  ASSERT_EQ(
      amdgpu_query_heap_info(device.get(), AMDGPU_GEM_DOMAIN_VRAM, AMDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED, &visible), 0);
  ASSERT_EQ(amdgpu_query_heap_info(device.get(), AMDGPU_GEM_DOMAIN_GTT, 0, &gtt), 0);
  EXPECT_EQ(vram.heap_size, gpu().vram_bytes);
  EXPECT_LE(visible.heap_size, vram.heap_size);
  EXPECT_LE(vram.heap_usage, vram.heap_size);
  EXPECT_GT(gtt.heap_size, 0u);
}

TEST_F(AmdgpuInfo, MemoryAgreesWithVramGtt) {
  drm_amdgpu_memory_info memory = {};
  drm_amdgpu_info_vram_gtt vram_gtt = {};
  ASSERT_EQ(info(AMDGPU_INFO_MEMORY, &memory, sizeof(memory)), 0);
  ASSERT_EQ(info(AMDGPU_INFO_VRAM_GTT, &vram_gtt, sizeof(vram_gtt)), 0);
  EXPECT_EQ(memory.vram.total_heap_size, gpu().vram_bytes);
  EXPECT_LE(memory.vram.usable_heap_size, memory.vram.total_heap_size);
  EXPECT_LE(memory.vram.max_allocation, memory.vram.usable_heap_size);
  EXPECT_GE(memory.vram.total_heap_size, vram_gtt.vram_size);
  EXPECT_GE(memory.gtt.total_heap_size, vram_gtt.gtt_size);
}

TEST_F(AmdgpuInfo, TimestampAdvances) {
  const std::uint64_t first = info_number(AMDGPU_INFO_TIMESTAMP);
  std::uint64_t second = first;
  for (int i = 0; i < 1'000'000 && second == first; ++i) {
    second = info_number(AMDGPU_INFO_TIMESTAMP);
  }
  EXPECT_GT(second, first);
}

TEST_F(AmdgpuInfo, LibdrmQueriesEnginesAndFirmware) {
  const AmdgpuDevice device = initialize();
  ASSERT_NE(device, nullptr);
  for (unsigned type = 0; type < AMDGPU_HW_IP_NUM; ++type) {
    std::uint32_t count = ~0u;
    EXPECT_EQ(amdgpu_query_hw_ip_count(device.get(), type, &count), 0) << "engine " << type;
    EXPECT_LE(count, 32u) << "engine " << type;
    drm_amdgpu_info_hw_ip engine = {};
    EXPECT_EQ(amdgpu_query_hw_ip_info(device.get(), type, 0, &engine), 0) << "engine " << type;
  }
  std::uint32_t version = 0;
  std::uint32_t feature = 0;
  EXPECT_EQ(amdgpu_query_firmware_version(device.get(), AMDGPU_INFO_FW_GFX_MEC, 0, 0, &version, &feature), 0);
}

// Nothing beyond what the caller asked for is written, and nothing beyond what the driver knows.
TEST_F(AmdgpuInfo, ShortRoomGetsThatManyBytesOnly) {
  for (const Query& query : kQueries) {
    for (const std::uint32_t room : {1u, query.size / 2, query.size - 1}) {
      std::vector<std::byte> answer(query.size + 64, kCanary);
      ASSERT_EQ(info(query.id, answer.data(), room), 0) << "query " << query.id;
      for (std::size_t i = room; i < answer.size(); ++i) {
        ASSERT_EQ(answer[i], kCanary) << "query " << query.id << ", room " << room << ", byte " << i;
      }
    }
  }
}

TEST_F(AmdgpuInfo, MoreRoomThanTheAnswerStaysUntouched) {
  for (const Query& query : kQueries) {
    std::vector<std::byte> answer(4096, kCanary);
    ASSERT_EQ(info(query.id, answer.data(), static_cast<std::uint32_t>(answer.size())), 0) << "query " << query.id;
    // A newer kernel's struct may be longer than ours, none comes near this.
    for (std::size_t i = 1024; i < answer.size(); ++i) {
      ASSERT_EQ(answer[i], kCanary) << "query " << query.id << ", byte " << i;
    }
  }
}

TEST_F(AmdgpuInfo, SameQuestionSameAnswer) {
  std::vector<std::byte> first(sizeof(drm_amdgpu_info_device), std::byte{0x11});
  std::vector<std::byte> second(sizeof(drm_amdgpu_info_device), std::byte{0xee});
  const auto size = static_cast<std::uint32_t>(first.size());
  ASSERT_EQ(info(AMDGPU_INFO_DEV_INFO, first.data(), size), 0);
  ASSERT_EQ(info(AMDGPU_INFO_DEV_INFO, second.data(), size), 0);
  EXPECT_EQ(first, second) << "bytes that the kernel did not set";
}

TEST_F(AmdgpuInfo, RandomRequestsAreAnsweredWithinTheirRoomOrRefused) {
  std::mt19937_64 random(test_seed());
  RecordProperty("seed", std::to_string(test_seed()));
  std::array<std::byte, 1024> canaries;
  canaries.fill(kCanary);
  for (int i = 0; i < 5000; ++i) {
    std::array<std::byte, 1024> answer = canaries;
    drm_amdgpu_info request = {};
    request.query = static_cast<std::uint32_t>(random() % 4 == 0 ? random() : random() % 0x30);
    request.query_hw_ip.type = static_cast<std::uint32_t>(random() % 2 == 0 ? random() : random() % 0x20);
    request.query_hw_ip.ip_instance = static_cast<std::uint32_t>(random() % 2);
    request.read_mmr_reg.instance = static_cast<std::uint32_t>(random());
    const auto room = static_cast<std::uint32_t>(random() % 512);
    const int error = info(request, answer.data(), room);
    ASSERT_TRUE(error == 0 || error == EINVAL || error == EFAULT || error == ENOENT || error == EOPNOTSUPP)
        << "query " << request.query << ": " << std::strerror(error);
    const std::size_t untouched = error == 0 ? room : 0;
    ASSERT_EQ(std::memcmp(answer.data() + untouched, canaries.data(), answer.size() - untouched), 0)
        << "query " << request.query << ", room " << room;
  }
}

TEST_F(AmdgpuInfo, NoRoomIsInvalid) {
  std::uint64_t answer = 0;
  EXPECT_EQ(info(AMDGPU_INFO_ACCEL_WORKING, nullptr, sizeof(answer)), EINVAL);
  EXPECT_EQ(info(AMDGPU_INFO_ACCEL_WORKING, &answer, 0), EINVAL);
}

TEST_F(AmdgpuInfo, BadPointersFault) {
  const Buffer buffer(2);
  std::memset(buffer.data(), 0, buffer.size());
  buffer.protect(1, 1, PROT_READ);
  EXPECT_EQ(info(AMDGPU_INFO_DEV_INFO, reinterpret_cast<void*>(std::uintptr_t{8}), 64), EFAULT);
  EXPECT_EQ(info(AMDGPU_INFO_DEV_INFO, reinterpret_cast<void*>(~std::uintptr_t{0xfff}), 64), EFAULT);
  EXPECT_EQ(info(AMDGPU_INFO_DEV_INFO, buffer.page(1), 64), EFAULT) << "read-only page";
  EXPECT_EQ(info(AMDGPU_INFO_DEV_INFO, buffer.page(1) - 8, 64), EFAULT) << "runs into a read-only page";
  buffer.protect(1, 1, PROT_READ | PROT_WRITE);
}

TEST_F(AmdgpuInfo, UnknownQueriesAreInvalid) {
  std::uint64_t answer = 0;
  for (const std::uint32_t query : {0x04u, 0x1000u, 0x80000000u, 0xffffffffu}) {
    EXPECT_EQ(info(query, &answer, sizeof(answer)), EINVAL) << "query " << query;
  }
}

TEST_F(AmdgpuInfo, BadQueryArgumentsAreRefused) {
  std::uint64_t answer[128] = {};
  drm_amdgpu_info request = {};
  request.query = AMDGPU_INFO_HW_IP_INFO;
  request.query_hw_ip.type = 0xffff;
  EXPECT_EQ(info(request, answer, sizeof(answer)), EINVAL);
  request.query_hw_ip.type = AMDGPU_HW_IP_COMPUTE;
  request.query_hw_ip.ip_instance = 0xffff;
  EXPECT_EQ(info(request, answer, sizeof(answer)), EINVAL);

  request = {};
  request.query = AMDGPU_INFO_HW_IP_COUNT;
  request.query_hw_ip.type = 0xffff;
  EXPECT_EQ(info(request, answer, sizeof(answer)), EINVAL);

  request = {};
  request.query = AMDGPU_INFO_FW_VERSION;
  request.query_fw.fw_type = 0xffff;
  EXPECT_EQ(info(request, answer, sizeof(answer)), EINVAL);
}

TEST_F(AmdgpuInfo, RegistersOutsideTheAllowedOnesCannotBeRead) {
  std::uint32_t values[256] = {};
  drm_amdgpu_info request = {};
  request.query = AMDGPU_INFO_READ_MMR_REG;
  request.read_mmr_reg.dword_offset = 0x263e;  // GB_ADDR_CONFIG, which libdrm reads
  request.read_mmr_reg.count = 1;
  request.read_mmr_reg.instance = 0xffffffff;
  EXPECT_EQ(info(request, values, sizeof(values)), 0);
  request.read_mmr_reg.dword_offset = 0xdeadbee;
  EXPECT_EQ(info(request, values, sizeof(values)), EFAULT);
  request.read_mmr_reg.count = 129;
  EXPECT_EQ(info(request, values, sizeof(values)), EINVAL);
}

// DRM lets both sides' structs grow: missing bytes count as zero, further ones are ignored.
TEST_F(AmdgpuInfo, ArgumentStructMayBeShorterOrLonger) {
  std::uint32_t working = 0;
  struct {
    drm_amdgpu_info request;
    std::uint64_t future[4];
  } grown = {};
  grown.request.return_pointer = reinterpret_cast<std::uintptr_t>(&working);
  grown.request.return_size = sizeof(working);
  grown.request.query = AMDGPU_INFO_ACCEL_WORKING;
  const auto number = DRM_COMMAND_BASE + DRM_AMDGPU_INFO;
  EXPECT_EQ(raw(fd(), _IOC(_IOC_WRITE, 'd', number, sizeof(grown)), &grown), 0);
  EXPECT_EQ(working, 1u);
  working = 0;
  EXPECT_EQ(raw(fd(), _IOC(_IOC_WRITE, 'd', number, 16), &grown), 0);
  EXPECT_EQ(working, 1u);
  EXPECT_EQ(raw(fd(), _IOC(_IOC_WRITE, 'd', number, 8), &grown), EINVAL) << "no room for an answer";
}

}  // namespace
}  // namespace kfdlab
