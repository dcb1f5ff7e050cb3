// SPDX-License-Identifier: MIT
#include "tests/isa/runner/check.h"

#include <fmt/format.h>

#include <bit>
#include <cstdlib>

namespace kfdlab::isa_cases {
namespace {

constexpr std::size_t kMaxDifferences = 8;

bool is_vector(const Place& place) { return place.space == Space::Vgpr || place.space == Space::Agpr; }

// How many values a place takes, 0 for as many as there are.
std::size_t value_count(const Setting& setting) {
  if (is_vector(setting.place)) return kLanes;
  const bool memory = setting.place.space == Space::Lds || setting.place.space == Space::Memory;
  return memory ? setting.values.size() : 1;
}

// Dword `d` of value `i` of a place; null outside of the machine.
std::uint32_t* dword(State& state, const Place& place, std::size_t i, unsigned d) {
  const std::size_t index = place.first + d;
  switch (place.space) {
    case Space::Scalar:
      return index < state.scalar.size() ? &state.scalar[index] : nullptr;
    case Space::Scc:
      return &state.scc;
    case Space::Mode:
      return &state.mode;
    case Space::Vgpr:
      return index < kAccumulatorRow ? &state.rows[index][i] : nullptr;
    case Space::Agpr:
      return index < kAccumulatorRow ? &state.rows[kAccumulatorRow + index][i] : nullptr;
    case Space::Lds:
      return place.first / 4 + i < state.lds.size() ? &state.lds[place.first / 4 + i] : nullptr;
    case Space::Memory:
      return place.first / 4 + i < state.memory.size() ? &state.memory[place.first / 4 + i] : nullptr;
  }
  return nullptr;
}

std::string place_text(const Place& place, std::size_t i) {
  switch (place.space) {
    case Space::Scalar:
      return fmt::format("scalar register {}", place.first);
    case Space::Scc:
      return "scc";
    case Space::Mode:
      return "mode";
    case Space::Vgpr:
    case Space::Agpr:
      return fmt::format("{}{} lane {}", place.space == Space::Vgpr ? 'v' : 'a', place.first, i);
    case Space::Lds:
      return fmt::format("lds+{}", place.first + 4 * i);
    case Space::Memory:
      return fmt::format("mem+{}", place.first + 4 * i);
  }
  return "?";
}

std::string hex(const std::vector<std::uint32_t>& dwords) {
  std::string text;
  for (std::size_t i = dwords.size(); i-- > 0;) text += fmt::format("{:08x}", dwords[i]);
  return text;
}

const Value& value_at(const Setting& setting, std::size_t i) { return setting.values[i % setting.values.size()]; }

bool is_quiet_nan(const std::vector<std::uint32_t>& got) {
  if (got.size() == 1) return (got[0] & 0x7fc00000) == 0x7fc00000;
  return got.size() == 2 && (got[1] & 0x7ff80000) == 0x7ff80000;
}

// Distance in units of the last place; floats of one sign order like integers.
std::uint64_t ulps(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  const auto key = [](const std::vector<std::uint32_t>& bits) {
    const std::uint64_t raw = bits.size() == 1 ? std::uint64_t{bits[0]} << 32 : std::uint64_t{bits[1]} << 32 | bits[0];
    const auto magnitude = static_cast<std::int64_t>((raw & ~(std::uint64_t{1} << 63)) >> (bits.size() == 1 ? 32 : 0));
    return raw >> 63 != 0 ? -magnitude : magnitude;
  };
  return static_cast<std::uint64_t>(std::llabs(key(a) - key(b)));
}

bool matches(const Value& want, const std::vector<std::uint32_t>& got, unsigned ulp) {
  switch (want.kind) {
    case Value::Kind::Number:
      return want.dwords == got || (ulp != 0 && got.size() <= 2 && ulps(want.dwords, got) <= ulp);
    case Value::Kind::Address: {
      const std::uint64_t address = kMemoryVa + want.offset;
      return got.size() == 2 && got[0] == static_cast<std::uint32_t>(address) && got[1] == address >> 32;
    }
    case Value::Kind::Nan:
      return is_quiet_nan(got);
    case Value::Kind::Nan16:
      return got.size() == 1 && (got[0] & 0xffff7e00) == 0x7e00;
    default:
      return true;
  }
}

std::string want_text(const Value& want) {
  switch (want.kind) {
    case Value::Kind::Number:
      return hex(want.dwords);
    case Value::Kind::Nan:
    case Value::Kind::Nan16:
      return "a quiet NaN";
    default:
      return "an address";
  }
}

// Compares one `out` and makes its places in `expected` equal to `after`: they are dealt with.
void check_setting(const Setting& setting, State& expected, State& after, std::vector<std::string>& out) {
  for (std::size_t i = 0; i < value_count(setting); i++) {
    const Value& want = value_at(setting, i);
    if (want.kind == Value::Kind::Unchanged) continue;
    std::vector<std::uint32_t> got;
    for (unsigned d = 0; d < setting.place.dwords; d++) {
      std::uint32_t* to = dword(expected, setting.place, i, d);
      const std::uint32_t* from = dword(after, setting.place, i, d);
      if (to == nullptr || from == nullptr) {
        out.push_back(fmt::format("line {}: no such place", setting.line));
        return;
      }
      *to = *from;
      got.push_back(*from);
    }
    if (!matches(want, got, setting.ulp)) {
      out.push_back(fmt::format("line {}: {} is {}, not {}", setting.line, place_text(setting.place, i), hex(got),
                                want_text(want)));
    }
  }
}

void check_untouched(const State& expected, const State& after, std::vector<std::string>& out) {
  const auto changed = [&out](const std::string& what, std::uint32_t from, std::uint32_t to) {
    if (from != to) out.push_back(fmt::format("{} changed from {:08x} to {:08x}", what, from, to));
  };
  for (unsigned i = 0; i < after.scalar.size(); i++) {
    changed(fmt::format("scalar register {}", i), expected.scalar[i], after.scalar[i]);
  }
  changed("scc", expected.scc, after.scc);
  changed("mode", expected.mode, after.mode);
  for (unsigned row = 0; row < after.rows.size() && out.size() < kMaxDifferences; row++) {
    if (expected.rows[row] == after.rows[row]) continue;
    for (unsigned lane = 0; lane < kLanes; lane++) {
      changed(fmt::format("row {} lane {}", row, lane), expected.rows[row][lane], after.rows[row][lane]);
    }
  }
  for (std::size_t i = 0; i < after.lds.size() && out.size() < kMaxDifferences; i++) {
    if (expected.lds[i] != after.lds[i]) changed(fmt::format("lds+{}", 4 * i), expected.lds[i], after.lds[i]);
  }
  for (std::size_t i = 0; i < after.memory.size() && out.size() < kMaxDifferences; i++) {
    if (expected.memory[i] != after.memory[i])
      changed(fmt::format("mem+{}", 4 * i), expected.memory[i], after.memory[i]);
  }
}

}  // namespace

std::string apply_inputs(const Case& c, State& state) {
  for (const Setting& setting : c.in) {
    if (setting.values.empty()) return fmt::format("line {}: no values", setting.line);
    for (std::size_t i = 0; i < value_count(setting); i++) {
      const Value& value = value_at(setting, i);
      const std::uint64_t address = kMemoryVa + value.offset;
      for (unsigned d = 0; d < setting.place.dwords; d++) {
        std::uint32_t* to = dword(state, setting.place, i, d);
        if (to == nullptr) return fmt::format("line {}: no such place", setting.line);
        if (value.kind == Value::Kind::Number) *to = value.dwords[d];
        if (value.kind == Value::Kind::Address) *to = static_cast<std::uint32_t>(d == 0 ? address : address >> 32);
      }
    }
  }
  return "";
}

std::vector<std::string> differences(const Case& c, const State& before, const State& after) {
  std::vector<std::string> out;
  State expected = before;
  State got = after;
  for (const Setting& setting : c.out) {
    if (setting.values.empty()) {
      out.push_back(fmt::format("line {}: no values", setting.line));
    } else {
      check_setting(setting, expected, got, out);
    }
  }
  check_untouched(expected, after, out);
  if (out.size() > kMaxDifferences) out.resize(kMaxDifferences);
  return out;
}

}  // namespace kfdlab::isa_cases
