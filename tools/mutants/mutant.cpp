// SPDX-License-Identifier: MIT
#include "tools/mutants/mutant.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <system_error>
#include <tuple>

#include "tools/host/paths.h"

namespace kfdlab::mutants {
namespace fs = std::filesystem;
namespace {

constexpr const char* kRooms[] = {"mm", "ttm", "amdkfd", "kfdlab-ttm", "device"};

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::vector<std::string> words(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<std::string> list;
  for (std::string word; stream >> word;) {
    list.push_back(word);
  }
  return list;
}

class Parser {
 public:
  explicit Parser(std::string_view text) { mutant_.text = text; }

  Result<Mutant> run() {
    std::string_view rest = mutant_.text;
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      ++line_;
      if (auto complaint = take_line(rest.substr(0, end))) {
        return Error{fmt::format("line {}: {}", line_, *complaint)};
      }
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    if (auto complaint = finish()) {
      return Error{*complaint};
    }
    return std::move(mutant_);
  }

 private:
  using Complaint = std::optional<std::string>;

  Complaint take_line(std::string_view line) {
    if (line.starts_with('|')) {
      if (block_ == nullptr) {
        return "a line of source outside before: and after:";
      }
      block_->append(block_->empty() && !block_begun_ ? "" : "\n").append(line.substr(1));
      block_begun_ = true;
      return std::nullopt;
    }
    if (trimmed(line).empty() || line.starts_with('#')) {
      return std::nullopt;
    }
    block_ = nullptr;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) {
      return "no 'key: value'";
    }
    return take_field(line.substr(0, colon), trimmed(line.substr(colon + 1)));
  }

  Complaint take_field(std::string_view key, std::string_view value) {
    const std::pair<std::string_view, std::string*> texts[] = {{"id", &mutant_.id},
                                                               {"title", &mutant_.title},
                                                               {"file", &mutant_.file},
                                                               {"function", &mutant_.function},
                                                               {"breaks", &mutant_.breaks},
                                                               {"spares", &mutant_.spares},
                                                               {"equivalent", &mutant_.equivalent}};
    for (const auto& [name, text] : texts) {
      if (key == name) {
        text->append(text->empty() ? "" : " ").append(value);  // said again it goes on
        return std::nullopt;
      }
    }
    if (key == "before" || key == "after") {
      block_ = key == "before" ? &mutant_.before : &mutant_.after;
      block_begun_ = false;
      return value.empty() ? Complaint{} : "source stands on the lines below, each behind a '|'";
    }
    if (key == "kernels") {
      mutant_.kernels = words(value);
      return std::nullopt;
    }
    if (key == "watch") {
      const auto list = words(value);
      if (list.size() != 2 || list[1].find('-') != std::string::npos) {
        return "watch: takes a suite and a GoogleTest pattern without negative part";
      }
      mutant_.watch.push_back({list[0], list[1]});
      return std::nullopt;
    }
    if (key == "room") {
      const auto found = std::find(std::begin(kRooms), std::end(kRooms), value);
      if (found == std::end(kRooms)) {
        return fmt::format("there is no room '{}'; there are {}", value, fmt::join(kRooms, ", "));
      }
      mutant_.room = static_cast<Room>(found - std::begin(kRooms));
      room_given_ = true;
      return std::nullopt;
    }
    return fmt::format("unknown field '{}'", key);
  }

  [[nodiscard]] Complaint finish() const {
    const std::pair<const char*, bool> wanted[] = {{"id", !mutant_.id.empty()},
                                                   {"title", !mutant_.title.empty()},
                                                   {"room", room_given_},
                                                   {"kernels", !mutant_.kernels.empty()},
                                                   {"file", !mutant_.file.empty()},
                                                   {"function", !mutant_.function.empty()},
                                                   {"breaks", !mutant_.breaks.empty()},
                                                   {"before", !mutant_.before.empty()},
                                                   {"watch", !mutant_.watch.empty() || !mutant_.equivalent.empty()}};
    for (const auto& [name, given] : wanted) {
      if (!given) {
        return fmt::format("it has no {}:", name);
      }
    }
    if (mutant_.before == mutant_.after) {
      return "before: and after: are the same";
    }
    return std::nullopt;
  }

  Mutant mutant_;
  std::string* block_ = nullptr;
  bool block_begun_ = false;
  bool room_given_ = false;
  unsigned line_ = 0;
};

bool matches_one(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) {
    return name.empty();
  }
  if (pattern.front() == '*') {
    return matches_one(pattern.substr(1), name) || (!name.empty() && matches_one(pattern, name.substr(1)));
  }
  return !name.empty() && (pattern.front() == '?' || pattern.front() == name.front()) &&
         matches_one(pattern.substr(1), name.substr(1));
}

}  // namespace

const char* to_string(Room room) { return kRooms[static_cast<unsigned>(room)]; }

bool Mutant::exists_on(std::string_view kernel) const {
  return std::find(kernels.begin(), kernels.end(), kernel) != kernels.end();
}

Result<Mutant> parse_mutant(const std::string& name, std::string_view text) {
  auto mutant = Parser(text).run();
  if (!mutant.ok()) {
    return Error{name + ": " + mutant.error().message};
  }
  return mutant;
}

Result<std::vector<Mutant>> load_mutants(const fs::path& directory) {
  std::vector<Mutant> list;
  std::error_code error;
  fs::recursive_directory_iterator it(directory, error);
  if (error) {
    return Error{fmt::format("there are no mutants in {}: {}", directory.string(), error.message())};
  }
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".mutant") {
      continue;
    }
    const auto text = read_file(it->path());
    KFDLAB_TRY(text);
    auto mutant = parse_mutant(it->path().string(), text.value());
    KFDLAB_TRY(mutant);
    list.push_back(mutant.take());
  }
  std::sort(list.begin(), list.end(),
            [](const Mutant& a, const Mutant& b) { return std::tie(a.room, a.id) < std::tie(b.room, b.id); });
  for (std::size_t i = 0; i + 1 < list.size(); ++i) {
    for (const std::string& kernel : list[i].kernels) {
      if (list[i].id == list[i + 1].id && list[i + 1].exists_on(kernel)) {
        return Error{fmt::format("{} has two mutants called {} on {}", directory.string(), list[i].id, kernel)};
      }
    }
  }
  return list;
}

bool matches(std::string_view patterns, std::string_view name) {
  while (!patterns.empty()) {
    const auto end = patterns.find(':');
    if (matches_one(patterns.substr(0, end), name)) {
      return true;
    }
    patterns.remove_prefix(end == std::string_view::npos ? patterns.size() : end + 1);
  }
  return false;
}

}  // namespace kfdlab::mutants
