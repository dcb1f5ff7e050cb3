// SPDX-License-Identifier: MIT
// Decoder of gfx90a machine code. Total: any words decode, are too few, or are illegal with a reason; nothing a guest
// can place in memory makes it read outside `words` or hand out a register outside the files: scalar tuples end below
// kScalarRegisters and are aligned as the manual asks, vector tuples end at v255 or a255 and are even when they are
// wider than a dword. Whether a wave has that many VGPRs is for the caller to check.
// Bits that an instruction does not define are ignored, as the hardware does.
// Fact: "AMD Instinct MI200 ISA", chapter 13 (formats); ops.inc.
#pragma once

#include <cstdint>
#include <span>

#include "device/isa/inst.h"

namespace kfdlab::isa {

struct DecodeResult {
  enum class Status : std::uint8_t { Ok, Truncated, Illegal };
  Status status = Status::Illegal;
  // Ok: complete. Illegal: op is set when the opcode itself is known; the rest means nothing.
  Inst inst;
  // Illegal: why, for people; static text. Else empty.
  const char* reason = "";

  [[nodiscard]] bool ok() const { return status == Status::Ok; }
};

inline constexpr unsigned kMaxInstDwords = 3;

// Decodes the instruction at words[0]. Truncated: it is longer than `words`; with kMaxInstDwords words never.
[[nodiscard]] DecodeResult decode(std::span<const std::uint32_t> words);

}  // namespace kfdlab::isa
