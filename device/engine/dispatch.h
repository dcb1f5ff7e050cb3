// SPDX-License-Identifier: MIT
// What the command processor and the engine say to each other: a Dispatch (a grid of workgroups to run) goes in, one
// Outcome comes out. Everything from the guest in here is untrusted; the engine checks what it uses.
//
// Life of a dispatch: launch() -> workgroups start as slots become free -> all ended -> Outcome::Done. The first
// fault without retry, illegal instruction or trap stops the dispatch: its waves are discarded and the outcome says
// why. Facts: LLVM AMDGPU usage ("Initial Kernel Execution State", "Kernel Descriptor"); HSA AQL kernel_dispatch
// packet.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "device/mmu/address_spaces.h"
#include "device/mmu/epoch.h"
#include "device/mmu/fault.h"
#include "device/mmu/page_walker.h"

namespace kfdlab::engine {

using QueueId = std::uint32_t;  // the command processor's number; unique among living queues
using DispatchId = std::uint64_t;

// A grid as COMPUTE_* registers describe it, whoever filled it (prepare_aql(), or PM4's SET_SH_REG).
struct Dispatch {
  QueueId queue = 0;
  std::uint32_t vmid = 0;
  bool xnack = false;          // a miss is retried (the driver mends the page tables) instead of ending the dispatch
  bool gws = true;             // its queue has the global wave sync resources; else DS_GWS_* is illegal
  std::uint32_t priority = 0;  // 0 to 15: whose workgroups start first; the others start seldom, but do
  // Compute units it may use: bit i % 32 of word i / 32 is unit i. None of those that there are: all.
  std::array<std::uint32_t, 8> cu_mask{};

  std::uint64_t entry = 0;  // GPU VA of the first instruction
  std::uint32_t rsrc1 = 0;  // COMPUTE_PGM_RSRC1..3
  std::uint32_t rsrc2 = 0;
  std::uint32_t rsrc3 = 0;
  std::array<std::uint32_t, 16> user_sgpr{};  // as many as rsrc2 says

  // In work-items. A workgroup at the far side is partial if the grid is no multiple. Zero sizes run nothing.
  std::array<std::uint32_t, 3> grid{1, 1, 1};
  std::array<std::uint32_t, 3> workgroup{1, 1, 1};
  std::array<std::uint32_t, 3> first_workgroup{};  // COMPUTE_START_X..Z, in workgroups
  std::uint32_t lds_bytes = 0;                     // group_segment_size

  // Scratch: base of the queue's backing memory and bytes of one wave in it; waves get slots of it.
  std::uint64_t scratch_base = 0;
  std::uint32_t scratch_wave_bytes = 0;
  std::uint32_t scratch_waves = 0;  // slots; no more waves of this queue run at once when rsrc2 enables scratch

