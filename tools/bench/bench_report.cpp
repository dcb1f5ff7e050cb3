// SPDX-License-Identifier: MIT
#include "tools/bench/bench_report.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <sstream>

#include "tools/judge/result.h"

namespace kfdlab::bench {
namespace {

using judge::json_number;
using judge::json_text;

// Median microseconds by operation and size.
using Medians = std::map<std::string, std::map<std::uint64_t, double>>;

constexpr double kPageSize = 4096;

Medians medians_of(const nlohmann::json& bench, std::set<std::uint64_t>* sizes) {
  Medians medians;
  if (!bench.contains("rows") || !bench.at("rows").is_array()) {
    return medians;
  }
  for (const auto& row : bench.at("rows")) {
    const auto bytes = static_cast<std::uint64_t>(json_number(row, "bytes"));
    medians[json_text(row, "operation")][bytes] = json_number(row, "median_us");
    sizes->insert(bytes);
  }
  return medians;
}

// Pages per second, or "-".
std::string rate(const Medians& medians, const char* operation, std::uint64_t bytes) {
  const auto of = medians.find(operation);
  if (of == medians.end() || !of->second.contains(bytes) || of->second.at(bytes) <= 0) {
    return "-";
  }
  return fmt::format("{:.0f}", static_cast<double>(bytes) / kPageSize / of->second.at(bytes) * 1e6);
}

// How many times as fast `operation` is as `reference`, or "-".
std::string ratio(const Medians& medians, const char* operation, const char* reference, std::uint64_t bytes) {
  const auto a = medians.find(operation);
  const auto b = medians.find(reference);
  if (a == medians.end() || b == medians.end() || !a->second.contains(bytes) || !b->second.contains(bytes) ||
      a->second.at(bytes) <= 0) {
    return "-";
  }
  return fmt::format("{:.2f}", b->second.at(bytes) / a->second.at(bytes));
}

}  // namespace

std::string size_text(std::uint64_t bytes) {
  return bytes >= 1u << 20 ? fmt::format("{} MiB", bytes >> 20) : fmt::format("{} KiB", bytes >> 10);
}

std::string table(const nlohmann::json& bench) {
  std::set<std::uint64_t> sizes;
  const Medians medians = medians_of(bench, &sizes);
  static constexpr char kRow[] =
      "{:>8} | {:>9} | {:>9} {:>6} {:>6} {:>6} | {:>9} {:>6} {:>6} {:>6} | {:>9} {:>9} {:>6}\n";
  std::string text = fmt::format(kRow, "", "memcpy", "to VRAM", "over", "over", "over", "to RAM", "over", "over",
                                 "over", "pin RAM", "pin VRAM", "over");
  text += fmt::format(kRow, "size", "pages/s", "pages/s", "memcpy", "CPU", "loop", "pages/s", "memcpy", "CPU", "loop",
                      "pages/s", "pages/s", "RAM");
  for (const std::uint64_t bytes : sizes) {
    text += fmt::format(kRow, size_text(bytes), rate(medians, "memcpy", bytes), rate(medians, "to_vram", bytes),
                        ratio(medians, "to_vram", "memcpy", bytes), ratio(medians, "to_vram", "to_vram_cpu", bytes),
                        ratio(medians, "to_vram", "to_vram_loop", bytes), rate(medians, "to_ram", bytes),
                        ratio(medians, "to_ram", "memcpy", bytes), ratio(medians, "to_ram", "to_ram_cpu", bytes),
                        ratio(medians, "to_ram", "to_ram_loop", bytes), rate(medians, "pin_ram", bytes),
                        rate(medians, "pin_vram", bytes), ratio(medians, "pin_vram", "pin_ram", bytes));
  }
  return text;
}

std::uint64_t private_resident_bytes(std::string_view smaps) {
  // "7f00-7f10 rw-s 0 00:01 5 /memfd:x" begins a mapping; "Rss:  12 kB" belongs to the one above it.
  std::istringstream in{std::string(smaps)};
  std::uint64_t total = 0;
  bool shared = false;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string first;
    std::string second;
    words >> first >> second;
    if (first.find('-') != std::string::npos && second.size() == 4) {
      shared = second[3] == 's';
    } else if (first == "Rss:" && !shared) {
      total += std::stoull("0" + second) << 10;
    }
  }
  return total;
}

}  // namespace kfdlab::bench
