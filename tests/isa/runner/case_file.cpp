// SPDX-License-Identifier: MIT
#include "tests/isa/runner/case_file.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>

#include "device/isa/inst.h"

namespace kfdlab::isa_cases {
namespace {

using isa::kExecLo;
using isa::kFlatScratchLo;
using isa::kM0;
using isa::kTtmp0;
using isa::kVccLo;
using isa::kXnackMaskLo;

struct NamedPlace {
  const char* name;
  Place place;
};

constexpr NamedPlace kNamed[] = {
    {"vcc", {Space::Scalar, kVccLo, 2}},
    {"exec", {Space::Scalar, kExecLo, 2}},
    {"m0", {Space::Scalar, kM0, 1}},
    {"flat_scratch", {Space::Scalar, kFlatScratchLo, 2}},
    {"xnack_mask", {Space::Scalar, kXnackMaskLo, 2}},
    {"scc", {Space::Scc, 0, 1}},
    {"mode", {Space::Mode, 0, 1}},
};

std::optional<Place> parse_place(const std::string& text) {
  for (const NamedPlace& named : kNamed) {
    if (text == named.name) return named.place;
  }
  unsigned first = 0;
  unsigned last = 0;
  char file = 0;
  if (std::sscanf(text.c_str(), "lds+%u", &first) == 1) return Place{Space::Lds, first, 1};
  if (std::sscanf(text.c_str(), "mem+%u", &first) == 1) return Place{Space::Memory, first, 1};
  if (std::sscanf(text.c_str(), "ttmp%u", &first) == 1) return Place{Space::Scalar, kTtmp0 + first, 1};
  if (std::sscanf(text.c_str(), "%c[%u:%u]", &file, &first, &last) != 3) {
    if (std::sscanf(text.c_str(), "%c%u", &file, &first) != 2) return std::nullopt;
    last = first;
  }
  if (last < first || last > 255) return std::nullopt;
  const unsigned dwords = last - first + 1;
  switch (file) {
    case 's':
      return Place{Space::Scalar, first, dwords};
    case 'v':
      return Place{Space::Vgpr, first, dwords};
    case 'a':
      return Place{Space::Agpr, first, dwords};
    default:
      return std::nullopt;
  }
}

std::optional<Value> parse_number(const std::string& text, unsigned dwords) {
  Value value;
  value.dwords.assign(dwords, 0);
  if (text.empty() || text.size() > dwords * 8) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); i++) {
    const char c = text[text.size() - 1 - i];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    value.dwords[i / 8] |= static_cast<std::uint32_t>(digit) << (4 * (i % 8));
  }
  return value;
}

std::optional<Value> parse_value(const std::string& text, unsigned dwords) {
  Value value;
  if (text == "-") value.kind = Value::Kind::Unchanged;
  if (text == "?") value.kind = Value::Kind::Any;
  if (text == "nan") value.kind = Value::Kind::Nan;
  if (text == "nan16") value.kind = Value::Kind::Nan16;
  if (std::sscanf(text.c_str(), "mem+%lu", &value.offset) == 1) value.kind = Value::Kind::Address;
  return value.kind != Value::Kind::Number ? value : parse_number(text, dwords);
}

// Appends the words of a line to the values; false if one cannot be read.
bool parse_values(std::istringstream& words, Setting& setting) {
  std::string word;
  while (words >> word) {
    unsigned count = 1;
    const auto star = word.find('*');
    if (star != std::string::npos && std::sscanf(word.c_str() + star, "*%u", &count) != 1) return false;
    const std::optional<Value> value = parse_value(word.substr(0, star), setting.place.dwords);
    if (!value || count > 4096) return false;
    setting.values.insert(setting.values.end(), count, *value);
  }
  return true;
}

bool parse_setting(std::istringstream& words, Setting& setting) {
  std::string word;
  if (!(words >> word)) return false;
  const std::optional<Place> place = parse_place(word);
  if (!place || !(words >> word)) return false;
  setting.place = *place;
  if (word == "ulp" && !(words >> setting.ulp >> word)) return false;
  return word == "=" && parse_values(words, setting);
}

class Parser {
 public:
  explicit Parser(CaseFile& file) : file_(file) {}

  // False: the line cannot be read.
  bool line(const std::string& text, unsigned number) {
    if (!text.starts_with(";")) {
      open_ = nullptr;
      return true;
    }
    std::istringstream words(text.substr(1));
    if (open_ != nullptr && text.starts_with(";   ")) return parse_values(words, *open_);
    open_ = nullptr;
    std::string what;
    words >> what;
    if (what == "case") {
      file_.cases.emplace_back();
      return static_cast<bool>(words >> file_.cases.back().name);
    }
    if (what != "in" && what != "out") return true;  // a comment
    if (file_.cases.empty()) return false;
    auto& list = what == "in" ? file_.cases.back().in : file_.cases.back().out;
    list.emplace_back();
    open_ = &list.back();
    open_->line = number;
    return parse_setting(words, *open_);
  }

 private:
  CaseFile& file_;
  Setting* open_ = nullptr;
};

}  // namespace

CaseFile read_case_file(const std::filesystem::path& path) {
  CaseFile file;
  file.mnemonic = path.stem();
  std::ifstream stream(path);
  Parser parser(file);
  std::string text;
  unsigned number = 0;
  while (std::getline(stream, text)) {
    number++;
    if (!parser.line(text, number)) {
      file.error = fmt::format("{}:{}: cannot be read", path.filename().string(), number);
      return file;
    }
  }
  if (file.cases.empty()) file.error = path.filename().string() + ": no case";
  return file;
}

}  // namespace kfdlab::isa_cases
