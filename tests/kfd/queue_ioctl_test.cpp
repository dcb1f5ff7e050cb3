// SPDX-License-Identifier: MIT
// The ioctls of user queues: what they refuse and with which errno, ids, doorbells and limits, and what a queue keeps
// from being changed.
#include <cerrno>
#include <memory>
#include <set>
#include <vector>

#include "tests/kfd/queue_fixture.h"
#include "tests/support/child.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kKernelAddress = 0xffff'8000'0000'0000;
constexpr std::uint32_t kProcessQueues = 256;

class KfdQueue : public QueueTest {
 protected:
  // What works: an SDMA queue whose ring and pointers are not mapped, which the device finds out when it looks.
  [[nodiscard]] kfd_ioctl_create_queue_args good() const {
    kfd_ioctl_create_queue_args args{};
    args.ring_base_address = space_.address();
    args.ring_size = 4096;
    args.write_pointer_address = space_.address() + 4096;
    args.read_pointer_address = space_.address() + 4104;
    args.gpu_id = gpu_id();
    args.queue_type = kSdma;
    args.queue_percentage = 100;
    return args;
  }
  int create(kfd_ioctl_create_queue_args* args) const { return kfd().raw(AMDKFD_IOC_CREATE_QUEUE, args); }
  int destroy(std::uint32_t id) const {
    kfd_ioctl_destroy_queue_args args{};
    args.queue_id = id;
    return kfd().raw(AMDKFD_IOC_DESTROY_QUEUE, &args);
  }
  int cu_mask(std::uint32_t id, std::uint32_t bits, const void* mask) const {
    kfd_ioctl_set_cu_mask_args args{};
    args.queue_id = id;
    args.num_cu_mask = bits;
    args.cu_mask_ptr = reinterpret_cast<std::uintptr_t>(mask);
    return kfd().raw(AMDKFD_IOC_SET_CU_MASK, &args);
  }

  Reservation space_{1 << 20};
};

TEST_F(KfdQueue, CreateRefusesWhatCannotBe) {
  struct Bad {
    const char* what;
    int error;
    void (*spoil)(kfd_ioctl_create_queue_args*);
  };
  const Bad bad[] = {
      {"percentage", EINVAL, [](auto* args) { args->queue_percentage = 101; }},
      {"priority", EINVAL, [](auto* args) { args->queue_priority = 16; }},
      {"ring of the kernel", EFAULT, [](auto* args) { args->ring_base_address = kKernelAddress; }},
      {"ring misaligned", EINVAL, [](auto* args) { args->ring_base_address += 8; }},
      {"ring size", EINVAL, [](auto* args) { args->ring_size = 3 * 4096; }},
      {"read pointer of the kernel", EFAULT, [](auto* args) { args->read_pointer_address = kKernelAddress; }},
      {"read pointer misaligned", EINVAL, [](auto* args) { args->read_pointer_address += 4; }},
      {"write pointer of the kernel", EFAULT, [](auto* args) { args->write_pointer_address = kKernelAddress; }},
      {"write pointer misaligned", EINVAL, [](auto* args) { args->write_pointer_address += 1; }},
      {"EOP of the kernel", EFAULT, [](auto* args) { args->eop_buffer_address = kKernelAddress; }},
      {"save area of the kernel", EFAULT, [](auto* args) { args->ctx_save_restore_address = kKernelAddress; }},
      {"type", EOPNOTSUPP, [](auto* args) { args->queue_type = 4; }},
      {"GPU", EINVAL, [](auto* args) { args->gpu_id += 0x1234; }},
  };
  for (const Bad& row : bad) {
    kfd_ioctl_create_queue_args args = good();
    row.spoil(&args);
    EXPECT_EQ(create(&args), row.error) << row.what;
  }
}

TEST_F(KfdQueue, OfAnyTypeCanBeMadeAndUnmadeWithoutMappedMemory) {
  for (const std::uint32_t type : {kPm4, kSdma, kAql, kSdmaXgmi}) {
    kfd_ioctl_create_queue_args args = good();
    args.queue_type = type;
    ASSERT_EQ(create(&args), 0) << type;
    EXPECT_EQ(args.doorbell_offset & ~(kDoorbellSlice - 1), 3ull << 62 | std::uint64_t{gpu_id()} << 46);
    EXPECT_EQ(args.doorbell_offset % 8, 0u);
    EXPECT_EQ(destroy(args.queue_id), 0);
    EXPECT_EQ(destroy(args.queue_id), EINVAL) << "once is enough";
  }
  // Neither ring nor percentage: made, but not to run.
  kfd_ioctl_create_queue_args args = good();
  args.ring_base_address = 0;
  args.ring_size = 0;
  ASSERT_EQ(create(&args), 0);
  EXPECT_EQ(destroy(args.queue_id), 0);
}

TEST_F(KfdQueue, BeforeAcquireVmIsEnodev) {
  const auto child = std::make_unique<Child>([args = good()](Peer&) mutable {
    const auto own = KfdClient::open();
    return own ? own.value().raw(AMDKFD_IOC_CREATE_QUEUE, &args) : 255;
  });
  EXPECT_EQ(child->wait(), ENODEV);
}

