// SPDX-License-Identifier: MIT
// Numbers, not names, on purpose: a wrong definition in hw/sdma.h must not be wrong here as well.
#include "tests/fuzz/sdma_model.h"

namespace kfdlab::device {
namespace {

std::uint64_t join(std::uint32_t lo, std::uint32_t hi) { return std::uint64_t{hi} << 32 | lo; }

}  // namespace

void SdmaModel::add_memory(std::uint64_t address, std::span<const std::byte> contents) {
  areas_.push_back({.address = address, .bytes = {contents.begin(), contents.end()}});
}

std::byte* SdmaModel::at(std::uint64_t address) {
  for (Area& area : areas_) {
    if (address >= area.address && address - area.address < area.bytes.size()) {
      return &area.bytes[address - area.address];
    }
  }
  return nullptr;
}

bool SdmaModel::exists(std::uint64_t address, std::uint64_t size) {
  if (address + (size - 1) < address) {
    return false;
  }
  // Areas begin and end at page boundaries, so one byte of each page speaks for it.
  for (std::uint64_t page = address & ~std::uint64_t{4095}; page <= address + (size - 1); page += 4096) {
    if (at(page) == nullptr) {
      return false;
    }
  }
  return true;
}

void SdmaModel::write_dword(std::uint64_t address, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) {
    *at(address + i) = static_cast<std::byte>(value >> 8 * i);
  }
}

kfdlab_ring_error SdmaModel::copy(std::span<const std::uint32_t> packet) {
  if (packet[2] != 0) {
    return KFDLAB_RING_BAD_OPCODE;
  }
  if (packet[1] >= 0x3fffe0) {
    return KFDLAB_RING_BAD_LENGTH;
  }
  const std::uint64_t size = std::uint64_t{packet[1]} + 1;
  const std::uint64_t source = join(packet[3], packet[4]);
  const std::uint64_t destination = join(packet[5], packet[6]);
  if (!exists(source, size) || !exists(destination, size)) {
    return KFDLAB_RING_BAD_ADDRESS;
  }
  for (std::uint64_t i = 0; i < size; ++i) {
    *at(destination + i) = *at(source + i);
  }
  return KFDLAB_RING_OK;
}

kfdlab_ring_error SdmaModel::fill(std::span<const std::uint32_t> packet) {
  const std::uint64_t size = std::uint64_t{packet[4]} + 1;
  if (packet[4] >= 0x3fffe0 || size % 4 != 0) {
    return KFDLAB_RING_BAD_LENGTH;
  }
  const std::uint64_t destination = join(packet[1], packet[2]);
  if (destination % 4 != 0 || !exists(destination, size)) {
    return KFDLAB_RING_BAD_ADDRESS;
  }
  for (std::uint64_t i = 0; i < size; i += 4) {
    write_dword(destination + i, packet[3]);
  }
  return KFDLAB_RING_OK;
}

kfdlab_ring_error SdmaModel::fence(std::span<const std::uint32_t> packet) {
  const std::uint64_t address = join(packet[1], packet[2]);
  if (address == fence_register_) {
    fence_ = packet[3];
    return KFDLAB_RING_OK;
  }
  if (address % 4 != 0 || !exists(address, 4)) {
    return KFDLAB_RING_BAD_ADDRESS;
  }
  write_dword(address, packet[3]);
  return KFDLAB_RING_OK;
}

SdmaModel::Outcome SdmaModel::run(std::span<const std::uint32_t> ring) {
  Outcome outcome;
  std::size_t position = 0;
  while (position < ring.size()) {
    const std::uint32_t header = ring[position];
    const bool is_nop = (header & 0xc000ffff) == 0;
    std::size_t size = 0;
    if (is_nop) {
      size = 1 + (header >> 16 & 0x3fff);
    } else if (header == 0x00000001) {
      size = 7;
    } else if (header == 0x00000005) {
      size = 4;
    } else if (header == 0x00000006) {
      size = 2;
    } else if (header == 0x8000000b) {
      size = 5;
    } else {
      outcome.error = KFDLAB_RING_BAD_OPCODE;
      return outcome;
    }
    if (size > ring.size() - position) {
      outcome.error = KFDLAB_RING_BAD_LENGTH;
      return outcome;
    }
    const std::span<const std::uint32_t> packet = ring.subspan(position, size);
    if (header == 0x00000001) {
      outcome.error = copy(packet);
    } else if (header == 0x00000005) {
      outcome.error = fence(packet);
    } else if (header == 0x8000000b) {
      outcome.error = fill(packet);
    } else if (header == 0x00000006) {
      ++outcome.traps;
    }
    if (outcome.error != KFDLAB_RING_OK) {
      return outcome;
    }
    position += size;
    outcome.consumed = position * 4;
  }
  return outcome;
}

}  // namespace kfdlab::device
