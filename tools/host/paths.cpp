// SPDX-License-Identifier: MIT
#include "tools/host/paths.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace kfdlab {
namespace fs = std::filesystem;
namespace {

Status write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno != EINTR) {
      return errno_error("write", errno);
    }
    if (n > 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  return ok_status();
}

}  // namespace

Result<fs::path> cache_directory() {
  fs::path base;
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg == '/') {
    base = xdg;
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    base = fs::path(home) / ".cache";
  } else if (const passwd* entry = ::getpwuid(::getuid()); entry != nullptr) {
    base = fs::path(entry->pw_dir) / ".cache";
  } else {
    return Error{"there is no home directory for the cache; set XDG_CACHE_HOME"};
  }
  base /= "kfdlab";
  std::error_code error;
  fs::create_directories(base, error);
  if (error) {
    return Error{"cannot create the cache directory " + base.string() + ": " + error.message() +
                 "; set XDG_CACHE_HOME to a directory you may write"};
  }
  return base;
}

fs::path sibling_program(std::string_view name) {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path() / name;
}

fs::path source_directory() { return KFDLAB_SOURCE_DIR; }

Result<std::string> read_file(const fs::path& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return errno_error("cannot read " + path.string(), errno);
  }
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof(buffer));
    if (n == 0) {
      return text;
    }
    if (n > 0) {
      text.append(buffer, static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      return errno_error("cannot read " + path.string(), errno);
    }
  }
}

Status write_file_atomically(const fs::path& path, std::string_view text) {
  std::string temporary = path.string() + ".XXXXXX";
  Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) {
    return errno_error("cannot write " + path.string(), errno);
  }
  const auto written = write_all(fd.get(), text);
  if (!written.ok() || ::fchmod(fd.get(), 0644) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return errno_error("cannot write " + path.string(), error);
  }
  return ok_status();
}

Result<Fd> lock_file(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.valid()) {
    return errno_error("cannot open " + path.string(), errno);
  }
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) {
      return errno_error("cannot lock " + path.string(), errno);
    }
  }
  return fd;
}

Result<Fd> unnamed_file(const fs::path& directory, std::uint64_t size) {
  Fd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd.valid()) {  // a file system without O_TMPFILE
    std::string name = (directory / "unnamed.XXXXXX").string();
    fd.reset(::mkostemp(name.data(), O_CLOEXEC));
    if (fd.valid()) {
      ::unlink(name.c_str());
    }
  }
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    return errno_error("cannot create a scratch file in " + directory.string(), errno);
  }
  return fd;
}

Result<Fd> memory_file(const char* name, std::uint64_t size) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  // Sealed against shrinking, because whoever maps a file that shrinks dies of SIGBUS.
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    return errno_error(std::string("cannot create shared memory for ") + name, errno);
  }
  return fd;
}

Result<TemporaryDirectory> TemporaryDirectory::create(const fs::path& parent) {
  std::string name = (parent / "kfdlab-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return errno_error("cannot create a temporary directory in " + parent.string(), errno);
  }
  return TemporaryDirectory(name);
}

TemporaryDirectory& TemporaryDirectory::operator=(TemporaryDirectory&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

TemporaryDirectory::~TemporaryDirectory() {
  if (!path_.empty()) {
    std::error_code error;
    fs::remove_all(path_, error);
  }
}

}  // namespace kfdlab
