// SPDX-License-Identifier: MIT
#include "tools/kernels/kernel_image.h"

#include <cstring>
#include <system_error>
#include <vector>

#include "tools/host/paths.h"
#include "tools/host/process.h"

namespace kfdlab {
namespace fs = std::filesystem;
namespace {

// Offsets in the setup header.
constexpr std::size_t kSetupSectors = 0x1f1;
constexpr std::size_t kMagic = 0x202;
constexpr std::size_t kVersionPointer = 0x20e;  // counted from 0x200
constexpr std::size_t kPointerBase = 0x200;
constexpr std::size_t kPayloadOffset = 0x248;
constexpr std::size_t kPayloadLength = 0x24c;
constexpr std::size_t kHeaderEnd = 0x250;
constexpr std::size_t kSectorSize = 512;
constexpr std::size_t kDefaultSetupSectors = 4;  // what 0 stands for

std::uint32_t load32(std::string_view bytes, std::size_t offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

// The program that unpacks it; nothing when the format is none Debian uses.
const char* unpacker(std::string_view data) {
  using namespace std::string_view_literals;
  if (data.starts_with("\xfd"
                       "7zXZ\0"sv)) {
    return "xz";
  }
  if (data.starts_with("\x1f\x8b"sv)) {
    return "gzip";
  }
  return data.starts_with("\x28\xb5\x2f\xfd"sv) ? "zstd" : nullptr;
}

// The note by which QEMU finds the PVH entry (XEN_ELFNOTE_PHYS32_ENTRY): name and type, four-byte aligned.
bool has_pvh_entry(std::string_view kernel) {
  using namespace std::string_view_literals;
  return kernel.find("\4\0\0\0\4\0\0\0\x12\0\0\0Xen\0"sv) != std::string_view::npos ||
         kernel.find("\4\0\0\0\x8\0\0\0\x12\0\0\0Xen\0"sv) != std::string_view::npos;
}

bool unpack(const fs::path& image, const fs::path& target) {
  const auto bytes = read_file(image);
  if (!bytes.ok()) {
    return false;
  }
  const auto payload = find_payload(bytes.value());
  const char* program = payload ? unpacker(payload->data) : nullptr;
  auto scratch = TemporaryDirectory::create(target.parent_path());
  if (program == nullptr || !scratch.ok()) {
    return false;
  }
  const fs::path packed = scratch.value().path() / "kernel";
  if (!write_file_atomically(packed, payload->data).ok()) {
    return false;
  }
  const auto kernel = run_helper({program, "-dc", packed.string()});
  return kernel.ok() && kernel.value().status == 0 && kernel.value().out.size() == payload->unpacked_size &&
         kernel.value().out.starts_with(
             "\x7f"
             "ELF") &&
         has_pvh_entry(kernel.value().out) && write_file_atomically(target, kernel.value().out).ok();
}

}  // namespace

std::optional<KernelPayload> find_payload(std::string_view image) {
  if (image.size() < kHeaderEnd || image.substr(kMagic, 4) != "HdrS") {
    return std::nullopt;
  }
  const auto sectors = static_cast<unsigned char>(image[kSetupSectors]);
  const std::size_t begin =
      ((sectors == 0 ? kDefaultSetupSectors : sectors) + 1) * kSectorSize + load32(image, kPayloadOffset);
  const std::size_t length = load32(image, kPayloadLength);
  if (length <= sizeof(std::uint32_t) || begin > image.size() || length > image.size() - begin) {
    return std::nullopt;
  }
  const std::string_view whole = image.substr(begin, length);
  const std::size_t packed = length - sizeof(std::uint32_t);
  return KernelPayload{whole.substr(0, packed), load32(whole, packed)};
}

std::optional<std::string> image_release(std::string_view image) {
  if (image.size() < kHeaderEnd || image.substr(kMagic, 4) != "HdrS") {
    return std::nullopt;
  }
  std::uint16_t pointer = 0;
  std::memcpy(&pointer, image.data() + kVersionPointer, sizeof(pointer));
  const std::size_t begin = kPointerBase + pointer;
  if (pointer == 0 || begin >= image.size()) {
    return std::nullopt;
  }
  const std::string_view text = image.substr(begin);
  const std::size_t end = text.find_first_of(std::string_view(" \0", 2));
  if (end == 0 || end == std::string_view::npos) {
    return std::nullopt;
  }
  return std::string(text.substr(0, end));
}

fs::path unpacked_kernel(const fs::path& image, const fs::path& directory) {
  const fs::path target = directory / "vmlinux";
  std::error_code error;
  if (fs::exists(target, error)) {
    return target;
  }
  fs::create_directories(directory, error);
  return unpack(image, target) ? target : image;
}

}  // namespace kfdlab
