// SPDX-License-Identifier: MIT
// The packet table: header -> row -> handler. The handlers are in sdma_handlers.cpp.
#include "device/cp/sdma_processor.h"

#include <iterator>

#include "common/check.h"

namespace kfdlab::device {

const SdmaProcessor::Row SdmaProcessor::kRows[] = {
#define SDMA_PACKET(name, header, variable, bytes, handler) {#name, header, variable, bytes, &SdmaProcessor::handler},
#include "device/cp/sdma_packets.inc"
#undef SDMA_PACKET
};

#define SDMA_PACKET(name, header, variable, bytes, handler) \
  static_assert((bytes) % 4 == 0 && (bytes) <= sizeof(SdmaPacket), #name " fits");
#include "device/cp/sdma_packets.inc"
#undef SDMA_PACKET

const SdmaProcessor::Row* SdmaProcessor::find_row(std::uint32_t header) {
  for (const Row& row : kRows) {
    if ((header & ~row.variable) == row.header) {
      return &row;
    }
  }
  return nullptr;
}

std::optional<std::uint32_t> SdmaProcessor::packet_bytes(std::uint32_t header) {
  const Row* row = find_row(header);
  if (row == nullptr) {
    return std::nullopt;
  }
  // Only a NOP's header says something about its length: how many more dwords to skip.
  const std::uint32_t more = (header & row->variable & SDMA_NOP_COUNT_MASK) >> SDMA_NOP_COUNT_SHIFT;
  return row->bytes + more * static_cast<std::uint32_t>(sizeof(std::uint32_t));
}

const char* SdmaProcessor::packet_name(std::uint32_t header) {
  const Row* row = find_row(header);
  return row != nullptr ? row->name : "packet";
}

kfdlab_ring_error SdmaProcessor::execute(const SdmaPacket& packet) {
  const Row* row = find_row(packet[0]);
  KFDLAB_CHECK(row != nullptr);
  return (this->*row->handler)(packet);
}

}  // namespace kfdlab::device
