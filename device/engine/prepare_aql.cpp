// SPDX-License-Identifier: MIT
// From an AQL packet and a kernel descriptor to a Dispatch. Facts: HSA runtime specification 2.9.6; LLVM AMDGPU usage,
// "Code Object V3 Kernel Descriptor" and "Initial Kernel Execution State".
#include <cstring>

#include "device/engine/dispatch.h"

namespace kfdlab::engine {
namespace {

template <typename T>
T field(std::span<const std::uint8_t, 64> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Kernel code properties: which user SGPRs there are, in this order.
constexpr std::uint16_t kPrivateSegmentBuffer = 1u << 0;
constexpr std::uint16_t kDispatchPtr = 1u << 1;
constexpr std::uint16_t kQueuePtr = 1u << 2;
constexpr std::uint16_t kKernargPtr = 1u << 3;
constexpr std::uint16_t kDispatchId = 1u << 4;
constexpr std::uint16_t kFlatScratchInit = 1u << 5;
constexpr std::uint16_t kPrivateSegmentSize = 1u << 6;
constexpr std::uint16_t kWave32 = 1u << 10;

constexpr std::uint32_t kMaxWorkgroup = 1024;

class UserRegisters {
 public:
  explicit UserRegisters(Dispatch& out) : out_(out) { out_.user_sgpr = {}; }
  void add(std::uint32_t value) {
    if (count_ < out_.user_sgpr.size()) {
      out_.user_sgpr[count_] = value;
    }
    ++count_;
  }
  void add64(std::uint64_t value) {
    add(static_cast<std::uint32_t>(value));
    add(static_cast<std::uint32_t>(value >> 32));
  }
  [[nodiscard]] bool fit() const { return count_ <= out_.user_sgpr.size(); }

 private:
  Dispatch& out_;
  std::size_t count_ = 0;
};

std::string check_sizes(unsigned dimensions, const Dispatch& out) {
  if (dimensions < 1 || dimensions > 3) {
    return "a dispatch has 1 to 3 dimensions";
  }
  std::uint64_t items = 1;
  for (unsigned i = 0; i < 3; ++i) {
    if (out.workgroup[i] == 0 || out.grid[i] == 0) {
      return "a workgroup or grid size is zero";
    }
    items *= out.workgroup[i];
  }
  return items > kMaxWorkgroup ? "the workgroup has more than 1024 work-items" : "";
}

}  // namespace

std::string prepare_aql(const AqlLaunch& launch, Dispatch& out, std::uint32_t& scratch_lane_bytes) {
  const auto dimensions = static_cast<unsigned>(field<std::uint16_t>(launch.packet, 2) & 3u);
  for (unsigned i = 0; i < 3; ++i) {
    out.workgroup[i] = i < dimensions ? field<std::uint16_t>(launch.packet, 4 + 2 * i) : 1;
    out.grid[i] = i < dimensions ? field<std::uint32_t>(launch.packet, 12 + 4 * i) : 1;
  }
  out.first_workgroup = {};
  if (std::string wrong = check_sizes(dimensions, out); !wrong.empty()) {
    return wrong;
  }
  const auto private_bytes = field<std::uint32_t>(launch.packet, 24);
  out.lds_bytes = field<std::uint32_t>(launch.packet, 28);
  const auto kernarg = field<std::uint64_t>(launch.packet, 40);
  scratch_lane_bytes = private_bytes;

  out.entry = launch.descriptor_va + field<std::uint64_t>(launch.descriptor, 16);
  out.rsrc3 = field<std::uint32_t>(launch.descriptor, 44);
  out.rsrc1 = field<std::uint32_t>(launch.descriptor, 48);
  out.rsrc2 = field<std::uint32_t>(launch.descriptor, 52);
  out.queue_va = launch.queue_va;
  out.dispatch_va = launch.packet_va;
  const auto properties = field<std::uint16_t>(launch.descriptor, 56);
  if ((properties & kWave32) != 0) {
    return "the kernel is compiled for waves of 32 lanes";
  }
  UserRegisters user(out);
  if ((properties & kPrivateSegmentBuffer) != 0) {
    for (const std::uint32_t dword : launch.scratch_descriptor) {
      user.add(dword);
    }
  }
  const auto pointer = [&](std::uint16_t bit, std::uint64_t value) {
    if ((properties & bit) != 0) {
      user.add64(value);
    }
  };
  pointer(kDispatchPtr, launch.packet_va);
  pointer(kQueuePtr, launch.queue_va);
  pointer(kKernargPtr, kernarg);
  pointer(kDispatchId, launch.dispatch_id);
  pointer(kFlatScratchInit, launch.scratch_base);
  if ((properties & kPrivateSegmentSize) != 0) {
    user.add(private_bytes);
  }
  return user.fit() ? "" : "the kernel descriptor asks for more than 16 user SGPRs";
}

}  // namespace kfdlab::engine
