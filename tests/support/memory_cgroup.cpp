// SPDX-License-Identifier: MIT
#include "tests/support/memory_cgroup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "tests/support/needs.h"

namespace kfdlab {
namespace {

constexpr char kRoot[] = "/sys/fs/cgroup";

}  // namespace

Result<MemoryCgroup> MemoryCgroup::create(const std::string& name) {
  const std::string root = kRoot;
  if (!(std::ofstream(root + "/cgroup.subtree_control") << "+memory" << std::flush)) {
    return Error{"cgroup2 at " + root + " gives no memory controller"};
  }
  const std::string path = root + "/" + name;
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return errno_error(path, errno);
  }
  return MemoryCgroup(path);
}

MemoryCgroup::~MemoryCgroup() {
  if (!path_.empty()) {
    (void)eventually([&] { return ::rmdir(path_.c_str()) == 0; }, std::chrono::milliseconds(500));
  }
}

std::uint64_t MemoryCgroup::current() const {
  std::uint64_t bytes = 0;
  std::ifstream(path_ + "/memory.current") >> bytes;
  return bytes;
}

std::uint64_t MemoryCgroup::event(const std::string& name) const {
  std::ifstream file(path_ + "/memory.events");
  std::string key;
  for (std::uint64_t value = 0; file >> key >> value;) {
    if (key == name) {
      return value;
    }
  }
  return 0;
}

bool MemoryCgroup::write(const std::string& file, const std::string& text) const {
  return static_cast<bool>(std::ofstream(path_ + "/" + file) << text << std::flush);
}

}  // namespace kfdlab