  std::uint32_t shared_aperture_hi = 0;
  std::uint32_t private_aperture_hi = 0;
  std::uint64_t tba = 0;  // trap handler of the process, 0 if none
  std::uint64_t tma = 0;
  std::uint64_t queue_va = 0;     // amd_queue_t, for reports
  std::uint64_t dispatch_va = 0;  // AQL packet
  std::uint32_t doorbell = 0;     // what s_sendmsg MSG_GET_DOORBELL answers (trap handlers tell queues by it)
};

enum class Verdict : std::uint8_t {
  Done,
  Fault,    // `fault`, at `pc`; with xnack only if the driver refused it (MemoryFault::no_retry)
  Illegal,  // `name` at `pc`: mnemonic the engine lacks, or the undecodable words
  Trap,     // s_trap `trap_id` at `pc`, without a trap handler
  Killed,   // kill_queue() or kill_vmid()
  Refused,  // the dispatch asks for what the GPU does not have (VGPRs, LDS, workgroup size); `name` says what
};

struct Outcome {
  Verdict verdict = Verdict::Done;
  std::uint64_t pc = 0;
  device::MemoryFault fault;
  std::uint8_t trap_id = 0;
  std::string name;
  std::uint64_t start_ns = 0;  // CLOCK_MONOTONIC: first wave began, last wave ended
  std::uint64_t end_ns = 0;
  std::uint64_t instructions = 0;  // wave instructions
};

// One AQL kernel_dispatch packet (64 bytes as in memory), its kernel descriptor (64 bytes) and what of the queue goes
// into registers.
struct AqlLaunch {
  std::span<const std::uint8_t, 64> packet;
  std::span<const std::uint8_t, 64> descriptor;
  std::uint64_t packet_va = 0;
  std::uint64_t descriptor_va = 0;
  std::uint64_t queue_va = 0;  // amd_queue_t
  std::uint64_t dispatch_id = 0;
  std::array<std::uint32_t, 4> scratch_descriptor{};  // amd_queue_t @0x90
  std::uint64_t scratch_base = 0;                     // amd_queue_t @0xa0
};

// Fills entry, rsrc, user SGPRs, grid, LDS size and the VAs of `out`; scratch, apertures, VMID, xnack and traps stay
// the caller's. Pure.
// Error text (never thrown): what of the packet is invalid (dimensions, sizes, descriptor bits); empty when good.
// scratch_lane_bytes: private segment bytes of a work-item the packet asks for (0: no scratch needed).
[[nodiscard]] std::string prepare_aql(const AqlLaunch& launch, Dispatch& out, std::uint32_t& scratch_lane_bytes);

// What the engine says to the GPU around it. Called from engine threads with none of the engine's locks held; must
// not block and not call back into the engine.
class EngineHost {
 public:
  virtual ~EngineHost() = default;
  // A wave of an xnack dispatch missed and is parked until the access succeeds. Sent once per page, again after a
  // growing interval while the wave stays parked.
  virtual void retry_fault(QueueId queue, const device::MemoryFault& fault) = 0;
  // s_sendmsg MSG_INTERRUPT with M0. False: try again later (the interrupt ring is full); the wave waits.
  [[nodiscard]] virtual bool send_interrupt(QueueId queue, std::uint32_t m0) = 0;
};

// What the engine translates with; borrowed. Each engine thread is a participant of `epochs` with a Tlb of its own.
struct EngineMemory {
  const device::AddressSpaces& spaces;
  const device::PageWalker& walker;
  device::EpochDomain& epochs;
};

struct EngineOptions {
  unsigned threads = 0;             // 0: one per host core
  unsigned compute_units = 8;       // bounds the waves and workgroups that are resident at once
  std::uint64_t quantum = 200'000;  // wave instructions a workgroup runs before others get their turn
};

// The compute units. Thread-safe. The destructor kills what runs and joins the threads.
class Engine {
 public:
  // The host has neither AVX2 nor AVX-512: null.
  [[nodiscard]] static std::unique_ptr<Engine> create(EngineHost& host, const EngineMemory& memory,
                                                      const EngineOptions& options);
  virtual ~Engine() = default;

  using Completion = std::function<void(const Outcome&)>;
  // Queues the dispatch and returns. `done` is called exactly once: from an engine thread, from kill_*(), or (refused
  // and empty grids) before launch() returns. It must not block and may call launch(), but neither quiesce_*() nor
  // kill_*(). Dispatches of one queue may overlap: the caller orders what must be ordered.
  virtual DispatchId launch(const Dispatch& dispatch, Completion done) = 0;

  // After it returns no wave of the queue runs or will, until resume_queue(). Waves keep their state. Bounded: a wave
  // reaches a safe point within microseconds. Nested calls count.
  virtual void quiesce_queue(QueueId queue) = 0;
  virtual void resume_queue(QueueId queue) = 0;
  // As above for all queues of a VMID.
  virtual void quiesce_vmid(std::uint32_t vmid) = 0;
  virtual void resume_vmid(std::uint32_t vmid) = 0;
  // Discards all dispatches (Verdict::Killed), quiesced ones too; when it returns their completions have been called.
  virtual void kill_queue(QueueId queue) = 0;
  virtual void kill_vmid(std::uint32_t vmid) = 0;

  // Page tables may have changed: parked waves try at once instead of at the end of their interval. Code is compared
  // with memory again behind every invalidation, without this call.
  virtual void retry_vmid(std::uint32_t vmid) = 0;
  // Code in memory may have changed (instruction cache invalidation by PM4, an acquire): compare before running.
  virtual void invalidate_code(std::uint32_t vmid) = 0;

  struct Counters {
    std::uint64_t instructions = 0;
    std::uint64_t waves = 0;
    std::uint64_t dispatches = 0;
    std::uint64_t faults_retried = 0;
    std::uint64_t illegal = 0;
    std::uint64_t code_bytes = 0;  // of lowered code held now
  };
  [[nodiscard]] virtual Counters counters() const = 0;
  [[nodiscard]] virtual bool idle() const = 0;  // no dispatch is queued or running
};

}  // namespace kfdlab::engine
