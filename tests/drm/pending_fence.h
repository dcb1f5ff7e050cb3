// SPDX-License-Identifier: MIT
// PendingFence: a fence of somebody else's that is signalled when the test says so. It comes from vgem, the kernel's
// driver for graphics without hardware; no command of ours can make a fence without the device.
#pragma once

#include <cstdint>
#include <optional>

#include "common/fd.h"

namespace kfdlab {

class PendingFence {
 public:
  // Loads vgem if need be (root). nullopt: this kernel has none.
  static std::optional<PendingFence> create();

  // A new sync_file for it.
  [[nodiscard]] Fd sync_file() const;
  // A new syncobj of `fd`'s file that holds it; 0 on failure.
  [[nodiscard]] std::uint32_t syncobj(int fd) const;
  // A dma-buf whose users have to wait for it.
  [[nodiscard]] Fd dma_buf() const;
  // False: it was signalled before, by its time-out of ten seconds.
  bool signal();

 private:
  Fd vgem_;
  std::uint32_t buffer_ = 0;
  std::uint32_t fence_ = 0;
};

}  // namespace kfdlab
