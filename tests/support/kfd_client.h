// SPDX-License-Identifier: MIT
// KfdClient: one open /dev/kfd with a typed call for each ioctl that the driver knows.
//
// Every call returns 0 or the errno of the ioctl, so that a test can name the error it expects. EINTR is not
// retried here except where a call says so: tests of signals need to see it. Addresses and sizes are in bytes.
// The layouts are those of the installed <linux/kfd_ioctl.h>.
#pragma once

#include <linux/kfd_ioctl.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/fd.h"
#include "common/result.h"

namespace kfdlab {

inline constexpr uint32_t kSvmSystem = 0;                // location: RAM
inline constexpr uint32_t kSvmUndefined = 0xffff'ffffu;  // location: not said

struct KfdVersion {
  uint32_t major = 0;
  uint32_t minor = 0;
};

// What ALLOC_MEMORY_OF_GPU takes and gives.
struct KfdAlloc {
  uint64_t va = 0;
  uint64_t size = 0;
  uint32_t gpu_id = 0;
  uint32_t flags = 0;        // KFD_IOC_ALLOC_MEM_FLAGS_*
  uint64_t mmap_offset = 0;  // in: CPU address (USERPTR); out: offset for mmap
  uint64_t handle = 0;       // out
};

// What CREATE_EVENT takes and gives.
struct KfdEvent {
  uint32_t type = 0;  // KFD_IOC_EVENT_*
  bool auto_reset = true;
  uint64_t page_handle = 0;   // handle of the GTT buffer that becomes the event page; first event only
  uint32_t id = 0;            // out
  uint32_t slot = 0;          // out
  uint32_t trigger_data = 0;  // out
};

class KfdClient {
 public:
  // Opens /dev/kfd.
  static Result<KfdClient> open();
  // Takes over a descriptor, perhaps of another process.
  explicit KfdClient(Fd fd) : fd_(std::move(fd)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }
  void close() { fd_.reset(); }

  // Any command with any argument: for malformed calls.
  int raw(unsigned long command, void* argument) const;

  int get_version(KfdVersion* version) const;
  // One GPU's apertures per entry; fills at most `room` entries.
  int get_apertures(uint32_t room, std::vector<kfd_process_device_apertures>* apertures) const;
  int get_clock_counters(uint32_t gpu_id, kfd_ioctl_get_clock_counters_args* counters) const;
  int set_memory_policy(const kfd_ioctl_set_memory_policy_args& policy) const;
  int set_scratch_backing_va(uint32_t gpu_id, uint64_t va) const;
  int set_trap_handler(uint32_t gpu_id, uint64_t tba, uint64_t tma) const;
  int get_tile_config(uint32_t gpu_id, kfd_ioctl_get_tile_config_args* config) const;
  int acquire_vm(uint32_t gpu_id, int render_fd) const;
  int available_memory(uint32_t gpu_id, uint64_t* bytes) const;
  // mode: -1 query, 0 off, 1 on. `now` gets the mode afterwards.
  int set_xnack_mode(int32_t mode, int32_t* now) const;

  int alloc(KfdAlloc* alloc) const;
  int free(uint64_t handle) const;
  // n_success may be nullptr.
  int map(uint64_t handle, std::span<const uint32_t> gpu_ids, uint32_t* n_success) const;
  int unmap(uint64_t handle, std::span<const uint32_t> gpu_ids, uint32_t* n_success) const;

  int create_event(KfdEvent* event) const;
  int destroy_event(uint32_t id) const;
  int set_event(uint32_t id) const;
  int reset_event(uint32_t id) const;
  // timeout_ms 0xffffffff waits for ever. `result` gets KFD_IOC_WAIT_RESULT_*.
  int wait_events(std::span<kfd_event_data> events, bool all, uint32_t timeout_ms, uint32_t* result) const;

  int svm_set(uint64_t start, uint64_t size, std::span<const kfd_ioctl_svm_attribute> attributes) const;
  // In: types to ask for (ACCESS with a gpu_id as value). Out: the answers.
  int svm_get(uint64_t start, uint64_t size, std::span<kfd_ioctl_svm_attribute> attributes) const;
  // Moves [start, start + size) to a GPU's VRAM, or to RAM with location kSvmSystem, registering it if need be.
  int svm_prefetch(uint64_t start, uint64_t size, uint32_t location) const;

 private:
  int svm(uint32_t op, uint64_t start, uint64_t size, std::span<kfd_ioctl_svm_attribute> attributes) const;

  Fd fd_;
};

// gpu_ids of all GPUs in the sysfs topology, in node order; empty if there is no KFD.
std::vector<uint32_t> kfd_gpu_ids();

}  // namespace kfdlab
