// SPDX-License-Identifier: MIT
// AMDGPU_CS: what may be submitted, what the device does with it, and how fences are numbered. That the device really
// passed a submission is seen in two places the driver does not write: the ring's read pointer and the user fence.
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "tests/drm/cs_fixture.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

constexpr char kRings[] = "/sys/kernel/debug/kfd/gpu0/rings";

class CsSubmit : public CsTest {
 protected:
  // Submits and expects that error.
  void refused(Submission& submission, int error) const { EXPECT_EQ(submission.submit(fd()), error); }
  void refused(Submission&& submission, int error) const { refused(submission, error); }
  void refused(const drm_amdgpu_cs_chunk_ib& ib, int error) const { refused(Submission(context()).ib(ib), error); }
  [[nodiscard]] drm_amdgpu_cs_chunk_ib nop_ib() const {
    drm_amdgpu_cs_chunk_ib ib = {};
    ib.va_start = nops().va;
    ib.ib_bytes = 64;
    ib.ip_type = AMDGPU_HW_IP_DMA;
    return ib;
  }
  // Bytes of the copy ring that the device has consumed.
  [[nodiscard]] static std::uint64_t consumed() {
    std::ifstream rings(kRings);
    for (std::string line; std::getline(rings, line);) {
      unsigned long long wptr = 0;
      unsigned long long rptr = 0;
      if (std::sscanf(line.c_str(), "copy wptr %llu rptr %llu", &wptr, &rptr) == 2) {
        return rptr;
      }
    }
    ADD_FAILURE() << kRings << " does not say";
    return 0;
  }
};

TEST_F(CsSubmit, InfoTellsOfOneDmaRing) {
  drm_amdgpu_info request = {};
  request.query = AMDGPU_INFO_HW_IP_INFO;
  request.query_hw_ip.type = AMDGPU_HW_IP_DMA;
  drm_amdgpu_info_hw_ip engine = {};
  ASSERT_EQ(info(request, &engine, sizeof(engine)), 0);
  EXPECT_EQ(engine.available_rings, 1u);
  EXPECT_EQ(engine.hw_ip_version_major, 4u);
  EXPECT_EQ(engine.ib_size_alignment, 4u);
  EXPECT_NE(engine.ib_start_alignment, 0u);
  request.query = AMDGPU_INFO_HW_IP_COUNT;
  std::uint32_t count = 0;
  ASSERT_EQ(info(request, &count, sizeof(count)), 0);
  EXPECT_EQ(count, 1u);
}

TEST_F(CsSubmit, DevicePassesAsManyDwordsAsTheIbHas) {
  const std::uint64_t before = consumed();
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().submit(fd(), &number), 0);
  ASSERT_TRUE(completes(context(), number));
  EXPECT_GE(consumed() - before, nops().size);
}

TEST_F(CsSubmit, NumbersCountFromOnePerContext) {
  const std::uint32_t other = new_context();
  for (std::uint64_t expected = 1; expected <= 3; ++expected) {
    std::uint64_t number = 0;
    ASSERT_EQ(nop_submission().submit(fd(), &number), 0);
    EXPECT_EQ(number, expected);
    ASSERT_EQ(nop_submission(other).submit(fd(), &number), 0);
    EXPECT_EQ(number, expected);
  }
  EXPECT_TRUE(completes(context(), 3));
  EXPECT_TRUE(completes(other, 3));
  EXPECT_EQ(free_context(fd(), other), 0);
}

TEST_F(CsSubmit, OldNumbersAreDoneAndFutureOnesEinval) {
  bool busy = true;
  EXPECT_EQ(wait(context(), 0, kForever, &busy), 0);
  EXPECT_FALSE(busy);
  EXPECT_EQ(wait(context(), 1, kForever, &busy), EINVAL);
  EXPECT_EQ(wait(context(), ~0ull, kForever, &busy), 0) << "the latest of none";
  std::uint64_t number = 0;
  for (int i = 0; i < 80; ++i) {
    ASSERT_EQ(nop_submission().submit(fd(), &number), 0);
  }
  ASSERT_EQ(number, 80u);
  EXPECT_TRUE(completes(context(), ~0ull));
  for (std::uint64_t old = 0; old <= 80; ++old) {
    EXPECT_EQ(wait(context(), old, 0, &busy), 0) << old;
    EXPECT_FALSE(busy) << old;
  }
  EXPECT_EQ(wait(context(), 81, 0, &busy), EINVAL);
  EXPECT_EQ(wait(context(), ~0ull - 1, 0, &busy), EINVAL);
}

