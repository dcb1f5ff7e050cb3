// SPDX-License-Identifier: MIT
#include "device/cp/queue_control.h"

#include "device/cp/gpu_clock.h"
#include "device/host/shared_word.h"

namespace kfdlab::device {
namespace {

// A request that the scheduler does not execute any more because it is ending has nothing to do: it has no queues.
void ask(QueueInbox& inbox, const QueueInbox::Request& request) {
  [[maybe_unused]] const bool executed = inbox.run(request);
}

bool good_vmid(std::uint32_t vmid) { return vmid != 0 && vmid < KFDLAB_VMID_COUNT; }

}  // namespace

kfdlab_ring_error QueueControl::execute(const Entry& entry) {
  switch (entry.op) {
    case KFDLAB_CONTROL_NOP:
      return KFDLAB_RING_OK;
    case KFDLAB_CONTROL_SET_VMID:
      return set_vmid(entry);
    case KFDLAB_CONTROL_MAP_QUEUE:
      return map(entry);
    case KFDLAB_CONTROL_UPDATE_QUEUE:
      return update(entry);
    case KFDLAB_CONTROL_UNMAP_QUEUE:
      return unmap(entry);
    case KFDLAB_CONTROL_QUIESCE:
      return quiesce(entry);
    case KFDLAB_CONTROL_RESUME:
      return resume(entry);
    case KFDLAB_CONTROL_CLOCK:
      return clock();
    default:
      return KFDLAB_RING_BAD_OPCODE;
  }
}

void QueueControl::invalidate(std::span<const Invalidation> what) {
  for (const Invalidation& invalidation : what) {
    spaces_.invalidate(invalidation);
  }
  epochs_.synchronize();
  // An engine without work is not woken; most invalidations find it so.
  if (!engine_.idle()) {
    std::bitset<KFDLAB_VMID_COUNT> told;
    for (const Invalidation& invalidation : what) {
      const std::uint32_t vmid = invalidation.vmid % KFDLAB_VMID_COUNT;
      if (!told.test(vmid)) {
        told.set(vmid);
        engine_.retry_vmid(vmid);
      }
    }
  }
  inbox_.wake_waiting();
}

kfdlab_ring_error QueueControl::set_vmid(const Entry& entry) {
  if (!good_vmid(entry.vmid)) {
    return KFDLAB_RING_BAD_LENGTH;
  }
  const std::uint64_t config = entry.args[KFDLAB_VMID_CONFIG];
  vmids_.set(entry.vmid, {.pasid = static_cast<std::uint32_t>(config & KFDLAB_VMID_PASID_MASK),
                          .retry = (config & KFDLAB_VMID_RETRY) != 0,
                          .shared_base = entry.args[KFDLAB_VMID_SHARED_BASE],
                          .private_base = entry.args[KFDLAB_VMID_PRIVATE_BASE],
                          .tba = entry.args[KFDLAB_VMID_TBA],
                          .tma = entry.args[KFDLAB_VMID_TMA]});
  spaces_.set_root(entry.vmid, entry.args[KFDLAB_VMID_ROOT]);
  epochs_.synchronize();
  return KFDLAB_RING_OK;
}

kfdlab_ring_error QueueControl::read_queue(const Entry& entry, QueueDescriptor& queue) const {
  const std::uint64_t number = entry.args[KFDLAB_QUEUE_NUMBER];
  if (!good_vmid(entry.vmid) || number >= KFDLAB_QUEUE_COUNT) {
    return KFDLAB_RING_BAD_LENGTH;
  }
  queue.number = static_cast<std::uint32_t>(number);
  queue.vmid = entry.vmid;
  return read_mqd(map_, entry.args[KFDLAB_QUEUE_MQD], queue);
}

kfdlab_ring_error QueueControl::map(const Entry& entry) {
  QueueDescriptor queue;
  if (const kfdlab_ring_error error = read_queue(entry, queue); error != KFDLAB_RING_OK) {
    return error;
  }
  bool added = true;
  ask(inbox_, [&] {
    added = scheduler_.add(queue);
    if (added) {
      vmids_.set_queue(queue.number, queue.vmid);
      write_mqd_active(map_, queue.mqd_address, true);
    }
  });
  return added ? KFDLAB_RING_OK : KFDLAB_RING_BAD_LENGTH;
}

kfdlab_ring_error QueueControl::update(const Entry& entry) {
  QueueDescriptor queue;
  if (const kfdlab_ring_error error = read_queue(entry, queue); error != KFDLAB_RING_OK) {
    return error;
  }
  bool updated = true;
  ask(inbox_, [&] {
    UserQueue* mapped = scheduler_.find(queue.number);
    updated = mapped != nullptr && mapped->quiesced() && mapped->descriptor().vmid == queue.vmid;
    if (updated) {
      mapped->update(queue);
      scheduler_.sort_by_priority();
    }
  });
  return updated ? KFDLAB_RING_OK : KFDLAB_RING_BAD_LENGTH;
}

kfdlab_ring_error QueueControl::select(const Entry& entry, std::vector<std::uint32_t>& numbers) {
  const std::uint64_t number = entry.args[KFDLAB_QUEUE_NUMBER];
  if (!good_vmid(entry.vmid) || (number >= KFDLAB_QUEUE_COUNT && number != KFDLAB_QUEUE_ALL)) {
    return KFDLAB_RING_BAD_LENGTH;
  }
  bool good = true;
  ask(inbox_, [&] {
    for (const std::unique_ptr<UserQueue>& queue : scheduler_.queues()) {
      const QueueDescriptor& descriptor = queue->descriptor();
      if (number == KFDLAB_QUEUE_ALL ? descriptor.vmid == entry.vmid : descriptor.number == number) {
        good &= descriptor.vmid == entry.vmid;
        numbers.push_back(descriptor.number);
      }
    }
  });
  return good ? KFDLAB_RING_OK : KFDLAB_RING_BAD_LENGTH;
}

void QueueControl::stop_packets(const std::vector<std::uint32_t>& numbers) {
  ask(inbox_, [&] {
    for (const std::uint32_t number : numbers) {
      scheduler_.find(number)->set_quiesced(true);
    }
  });
}

kfdlab_ring_error QueueControl::unmap(const Entry& entry) {
  std::vector<std::uint32_t> numbers;
  if (const kfdlab_ring_error error = select(entry, numbers); error != KFDLAB_RING_OK) {
    return error;
  }
  stop_packets(numbers);
  for (const std::uint32_t number : numbers) {
    engine_.kill_queue(number);
    if (quiesced_.test(number)) {
      engine_.resume_queue(number);
      quiesced_.reset(number);
    }
    vmids_.set_queue(number, 0);
  }
  ask(inbox_, [&] {
    for (const std::uint32_t number : numbers) {
      const UserQueue* queue = scheduler_.find(number);
      write_mqd_rptr(map_, queue->descriptor().mqd_address, queue->rptr());
      write_mqd_active(map_, queue->descriptor().mqd_address, false);
      scheduler_.remove(number);
    }
  });
  return KFDLAB_RING_OK;
}

kfdlab_ring_error QueueControl::quiesce(const Entry& entry) {
  std::vector<std::uint32_t> numbers;
  if (const kfdlab_ring_error error = select(entry, numbers); error != KFDLAB_RING_OK) {
    return error;
  }
  stop_packets(numbers);
  for (const std::uint32_t number : numbers) {
    if (!quiesced_.test(number)) {
      quiesced_.set(number);
      engine_.quiesce_queue(number);
    }
  }
  return KFDLAB_RING_OK;
}

kfdlab_ring_error QueueControl::resume(const Entry& entry) {
  std::vector<std::uint32_t> numbers;
  if (const kfdlab_ring_error error = select(entry, numbers); error != KFDLAB_RING_OK) {
    return error;
  }
  for (const std::uint32_t number : numbers) {
    if (quiesced_.test(number)) {
      quiesced_.reset(number);
      engine_.resume_queue(number);
    }
  }
  ask(inbox_, [&] {
    for (const std::uint32_t number : numbers) {
      scheduler_.find(number)->set_quiesced(false);
    }
  });
  return KFDLAB_RING_OK;
}

kfdlab_ring_error QueueControl::clock() {
  store_release(bar_.device_regs().clock_counter, gpu_clock());
  return KFDLAB_RING_OK;
}

}  // namespace kfdlab::device
