// SPDX-License-Identifier: MIT
// The rules every ioctl of /dev/kfd keeps: how it is found, how long its structure may be, what a bad pointer or a
// bad value answers, and who may call it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/support/child.h"
#include "tests/kfd/kfd_fixture.h"
#include "tests/support/buffer.h"

namespace kfdlab {
namespace {

struct Ioctl {
  const char* name;
  unsigned long command;
  bool in;  // the driver reads the structure
};

#define KFDLAB_IOCTL(name) \
  Ioctl { #name, AMDKFD_IOC_##name, (_IOC_DIR(AMDKFD_IOC_##name) & _IOC_WRITE) != 0 }

constexpr std::array kIoctls = {
    KFDLAB_IOCTL(GET_VERSION),       KFDLAB_IOCTL(SET_MEMORY_POLICY),     KFDLAB_IOCTL(GET_CLOCK_COUNTERS),
    KFDLAB_IOCTL(CREATE_EVENT),      KFDLAB_IOCTL(DESTROY_EVENT),         KFDLAB_IOCTL(SET_EVENT),
    KFDLAB_IOCTL(RESET_EVENT),       KFDLAB_IOCTL(WAIT_EVENTS),           KFDLAB_IOCTL(SET_SCRATCH_BACKING_VA),
    KFDLAB_IOCTL(GET_TILE_CONFIG),   KFDLAB_IOCTL(SET_TRAP_HANDLER),      KFDLAB_IOCTL(GET_PROCESS_APERTURES_NEW),
    KFDLAB_IOCTL(ACQUIRE_VM),        KFDLAB_IOCTL(ALLOC_MEMORY_OF_GPU),   KFDLAB_IOCTL(FREE_MEMORY_OF_GPU),
    KFDLAB_IOCTL(MAP_MEMORY_TO_GPU), KFDLAB_IOCTL(UNMAP_MEMORY_FROM_GPU), KFDLAB_IOCTL(SVM),
    KFDLAB_IOCTL(SET_XNACK_MODE),    KFDLAB_IOCTL(AVAILABLE_MEMORY),      KFDLAB_IOCTL(SMI_EVENTS),
    KFDLAB_IOCTL(GET_DMABUF_INFO),   KFDLAB_IOCTL(IMPORT_DMABUF),         KFDLAB_IOCTL(CREATE_QUEUE),
    KFDLAB_IOCTL(DESTROY_QUEUE),     KFDLAB_IOCTL(UPDATE_QUEUE),          KFDLAB_IOCTL(SET_CU_MASK),
    KFDLAB_IOCTL(ALLOC_QUEUE_GWS),   KFDLAB_IOCTL(GET_QUEUE_WAVE_STATE),
};

unsigned long with_size(unsigned long command, std::size_t size) {
  return _IOC(_IOC_DIR(command), _IOC_TYPE(command), _IOC_NR(command), size);
}

using KfdAbi = KfdTest;

TEST_F(KfdAbi, ReportsVersionOnePointTen) {
  KfdVersion version;
  ASSERT_EQ(kfd().get_version(&version), 0);
  EXPECT_EQ(version.major, 1u);
  // The first with SMI events of SVM; 1.11 would promise something about queues.
  EXPECT_EQ(version.minor, 10u);
}

TEST_F(KfdAbi, StructureShorterThanTheDriverNeedsIsEinval) {
  for (const Ioctl& ioctl : kIoctls) {
    const std::size_t full = _IOC_SIZE(ioctl.command);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, full / 2, full - 1}) {
      std::array<std::byte, 256> memory{};
      EXPECT_EQ(kfd().raw(with_size(ioctl.command, size), memory.data()), EINVAL) << ioctl.name << " size " << size;
      EXPECT_EQ(memory, (std::array<std::byte, 256>{})) << ioctl.name << " wrote something";
    }
  }
}

TEST_F(KfdAbi, TailOfALongerStructureIsLeftAlone) {
  struct {
    kfd_ioctl_get_version_args args;
    std::array<std::byte, 64> tail;
  } version{};
  version.tail.fill(std::byte{0x5a});
  const auto tail = version.tail;
  ASSERT_EQ(kfd().raw(with_size(AMDKFD_IOC_GET_VERSION, sizeof version), &version), 0);
  EXPECT_EQ(version.args.major_version, 1u);
  EXPECT_EQ(version.tail, tail);

  struct {
    kfd_ioctl_get_clock_counters_args args;
    std::array<std::byte, 64> tail;
  } clocks{};
  clocks.args.gpu_id = gpu_id();
  ASSERT_EQ(kfd().raw(with_size(AMDKFD_IOC_GET_CLOCK_COUNTERS, sizeof clocks), &clocks), 0);
  EXPECT_GT(clocks.args.system_clock_counter, 0u);
  EXPECT_EQ(clocks.tail, (std::array<std::byte, 64>{}));
}

TEST_F(KfdAbi, NumberDecidesAndDirectionDoesNot) {
  kfd_ioctl_get_version_args args{};
  for (const unsigned direction : {_IOC_NONE, _IOC_READ, _IOC_WRITE, _IOC_READ | _IOC_WRITE}) {
    args = {};
    EXPECT_EQ(kfd().raw(_IOC(direction, AMDKFD_IOCTL_BASE, 0x01, sizeof args), &args), 0);
    EXPECT_EQ(args.major_version, 1u) << "direction " << direction;
  }
}

TEST_F(KfdAbi, UnknownNumberIsEnotty) {
  std::array<std::byte, 256> memory{};
  std::vector<unsigned> numbers = {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0xff};
  for (unsigned number = 0x25; number < 0x80; ++number) {
    numbers.push_back(number);
  }
  for (const unsigned number : numbers) {
    EXPECT_EQ(kfd().raw(_IOC(_IOC_READ | _IOC_WRITE, AMDKFD_IOCTL_BASE, number, 64), memory.data()), ENOTTY)
        << "number " << number;
  }
  // Another driver's letter.
  EXPECT_EQ(kfd().raw(_IOC(_IOC_READ, 'k', 0x01, 8), memory.data()), ENOTTY);
}

TEST_F(KfdAbi, IoctlOfAmdWithoutSupportIsEopnotsupp) {
  std::array<std::byte, 256> memory{};
  for (const unsigned number :
       {0x06, 0x0d, 0x0e, 0x0f, 0x10, 0x22}) {
    EXPECT_EQ(kfd().raw(_IOC(_IOC_READ | _IOC_WRITE, AMDKFD_IOCTL_BASE, number, 88), memory.data()), EOPNOTSUPP)
        << "number " << number;
  }
}

TEST_F(KfdAbi, BadPointerIsEfault) {
  const Buffer two(2);
  two.protect(1, 1, PROT_NONE);
  for (const Ioctl& ioctl : kIoctls) {
    EXPECT_EQ(kfd().raw(ioctl.command, nullptr), EFAULT) << ioctl.name;
    EXPECT_EQ(kfd().raw(ioctl.command, two.page(1)), EFAULT) << ioctl.name << " inaccessible";
    EXPECT_EQ(kfd().raw(ioctl.command, reinterpret_cast<void*>(~std::uintptr_t{0xfff})), EFAULT)
        << ioctl.name << " kernel address";
    // Its last byte is beyond what may be read.
    std::byte* straddling = two.page(1) - _IOC_SIZE(ioctl.command) + 1;
    EXPECT_EQ(kfd().raw(ioctl.command, straddling), EFAULT) << ioctl.name << " straddling";
  }
}

TEST_F(KfdAbi, ReadOnlyAnswerIsEfault) {
  const Buffer page(1);
  auto* counters = reinterpret_cast<kfd_ioctl_get_clock_counters_args*>(page.data());
  counters->gpu_id = gpu_id();
  page.protect(0, 1, PROT_READ);
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_GET_VERSION, page.data()), EFAULT);
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_GET_CLOCK_COUNTERS, page.data()), EFAULT);
}