TEST_F(CsSubmit, DeviceStoresTheNumberInTheUserFence) {
  for (const std::uint32_t domain : {AMDGPU_GEM_DOMAIN_GTT, AMDGPU_GEM_DOMAIN_VRAM}) {
    const GpuBuffer fence = create(domain, kPageSize);
    const std::span<std::byte> memory = bytes(fence);
    ASSERT_FALSE(memory.empty());
    const std::uint32_t offset = kPageSize - sizeof(std::uint64_t);
    std::uint64_t number = 0;
    Submission submission = nop_submission();
    ASSERT_EQ(submission.user_fence(fence.handle, offset).submit(fd(), &number), 0);
    ASSERT_TRUE(completes(context(), number));
    std::uint64_t stored = 0;
    std::memcpy(&stored, memory.data() + offset, sizeof(stored));
    EXPECT_EQ(stored, number);
  }
}

TEST_F(CsSubmit, UserFenceMustBeAlignedInAOnePageBuffer) {
  const GpuBuffer page = create(AMDGPU_GEM_DOMAIN_GTT, kPageSize);
  const GpuBuffer large = create(AMDGPU_GEM_DOMAIN_GTT, 2 * kPageSize);
  refused(nop_submission().user_fence(page.handle, 4), EINVAL);
  refused(nop_submission().user_fence(page.handle, kPageSize), EINVAL);
  refused(nop_submission().user_fence(page.handle, ~7u), EINVAL);
  refused(nop_submission().user_fence(large.handle, 0), EINVAL);
  refused(nop_submission().user_fence(0, 0), EINVAL);
  refused(nop_submission().user_fence(page.handle, 0).user_fence(page.handle, 8), EINVAL);
}

TEST_F(CsSubmit, NopsMayCarryDwordsOfTheirOwn) {
  std::uint32_t* ib = dwords(nops());
  ASSERT_NE(ib, nullptr);
  const std::uint32_t count = static_cast<std::uint32_t>(nops().size / 4);
  std::fill(ib, ib + count, 0xdeadbeef);
  ib[0] = sdma_nop(count - 3);  // and two more dwords
  ib[count - 2] = sdma_nop(1);
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().submit(fd(), &number), 0);
  EXPECT_TRUE(completes(context(), number));
}

TEST_F(CsSubmit, NopThatEndsBehindTheIbIsEinval) {
  std::uint32_t* ib = dwords(nops());
  ASSERT_NE(ib, nullptr);
  const std::uint32_t count = static_cast<std::uint32_t>(nops().size / 4);
  ib[0] = sdma_nop(count);
  refused(nop_submission(), EINVAL);
  ib[0] = 0;
  ib[count - 1] = sdma_nop(1);
  refused(nop_submission(), EINVAL);
  ib[count - 1] = 0;
  EXPECT_EQ(nop_submission().submit(fd()), 0);
}