TEST_F(KfdQueue, UnknownOnesAreRefusedByEveryIoctl) {
  constexpr std::uint32_t kNone = 77;
  EXPECT_EQ(destroy(kNone), EINVAL);
  kfd_ioctl_update_queue_args update{};
  update.queue_id = kNone;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_UPDATE_QUEUE, &update), EFAULT);
  const std::uint32_t mask = ~0u;
  EXPECT_EQ(cu_mask(kNone, 32, &mask), EFAULT);
  kfd_ioctl_get_queue_wave_state_args state{};
  state.queue_id = kNone;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_GET_QUEUE_WAVE_STATE, &state), EFAULT);
  kfd_ioctl_alloc_queue_gws_args gws{};
  gws.queue_id = kNone;
  gws.num_gws = 1;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_ALLOC_QUEUE_GWS, &gws), EINVAL);
}

TEST_F(KfdQueue, UpdateAndCuMaskCheckTheirArguments) {
  kfd_ioctl_create_queue_args args = good();
  ASSERT_EQ(create(&args), 0);
  kfd_ioctl_update_queue_args update{};
  update.queue_id = args.queue_id;
  update.ring_base_address = args.ring_base_address;
  update.ring_size = args.ring_size;
  update.queue_percentage = 101;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_UPDATE_QUEUE, &update), EINVAL);
  update.queue_percentage = 50;
  update.queue_priority = 16;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_UPDATE_QUEUE, &update), EINVAL);
  update.queue_priority = 15;
  update.ring_size = 5000;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_UPDATE_QUEUE, &update), EINVAL);
  update.ring_size = 8192;
  update.ring_base_address = kKernelAddress;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_UPDATE_QUEUE, &update), EFAULT);
  update.ring_base_address = args.ring_base_address;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_UPDATE_QUEUE, &update), 0);

  const std::vector<std::uint32_t> mask(64, 0x5555'5555);
  EXPECT_EQ(cu_mask(args.queue_id, 0, mask.data()), EINVAL);
  EXPECT_EQ(cu_mask(args.queue_id, 31, mask.data()), EINVAL);
  EXPECT_EQ(cu_mask(args.queue_id, 32, nullptr), EFAULT);
  EXPECT_EQ(cu_mask(args.queue_id, 32, mask.data()), 0);
  EXPECT_EQ(cu_mask(args.queue_id, 2048, mask.data()), 0) << "what is too many is left out";
  kfd_ioctl_get_queue_wave_state_args state{};
  state.queue_id = args.queue_id;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_GET_QUEUE_WAVE_STATE, &state), EINVAL) << "no state is ever saved";
  EXPECT_EQ(destroy(args.queue_id), 0);
}

TEST_F(KfdQueue, GlobalWaveSyncIsForOneQueueOfAProcess) {
  kfd_ioctl_create_queue_args one = good();
  kfd_ioctl_create_queue_args two = good();
  one.queue_type = two.queue_type = kAql;
  ASSERT_EQ(create(&one), 0);
  ASSERT_EQ(create(&two), 0);
  kfd_ioctl_alloc_queue_gws_args gws{};
  gws.queue_id = one.queue_id;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_ALLOC_QUEUE_GWS, &gws), EINVAL) << "it has none to give back";
  gws.num_gws = 64;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_ALLOC_QUEUE_GWS, &gws), 0);
  EXPECT_EQ(gws.first_gws, 0u);
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_ALLOC_QUEUE_GWS, &gws), EBUSY);
  gws.queue_id = two.queue_id;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_ALLOC_QUEUE_GWS, &gws), EBUSY);
  EXPECT_EQ(destroy(one.queue_id), 0);
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_ALLOC_QUEUE_GWS, &gws), 0);
  EXPECT_EQ(destroy(two.queue_id), 0);
}

TEST_F(KfdQueue, IdsAndDoorbellsAreDistinctBoundedAndComeBack) {
  for (int round = 0; round < 3; ++round) {
    std::set<std::uint32_t> ids;
    std::set<std::uint64_t> doorbells;
    int error = 0;
    for (;;) {
      kfd_ioctl_create_queue_args args = good();
      error = create(&args);
      if (error != 0 || ids.size() > kProcessQueues) {
        break;
      }
      EXPECT_TRUE(ids.insert(args.queue_id).second);
      EXPECT_TRUE(doorbells.insert(args.doorbell_offset).second);
    }
    EXPECT_EQ(error, ENOMEM);
    EXPECT_EQ(ids.size(), kProcessQueues);
    for (const std::uint32_t id : ids) {
      EXPECT_EQ(destroy(id), 0);
    }
  }
}

TEST_F(KfdQueue, XnackModeIsBusyWhileThereIsOne) {
  std::int32_t now = -1;
  ASSERT_EQ(kfd().set_xnack_mode(1, &now), 0);
  kfd_ioctl_create_queue_args args = good();
  ASSERT_EQ(create(&args), 0);
  EXPECT_EQ(kfd().set_xnack_mode(0, &now), EBUSY);
  EXPECT_EQ(kfd().set_xnack_mode(1, &now), EBUSY) << "even if it would not change";
  EXPECT_EQ(kfd().set_xnack_mode(-1, &now), 0);
  EXPECT_EQ(now, 1);
  EXPECT_EQ(destroy(args.queue_id), 0);
  EXPECT_EQ(kfd().set_xnack_mode(0, &now), 0);
  EXPECT_EQ(now, 0);
}

TEST_F(KfdQueue, OfTheParentIsNotTheChilds) {
  kfd_ioctl_create_queue_args args = good();
  ASSERT_EQ(create(&args), 0);
  const auto child = std::make_unique<Child>([this, id = args.queue_id](Peer&) { return destroy(id); });
  EXPECT_EQ(child->wait(), EBADF);
  EXPECT_EQ(destroy(args.queue_id), 0);
}

}  // namespace
}  // namespace kfdlab
