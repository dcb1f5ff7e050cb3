// SPDX-License-Identifier: MIT
#include "tests/unit/engine/support/code_object.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "device/engine/wave.h"

namespace kfdlab::engine {
namespace {

constexpr std::uint64_t kScratch = EngineRig::kMemory + (5u << 20);
constexpr std::uint32_t kScratchBytes = 7u << 20;
constexpr std::string_view kBundleMagic = "__CLANG_OFFLOAD_BUNDLE__";

template <typename T>
T read(const std::string& bytes, std::size_t offset) {
  T value{};
  if (offset + sizeof value <= bytes.size()) {
    std::memcpy(&value, bytes.data() + offset, sizeof value);
  }
  return value;
}

// The part of a bundle that is for gfx90a; anything else as it is.
std::string unbundle(const std::string& file) {
  if (!std::string_view(file).starts_with(kBundleMagic)) {
    return file;
  }
  std::size_t at = kBundleMagic.size();
  const auto count = read<std::uint64_t>(file, at);
  at += 8;
  for (std::uint64_t i = 0; i < count && at < file.size(); ++i) {
    const auto offset = read<std::uint64_t>(file, at);
    const auto size = read<std::uint64_t>(file, at + 8);
    const auto length = read<std::uint64_t>(file, at + 16);
    const std::string triple = file.substr(at + 24, length);
    if (triple.find("gfx90a") != std::string::npos) {
      return file.substr(offset, size);
    }
    at += 24 + length;
  }
  return "";
}

}  // namespace

std::optional<CodeObject> CodeObject::load(EngineRig& rig, const std::string& path, std::uint64_t va) {
  std::ifstream file(path, std::ios::binary);
  const std::string elf = unbundle({std::istreambuf_iterator<char>(file), {}});
  CodeObject object(rig, va);
  if (!object.place(elf)) {
    return std::nullopt;
  }
  rig.engine().invalidate_code(device::TestGpu::kVmid);
  return object;
}

bool CodeObject::place(const std::string& elf) {
  const auto header = read<Elf64_Ehdr>(elf, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return false;
  }
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    const auto segment = read<Elf64_Phdr>(elf, header.e_phoff + i * sizeof(Elf64_Phdr));
    if (segment.p_type == PT_LOAD) {
      auto* to = rig_->at<std::uint8_t>(va_ + segment.p_vaddr);
      std::memset(to, 0, segment.p_memsz);
      std::memcpy(to, elf.data() + segment.p_offset, segment.p_filesz);
      end_ = std::max(end_, va_ + segment.p_vaddr + segment.p_memsz);
    }
  }
  end_ = (end_ + 4095) & ~4095ull;
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    const auto section = read<Elf64_Shdr>(elf, header.e_shoff + i * sizeof(Elf64_Shdr));
    if (section.sh_type != SHT_DYNSYM) {
      continue;
    }
    const auto names = read<Elf64_Shdr>(elf, header.e_shoff + section.sh_link * sizeof(Elf64_Shdr));
    for (std::uint64_t at = 0; at < section.sh_size; at += sizeof(Elf64_Sym)) {
      const auto symbol = read<Elf64_Sym>(elf, section.sh_offset + at);
      const std::string name = elf.data() + names.sh_offset + symbol.st_name;
      if (name.ends_with(".kd")) {
        descriptors_[name.substr(0, name.size() - 3)] = va_ + symbol.st_value;
      }
    }
  }
  return !descriptors_.empty();
}

std::optional<Dispatch> CodeObject::dispatch(const std::string& kernel, const Grid& grid,
                                             const std::vector<std::uint8_t>& arguments) const {
  const auto found = descriptors_.find(kernel);
  if (found == descriptors_.end()) {
    return std::nullopt;
  }
  const std::uint64_t packet_va = end_;
  const std::uint64_t argument_va = end_ + 64;
  auto* kernarg = rig_->at<std::uint8_t>(argument_va);
  std::memset(kernarg, 0, 1024);
  std::copy(arguments.begin(), arguments.end(), kernarg);

  std::array<std::uint8_t, 64> descriptor;
  std::memcpy(descriptor.data(), rig_->at<std::uint8_t>(found->second), descriptor.size());
  auto* packet = rig_->at<std::uint8_t>(packet_va);
  std::memset(packet, 0, 64);
  const auto put = [&](std::size_t offset, auto value) { std::memcpy(packet + offset, &value, sizeof value); };
  std::uint32_t lds = 0;
  std::uint32_t scratch = 0;
  std::memcpy(&lds, descriptor.data(), 4);
  std::memcpy(&scratch, descriptor.data() + 4, 4);
  put(0, std::uint16_t{0x1502});
  put(2, std::uint16_t{3});
  for (unsigned i = 0; i < 3; ++i) {
    put(4 + 2 * i, static_cast<std::uint16_t>(grid.group[i]));
    put(12 + 4 * i, grid.items[i]);
  }
  put(24, scratch);
  put(28, lds);
  put(32, found->second);
  put(40, argument_va);

  const std::span<const std::uint8_t, 64> packet_bytes(packet, 64);
  AqlLaunch launch{.packet = packet_bytes, .descriptor = descriptor};
  launch.packet_va = packet_va;
  launch.descriptor_va = found->second;
  launch.queue_va = packet_va;
  // The descriptor that ROCr makes for gfx9: swizzled, lane in the index, stride of 64 lanes.
  launch.scratch_base = kScratch;
  launch.scratch_descriptor = {static_cast<std::uint32_t>(kScratch), static_cast<std::uint32_t>(kScratch >> 32) | 1u << 31,
                               kScratchBytes, 4u | 5u << 3 | 6u << 6 | 7u << 9 | 4u << 12 | 4u << 15 | 3u << 21 | 1u << 23};
  Dispatch out;
  std::uint32_t lane_bytes = 0;
  if (!prepare_aql(launch, out, lane_bytes).empty()) {
    return std::nullopt;
  }
  if (lane_bytes != 0) {
    out.scratch_base = kScratch;
    out.scratch_wave_bytes = (lane_bytes * kLanes + 1023) & ~1023u;
    out.scratch_waves = kScratchBytes / out.scratch_wave_bytes;
  }
  out.private_aperture_hi = 0x10000000;
  out.shared_aperture_hi = 0x20000000;
  out.queue = 1;
  out.vmid = device::TestGpu::kVmid;
  return out;
}

}  // namespace kfdlab::engine