TEST_F(CsSubmit, OtherPacketsAreNotSupportedYet) {
  std::uint32_t* ib = dwords(nops());
  ASSERT_NE(ib, nullptr);
  const std::uint32_t last = static_cast<std::uint32_t>(nops().size / 4) - 1;
  // COPY_LINEAR, FENCE, TRAP, CONST_FILL, a NOP with a sub-opcode, one with a reserved bit, PM4's NOP.
  for (const std::uint32_t header : {1u, 5u, 6u, 0x8000'000bu, 0x100u, 0x4000'0000u, 0xffff'1000u}) {
    for (const std::uint32_t at : {0u, 5u, last}) {
      ib[at] = header;
      refused(nop_submission(), EOPNOTSUPP);
      ib[at] = 0;
    }
  }
  EXPECT_EQ(nop_submission().submit(fd()), 0);
}

TEST_F(CsSubmit, IbsOfManyPagesInEitherHeapWork) {
  for (const std::uint32_t domain : {AMDGPU_GEM_DOMAIN_GTT, AMDGPU_GEM_DOMAIN_VRAM}) {
    const GpuBuffer large = create(domain, 4 << 20);
    const std::uint64_t before = consumed();
    Submission submission(context());
    submission.ib(large.va + 4, (1 << 20)).ib(large.va + 0x1ffc, 8).ib(nops().va, 4).buffers({large.handle});
    std::uint64_t number = 0;
    ASSERT_EQ(submission.submit(fd(), &number), 0);
    ASSERT_TRUE(completes(context(), number));
    EXPECT_GE(consumed() - before, (1u << 20) + 12);
  }
}

TEST_F(CsSubmit, IbsLargerThanTheRingWork) {
  const GpuBuffer large = create(AMDGPU_GEM_DOMAIN_GTT, 4 << 20);
  std::uint64_t number = 0;
  ASSERT_EQ(Submission(context()).ib(large.va, 0xfffff * 4).submit(fd(), &number), 0);
  EXPECT_TRUE(completes(context(), number));
  refused(Submission(context()).ib(large.va, 4 << 20), EINVAL);
  refused(Submission(context()).ib(large.va, 2 << 20).ib(large.va, 2 << 20), EINVAL);
}

TEST_F(CsSubmit, AddressesWithoutAMappingAreEinval) {
  drm_amdgpu_cs_chunk_ib ib = nop_ib();
  for (const std::uint64_t va :
       std::initializer_list<std::uint64_t>{0, nops().va - 4, nops().va + nops().size, 0x0000'8000'0000'0000, ~3ull}) {
    ib.va_start = va;
    refused(ib, EINVAL);
  }
  ib = nop_ib();
  ib.va_start = nops().va + nops().size - 60;  // its last dword is behind the mapping
  refused(ib, EINVAL);
  ib = nop_ib();
  ib.ib_bytes = ~3u;
  refused(ib, EINVAL);
}

TEST_F(CsSubmit, SizesAndAddressesAreWholeDwords) {
  drm_amdgpu_cs_chunk_ib ib = nop_ib();
  ib.ib_bytes = 0;
  refused(ib, EINVAL);
  ib.ib_bytes = 6;
  refused(ib, EINVAL);
  ib = nop_ib();
  ib.va_start += 2;
  refused(ib, EINVAL);
}

TEST_F(CsSubmit, EnginesAndRingsThatAreNotThereAreEinval) {
  for (std::uint32_t type = 0; type < 12; ++type) {
    drm_amdgpu_cs_chunk_ib ib = nop_ib();
    ib.ip_type = type;
    if (type != AMDGPU_HW_IP_DMA) {
      refused(ib, EINVAL);
    }
  }
  drm_amdgpu_cs_chunk_ib ib = nop_ib();
  ib.ip_instance = 1;
  refused(ib, EINVAL);
  ib = nop_ib();
  ib.ring = 1;
  refused(ib, EINVAL);
  ib = nop_ib();
  ib.flags = AMDGPU_IB_FLAGS_SECURE;
  refused(ib, EINVAL);
  ib.flags = 1u << 31;
  refused(ib, EINVAL);
  ib.flags = AMDGPU_IB_FLAG_PREAMBLE;
  EXPECT_EQ(Submission(context()).ib(ib).submit(fd()), 0);
}

TEST_F(CsSubmit, WithoutAnIbIsEinval) {
  Submission none(context());
  none.in().num_chunks = 0;
  refused(none, EINVAL);
  refused(Submission(context()).buffers({nops().handle}), EINVAL);
}

TEST_F(CsSubmit, MalformedChunksAreRefused) {
  Submission submission = nop_submission();
  submission.chunk(0x1234, 0u);
  refused(submission, EINVAL);
  submission = nop_submission();
  submission.head(0).length_dw -= 1;
  refused(submission, EINVAL);
  submission = nop_submission();
  submission.head(0).length_dw = ~0u;
  refused(submission, EINVAL);
  submission = nop_submission();
  submission.head(0).chunk_data = 8;
  refused(submission, EFAULT);
  submission = nop_submission();
  submission.in().chunks = 8;
  refused(submission, EFAULT);
  submission = nop_submission();
  submission.in().num_chunks = ~0u;
  refused(submission, EINVAL);
  submission = nop_submission();
  submission.in().flags = 1;
  refused(submission, EINVAL);
}

TEST_F(CsSubmit, UnknownBuffersAndListsAreEnoent) {
  refused(nop_submission().buffers({nops().handle, 0x7fff}), ENOENT);
  refused(nop_submission().list(0x7fff), ENOENT);
  const std::uint32_t handle = nops().handle;
  const std::uint32_t list = new_list(std::span(&handle, 1));
  refused(nop_submission().buffers({handle}).list(list), EINVAL);
  refused(nop_submission().buffers({handle}).buffers({handle}), EINVAL);
  EXPECT_EQ(nop_submission().list(list).submit(fd()), 0);
}

TEST_F(CsSubmit, BufferMayBeNamedOften) {
  const GpuBuffer vram = create(AMDGPU_GEM_DOMAIN_VRAM, kPageSize);
  std::uint64_t number = 0;
  Submission submission = nop_submission();
  submission.buffers({vram.handle, nops().handle, vram.handle, nops().handle, vram.handle})
      .user_fence(vram.handle, 0)
      .ib(vram.va + 64, 64);
  ASSERT_EQ(submission.submit(fd(), &number), 0);
  EXPECT_TRUE(completes(context(), number));
}

// Debian's libdrm_amdgpu, as kfdtest's eviction tests use it.
TEST_F(CsSubmit, LibdrmSubmitsAndWaits) {
  const AmdgpuDevice device = initialize();
  ASSERT_NE(device, nullptr);
  amdgpu_bo_alloc_request request = {};
  request.alloc_size = kPageSize;
  request.phys_alignment = kPageSize;
  request.preferred_heap = AMDGPU_GEM_DOMAIN_GTT;
  amdgpu_bo_handle bo = nullptr;
  ASSERT_EQ(amdgpu_bo_alloc(device.get(), &request, &bo), 0);
  std::uint64_t va = 0;
  amdgpu_va_handle va_handle = nullptr;
  ASSERT_EQ(
      amdgpu_va_range_alloc(device.get(), amdgpu_gpu_va_range_general, kPageSize, kPageSize, 0, &va, &va_handle, 0), 0);
  ASSERT_EQ(amdgpu_bo_va_op(bo, 0, kPageSize, va, 0, AMDGPU_VA_OP_MAP), 0);
  amdgpu_bo_list_handle list = nullptr;
  ASSERT_EQ(amdgpu_bo_list_create(device.get(), 1, &bo, nullptr, &list), 0);
  amdgpu_context_handle context = nullptr;
  ASSERT_EQ(amdgpu_cs_ctx_create(device.get(), &context), 0);
  for (std::uint64_t expected = 1; expected <= 100; ++expected) {
    amdgpu_cs_ib_info ib = {};
    ib.ib_mc_address = va;
    ib.size = 16;
    amdgpu_cs_request cs = {};
    cs.ip_type = AMDGPU_HW_IP_DMA;
    cs.resources = list;
    cs.number_of_ibs = 1;
    cs.ibs = &ib;
    ASSERT_EQ(amdgpu_cs_submit(context, 0, &cs, 1), 0);
    EXPECT_EQ(cs.seq_no, expected);
    amdgpu_cs_fence fence = {};
    fence.context = context;
    fence.ip_type = AMDGPU_HW_IP_DMA;
    fence.fence = cs.seq_no;
    std::uint32_t expired = 0;
    ASSERT_EQ(amdgpu_cs_query_fence_status(&fence, AMDGPU_TIMEOUT_INFINITE, 0, &expired), 0);
    ASSERT_EQ(expired, 1u);
  }
  EXPECT_EQ(amdgpu_cs_ctx_free(context), 0);
  EXPECT_EQ(amdgpu_bo_list_destroy(list), 0);
  EXPECT_EQ(amdgpu_bo_va_op(bo, 0, kPageSize, va, 0, AMDGPU_VA_OP_UNMAP), 0);
  EXPECT_EQ(amdgpu_va_range_free(va_handle), 0);
  EXPECT_EQ(amdgpu_bo_free(bo), 0);
}

}  // namespace
}  // namespace kfdlab
