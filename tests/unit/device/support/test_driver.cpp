// SPDX-License-Identifier: MIT
#include "tests/unit/device/support/test_driver.h"

#include <cstring>
#include <thread>

#include "device/host/shared_word.h"

namespace kfdlab::device {
namespace {

template <typename T>
T& word_at(std::span<std::byte> bar, std::uint64_t offset) {
  return *reinterpret_cast<T*>(bar.data() + offset);
}

std::byte pattern_byte(std::size_t offset, std::uint64_t seed) {
  const std::uint64_t mixed = (offset + seed * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;
  return static_cast<std::byte>(mixed >> 56);
}

std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

}  // namespace

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (unsigned look = 0; !condition(); ++look) {
    if (std::chrono::steady_clock::now() > deadline) {
      return condition();
    }
    if (look > 1000) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    } else {
      std::this_thread::yield();
    }
  }
  return true;
}

void write_identity(std::span<std::byte> bar, unsigned index, unsigned count) {
  kfdlab_identity identity = {};
  identity.magic = KFDLAB_IDENTITY_MAGIC;
  identity.layout_version = KFDLAB_LAYOUT_VERSION;
  identity.gpu_index = index;
  identity.gpu_count = count;
  identity.device_id = 0x740f;
  identity.gfx_target_version = 90010;
  identity.bar_size = bar.size();
  identity.vram_size = bar.size() - KFDLAB_BAR_VRAM;
  std::memcpy(bar.data() + KFDLAB_BAR_IDENTITY, &identity, sizeof(identity));
}

void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = pattern_byte(i, seed);
  }
}

bool has_pattern(std::span<const std::byte> bytes, std::uint64_t seed) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != pattern_byte(i, seed)) {
      return false;
    }
  }
  return true;
}

sdma_copy_linear copy_packet(std::uint64_t source, std::uint64_t destination, std::uint32_t bytes) {
  return {.header = sdma_header(SDMA_OP_COPY, SDMA_SUBOP_COPY_LINEAR),
          .count = bytes - 1,
          .parameter = 0,
          .src_lo = low(source),
          .src_hi = high(source),
          .dst_lo = low(destination),
          .dst_hi = high(destination)};
}

sdma_const_fill fill_packet(std::uint64_t destination, std::uint32_t value, std::uint32_t bytes) {
  return {.header = sdma_header(SDMA_OP_CONST_FILL, 0) | SDMA_FILL_DWORD,
          .dst_lo = low(destination),
          .dst_hi = high(destination),
          .data = value,
          .count = bytes - 1};
}

sdma_fence fence_packet(std::uint64_t address, std::uint32_t value) {
  return {.header = sdma_header(SDMA_OP_FENCE, 0), .addr_lo = low(address), .addr_hi = high(address), .data = value};
}

sdma_trap trap_packet(std::uint32_t context) { return {.header = sdma_header(SDMA_OP_TRAP, 0), .context = context}; }

kfdlab_device_regs& TestDriver::device() const { return word_at<kfdlab_device_regs>(bar_, KFDLAB_BAR_DEVICE_REGS); }
kfdlab_driver_regs& TestDriver::driver() const { return word_at<kfdlab_driver_regs>(bar_, KFDLAB_BAR_DRIVER_REGS); }

std::uint64_t TestDriver::fence_address() const {
  return bar_base_ + KFDLAB_BAR_DEVICE_REGS + offsetof(kfdlab_device_regs, copy_fence);
}

bool TestDriver::wait_ready(std::uint32_t generation) const {
  return eventually([&] { return load_acquire(device().state) == kfdlab_state_word(generation, KFDLAB_STATE_READY); });
}

void TestDriver::adopt(std::uint32_t generation) {
  copy_wptr_ = 0;
  control_wptr_ = 0;
  ih_rptr_ = 0;
  fence_ = load_relaxed(device().copy_fence);
  store_relaxed<std::uint32_t>(driver().reset_request, 0);
  store_relaxed(driver().bar_base, bar_base_);
  store_relaxed<std::uint64_t>(driver().control_wptr, 0);
  store_relaxed<std::uint64_t>(driver().copy_wptr, 0);
  store_relaxed<std::uint64_t>(driver().ih_rptr, 0);
  store_relaxed<std::uint32_t>(driver().queue_armed, 0);
  store_release(driver().generation, generation);
}

void TestDriver::emit_dwords(const std::uint32_t* dwords, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    store_relaxed(word_at<std::uint32_t>(bar_, KFDLAB_BAR_COPY_RING + copy_wptr_ % KFDLAB_COPY_RING_SIZE), dwords[i]);
    copy_wptr_ += sizeof(std::uint32_t);
  }
}

void TestDriver::submit() {
  store_seq_cst(driver().copy_wptr, copy_wptr_);
  if (load_seq_cst(device().copy_awake) == 0) {
    kick_(KFDLAB_KICK_COPY);
  }
}

std::uint32_t TestDriver::submit_fence() {
  emit(fence_packet(fence_address(), ++fence_));
  submit();
  return fence_;
}

bool TestDriver::wait_fence(std::uint32_t value) const {
  return eventually([&] { return static_cast<std::int32_t>(load_acquire(device().copy_fence) - value) >= 0; });
}

bool TestDriver::run() {
  submit();
  return eventually([&] { return load_acquire(device().copy_rptr) == copy_wptr_ || copy_error() != 0; }) &&
         copy_error() == 0;
}

std::uint32_t TestDriver::copy_error() const { return load_acquire(device().copy_error); }

bool TestDriver::wait_copy_error(std::uint32_t error) const {
  return eventually([&] { return copy_error() != KFDLAB_RING_OK; }) && copy_error() == error;
}

std::uint64_t TestDriver::submit_control(std::uint32_t op, std::uint32_t vmid,
                                         const std::vector<std::uint64_t>& args) {
  kfdlab_control_entry& entry = word_at<kfdlab_control_entry>(
      bar_, KFDLAB_BAR_CONTROL_RING + control_wptr_ * sizeof(kfdlab_control_entry) % KFDLAB_CONTROL_RING_SIZE);
  store_relaxed(entry.op, op);
  store_relaxed(entry.vmid, vmid);
  for (std::size_t i = 0; i < std::size(entry.args); ++i) {
    store_relaxed<std::uint64_t>(entry.args[i], i < args.size() ? args[i] : 0);
  }
  store_seq_cst(driver().control_wptr, ++control_wptr_);
  if (load_seq_cst(device().control_awake) == 0) {
    kick_(KFDLAB_KICK_CONTROL);
  }
  return control_wptr_;
}

bool TestDriver::wait_control(std::uint64_t done) const {
  return eventually([&] { return load_acquire(device().control_done) >= done; });
}

bool TestDriver::take_ih(ih_entry& entry) {
  if (load_acquire(device().ih_wptr) == ih_rptr_) {
    return false;
  }
  ih_entry& slot = word_at<ih_entry>(bar_, KFDLAB_BAR_IH_RING + ih_rptr_ % KFDLAB_IH_RING_SIZE);
  entry.source = load_relaxed(slot.source);
  entry.timestamp_lo = load_relaxed(slot.timestamp_lo);
  entry.timestamp_hi = load_relaxed(slot.timestamp_hi);
  entry.pasid = load_relaxed(slot.pasid);
  for (std::size_t i = 0; i < 4; ++i) {
    entry.src_data[i] = load_relaxed(slot.src_data[i]);
  }
  ih_rptr_ += sizeof(ih_entry);
  store_release(driver().ih_rptr, ih_rptr_);
  return true;
}

}  // namespace kfdlab::device
