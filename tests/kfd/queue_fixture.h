// SPDX-License-Identifier: MIT
// User queues by raw ioctls: memory that the GPU sees at its CPU address, a queue with ring and pointers, packets and
// doorbell. Nothing here asserts, so that child processes can use it; error() and ok() tell.
#pragma once

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "hw/aql.h"
#include "hw/sdma.h"
#include "tests/kfd/kfd_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"

namespace kfdlab {

inline constexpr std::size_t kDoorbellSlice = 0x2000;
inline constexpr std::uint32_t kPm4 = KFD_IOC_QUEUE_TYPE_COMPUTE;
inline constexpr std::uint32_t kSdma = KFD_IOC_QUEUE_TYPE_SDMA;
inline constexpr std::uint32_t kAql = KFD_IOC_QUEUE_TYPE_COMPUTE_AQL;
inline constexpr std::uint32_t kSdmaXgmi = KFD_IOC_QUEUE_TYPE_SDMA_XGMI;

// A process's access to one GPU: its files, acquired.
struct QueueGpu {
  const KfdClient* kfd = nullptr;
  std::uint32_t gpu_id = 0;
  int render_fd = -1;
};

template <typename T>
T* at_address(std::uint64_t address) {
  return reinterpret_cast<T*>(address);
}

// Memory mapped to the GPU at its CPU address.
class GpuMemory {
 public:
  enum class Kind : std::uint8_t { User, Vram, ReadOnly };

  GpuMemory(const QueueGpu& gpu, std::size_t pages, Kind kind = Kind::User) : gpu_(gpu), size_(pages * kPageSize) {
    void* at = ::mmap(nullptr, size_, kind == Kind::Vram ? PROT_NONE : PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
      return;
    }
    start_ = at;
    // As the thunk does it: after a fork the child's copy must not take pages away from the parent.
    ::madvise(start_, size_, MADV_DONTFORK);
    KfdAlloc alloc;
    alloc.va = address();
    alloc.size = size_;
    alloc.gpu_id = gpu.gpu_id;
    alloc.flags = (kind == Kind::Vram ? KFD_IOC_ALLOC_MEM_FLAGS_VRAM | KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC
                                      : KFD_IOC_ALLOC_MEM_FLAGS_USERPTR) |
                  KFD_IOC_ALLOC_MEM_FLAGS_EXECUTABLE | KFD_IOC_ALLOC_MEM_FLAGS_COHERENT |
                  (kind == Kind::ReadOnly ? 0u : static_cast<std::uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE));
    alloc.mmap_offset = address();
    error_ = gpu.kfd->alloc(&alloc);
    if (error_ != 0) {
      return;
    }
    handle_ = alloc.handle;
    if (kind == Kind::Vram && ::mmap(start_, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, gpu.render_fd,
                                     static_cast<off_t>(alloc.mmap_offset)) == MAP_FAILED) {
      error_ = errno;
      return;
    }
    error_ = gpu.kfd->map(handle_, std::array{gpu.gpu_id}, nullptr);
    mapped_ = error_ == 0;
  }
  GpuMemory(const GpuMemory&) = delete;
  GpuMemory& operator=(const GpuMemory&) = delete;
  ~GpuMemory() {
    if (mapped_) {
      (void)gpu_.kfd->unmap(handle_, std::array{gpu_.gpu_id}, nullptr);
    }
    if (handle_ != 0) {
      (void)gpu_.kfd->free(handle_);
    }
    if (start_ != nullptr) {
      ::munmap(start_, size_);
    }
  }

