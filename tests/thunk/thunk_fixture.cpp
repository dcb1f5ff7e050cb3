// SPDX-License-Identifier: MIT
#include "tests/thunk/thunk_fixture.h"

#include <atomic>

#include "hw/pm4.h"
#include "tests/support/needs.h"

namespace kfdlab::thunk {
namespace {

constexpr std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

// COMPUTE_PGM_RSRC1: FLOAT_MODE 0xc0, 24 SGPRs, 40 VGPRs; RSRC2: user SGPRs, workgroup id X.
constexpr std::uint32_t kRsrc1 = 0xc0u << 12 | 2u << 6 | 4;
constexpr std::uint32_t kRsrc2 = 1u << 7;
constexpr std::uint32_t kRsrc2Scratch = 1;
constexpr std::uint32_t kRsrc3 = 9;  // accumulation VGPRs from 40
constexpr std::uint32_t kCacheActions = 0x28c00000;

class Packets {
 public:
  explicit Packets(std::uint32_t* at) : at_(at) {}
  void add(std::uint32_t opcode, std::initializer_list<std::uint32_t> dwords) {
    at_[count_++] = pm4_header(opcode, static_cast<std::uint32_t>(dwords.size()));
    for (const std::uint32_t dword : dwords) {
      at_[count_++] = dword;
    }
  }
  [[nodiscard]] std::uint32_t count() const { return count_; }

