// SPDX-License-Identifier: MIT
#include "tools/guest/config.h"

#include <cstdlib>

namespace kfdlab::guest {
namespace {

// The first word of `rest`, which loses it and the space behind.
std::string take_word(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(' '), rest.size());
  std::string word(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

void parse_line(std::string_view line, Config& config) {
  const std::string keyword = take_word(line);
  if (keyword == "early" || keyword == "late") {
    Module module{take_word(line), std::string(line)};
    (keyword == "early" ? config.early : config.late).push_back(module);
  } else if (keyword == "writable") {
    WritableShare share{take_word(line), std::string(line)};
    config.writable.push_back(share);
  } else if (keyword == "release") {
    config.release = line;
  } else if (keyword == "modules") {
    config.modules = line;
  } else if (keyword == "compile_cache_tag") {
    config.compile_cache_tag = line;
  } else if (keyword == "compile_cache_library") {
    config.compile_cache_library = line;
  } else if (keyword == "compile_cache_real") {
    config.compile_cache_real = line;
  } else if (keyword == "hostname") {
    config.hostname = line;
  } else if (keyword == "render") {
    config.render_gid = static_cast<unsigned>(std::strtoul(std::string(line).c_str(), nullptr, 10));
  } else if (keyword == "video") {
    config.video_gid = static_cast<unsigned>(std::strtoul(std::string(line).c_str(), nullptr, 10));
  }
}

}  // namespace

Config parse_config(std::string_view text) {
  Config config;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    parse_line(text.substr(0, end), config);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return config;
}

}  // namespace kfdlab::guest
