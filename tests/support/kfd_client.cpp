// SPDX-License-Identifier: MIT
#include "tests/support/kfd_client.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace kfdlab {
namespace {

uint64_t user_pointer(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

}  // namespace

Result<KfdClient> KfdClient::open() {
  Fd fd(::open("/dev/kfd", O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    return errno_error("cannot open /dev/kfd", errno);
  }
  return KfdClient(std::move(fd));
}

int KfdClient::raw(unsigned long command, void* argument) const {
  return ::ioctl(fd_.get(), command, argument) == 0 ? 0 : errno;
}

int KfdClient::get_version(KfdVersion* version) const {
  kfd_ioctl_get_version_args args{};
  const int error = raw(AMDKFD_IOC_GET_VERSION, &args);
  *version = {args.major_version, args.minor_version};
  return error;
}

int KfdClient::get_apertures(uint32_t room, std::vector<kfd_process_device_apertures>* apertures) const {
  apertures->assign(room, kfd_process_device_apertures{});
  kfd_ioctl_get_process_apertures_new_args args{};
  args.kfd_process_device_apertures_ptr = user_pointer(apertures->data());
  args.num_of_nodes = room;
  const int error = raw(AMDKFD_IOC_GET_PROCESS_APERTURES_NEW, &args);
  apertures->resize(error == 0 ? std::min(room, args.num_of_nodes) : 0);
  return error;
}

int KfdClient::get_clock_counters(uint32_t gpu_id, kfd_ioctl_get_clock_counters_args* counters) const {
  *counters = {};
  counters->gpu_id = gpu_id;
  return raw(AMDKFD_IOC_GET_CLOCK_COUNTERS, counters);
}

int KfdClient::set_memory_policy(const kfd_ioctl_set_memory_policy_args& policy) const {
  kfd_ioctl_set_memory_policy_args args = policy;
  return raw(AMDKFD_IOC_SET_MEMORY_POLICY, &args);
}

int KfdClient::set_scratch_backing_va(uint32_t gpu_id, uint64_t va) const {
  kfd_ioctl_set_scratch_backing_va_args args{};
  args.va_addr = va;
  args.gpu_id = gpu_id;
  return raw(AMDKFD_IOC_SET_SCRATCH_BACKING_VA, &args);
}

int KfdClient::set_trap_handler(uint32_t gpu_id, uint64_t tba, uint64_t tma) const {
  kfd_ioctl_set_trap_handler_args args{};
  args.tba_addr = tba;
  args.tma_addr = tma;
  args.gpu_id = gpu_id;
  return raw(AMDKFD_IOC_SET_TRAP_HANDLER, &args);
}

int KfdClient::get_tile_config(uint32_t gpu_id, kfd_ioctl_get_tile_config_args* config) const {
  config->gpu_id = gpu_id;
  return raw(AMDKFD_IOC_GET_TILE_CONFIG, config);
}

int KfdClient::acquire_vm(uint32_t gpu_id, int render_fd) const {
  kfd_ioctl_acquire_vm_args args{};
  args.drm_fd = static_cast<uint32_t>(render_fd);
  args.gpu_id = gpu_id;
  return raw(AMDKFD_IOC_ACQUIRE_VM, &args);
}

int KfdClient::available_memory(uint32_t gpu_id, uint64_t* bytes) const {
  kfd_ioctl_get_available_memory_args args{};
  args.gpu_id = gpu_id;
  const int error = raw(AMDKFD_IOC_AVAILABLE_MEMORY, &args);
  *bytes = args.available;
  return error;
}

int KfdClient::set_xnack_mode(int32_t mode, int32_t* now) const {
  kfd_ioctl_set_xnack_mode_args args{};
  args.xnack_enabled = mode;
  const int error = raw(AMDKFD_IOC_SET_XNACK_MODE, &args);
  *now = args.xnack_enabled;
  return error;
}

int KfdClient::alloc(KfdAlloc* alloc) const {
  kfd_ioctl_alloc_memory_of_gpu_args args{};
  args.va_addr = alloc->va;
  args.size = alloc->size;
  args.mmap_offset = alloc->mmap_offset;
  args.gpu_id = alloc->gpu_id;
  args.flags = alloc->flags;
  const int error = raw(AMDKFD_IOC_ALLOC_MEMORY_OF_GPU, &args);
  if (error == 0) {
    alloc->handle = args.handle;
    alloc->mmap_offset = args.mmap_offset;
  }
  return error;
}

int KfdClient::free(uint64_t handle) const {
  kfd_ioctl_free_memory_of_gpu_args args{};
  args.handle = handle;
  return raw(AMDKFD_IOC_FREE_MEMORY_OF_GPU, &args);
}

int KfdClient::map(uint64_t handle, std::span<const uint32_t> gpu_ids, uint32_t* n_success) const {
  kfd_ioctl_map_memory_to_gpu_args args{};
  args.handle = handle;
  args.device_ids_array_ptr = user_pointer(gpu_ids.data());
  args.n_devices = static_cast<uint32_t>(gpu_ids.size());
  const int error = raw(AMDKFD_IOC_MAP_MEMORY_TO_GPU, &args);
  if (n_success != nullptr) {
    *n_success = args.n_success;
  }
  return error;
}

int KfdClient::unmap(uint64_t handle, std::span<const uint32_t> gpu_ids, uint32_t* n_success) const {
  kfd_ioctl_unmap_memory_from_gpu_args args{};
  args.handle = handle;
  args.device_ids_array_ptr = user_pointer(gpu_ids.data());
  args.n_devices = static_cast<uint32_t>(gpu_ids.size());
  const int error = raw(AMDKFD_IOC_UNMAP_MEMORY_FROM_GPU, &args);
  if (n_success != nullptr) {
    *n_success = args.n_success;
  }
  return error;
}

int KfdClient::create_event(KfdEvent* event) const {
  kfd_ioctl_create_event_args args{};
  args.event_page_offset = event->page_handle;
  args.event_type = event->type;
  args.auto_reset = event->auto_reset ? 1 : 0;
  const int error = raw(AMDKFD_IOC_CREATE_EVENT, &args);
  if (error == 0) {
    event->id = args.event_id;
    event->slot = args.event_slot_index;
    event->trigger_data = args.event_trigger_data;
  }
  return error;
}

int KfdClient::destroy_event(uint32_t id) const {
  kfd_ioctl_destroy_event_args args{};
  args.event_id = id;
  return raw(AMDKFD_IOC_DESTROY_EVENT, &args);
}

int KfdClient::set_event(uint32_t id) const {
  kfd_ioctl_set_event_args args{};
  args.event_id = id;
  return raw(AMDKFD_IOC_SET_EVENT, &args);
}

int KfdClient::reset_event(uint32_t id) const {
  kfd_ioctl_reset_event_args args{};
  args.event_id = id;
  return raw(AMDKFD_IOC_RESET_EVENT, &args);
}

int KfdClient::wait_events(std::span<kfd_event_data> events, bool all, uint32_t timeout_ms, uint32_t* result) const {
  kfd_ioctl_wait_events_args args{};
  args.events_ptr = user_pointer(events.data());
  args.num_events = static_cast<uint32_t>(events.size());
  args.wait_for_all = all ? 1 : 0;
  args.timeout = timeout_ms;
  args.wait_result = ~0u;
  const int error = raw(AMDKFD_IOC_WAIT_EVENTS, &args);
  *result = args.wait_result;
  return error;
}

int KfdClient::svm(uint32_t op, uint64_t start, uint64_t size, std::span<kfd_ioctl_svm_attribute> attributes) const {
  // The command number carries the real length: header and attributes.
  std::vector<uint64_t> storage((sizeof(kfd_ioctl_svm_args) + attributes.size_bytes()) / sizeof(uint64_t));
  auto* args = reinterpret_cast<kfd_ioctl_svm_args*>(storage.data());
  args->start_addr = start;
  args->size = size;
  args->op = op;
  args->nattr = static_cast<uint32_t>(attributes.size());
  std::copy(attributes.begin(), attributes.end(), args->attrs);
  const auto length = static_cast<unsigned int>(storage.size() * sizeof(uint64_t));
  const int error = raw(_IOC(_IOC_READ | _IOC_WRITE, AMDKFD_IOCTL_BASE, _IOC_NR(AMDKFD_IOC_SVM), length), args);
  if (error == 0) {
    std::copy_n(args->attrs, attributes.size(), attributes.begin());
  }
  return error;
}

int KfdClient::svm_set(uint64_t start, uint64_t size, std::span<const kfd_ioctl_svm_attribute> attributes) const {
  std::vector<kfd_ioctl_svm_attribute> copy(attributes.begin(), attributes.end());
  return svm(KFD_IOCTL_SVM_OP_SET_ATTR, start, size, copy);
}

int KfdClient::svm_get(uint64_t start, uint64_t size, std::span<kfd_ioctl_svm_attribute> attributes) const {
  return svm(KFD_IOCTL_SVM_OP_GET_ATTR, start, size, attributes);
}

int KfdClient::svm_prefetch(uint64_t start, uint64_t size, uint32_t location) const {
  const kfd_ioctl_svm_attribute attribute{KFD_IOCTL_SVM_ATTR_PREFETCH_LOC, location};
  return svm_set(start, size, {&attribute, 1});
}

std::vector<uint32_t> kfd_gpu_ids() {
  std::error_code error;
  std::map<unsigned long, uint32_t> by_node;
  for (const auto& node : std::filesystem::directory_iterator("/sys/devices/virtual/kfd/kfd/topology/nodes", error)) {
    uint32_t gpu_id = 0;
    if (std::ifstream(node.path() / "gpu_id") >> gpu_id && gpu_id != 0) {
      by_node[std::stoul(node.path().filename().string())] = gpu_id;
    }
  }
  std::vector<uint32_t> ids;
  for (const auto& [node, gpu_id] : by_node) {
    ids.push_back(gpu_id);
  }
  return ids;
}

}  // namespace kfdlab
