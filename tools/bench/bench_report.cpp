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

// a / b, or "-".
std::string quotient(double a, double b) { return b > 0 ? fmt::format("{:.2f}", a / b) : "-"; }

std::string eviction_lines(const nlohmann::json& rows) {
  std::string text;
  for (const auto& row : rows) {
    const double to_ram = json_number(row, "to_ram_us");
    text +=
        fmt::format("eviction of {}: {} times as fast as prefetch to RAM, {} when another prefetch needs the room\n",
                    size_text(static_cast<std::uint64_t>(json_number(row, "bytes"))),
                    quotient(to_ram, json_number(row, "evict_us")), quotient(to_ram, json_number(row, "by_ttm_us")));
  }
  return text;
}

std::string allocation_lines(const nlohmann::json& rows) {
  std::string text;
  for (const auto& row : rows) {
    text += fmt::format(
        "allocation of {} of VRAM beside {:.0f} objects: {:.2f} of its time alone if they are buffers, {:.2f} if SVM's\n",
        size_text(static_cast<std::uint64_t>(json_number(row, "bytes"))), json_number(row, "others"),
        json_number(row, "beside_buffers"), json_number(row, "beside_svm"));
  }
  return text;
}

std::string cost_line(const std::string& what, const nlohmann::json& row) {
  const auto& cost = row.contains("cost") ? row.at("cost") : nlohmann::json::object();
  return fmt::format("{:>14} | {:>8.2f} {:>8.2f} {:>8.2f}\n", what, json_number(cost, "to_vram"),
                     json_number(cost, "to_ram"), json_number(cost, "evict"));
}

std::string scaling_table(const nlohmann::json& scaling) {
  std::string text = fmt::format("{:>14} | {:>8} {:>8} {:>8}\n", "cost of a page", "to VRAM", "to RAM", "evict");
  for (const auto& row : scaling.at("size")) {
    text += cost_line(size_text(static_cast<std::uint64_t>(json_number(row, "bytes"))), row);
  }
  for (const auto& row : scaling.at("processes")) {
    text += cost_line(fmt::format("{:.0f} processes", json_number(row, "processes")), row);
  }
  return text + "(as a multiple of the cost with 16 MiB, and with one process, measured in turn)\n";
}

}  // namespace

std::string ratios(const nlohmann::json& bench) {
  std::string text;
  if (bench.contains("eviction")) {
    text += eviction_lines(bench.at("eviction"));
  }
  if (bench.contains("allocation")) {
    text += allocation_lines(bench.at("allocation"));
  }
  if (bench.contains("scaling")) {
    text += scaling_table(bench.at("scaling"));
  }
  return text;
}

std::string size_text(std::uint64_t bytes) {
  return bytes >= 1u << 20 ? fmt::format("{} MiB", bytes >> 20) : fmt::format("{} KiB", bytes >> 10);
}

std::string table(const nlohmann::json& bench) {
  std::set<std::uint64_t> sizes;
  const Medians medians = medians_of(bench, &sizes);
  if (sizes.empty()) {
    return {};
  }
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
