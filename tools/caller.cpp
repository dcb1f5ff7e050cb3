// SPDX-License-Identifier: MIT
#include "tools/caller.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace kfdlab {
namespace {

std::vector<unsigned> caller_groups() {
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  return {groups.begin(), groups.end()};
}

// The shell's idea of the directory keeps symbolic links, as $PWD of a local command does.
std::filesystem::path working_directory() {
  std::error_code error;
  auto path = std::filesystem::current_path(error);
  return error ? std::filesystem::path("/") : path;
}

}  // namespace

std::vector<std::string> merge_environment(std::vector<std::string> environment,
                                           const std::vector<std::string>& overrides) {
  for (const std::string& entry : overrides) {
    const std::string key = entry.substr(0, entry.find('=') + 1);
    const auto found = std::find_if(environment.begin(), environment.end(),
                                    [&key](const std::string& old) { return old.starts_with(key); });
    if (found != environment.end()) {
      *found = entry;
    } else {
      environment.push_back(entry);
    }
  }
  return environment;
}

void inherit_from_caller(GuestCommand& command, const std::vector<std::string>& overrides, bool as_root) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    environment.emplace_back(*entry);
  }
  command.env = merge_environment(std::move(environment), overrides);
  command.cwd = working_directory();
  command.umask = ::umask(0);
  ::umask(command.umask);
  command.caller_limits = true;
  command.uid = as_root ? 0 : ::getuid();
  command.gid = as_root ? 0 : ::getgid();
  command.groups = as_root ? std::vector<unsigned>{0} : caller_groups();
  for (const char* name : {"render", "video"}) {
    const group* entry = ::getgrnam(name);
    if (entry != nullptr &&
        std::find(command.groups.begin(), command.groups.end(), entry->gr_gid) == command.groups.end()) {
      command.groups.push_back(entry->gr_gid);
    }
  }
}

}  // namespace kfdlab
