// SPDX-License-Identifier: MIT
#include "tools/guest/overlay_list.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>

namespace kfdlab::guest {
namespace {

// `relative`: path below both layers, "" for the root.
void walk(const RootLayers& layers, const std::string& relative, std::set<std::string>& changes) {
  const std::string here = relative.empty() ? "." : relative;
  DIR* directory = ::fdopendir(::openat(layers.upper.get(), here.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory == nullptr) {
    return;
  }
  while (const dirent* entry = ::readdir(directory)) {
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0 ||
        changes.size() >= kMaxChanges) {
      continue;
    }
    const std::string path = (relative.empty() ? "" : relative + "/") + entry->d_name;
    struct stat upper {};
    struct stat lower {};
    if (::fstatat(layers.upper.get(), path.c_str(), &upper, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    const bool in_lower = ::fstatat(layers.lower.get(), path.c_str(), &lower, AT_SYMLINK_NOFOLLOW) == 0;
    if (!S_ISDIR(upper.st_mode)) {
      changes.insert("/" + path);
    } else if (!in_lower || !S_ISDIR(lower.st_mode)) {
      changes.insert("/" + path + "/");
    } else {
      walk(layers, path, changes);
    }
  }
  ::closedir(directory);
}

}  // namespace

std::set<std::string> overlay_changes(const RootLayers& layers) {
  std::set<std::string> changes;
  walk(layers, "", changes);
  return changes;
}

}  // namespace kfdlab::guest