TEST_F(KfdAbi, UnknownGpuIsEinval) {
  const auto dead = dead_gpu_id();
  kfd_ioctl_get_clock_counters_args counters{};
  kfd_ioctl_get_tile_config_args tiles{};
  kfd_ioctl_set_memory_policy_args policy{};
  policy.gpu_id = dead;
  std::uint64_t bytes = 0;
  const Fd render = open_render();
  EXPECT_EQ(kfd().get_clock_counters(dead, &counters), EINVAL);
  EXPECT_EQ(kfd().set_memory_policy(policy), EINVAL);
  EXPECT_EQ(kfd().set_scratch_backing_va(dead, 0), EINVAL);
  EXPECT_EQ(kfd().set_trap_handler(dead, 0, 0), EINVAL);
  EXPECT_EQ(kfd().get_tile_config(dead, &tiles), EINVAL);
  EXPECT_EQ(kfd().acquire_vm(dead, render.get()), EINVAL);
  EXPECT_EQ(kfd().available_memory(dead, &bytes), EINVAL);
  EXPECT_EQ(kfd().available_memory(0, &bytes), EINVAL);
}

TEST_F(KfdAbi, BadValueIsEinval) {
  kfd_ioctl_set_memory_policy_args policy{};
  policy.gpu_id = gpu_id();
  policy.default_policy = 2;
  EXPECT_EQ(kfd().set_memory_policy(policy), EINVAL);
  policy.default_policy = KFD_IOC_CACHE_POLICY_NONCOHERENT;
  policy.alternate_policy = ~0u;
  EXPECT_EQ(kfd().set_memory_policy(policy), EINVAL);
  policy.alternate_policy = KFD_IOC_CACHE_POLICY_COHERENT;
  EXPECT_EQ(kfd().set_memory_policy(policy), 0);

  EXPECT_EQ(kfd().set_scratch_backing_va(gpu_id(), 1ull << 31), EINVAL) << "past the GPU's address space";
  EXPECT_EQ(kfd().set_scratch_backing_va(gpu_id(), ~0ull), EINVAL);
  EXPECT_EQ(kfd().set_scratch_backing_va(gpu_id(), 0x7f00'0000), 0);

  EXPECT_EQ(kfd().set_trap_handler(gpu_id(), 0x10001, 0), EINVAL) << "not 256-byte aligned";
  EXPECT_EQ(kfd().set_trap_handler(gpu_id(), 0x10000, 0x80), EINVAL);
  EXPECT_EQ(kfd().set_trap_handler(gpu_id(), ~0xffull, 0), EINVAL);
  EXPECT_EQ(kfd().set_trap_handler(gpu_id(), 0x10000, 0x20000), 0);
}

TEST_F(KfdAbi, AperturesAreCountedAndFilledUpToTheRoomGiven) {
  kfd_ioctl_get_process_apertures_new_args ask{};
  ASSERT_EQ(kfd().raw(AMDKFD_IOC_GET_PROCESS_APERTURES_NEW, &ask), 0);
  EXPECT_EQ(ask.num_of_nodes, kfd_gpu_ids().size());

  std::vector<kfd_process_device_apertures> apertures;
  ASSERT_EQ(kfd().get_apertures(64, &apertures), 0);
  ASSERT_EQ(apertures.size(), kfd_gpu_ids().size());
  const auto& first = apertures.front();
  EXPECT_EQ(first.gpu_id, gpu_id());
  EXPECT_EQ(first.lds_base, 1ull << 48);
  EXPECT_EQ(first.scratch_base, 2ull << 48);
  EXPECT_EQ(first.gpuvm_base, 0x4000u);
  // The thunk gives out CPU addresses as GPU addresses only if the limit covers all of user space.
  EXPECT_EQ(first.gpuvm_limit, (1ull << 47) - 1);

  ask.num_of_nodes = 1;
  ask.kfd_process_device_apertures_ptr = 0;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_GET_PROCESS_APERTURES_NEW, &ask), EFAULT);
}

