// SPDX-License-Identifier: MIT
#include "device/host/mapping.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace kfdlab::device {

Result<std::uint64_t> file_size(int fd, const std::string& what) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) {
    return errno_error(fmt::format("{}: descriptor {} cannot be examined", what, fd), errno);
  }
  return static_cast<std::uint64_t>(status.st_size);
}

Result<Mapping> Mapping::map(int fd, std::uint64_t offset, std::uint64_t size, const std::string& what) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (size == 0 || size % page != 0 || offset % page != 0) {
    return Error{fmt::format("{}: offset {:#x} and size {:#x} must be multiples of {}, and size not 0", what, offset,
                             size, page)};
  }
  const Result<std::uint64_t> length = file_size(fd, what);
  if (!length.ok()) {
    return length.error();
  }
  if (offset > length.value() || size > length.value() - offset) {
    return Error{fmt::format("{}: {:#x} bytes at {:#x} are not inside the file of {:#x} bytes", what, size, offset,
                             length.value())};
  }
  void* address =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, static_cast<off_t>(offset));
  if (address == MAP_FAILED) {
    return errno_error(fmt::format("{}: mapping {:#x} bytes of descriptor {}", what, size, fd), errno);
  }
  return Mapping(std::span(static_cast<std::byte*>(address), size));
}

Mapping::~Mapping() {
  if (!bytes_.empty()) {
    ::munmap(bytes_.data(), bytes_.size());
  }
}

}  // namespace kfdlab::device
