// SPDX-License-Identifier: MIT
#include "tools/vm/initramfs.h"

#include <fmt/format.h>
#include <sys/stat.h>

namespace kfdlab {

void CpioWriter::pad() { bytes_.resize((bytes_.size() + 3) / 4 * 4, '\0'); }

void CpioWriter::add(std::string_view name, const Header& header, std::string_view data) {
  // Magic, then 13 fields of 8 hexadecimal digits: inode, mode, uid, gid, links, time, size, device major and
  // minor (of the file system), major and minor (of a device node), length of the name with its NUL, checksum.
  bytes_ += fmt::format("070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}",
                        ++inode_, header.mode, 0, 0, header.links, 0, data.size(), 0, 0, header.device_major,
                        header.device_minor, name.size() + 1, 0);
  bytes_.append(name);
  bytes_.push_back('\0');
  pad();
  bytes_.append(data);
  pad();
}

void CpioWriter::add_directory(std::string_view name, std::uint32_t mode) { add(name, {S_IFDIR | mode, 2, 0, 0}, {}); }

void CpioWriter::add_file(std::string_view name, std::string_view data, std::uint32_t mode) {
  add(name, {S_IFREG | mode, 1, 0, 0}, data);
}

void CpioWriter::add_char_device(std::string_view name, std::uint32_t major, std::uint32_t minor, std::uint32_t mode) {
  add(name, {S_IFCHR | mode, 1, major, minor}, {});
}

std::string CpioWriter::finish() {
  add("TRAILER!!!", {}, {});
  return std::move(bytes_);
}

}  // namespace kfdlab