 private:
  std::uint32_t* at_;
  std::uint32_t count_ = 0;
};

}  // namespace

bool open_thunk() {
  HsaSystemProperties system{};
  return hsaKmtOpenKFD() == HSAKMT_STATUS_SUCCESS && hsaKmtAcquireSystemProperties(&system) == HSAKMT_STATUS_SUCCESS;
}

// ---- Memory ----

Memory::Memory(HSAuint64 bytes, Kind kind, HSAuint32 node) : bytes_(bytes) {
  HsaMemFlags flags{};
  flags.ui32.PageSize = HSA_PAGE_SIZE_4KB;
  flags.ui32.HostAccess = kind != Kind::Scratch;
  flags.ui32.ExecuteAccess = kind == Kind::Ram;
  flags.ui32.ReadOnly = kind == Kind::ReadOnlyRam;
  flags.ui32.Scratch = kind == Kind::Scratch;
  flags.ui32.NonPaged = kind == Kind::Vram;
  flags.ui32.NoNUMABind = 1;
  if (hsaKmtAllocMemory(kind == Kind::Ram || kind == Kind::ReadOnlyRam ? kCpuNode : node, bytes, flags, &data_) !=
      HSAKMT_STATUS_SUCCESS) {
    data_ = nullptr;
    return;
  }
  HSAuint64 alternate = 0;
  mapped_ = hsaKmtMapMemoryToGPU(data_, bytes, &alternate) == HSAKMT_STATUS_SUCCESS;
}

Memory::~Memory() {
  if (mapped_) {
    (void)hsaKmtUnmapMemoryToGPU(data_);
  }
  if (data_ != nullptr) {
    (void)hsaKmtFreeMemory(data_, bytes_);
  }
}

std::uint32_t Memory::load(std::size_t i) const {
  return std::atomic_ref(dwords()[i]).load(std::memory_order_acquire);
}

void Memory::store(std::size_t i, std::uint32_t value) const {
  std::atomic_ref(dwords()[i]).store(value, std::memory_order_release);
}

// ---- Event ----

Event::Event(HSA_EVENTTYPE type, bool manual_reset) {
  HsaEventDescriptor descriptor{};
  descriptor.EventType = type;
  descriptor.NodeId = kGpuNode;
  if (hsaKmtCreateEvent(&descriptor, manual_reset, false, &event_) != HSAKMT_STATUS_SUCCESS) {
    event_ = nullptr;
  }
}

Event::~Event() {
  if (event_ != nullptr) {
    (void)hsaKmtDestroyEvent(event_);
  }
}

bool Event::wait() const { return hsaKmtWaitOnEvent(event_, 3'000 * patience()) == HSAKMT_STATUS_SUCCESS; }

// ---- Queue ----

Queue::Queue(HSA_QUEUE_TYPE type, HSAuint64 ring_bytes, HSAuint32 node) : type_(type), ring_(ring_bytes, Memory::Kind::Ram, node) {
  created_ = ring_.ok() && hsaKmtCreateQueue(node, type, 100, HSA_QUEUE_PRIORITY_NORMAL, ring_.data(), ring_bytes,
                                             nullptr, &resource_) == HSAKMT_STATUS_SUCCESS;
}

bool Queue::destroy() {
  const bool was = created_;
  created_ = false;
  return was && hsaKmtDestroyQueue(resource_.QueueId) == HSAKMT_STATUS_SUCCESS;
}

bool Queue::update(bool with_ring, HSAuint32 percentage, HSA_QUEUE_PRIORITY priority) {
  return hsaKmtUpdateQueue(resource_.QueueId, percentage, priority, with_ring ? ring_.data() : nullptr,
                           with_ring ? ring_.size() : 0, nullptr) == HSAKMT_STATUS_SUCCESS;
}

void Queue::emit(std::span<const std::uint32_t> dwords) {
  for (const std::uint32_t dword : dwords) {
    ring_.dwords()[emitted_++ % (ring_.size() / 4)] = dword;
  }
}

void Queue::submit() {
  std::atomic_ref(*resource_.Queue_write_ptr_aql).store(write_pointer(), std::memory_order_seq_cst);
  std::atomic_ref(*resource_.Queue_DoorBell_aql).store(write_pointer(), std::memory_order_seq_cst);
}

bool Queue::drained() const {
  if (is_pm4()) {
    return std::atomic_ref(*resource_.Queue_read_ptr).load(std::memory_order_acquire) == emitted_ % (ring_.size() / 4);
  }
  return std::atomic_ref(*resource_.Queue_read_ptr_aql).load(std::memory_order_acquire) == emitted_ * 4;
}

bool Queue::drain() const {
  return eventually([this] { return drained(); });
}

void Queue::write_data(std::uint64_t address, std::uint32_t value) {
  emit({pm4_header(PM4_WRITE_DATA, 4), 5u << 8 | 1u << 20, low(address), high(address), value});
}

// As AMD's gfx9 packet: end of pipe, then the id, then the interrupt.
void Queue::signal(const Event& event) {
  emit({pm4_header(PM4_RELEASE_MEM, 7), 0x14u | 5u << 8,
        static_cast<std::uint32_t>(PM4_RELEASE_INT_CONFIRM) << 24 | static_cast<std::uint32_t>(PM4_RELEASE_DATA_32) << 29,
        low(event.slot()), high(event.slot()), event.id(), 0, event.id()});
}

// ---- Program ----

void Program::start(Queue& queue, const Dispatch& dispatch, const Event& event) {
  std::memcpy(memory_.data(), dispatch.program.data(), dispatch.program.size_bytes());
  const std::uint64_t code = memory_.address() >> 8;
  const bool scratch = dispatch.scratch != 0;
  const std::uint32_t user_sgprs = scratch ? 6 : 4;
  const auto reg = [](std::uint32_t number) { return number; };
  Packets ib(memory_.dwords() + kPage / 4);
  ib.add(PM4_ACQUIRE_MEM, {kCacheActions, ~0u, 0, 0, 0, 4});
  ib.add(PM4_SET_SH_REG, {reg(COMPUTE_START_X), 0, 0, 0, 1, 1, 1, 0, 0});
  ib.add(PM4_SET_SH_REG, {reg(COMPUTE_PGM_LO), low(code), high(code), 0, 0, low(dispatch.scratch >> 8),
                          high(dispatch.scratch >> 8)});
  ib.add(PM4_SET_SH_REG,
         {reg(COMPUTE_PGM_RSRC1), kRsrc1, kRsrc2 | user_sgprs << 1 | (scratch ? kRsrc2Scratch : 0u)});
  ib.add(PM4_SET_SH_REG, {reg(COMPUTE_PGM_RSRC3), kRsrc3});
  ib.add(PM4_SET_SH_REG, {reg(COMPUTE_RESOURCE_LIMITS), 0});
  ib.add(PM4_SET_SH_REG, {reg(COMPUTE_TMPRING_SIZE), scratch ? 1u << 12 | 1u : 0u});
  ib.add(PM4_SET_SH_REG, {reg(COMPUTE_RESTART_X), 0, 0, 0, 0});
  ib.add(PM4_SET_SH_REG, {reg(COMPUTE_USER_DATA_0), low(dispatch.first), high(dispatch.first), low(dispatch.second),
                          high(dispatch.second), low(dispatch.scratch), high(dispatch.scratch)});
  ib.add(PM4_DISPATCH_DIRECT, {dispatch.groups_x, dispatch.groups_y, 1,
                               COMPUTE_DISPATCH_SHADER_EN | COMPUTE_DISPATCH_USE_THREAD_DIMENSIONS});
  const std::uint64_t at = memory_.address() + kPage;
  queue.emit({pm4_header(PM4_INDIRECT_BUFFER, 3), low(at), high(at), ib.count() | 1u << 23});
  queue.signal(event);
  queue.submit();
}

// ---- ThunkTest ----

// The thunk's event page is made once and stays, and with it the driver's process: before the first test looks for what
// it leaves behind.
class EventPage : public testing::Environment {
 public:
  void SetUp() override {
    if (node_exists("/dev/kfd") && open_thunk()) {
      { const Event first; }
      (void)hsaKmtReleaseSystemProperties();
      (void)hsaKmtCloseKFD();
    }
  }
};
const testing::Environment* const kEventPage = testing::AddGlobalTestEnvironment(new EventPage);

void ThunkTest::SetUp() {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  ASSERT_TRUE(open_thunk());
  open_ = true;
  ASSERT_EQ(hsaKmtGetNodeProperties(kGpuNode, &gpu_), HSAKMT_STATUS_SUCCESS);
}

void ThunkTest::TearDown() {
  if (open_) {
    EXPECT_EQ(hsaKmtReleaseSystemProperties(), HSAKMT_STATUS_SUCCESS);
    EXPECT_EQ(hsaKmtCloseKFD(), HSAKMT_STATUS_SUCCESS);
  }
}

bool ThunkTest::run(const Dispatch& dispatch) {
  Queue queue(HSA_QUEUE_COMPUTE);
  Program program;
  const Event done;
  if (!queue.ok() || !program.ok() || !done.ok()) {
    return false;
  }
  program.start(queue, dispatch, done);
  return done.wait();
}

}  // namespace kfdlab::thunk
