// SPDX-License-Identifier: MIT
#include "tests/unit/queue/support/queue_vm.h"

#include "common/check.h"
#include "hw/gpuvm.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kTables = 8u << 20;  // VRAM from here on

}  // namespace

QueueVm::QueueVm(bool retry, const EngineParts& engine)
    : vm_(1, true, engine), next_table_(kTables + kPage), root_(kTables | AMDGPU_PTE_VALID) {
  for (std::uint64_t va = kVa; va < kVa + kSize; va += kPage) {
    set_page(va, true);
  }
  KFDLAB_CHECK(set_vmid(retry));
}

std::uint64_t& QueueVm::entry(std::uint64_t va) {
  std::uint64_t pde = root_;
  for (unsigned level = KFDLAB_GPUVM_PDB2;; --level) {
    auto* entries = reinterpret_cast<std::uint64_t*>(driver().vram().data() + (pde & AMDGPU_PTE_ADDRESS));
    std::uint64_t& found = entries[kfdlab_gpuvm_index(va, level)];
    if (level == KFDLAB_GPUVM_PTB) {
      return found;
    }
    if (found == 0) {
      found = next_table_ | AMDGPU_PTE_VALID;
      next_table_ += kPage;
    }
    pde = found;
  }
}

void QueueVm::set_page(std::uint64_t va, bool mapped) {
  constexpr std::uint64_t kFlags =
      AMDGPU_PTE_VALID | AMDGPU_PTE_READABLE | AMDGPU_PTE_WRITEABLE | AMDGPU_PTE_EXECUTABLE;
  store_release(entry(va), mapped ? (va - kVa) | kFlags : 0);
}

kfdlab_mqd& QueueVm::mqd(unsigned number) {
  return *reinterpret_cast<kfdlab_mqd*>(vm_.ram(mqd_address(number), sizeof(kfdlab_mqd)).data());
}

bool QueueVm::control(std::uint32_t op, std::uint32_t vmid, const std::vector<std::uint64_t>& args) {
  const std::uint64_t done = driver().submit_control(op, vmid, args);
  return eventually([&] {
           return load_acquire(driver().device().control_done) >= done ||
                  load_acquire(driver().device().control_error) != KFDLAB_RING_OK;
         }) &&
         load_acquire(driver().device().control_error) == KFDLAB_RING_OK;
}

bool QueueVm::set_vmid(bool retry, bool with_root) {
  return control(KFDLAB_CONTROL_SET_VMID, kVmid,
                 {with_root ? root_ : 0, kfdlab_vmid_config(kPasid, retry), 1ull << 48, 2ull << 48, 0, 0});
}

bool QueueVm::map_queue(unsigned number, kfdlab_queue_type type) {
  kfdlab_mqd& queue = mqd(number);
  const std::uint64_t rptr = queue.cp_hqd_pq_rptr;
  queue = {};
  queue.queue_type = type;
  queue.cp_hqd_pq_base = ring(number);
  queue.cp_hqd_pq_size = kRingBytes;
  queue.cp_hqd_pq_rptr_report_addr = rptr_va(number);
  queue.cp_hqd_pq_wptr_poll_addr = wptr_va(number);
  queue.cp_hqd_pq_rptr = rptr;
  queue.cp_hqd_pq_doorbell_offset = doorbell_offset(number);
  return control(KFDLAB_CONTROL_MAP_QUEUE, kVmid, {number, mqd_address(number)});
}

void QueueVm::ring_doorbell(unsigned number, std::uint64_t value) {
  const std::lock_guard lock(doorbell_lock_);  // makes store and fault one, which for a process the CPU does
  if (!doorbells_mapped_) {
    doorbells_mapped_ = true;
    if (load_relaxed(driver().driver().queue_armed) != 0) {
      store_seq_cst<std::uint32_t>(driver().driver().queue_armed, 0);
      vm_.transport().kick(KFDLAB_KICK_QUEUE);
    }
  }
  auto* bells = driver().vram().data() - KFDLAB_BAR_VRAM + KFDLAB_BAR_DOORBELLS;
  store_release(*reinterpret_cast<std::uint64_t*>(bells + doorbell_offset(number)), value);
}

bool QueueVm::wait_sdma_idle(unsigned number) {
  return eventually([&] {
    return load_acquire(at<std::uint64_t>(rptr_va(number))) == load_relaxed(at<std::uint64_t>(wptr_va(number)));
  });
}

std::uint32_t QueueVm::idle_number() { return load_seq_cst(driver().device().queue_idle); }

bool QueueVm::arm() {
  const std::lock_guard lock(doorbell_lock_);
  const std::uint32_t number = idle_number();
  if (number == 0) {
    return false;
  }
  doorbells_mapped_ = false;
  store_seq_cst(driver().driver().queue_armed, number);
  return true;
}

}  // namespace kfdlab::device