TEST_F(KfdAbi, ClocksAdvanceAndTheCpuNodeHasNoGpuClock) {
  kfd_ioctl_get_clock_counters_args before{}, after{}, cpu{};
  ASSERT_EQ(kfd().get_clock_counters(gpu_id(), &before), 0);
  ASSERT_EQ(kfd().get_clock_counters(gpu_id(), &after), 0);
  EXPECT_GT(after.system_clock_counter, before.system_clock_counter);
  EXPECT_GE(after.gpu_clock_counter, before.gpu_clock_counter);
  EXPECT_GT(after.cpu_clock_counter, before.cpu_clock_counter);
  EXPECT_EQ(before.system_clock_freq, 1'000'000'000u);
  ASSERT_EQ(kfd().get_clock_counters(0, &cpu), 0);
  EXPECT_EQ(cpu.gpu_clock_counter, 0u);
}

// ROCr turns times of the GPU into times of the system by two such pairs: what a call waited must not be in them.
TEST_F(KfdAbi, ClocksOfManyCallsKeepTheirDistance) {
  constexpr std::int64_t kTick = 10;  // ns
  constexpr std::int64_t kBound = 200'000;
  const auto distance = [this] {
    kfd_ioctl_get_clock_counters_args clocks{};
    EXPECT_EQ(kfd().get_clock_counters(gpu_id(), &clocks), 0);
    return static_cast<std::int64_t>(clocks.system_clock_counter) -
           static_cast<std::int64_t>(clocks.gpu_clock_counter) * kTick;
  };
  // The distance is known as well as the quickest answer of the device allows.
  for (unsigned i = 0; i < 100; i++) static_cast<void>(distance());
  std::int64_t low = distance();
  std::int64_t high = low;
  for (unsigned i = 0; i < 100; i++) {
    const std::int64_t now = distance();
    low = std::min(low, now);
    high = std::max(high, now);
  }
  EXPECT_LT(high - low, kBound);
}

TEST_F(KfdAbi, TileTablesAreEmpty) {
  std::array<std::uint32_t, 32> tiles{}, macro{};
  kfd_ioctl_get_tile_config_args config{};
  config.tile_config_ptr = reinterpret_cast<std::uintptr_t>(tiles.data());
  config.macro_tile_config_ptr = reinterpret_cast<std::uintptr_t>(macro.data());
  config.num_tile_configs = tiles.size();
  config.num_macro_tile_configs = macro.size();
  ASSERT_EQ(kfd().get_tile_config(gpu_id(), &config), 0);
  EXPECT_EQ(config.num_tile_configs, 0u);
  EXPECT_EQ(config.num_macro_tile_configs, 0u);
}

TEST_F(KfdAbi, AcquireVmTakesOneRenderFileForGood) {
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(kfd().acquire_vm(gpu_id(), null.get()), EINVAL);
  EXPECT_EQ(kfd().acquire_vm(gpu_id(), kfd().fd()), EINVAL);
  EXPECT_EQ(kfd().acquire_vm(gpu_id(), -1), EINVAL);

  const Fd first = open_render(), second = open_render();
  EXPECT_EQ(kfd().acquire_vm(gpu_id(), first.get()), 0);
  EXPECT_EQ(kfd().acquire_vm(gpu_id(), first.get()), 0) << "the same file once more";
  EXPECT_EQ(kfd().acquire_vm(gpu_id(), second.get()), EBUSY);
}

TEST_F(KfdAbi, XnackModeIsOffAndCanBeSwitched) {
  std::int32_t mode = 7;
  ASSERT_EQ(kfd().set_xnack_mode(-1, &mode), 0);
  EXPECT_EQ(mode, 0);
  ASSERT_EQ(kfd().set_xnack_mode(5, &mode), 0);
  EXPECT_EQ(mode, 1) << "any positive value is on";
  ASSERT_EQ(kfd().set_xnack_mode(-1, &mode), 0);
  EXPECT_EQ(mode, 1);
  ASSERT_EQ(kfd().set_xnack_mode(0, &mode), 0);
  EXPECT_EQ(mode, 0);
}

TEST_F(KfdAbi, SvmAttributesMustLieInsideTheStructure) {
  const Buffer page(1);
  std::array<std::uint64_t, 8> memory{};
  auto* args = reinterpret_cast<kfd_ioctl_svm_args*>(memory.data());
  const auto call = [&](std::uint32_t nattr, std::size_t room) {
    memory = {};
    args->start_addr = page.address();
    args->size = page.size();
    args->op = KFD_IOCTL_SVM_OP_GET_ATTR;
    args->nattr = nattr;
    args->attrs[0].type = KFD_IOCTL_SVM_ATTR_GRANULARITY;
    return kfd().raw(with_size(AMDKFD_IOC_SVM, sizeof *args + room * sizeof(kfd_ioctl_svm_attribute)), args);
  };
  page.data()[0] = std::byte{1};
  EXPECT_EQ(call(1, 0), EINVAL);
  EXPECT_EQ(call(2, 1), EINVAL);
  EXPECT_EQ(call(0x2000'0000, 1), EINVAL) << "8 * nattr wraps at 32 bits";
  EXPECT_EQ(call(~0u, 4), EINVAL);
  EXPECT_EQ(call(1, 1), 0);
  EXPECT_EQ(call(1, 4), 0) << "room that is not used";
}

TEST_F(KfdAbi, LargestSvmStructureIsAccepted) {
  const Buffer page(1);
  page.data()[0] = std::byte{1};
  // 14 bits of size in a command word.
  constexpr std::size_t kMost = (16383 - sizeof(kfd_ioctl_svm_args)) / sizeof(kfd_ioctl_svm_attribute);
  std::vector<kfd_ioctl_svm_attribute> attributes(kMost, {KFD_IOCTL_SVM_ATTR_GRANULARITY, 0});
  EXPECT_EQ(kfd().svm_get(page.address(), page.size(), attributes), 0);
  EXPECT_EQ(attributes.back().value, attributes.front().value);
}

TEST_F(KfdAbi, MmapOfAnythingButDoorbellsAndAllocatedRegistersIsRefused) {
  for (std::uint64_t type = 0; type < 3; ++type) {
    const std::uint64_t offset = type << 62 | std::uint64_t{gpu_id()} << 46;
    for (const std::size_t size : {std::size_t{4096}, std::size_t{0x2000}}) {
      errno = 0;
      EXPECT_EQ(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, kfd().fd(), static_cast<off_t>(offset)),
                MAP_FAILED);
      EXPECT_EQ(errno, type == 0 && size == 4096 ? ENXIO : EINVAL) << "type " << type;
    }
  }
}

TEST_F(KfdAbi, ReadAndWriteAreRefused) {
  char byte = 0;
  EXPECT_EQ(::read(kfd().fd(), &byte, 1), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::write(kfd().fd(), &byte, 1), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(KfdAbi, ClosedFileIsEbadf) {
  const int fd = kfd().fd();
  close_kfd();
  kfd_ioctl_get_version_args args{};
  EXPECT_EQ(::ioctl(fd, AMDKFD_IOC_GET_VERSION, &args), -1);
  EXPECT_EQ(errno, EBADF);
}

// Errors of all ioctls on a file, in order of kIoctls.
std::array<int, kIoctls.size()> errors_of(const KfdClient& client) {
  std::array<int, kIoctls.size()> errors{};
  for (std::size_t i = 0; i < kIoctls.size(); ++i) {
    std::array<std::byte, 256> memory{};
    errors[i] = client.raw(kIoctls[i].command, memory.data());
  }
  return errors;
}

void expect_all_ebadf(const std::array<int, kIoctls.size()>& errors) {
  for (std::size_t i = 0; i < kIoctls.size(); ++i) {
    EXPECT_EQ(errors[i], EBADF) << kIoctls[i].name;
  }
}

TEST_F(KfdAbi, InheritedFileIsEbadfInTheForkedChild) {
  std::array<int, kIoctls.size()> errors{};
  Child child([&](Peer& parent) { return parent.send(errors_of(kfd())) ? 0 : 1; });
  ASSERT_TRUE(child.peer().receive(&errors));
  EXPECT_EQ(child.wait(), 0);
  expect_all_ebadf(errors);

  KfdVersion version;
  EXPECT_EQ(kfd().get_version(&version), 0) << "the parent's own calls go on";
}

TEST_F(KfdAbi, ChildOpensTheDeviceAfresh) {
  Child child([&](Peer&) {
    const auto own = KfdClient::open();
    KfdVersion version;
    return own && own.value().get_version(&version) == 0 ? 0 : 1;
  });
  EXPECT_EQ(child.wait(), 0);
}

bool send_fd(int socket, int fd) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return ::sendmsg(socket, &message, 0) == 1;
}

Fd receive_fd(int socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  int fd = -1;
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message) != nullptr) {
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  }
  return Fd(fd);
}

TEST_F(KfdAbi, FilePassedToAnotherProcessIsEbadfThere) {
  std::array<int, 2> sockets{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()), 0);
  const Fd ours(sockets[0]), theirs(sockets[1]);
  Child child([&](Peer&) {
    // Outlives its sender: the file arrives while the child, which opened it, may be gone already.
    const auto own = KfdClient::open();
    return own && send_fd(theirs.get(), own.value().fd()) ? 0 : 1;
  });
  const KfdClient foreign(receive_fd(ours.get()));
  ASSERT_TRUE(foreign.valid());
  expect_all_ebadf(errors_of(foreign));
  EXPECT_EQ(child.wait(), 0);
  expect_all_ebadf(errors_of(foreign));
}

}  // namespace
}  // namespace kfdlab
