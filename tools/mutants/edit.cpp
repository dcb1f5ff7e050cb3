// SPDX-License-Identifier: MIT
#include "tools/mutants/edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace kfdlab::mutants {
namespace {

constexpr auto kNone = std::string_view::npos;

// The source with comments, strings and character constants blanked, at the same offsets.
std::string code_only(std::string_view source) {
  std::string code(source);
  const auto blank = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      code[i] = code[i] == '\n' ? '\n' : ' ';
    }
    return end;
  };
  std::size_t i = 0;
  while (i < source.size()) {
    const char c = source[i];
    const auto rest = source.substr(i);
    if (rest.starts_with("//")) {
      i = blank(i, std::min(source.find('\n', i), source.size()));
    } else if (rest.starts_with("/*")) {
      const auto end = source.find("*/", i + 2);
      i = blank(i, end == kNone ? source.size() : end + 2);
    } else if (c == '"' || (c == '\'' && (i == 0 || std::isalnum(static_cast<unsigned char>(source[i - 1])) == 0))) {
      std::size_t end = i + 1;
      while (end < source.size() && source[end] != c && source[end] != '\n') {
        end += source[end] == '\\' ? 2 : 1;
      }
      i = blank(i, std::min(end + 1, source.size()));
    } else {
      ++i;
    }
  }
  return code;
}

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Behind the bracket that closes the one at `at`, or kNone.
std::size_t behind_bracket(std::string_view code, std::size_t at, char open, char close) {
  unsigned depth = 0;
  for (; at < code.size(); ++at) {
    depth += code[at] == open ? 1 : 0;
    if (code[at] == close && --depth == 0) {
      return at + 1;
    }
  }
  return kNone;
}

// The brace that opens the body of a function whose parameter list ends before `at`; kNone if it is a call or a
// declaration. In between may stand qualifiers and attributes, with arguments of their own.
std::size_t body_of(std::string_view code, std::size_t at) {
  while (at < code.size() && code[at] != '{') {
    if (code[at] == '(') {
      at = behind_bracket(code, at, '(', ')');
      continue;
    }
    if (!is_name_char(code[at]) && std::string_view(" \t\n:-><&*").find(code[at]) == kNone) {
      return kNone;
    }
    ++at;
  }
  return at < code.size() ? at : kNone;
}

}  // namespace

std::vector<Span> find_function(std::string_view source, std::string_view name) {
  const std::string code = code_only(source);
  std::vector<Span> spans;
  for (std::size_t at = code.find(name); at != kNone; at = code.find(name, at + 1)) {
    const std::size_t end = at + name.size();
    const std::size_t list = code.find_first_not_of(" \t\n", end);
    if ((at > 0 && is_name_char(code[at - 1])) || list == kNone || code[list] != '(') {
      continue;
    }
    const std::size_t behind = behind_bracket(code, list, '(', ')');
    const std::size_t body = behind == kNone ? kNone : body_of(code, behind);
    const std::size_t close = body == kNone ? kNone : behind_bracket(code, body, '{', '}');
    if (close != kNone) {
      spans.push_back({at == 0 ? 0 : code.rfind('\n', at) + 1, close});
      at = close - 1;
    }
  }
  return spans;
}

Result<std::string> apply_edit(std::string_view source, const Mutant& mutant) {
  const auto spans = find_function(source, mutant.function);
  if (spans.empty()) {
    return Error{fmt::format("{}: there is no function {} in {}", mutant.id, mutant.function, mutant.file)};
  }
  std::size_t found = 0;
  std::size_t count = 0;
  for (const Span& span : spans) {
    const auto body = source.substr(span.begin, span.end - span.begin);
    for (auto at = body.find(mutant.before); at != kNone; at = body.find(mutant.before, at + 1)) {
      found = span.begin + at;
      ++count;
    }
  }
  if (count != 1) {
    return Error{fmt::format("{}: the lines of before: stand {} times in {} of {}, not once; the source has changed",
                             mutant.id, count, mutant.function, mutant.file)};
  }
  std::size_t end = found + mutant.before.size();
  if (mutant.after.empty() && end < source.size() && source[end] == '\n') {
    ++end;  // lines that go take their line end along
  }
  std::string text(source.substr(0, found));
  return text.append(mutant.after).append(source.substr(end));
}

}  // namespace kfdlab::mutants
