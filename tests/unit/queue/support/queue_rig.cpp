// SPDX-License-Identifier: MIT
#include "tests/unit/queue/support/queue_rig.h"

#include <utility>

#include "common/check.h"

namespace kfdlab::device {
namespace {

std::uint32_t unit_of(kfdlab_queue_type type) {
  return type == KFDLAB_QUEUE_AQL ? AQL_PACKET_BYTES : type == KFDLAB_QUEUE_PM4 ? 4 : 1;
}

}  // namespace

QueueRig::QueueRig(kfdlab_queue_type type, std::uint64_t ring_bytes, bool retry)
    : ring_bytes_(ring_bytes),
      transport_(gpu_.vram(), KFDLAB_KICK_COUNT, KFDLAB_IRQ_COUNT),
      thread_(epochs_.add_participant()),
      ih_(gpu_.bar(), transport_),
      reports_(gpu_.bar(), ih_, vmids_),
      memory_(gpu_.spaces(), gpu_.walker(), thread_),
      parts_{.create = nullptr, .prepare_aql = &FakeEngine::prepare_aql},
      context_{.bar = gpu_.bar(),
               .map = gpu_.physical(),
               .memory = memory_,
               .vmids = vmids_,
               .reports = reports_,
               .work = work_,
               .engine = engine_,
               .parts = parts_,
               .inbox = inbox_},
      unit_(unit_of(type)) {
  vmids_.set(kVmid, {.pasid = kPasid, .retry = retry, .shared_base = 1ull << 48, .private_base = 2ull << 48});
  for (std::uint64_t offset = 0; offset < kSize; offset += Tlb::kPageSize) {
    map(kVa + offset);
  }
  for (std::uint64_t packet = 0; type == KFDLAB_QUEUE_AQL && packet < ring_bytes / AQL_PACKET_BYTES; ++packet) {
    at<std::uint16_t>(aql_va(packet)) = AQL_INVALID;
  }
  auto& queue = at<aql_queue>(kAqlQueue);
  queue.base_address = kRing;
  queue.size = static_cast<std::uint32_t>(ring_bytes / AQL_PACKET_BYTES);
  queue.read_dispatch_id_field_base_byte_offset = offsetof(aql_queue, read_dispatch_id);
  queue.queue_inactive_signal = kInactive;
  signal(kInactive).event_mailbox_ptr = kEvents + 8 * 5;
  signal(kInactive).event_id = 5;
  QueueDescriptor descriptor{.number = kQueue,
                             .vmid = kVmid,
                             .mqd_address = TestGpu::kRamBase,
                             .type = type,
                             .ring = kRing,
                             .ring_bytes = ring_bytes,
                             .rptr_va = kRptr,
                             .wptr_va = kWptr,
                             .doorbell = kDoorbell};
  queue_ = UserQueue::create(descriptor, context_, 1);
}

void QueueRig::map(std::uint64_t va, bool writable) {
  gpu_.map(va, (va - kVa) | (writable ? TestGpu::kReadWrite : TestGpu::kReadOnly));
}

void QueueRig::unmap(std::uint64_t va) {
  gpu_.unmap(va);
  gpu_.spaces().invalidate({.vmid = kVmid, .first_page = va >> 12, .pages = 1});
}

void QueueRig::emit(std::span<const std::uint32_t> dwords) {
  const std::uint64_t units = 4 / unit_;
  for (const std::uint32_t dword : dwords) {
    at<std::uint32_t>(kRing + wptr_ * unit_ % ring_bytes_) = dword;
    wptr_ += units;
  }
  store_release(at<std::uint64_t>(kWptr), wptr_);
}

std::uint64_t QueueRig::make_signal(unsigned index, std::int64_t value, std::uint32_t event) {
  const std::uint64_t va = kSignals + index * sizeof(aql_signal);
  signal(va) = {.kind = 1,
                .value = value,
                .event_mailbox_ptr = event != 0 ? kEvents + 8 * event : 0,
                .event_id = event,
                .reserved1 = 0,
                .start_ts = 0,
                .end_ts = 0,
                .queue_ptr = 0,
                .reserved3 = {}};
  return va;
}

void QueueRig::deliver() {
  std::vector<FinishedDispatch> finished;
  [[maybe_unused]] const bool kicked = inbox_.take(finished);
  for (FinishedDispatch& dispatch : finished) {
    KFDLAB_CHECK(dispatch.queue == kQueue && dispatch.queue_serial == queue_->serial());
    queue_->deliver(std::move(dispatch));
  }
}

QueueRig::Act QueueRig::run(int limit) {
  memory_.enter();
  deliver();
  Act act = Act::Progress;
  for (int i = 0; i < limit && act == Act::Progress; ++i) {
    act = queue_->step(now_);
    memory_.safe_point();
  }
  memory_.leave();
  return act;
}

QueueRig::Act QueueRig::step_later() {
  now_ += std::chrono::seconds(1);
  memory_.enter();
  deliver();
  const Act act = queue_->step(now_);
  memory_.leave();
  return act;
}

bool QueueRig::take_ih(ih_entry& entry) {
  if (load_acquire(gpu_.bar().device_regs().ih_wptr) == ih_rptr_) {
    return false;
  }
  entry = gpu_.bar().ih_ring_entry(ih_rptr_);
  ih_rptr_ += sizeof(ih_entry);
  store_release(gpu_.bar().driver_regs().ih_rptr, ih_rptr_);
  return true;
}

::testing::AssertionResult QueueRig::next_ih(std::uint32_t client, std::uint32_t source, std::uint32_t data0) {
  ih_entry entry = {};
  if (!take_ih(entry)) {
    return ::testing::AssertionFailure() << "no entry";
  }
  const bool same = (entry.source & 0xffff) == (client | source << 8) && entry.source >> 24 == (kVmid & 0xf) &&
                    entry.pasid == kPasid && entry.src_data[0] == data0;
  return (same ? ::testing::AssertionSuccess() : ::testing::AssertionFailure())
         << std::hex << "source " << entry.source << " pasid " << entry.pasid << " data " << entry.src_data[0] << " "
         << entry.src_data[1];
}

}  // namespace kfdlab::device
