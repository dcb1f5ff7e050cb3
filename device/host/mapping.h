// SPDX-License-Identifier: MIT
// Mapping owns one shared memory mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "common/result.h"

namespace kfdlab::device {

class Mapping {
 public:
  // Maps [offset, offset + size) of `fd` shared and writable; both are multiples of the page size and lie inside
  // the file. `what` names the file in errors. The file must not shrink while it is mapped: the launcher seals
  // it (F_SEAL_SHRINK), which is why nothing here handles SIGBUS.
  [[nodiscard]] static Result<Mapping> map(int fd, std::uint64_t offset, std::uint64_t size, const std::string& what);

  Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  explicit Mapping(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

// Size of the file behind `fd` in bytes.
[[nodiscard]] Result<std::uint64_t> file_size(int fd, const std::string& what);

}  // namespace kfdlab::device
