// SPDX-License-Identifier: MIT
// What the launcher tells the agent through the initramfs; the lines are described in tools/vm/guest_image.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kfdlab::guest {

struct Module {
  std::string name;
  std::string parameters;
};

struct WritableShare {
  std::string tag;
  std::string path;
};

struct Config {
  std::vector<Module> early;
  std::vector<Module> late;
  std::string release;
  std::string modules;
  std::vector<WritableShare> writable;
  // Empty: there is no compile cache.
  std::string compile_cache_tag;
  std::string compile_cache_library;
  std::string compile_cache_real;
  std::string hostname;
  unsigned render_gid = 0;  // 0: the host has no such group
  unsigned video_gid = 0;
};

[[nodiscard]] Config parse_config(std::string_view text);

}  // namespace kfdlab::guest
