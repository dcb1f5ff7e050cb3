// SPDX-License-Identifier: MIT
// GupClient: /dev/kfdlab_gup with a typed call per ioctl; GupHold: one set of page references, given back when it
// goes. GupFlavour: every way to call get_user_pages() that a kernel has, with a printable name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/fd.h"
#include "common/result.h"
#include "uapi/kfdlab_gup.h"

namespace kfdlab {

struct GupFlavour {
  std::uint32_t path = KFDLAB_GUP_FAST;  // enum kfdlab_gup_path
  std::uint32_t flags = 0;               // KFDLAB_GUP_*
  [[nodiscard]] bool pins() const { return (flags & KFDLAB_GUP_PIN) != 0; }
  [[nodiscard]] bool longterm() const { return (flags & KFDLAB_GUP_LONGTERM) != 0; }
  [[nodiscard]] bool writes() const { return (flags & KFDLAB_GUP_WRITE) != 0; }
  [[nodiscard]] bool faults() const { return path != KFDLAB_GUP_FAST_ONLY; }
  // "pin_fast_longterm_write", "get_remote_read".
  [[nodiscard]] std::string name() const;
};

// All flavours of the running kernel: pin_user_pages_unlocked() takes FOLL_LONGTERM from 6.3 on only.
[[nodiscard]] std::vector<GupFlavour> gup_flavours();

class GupClient;

// The references of one HOLD. Must not outlive its client.
class GupHold {
 public:
  GupHold() = default;
  GupHold(GupHold&& other) noexcept;
  GupHold& operator=(GupHold&& other) noexcept;
  ~GupHold() { release(); }

  [[nodiscard]] bool held() const { return client_ != nullptr; }
  [[nodiscard]] std::uint32_t id() const { return reply_.id; }
  // Pages held, and of those the ones that were in VRAM when the call returned.
  [[nodiscard]] std::uint64_t npages() const { return reply_.held; }
  [[nodiscard]] std::uint64_t vram() const { return reply_.vram; }
  [[nodiscard]] std::uint64_t nanoseconds() const { return reply_.ns; }

  // Copy through the kernel's mapping of the held pages, as a device would by DMA. offset: bytes from the first
  // held page. 0 or errno.
  int read(std::uint64_t offset, std::span<std::byte> into) const;
  int write(std::uint64_t offset, std::span<const std::byte> from) const;
  // 0 or errno; afterwards nothing is held.
  int release(bool dirty = false);

 private:
  friend class GupClient;
  const GupClient* client_ = nullptr;
  kfdlab_gup_hold reply_{};
};

class GupClient {
 public:
  // Error: not root, or kfdlab_gup is not loaded.
  static Result<GupClient> open();

  // Take references to npages pages from `start` of process `pid` (REMOTE only; 0: this one). 0 or errno; a short
  // count is a success. What `hold` held before is given back first.
  int hold(const GupFlavour& flavour, const void* start, std::size_t npages, GupHold* hold, int pid = 0) const;

  // errno of any ioctl, 0 for success.
  [[nodiscard]] int raw(unsigned long request, void* argument) const;

 private:
  explicit GupClient(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace kfdlab
