// SPDX-License-Identifier: MIT
// Ballast: takes VRAM away until only as much is left as a run wants, so that TTM evicts all the time however large
// the GPUs are.
#pragma once

#include <cstdint>
#include <vector>

#include "common/fd.h"
#include "common/result.h"

namespace kfdlab::stress {

class Ballast {
 public:
  // Leaves `bytes` of each GPU. What is taken comes back when the object goes. Error: it cannot be taken.
  static Result<Ballast> leave(const std::vector<std::uint32_t>& gpus, std::uint64_t bytes);

 private:
  std::vector<Fd> files_;  // one per GPU: the reservation lives as long as it is open
};

}  // namespace kfdlab::stress