  [[nodiscard]] bool ok() const { return mapped_; }
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(start_); }
  [[nodiscard]] std::span<std::byte> bytes() const { return {static_cast<std::byte*>(start_), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::uint64_t handle() const { return handle_; }
  template <typename T>
  [[nodiscard]] T* as(std::size_t offset = 0) const {
    return at_address<T>(address() + offset);
  }

 private:
  QueueGpu gpu_;
  std::size_t size_;
  void* start_ = nullptr;
  std::uint64_t handle_ = 0;
  int error_ = ENOMEM;
  bool mapped_ = false;
};

// The process's doorbells.
class Doorbells {
 public:
  explicit Doorbells(const QueueGpu& gpu)
      : at_(::mmap(nullptr, kDoorbellSlice, PROT_READ | PROT_WRITE, MAP_SHARED, gpu.kfd->fd(),
                   static_cast<off_t>(3ull << 62 | std::uint64_t{gpu.gpu_id} << 46))) {}
  Doorbells(const Doorbells&) = delete;
  Doorbells& operator=(const Doorbells&) = delete;
  ~Doorbells() {
    if (ok()) {
      ::munmap(at_, kDoorbellSlice);
    }
  }
  [[nodiscard]] bool ok() const { return at_ != MAP_FAILED; }
  [[nodiscard]] void* address() const { return at_; }
  void ring(std::uint64_t offset, std::uint64_t value) const {
    std::atomic_ref(*at_address<std::uint64_t>(reinterpret_cast<std::uintptr_t>(at_) + offset % kDoorbellSlice))
        .store(value, std::memory_order_seq_cst);
  }

 private:
  void* at_;
};

// A queue with its ring and pointers. The first page of the memory is amd_queue_t (AQL) or the two pointers.
class UserQueue {
 public:
  UserQueue(const QueueGpu& gpu, std::uint32_t type, std::uint32_t ring_bytes = 0x4000)
      : gpu_(gpu), memory_(gpu, 1 + ring_bytes / kPageSize), doorbells_(gpu), type_(type), ring_bytes_(ring_bytes) {
    if (!memory_.ok() || !doorbells_.ok()) {
      return;
    }
    if (type == kAql) {
      queue()->base_address = ring();
      queue()->size = ring_bytes / AQL_PACKET_BYTES;
      queue()->read_dispatch_id_field_base_byte_offset = offsetof(aql_queue, read_dispatch_id);
      for (std::uint64_t i = 0; i < queue()->size; ++i) {
        at_address<aql_barrier>(ring())[i].header = AQL_INVALID;
      }
    }
    args_.ring_base_address = ring();
    args_.ring_size = ring_bytes;
    args_.write_pointer_address = memory_.address() + (type == kAql ? offsetof(aql_queue, write_dispatch_id) : 0x38);
    args_.read_pointer_address = memory_.address() + (type == kAql ? offsetof(aql_queue, read_dispatch_id) : 0x80);
    args_.gpu_id = gpu.gpu_id;
    args_.queue_type = type;
    args_.queue_percentage = 100;
    args_.queue_priority = 7;
    error_ = gpu.kfd->raw(AMDKFD_IOC_CREATE_QUEUE, &args_);
  }
  UserQueue(const UserQueue&) = delete;
  UserQueue& operator=(const UserQueue&) = delete;
  ~UserQueue() { (void)destroy(); }

  [[nodiscard]] bool ok() const { return error_ == 0; }
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] std::uint32_t id() const { return args_.queue_id; }
  [[nodiscard]] std::uint64_t doorbell_offset() const { return args_.doorbell_offset; }
  [[nodiscard]] const Doorbells& doorbells() const { return doorbells_; }
  [[nodiscard]] aql_queue* queue() const { return memory_.as<aql_queue>(); }

  int destroy() {
    if (error_ != 0) {
      return error_;
    }
    kfd_ioctl_destroy_queue_args args{};
    args.queue_id = args_.queue_id;
    error_ = ENOENT;
    return gpu_.kfd->raw(AMDKFD_IOC_DESTROY_QUEUE, &args);
  }
  // ring 0 or percentage 0 stops it.
  [[nodiscard]] int update(bool with_ring, std::uint32_t percentage) const {
    kfd_ioctl_update_queue_args args{};
    args.queue_id = args_.queue_id;
    args.ring_base_address = with_ring ? ring() : 0;
    args.ring_size = ring_bytes_;
    args.queue_percentage = percentage;
    args.queue_priority = 7;
    return gpu_.kfd->raw(AMDKFD_IOC_UPDATE_QUEUE, &args);
  }

  // SDMA and PM4: dwords behind what was emitted before.
  void emit(std::span<const std::uint32_t> dwords) {
    for (const std::uint32_t dword : dwords) {
      at_address<std::uint32_t>(ring())[emitted_ % ring_bytes_ / 4] = dword;
      emitted_ += 4;
    }
  }
  template <typename Packet>
  void emit(const Packet& packet) {
    std::array<std::uint32_t, sizeof(Packet) / 4> dwords;
    std::memcpy(dwords.data(), &packet, sizeof packet);
    emit(std::span<const std::uint32_t>(dwords));
  }
  // AQL: a packet whose header is stored last.
  template <typename Packet>
  void emit_aql(Packet packet) {
    const std::uint64_t index = emitted_++;
    Packet* slot = at_address<Packet>(ring()) + index % (ring_bytes_ / AQL_PACKET_BYTES);
    const std::uint16_t header = packet.header;
    packet.header = AQL_INVALID;
    *slot = packet;
    std::atomic_ref(slot->header).store(header, std::memory_order_release);
  }
  // Let the device see it: write pointer, then doorbell.
  void submit() {
    const std::uint64_t wptr = type_ == kPm4 ? emitted_ / 4 : emitted_;
    std::atomic_ref(*at_address<std::uint64_t>(args_.write_pointer_address)).store(wptr, std::memory_order_release);
    doorbells_.ring(doorbell_offset(), type_ == kAql ? wptr - 1 : wptr);
  }
  [[nodiscard]] std::uint64_t emitted() const { return emitted_; }
  [[nodiscard]] std::uint64_t rptr() const {
    return std::atomic_ref(*at_address<std::uint64_t>(args_.read_pointer_address)).load(std::memory_order_acquire);
  }
  [[nodiscard]] bool drained() const { return rptr() == emitted_; }

 private:
  [[nodiscard]] std::uint64_t ring() const { return memory_.address() + kPageSize; }

  QueueGpu gpu_;
  GpuMemory memory_;
  Doorbells doorbells_;
  std::uint32_t type_;
  std::uint32_t ring_bytes_;
  kfd_ioctl_create_queue_args args_{};
  std::uint64_t emitted_ = 0;
  int error_ = ENOMEM;
};

