// SPDX-License-Identifier: MIT
// AMDGPU_BO_LIST: making, changing and dropping lists of buffers.
#include <cerrno>
#include <vector>

#include "tests/drm/cs_fixture.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

constexpr std::uint32_t kUnknown = 0x7fff'0000;

class CsBoList : public CsTest {
 protected:
  static drm_amdgpu_bo_list_in request(std::uint32_t operation, std::uint32_t list,
                                       const std::vector<drm_amdgpu_bo_list_entry>& entries) {
    drm_amdgpu_bo_list_in in = {};
    in.operation = operation;
    in.list_handle = list;
    in.bo_number = static_cast<std::uint32_t>(entries.size());
    in.bo_info_size = sizeof(drm_amdgpu_bo_list_entry);
    in.bo_info_ptr = reinterpret_cast<std::uintptr_t>(entries.data());
    return in;
  }
  [[nodiscard]] int change(std::uint32_t operation, std::uint32_t list,
                           const std::vector<drm_amdgpu_bo_list_entry>& entries) const {
    std::uint32_t handle = 0;
    return bo_list(request(operation, list, entries), &handle);
  }
  [[nodiscard]] std::uint32_t make(const std::vector<drm_amdgpu_bo_list_entry>& entries) const {
    std::uint32_t handle = 0;
    EXPECT_EQ(bo_list(request(AMDGPU_BO_LIST_OP_CREATE, 0, entries), &handle), 0);
    return handle;
  }
};

TEST_F(CsBoList, IsUsedUpdatedAndDestroyed) {
  const std::uint32_t list = make({{nops().handle, 0}});
  ASSERT_NE(list, 0u);
  EXPECT_EQ(nop_submission().list(list).submit(fd()), 0);
  EXPECT_EQ(change(AMDGPU_BO_LIST_OP_UPDATE, list, {}), 0);
  EXPECT_EQ(nop_submission().list(list).submit(fd()), 0);
  EXPECT_EQ(change(AMDGPU_BO_LIST_OP_DESTROY, list, {}), 0);
  EXPECT_EQ(nop_submission().list(list).submit(fd()), ENOENT);
}

TEST_F(CsBoList, UnknownBuffersAreEnoentAndLeaveTheListAsItWas) {
  const std::uint32_t list = make({{nops().handle, 7}, {nops().handle, ~0u}});
  EXPECT_EQ(change(AMDGPU_BO_LIST_OP_UPDATE, list, {{nops().handle, 0}, {kUnknown, 0}}), ENOENT);
  EXPECT_EQ(nop_submission().list(list).submit(fd()), 0);
  EXPECT_EQ(change(AMDGPU_BO_LIST_OP_CREATE, 0, {{kUnknown, 0}}), ENOENT);
}

TEST_F(CsBoList, UnknownListsAndOperations) {
  EXPECT_EQ(change(AMDGPU_BO_LIST_OP_UPDATE, kUnknown, {}), ENOENT);
  EXPECT_EQ(change(AMDGPU_BO_LIST_OP_UPDATE, 0, {}), ENOENT);
  EXPECT_EQ(change(AMDGPU_BO_LIST_OP_DESTROY, kUnknown, {}), 0) << "as amdgpu";
  EXPECT_EQ(change(3, 0, {}), EINVAL);
  EXPECT_EQ(change(~0u, 0, {}), EINVAL);
}

TEST_F(CsBoList, HostileCountsAndPointersAreRefused) {
  drm_amdgpu_bo_list_in in = request(AMDGPU_BO_LIST_OP_CREATE, 0, {});
  std::uint32_t list = 0;
  in.bo_number = 128 * 1024 + 1;
  EXPECT_EQ(bo_list(in, &list), EINVAL);
  in.bo_number = ~0u;
  EXPECT_EQ(bo_list(in, &list), EINVAL);
  in.bo_number = 1;
  in.bo_info_ptr = 8;
  EXPECT_EQ(bo_list(in, &list), EFAULT);
}

