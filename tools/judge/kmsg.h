// SPDX-License-Identifier: MIT
// Reading the kernel log by sequence number: every record exactly once, and a loss is noticed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/fd.h"
#include "common/result.h"

namespace kfdlab::judge {

// One record of /dev/kmsg. Format: "prefix,seq,usec,flags[,...];text\n", then lines that begin with a space and
// hold device properties (Documentation/ABI/testing/dev-kmsg).
struct KernelLine {
  std::uint64_t sequence = 0;
  std::uint64_t microseconds = 0;  // since boot
  int level = 6;                   // 0 emergency .. 7 debug
  std::string text;
};

// Nothing when the record is malformed.
[[nodiscard]] std::optional<KernelLine> parse_kmsg_record(std::string_view record);

class KmsgReader {
 public:
  // From the oldest record still in the ring.
  static Result<KmsgReader> open();

  // What came since the last call, oldest first; never waits.
  [[nodiscard]] std::vector<KernelLine> read_new();
  // Records overwritten before they were read, since open.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  explicit KmsgReader(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;
  bool any_read_ = false;
  std::uint64_t next_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace kfdlab::judge