inline std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
inline std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

// Packets; larger transfers than SDMA_MAX_BYTES are the caller's to cut.
inline sdma_copy_linear copy_packet(std::uint64_t dst, std::uint64_t src, std::size_t bytes) {
  return {sdma_header(SDMA_OP_COPY, 0), low(bytes - 1), 0, low(src), high(src), low(dst), high(dst)};
}
inline sdma_const_fill fill_packet(std::uint64_t dst, std::uint32_t value, std::size_t bytes) {
  return {sdma_header(SDMA_OP_CONST_FILL, 0) | SDMA_FILL_DWORD, low(dst), high(dst), value, low(bytes - 1)};
}
inline sdma_fence fence_packet(std::uint64_t at, std::uint32_t value) {
  return {sdma_header(SDMA_OP_FENCE, 0), low(at), high(at), value};
}
inline sdma_trap trap_packet(std::uint32_t event) { return {sdma_header(SDMA_OP_TRAP, 0), event}; }
inline sdma_poll_regmem poll_packet(std::uint64_t at, std::uint32_t value) {
  return {sdma_header(SDMA_OP_POLL_REGMEM, 0) | SDMA_POLL_MEMORY | 3u << 28, low(at), high(at), value, ~0u, 0x0fff0004};
}

class QueueTest : public KfdTest {
 protected:
  void SetUp() override {
    KfdTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    acquire();
  }
  [[nodiscard]] QueueGpu gpu() const { return {&kfd(), gpu_id(), render_fd()}; }

  std::uint32_t create_event(std::uint32_t type, bool auto_reset = true) {
    KfdEvent event;
    event.type = type;
    event.auto_reset = auto_reset;
    EXPECT_EQ(kfd().create_event(&event), 0);
    return event.id;
  }
  // Waits for an event, at most ten seconds times patience(). nullopt: it did not come.
  [[nodiscard]] std::optional<kfd_event_data> await_event(std::uint32_t id) const {
    std::array<kfd_event_data, 1> events{};
    events[0].event_id = id;
    std::uint32_t result = KFD_IOC_WAIT_RESULT_FAIL;
    const int error = kfd().wait_events(events, true, 10'000 * patience(), &result);
    return error == 0 && result == KFD_IOC_WAIT_RESULT_COMPLETE ? std::optional(events[0]) : std::nullopt;
  }
};

}  // namespace kfdlab
