// SPDX-License-Identifier: MIT
#include "tools/vm/gpu_function.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <bit>
#include <cerrno>
#include <vector>

#include "tools/host/paths.h"
#include "tools/vm/ivshmem.h"

namespace kfdlab {
namespace {

// gfx90a with the identity of an MI210, which Debian's user space knows.
constexpr std::uint32_t kDeviceId = 0x740f;
constexpr std::uint32_t kRevisionId = 2;
constexpr std::uint32_t kGfxTargetVersion = 90010;
constexpr std::uint32_t kComputeUnits = 8;
constexpr std::uint64_t kUniqueIdBase = 0x6b66646c61620000ull;

template <std::size_t N>
Status create_events(std::array<Fd, N>& events) {
  for (Fd& event : events) {
    event.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event.valid()) {
      return errno_error("cannot create an eventfd", errno);
    }
  }
  return ok_status();
}

template <std::size_t N>
std::vector<int> numbers(const std::array<Fd, N>& events) {
  std::vector<int> result;
  for (const Fd& event : events) {
    result.push_back(event.get());
  }
  return result;
}

}  // namespace

std::uint64_t bar_size(std::uint64_t vram) { return std::bit_ceil(KFDLAB_BAR_VRAM + vram); }

GpuFunction::GpuFunction(GpuFunction&& other) noexcept
    : index_(other.index_),
      bar_(std::move(other.bar_)),
      kick_(std::move(other.kick_)),
      irq_(std::move(other.irq_)),
      qemu_socket_(std::move(other.qemu_socket_)),
      server_socket_(std::move(other.server_socket_)),
      registers_(std::exchange(other.registers_, nullptr)) {}

GpuFunction::~GpuFunction() {
  if (registers_ != nullptr) {
    ::munmap(registers_, KFDLAB_BAR_VRAM);
  }
}

Result<GpuFunction> GpuFunction::create(unsigned index, unsigned count, std::uint64_t vram) {
  GpuFunction gpu;
  gpu.index_ = index;
  const std::uint64_t size = kfdlab::bar_size(vram);
  auto bar = memory_file("kfdlab-vram", size);
  KFDLAB_TRY(bar);
  gpu.bar_ = bar.take();
  void* mapping = ::mmap(nullptr, KFDLAB_BAR_VRAM, PROT_READ | PROT_WRITE, MAP_SHARED, gpu.bar_.get(), 0);
  if (mapping == MAP_FAILED) {
    return errno_error("cannot map the virtual GPU's registers", errno);
  }
  gpu.registers_ = static_cast<unsigned char*>(mapping);
  gpu.write_identity(index, count, size, vram);
  KFDLAB_TRY(create_events(gpu.kick_));
  KFDLAB_TRY(create_events(gpu.irq_));
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return errno_error("cannot create the ivshmem socket", errno);
  }
  gpu.server_socket_.reset(sockets[0]);
  gpu.qemu_socket_.reset(sockets[1]);
  KFDLAB_TRY(send_ivshmem_handshake(sockets[0], gpu.bar_.get(), numbers(gpu.kick_), numbers(gpu.irq_)));
  return gpu;
}

void GpuFunction::write_identity(unsigned index, unsigned count, std::uint64_t size, std::uint64_t vram) {
  auto* identity = reinterpret_cast<kfdlab_identity*>(registers_ + KFDLAB_BAR_IDENTITY);
  *identity = kfdlab_identity{};
  identity->magic = KFDLAB_IDENTITY_MAGIC;
  identity->layout_version = KFDLAB_LAYOUT_VERSION;
  identity->gpu_index = index;
  identity->gpu_count = count;
  identity->device_id = kDeviceId;
  identity->revision_id = kRevisionId;
  identity->gfx_target_version = kGfxTargetVersion;
  identity->bar_size = size;
  identity->vram_size = vram;
  identity->compute_units = kComputeUnits;
  identity->unique_id = kUniqueIdBase + index + 1;
}

std::string GpuFunction::device_argument(std::vector<int>& fds) const {
  const int kicks[] = {kick_[KFDLAB_KICK_CONTROL].get(), kick_[KFDLAB_KICK_COPY].get(), kick_[KFDLAB_KICK_QUEUE].get()};
  const auto irqs = numbers(irq_);
  fds.push_back(bar_.get());
  fds.insert(fds.end(), std::begin(kicks), std::end(kicks));
  fds.insert(fds.end(), irqs.begin(), irqs.end());
  return fmt::format("index={},bar={},kick={},irq={}", index_, bar_.get(), fmt::join(kicks, ":"), fmt::join(irqs, ":"));
}

std::uint32_t GpuFunction::reset_request() const {
  const auto* driver = reinterpret_cast<const kfdlab_driver_regs*>(registers_ + KFDLAB_BAR_DRIVER_REGS);
  return __atomic_load_n(&driver->reset_request, __ATOMIC_ACQUIRE);
}

void GpuFunction::announce_death(std::uint32_t generation) {
  auto* device = reinterpret_cast<kfdlab_device_regs*>(registers_ + KFDLAB_BAR_DEVICE_REGS);
  __atomic_store_n(&device->state, kfdlab_state_word(generation, KFDLAB_STATE_DEAD), __ATOMIC_SEQ_CST);
  ::eventfd_write(irq_[KFDLAB_IRQ_STATE].get(), 1);
}

}  // namespace kfdlab
