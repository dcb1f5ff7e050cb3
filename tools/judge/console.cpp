// SPDX-License-Identifier: MIT
#include "tools/judge/console.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "tools/judge/kernel_log.h"

namespace kfdlab::judge {
namespace {

// "\x1b[0m[    1.234567] text\r" -> "text"
std::string clean(std::string_view raw) {
  std::string line;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '\x1b') {
      // CSI: parameters end with a letter; any other escape is one character long.
      ++i;
      if (i < raw.size() && raw[i] == '[') {
        while (i + 1 < raw.size() && std::isalpha(static_cast<unsigned char>(raw[++i])) == 0) {
        }
      }
    } else if (std::isprint(static_cast<unsigned char>(raw[i])) != 0 || raw[i] == '\t') {
      line += raw[i];
    }
  }
  if (line.starts_with('[')) {
    const std::size_t close = line.find("] ");
    const std::string_view stamp = std::string_view(line).substr(1, close == std::string::npos ? 0 : close - 1);
    const bool is_stamp = !stamp.empty() && std::all_of(stamp.begin(), stamp.end(), [](char c) {
      return std::isdigit(static_cast<unsigned char>(c)) != 0 || c == ' ' || c == '.';
    });
    if (is_stamp) {
      line.erase(0, close + 2);
    }
  }
  return line;
}

std::vector<std::string> clean_lines(std::string_view console) {
  std::vector<std::string> lines;
  while (!console.empty()) {
    const std::size_t end = console.find('\n');
    std::string line = clean(console.substr(0, end));
    if (!line.empty()) {
      lines.push_back(std::move(line));
    }
    console.remove_prefix(end == std::string_view::npos ? console.size() : end + 1);
  }
  return lines;
}

}  // namespace

std::vector<std::string> find_defects(std::string_view console) {
  std::vector<std::string> lines = clean_lines(console);
  std::erase_if(lines, [](const std::string& line) { return !reports_defect(line); });
  return lines;
}

bool is_fatal(std::string_view line) {
  static constexpr std::array<std::string_view, 8> kFatal = {
      "Kernel panic", "Oops: ",      "Oops[", "kernel BUG at", "BUG: ", "general protection fault",
      "soft lockup",  "hard LOCKUP",
  };
  return std::any_of(kFatal.begin(), kFatal.end(),
                     [&](std::string_view text) { return line.find(text) != std::string_view::npos; });
}

std::string console_tail(std::string_view console, std::size_t count) {
  const std::vector<std::string> lines = clean_lines(console);
  std::string text;
  for (std::size_t i = lines.size() - std::min(count, lines.size()); i < lines.size(); ++i) {
    text += lines[i] + "\n";
  }
  return text;
}

}  // namespace kfdlab::judge