TEST_F(CsBoList, EntriesMayBeOfAnotherSize) {
  struct Wide {
    drm_amdgpu_bo_list_entry entry;
    std::uint64_t unknown;
  };
  const std::vector<Wide> wide = {{{nops().handle, 0}, ~0ull}, {{nops().handle, 0}, ~0ull}};
  drm_amdgpu_bo_list_in in = request(AMDGPU_BO_LIST_OP_CREATE, 0, {});
  in.bo_number = 2;
  in.bo_info_size = sizeof(Wide);
  in.bo_info_ptr = reinterpret_cast<std::uintptr_t>(wide.data());
  std::uint32_t list = 0;
  EXPECT_EQ(bo_list(in, &list), 0);
  EXPECT_EQ(nop_submission().list(list).submit(fd()), 0);
  const std::vector<std::uint32_t> narrow = {nops().handle, nops().handle};
  in.bo_info_size = sizeof(std::uint32_t);
  in.bo_info_ptr = reinterpret_cast<std::uintptr_t>(narrow.data());
  EXPECT_EQ(bo_list(in, &list), 0);
  EXPECT_EQ(nop_submission().list(list).submit(fd()), 0);
  in.bo_info_size = 0;
  EXPECT_EQ(bo_list(in, &list), ENOENT) << "entries of nothing name buffer 0";
}

TEST_F(CsBoList, HoldsItsBuffersUntilItIsDestroyed) {
  const std::uint64_t before = info_number(AMDGPU_INFO_VRAM_USAGE);
  const GpuBuffer buffer = create(AMDGPU_GEM_DOMAIN_VRAM, 4 << 20);
  const std::uint32_t list = make({{buffer.handle, 0}});
  discard(buffer);
  EXPECT_EQ(info_number(AMDGPU_INFO_VRAM_USAGE), before + (4 << 20));
  EXPECT_EQ(nop_submission().list(list).submit(fd()), 0);
  EXPECT_EQ(change(AMDGPU_BO_LIST_OP_DESTROY, list, {}), 0);
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_VRAM_USAGE) == before; }));
}

TEST_F(CsBoList, ClosedFileTakesItsListsWithIt) {
  const std::uint64_t before = info_number(AMDGPU_INFO_VRAM_USAGE);
  {
    const Fd other = open_node();
    drm_amdgpu_gem_create create = {};
    create.in.bo_size = 4 << 20;
    create.in.domains = AMDGPU_GEM_DOMAIN_VRAM;
    ASSERT_EQ(raw(other.get(), DRM_IOCTL_AMDGPU_GEM_CREATE, &create), 0);
    const std::vector<drm_amdgpu_bo_list_entry> entries = {{create.out.handle, 0}};
    drm_amdgpu_bo_list args = {};
    args.in = request(AMDGPU_BO_LIST_OP_CREATE, 0, entries);
    ASSERT_EQ(raw(other.get(), DRM_IOCTL_AMDGPU_BO_LIST, &args), 0);
  }
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_VRAM_USAGE) == before; }));
}

TEST_F(CsBoList, NumberInAFileIsBounded) {
  const Fd other = open_node();
  int error = 0;
  unsigned count = 0;
  for (; count < 10000; ++count) {
    drm_amdgpu_bo_list args = {};
    args.in = request(AMDGPU_BO_LIST_OP_CREATE, 0, {});
    error = raw(other.get(), DRM_IOCTL_AMDGPU_BO_LIST, &args);
    if (error != 0) {
      break;
    }
  }
  EXPECT_EQ(error, ENOSPC);
  EXPECT_EQ(count, 4096u);
}

TEST_F(CsBoList, MayBeAsLongAsAmdgpusWithOneBufferManyTimes) {
  const std::vector<drm_amdgpu_bo_list_entry> entries(128 * 1024, {nops().handle, 0});
  const std::uint32_t list = make(entries);
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().list(list).submit(fd(), &number), 0);
  EXPECT_TRUE(completes(context(), number));
}

}  // namespace
}  // namespace kfdlab
