// SPDX-License-Identifier: MIT
// CpioWriter: the initramfs as the kernel wants it, a cpio archive in "newc" format (kernel source:
// Documentation/driver-api/early-userspace/buffer-format.rst). Uncompressed: unpacking under TCG costs more
// than copying.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kfdlab {

class CpioWriter {
 public:
  // Names are relative ("dir/file"); parents must be added first. Everything belongs to root.
  void add_directory(std::string_view name, std::uint32_t mode = 0755);
  void add_file(std::string_view name, std::string_view data, std::uint32_t mode = 0644);
  void add_char_device(std::string_view name, std::uint32_t major, std::uint32_t minor, std::uint32_t mode = 0600);
  // Ends the archive and returns it.
  [[nodiscard]] std::string finish();

 private:
  struct Header {
    std::uint32_t mode = 0, links = 1, device_major = 0, device_minor = 0;
  };
  void add(std::string_view name, const Header& header, std::string_view data);
  void pad();

  std::string bytes_;
  std::uint32_t inode_ = 0;
};

}  // namespace kfdlab
