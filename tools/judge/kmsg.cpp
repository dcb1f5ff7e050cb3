// SPDX-License-Identifier: MIT
#include "tools/judge/kmsg.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

namespace kfdlab::judge {
namespace {

// The next field of "a,b,c", without its comma.
std::string_view take_field(std::string_view* rest) {
  const std::size_t comma = rest->find(',');
  const std::string_view field = rest->substr(0, comma);
  rest->remove_prefix(comma == std::string_view::npos ? rest->size() : comma + 1);
  return field;
}

bool parse_number(std::string_view text, std::uint64_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::optional<KernelLine> parse_kmsg_record(std::string_view record) {
  const std::size_t semicolon = record.find(';');
  if (semicolon == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view head = record.substr(0, semicolon);
  std::string_view text = record.substr(semicolon + 1);
  text = text.substr(0, text.find('\n'));

  std::uint64_t prefix = 0;
  KernelLine line;
  if (!parse_number(take_field(&head), &prefix) || !parse_number(take_field(&head), &line.sequence) ||
      !parse_number(take_field(&head), &line.microseconds)) {
    return std::nullopt;
  }
  line.level = static_cast<int>(prefix & 7);  // the rest is the facility
  line.text = text;
  return line;
}

Result<KmsgReader> KmsgReader::open() {
  Fd fd(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) {
    return errno_error("/dev/kmsg cannot be read", errno);
  }
  return KmsgReader(std::move(fd));
}

std::vector<KernelLine> KmsgReader::read_new() {
  std::vector<KernelLine> lines;
  std::array<char, 8192> buffer;  // the kernel gives one record per read, at most CONSOLE_EXT_LOG_MAX bytes
  for (;;) {
    const ssize_t n = ::read(fd_.get(), buffer.data(), buffer.size());
    if (n < 0 && (errno == EPIPE || errno == EINTR)) {
      continue;  // EPIPE: records were overwritten; the gap in the numbers tells how many
    }
    if (n <= 0) {
      return lines;
    }
    auto line = parse_kmsg_record({buffer.data(), static_cast<std::size_t>(n)});
    if (!line) {
      continue;
    }
    if (any_read_ && line->sequence > next_) {
      lost_ += line->sequence - next_;
    }
    any_read_ = true;
    next_ = line->sequence + 1;
    lines.push_back(std::move(*line));
  }
}

}  // namespace kfdlab::judge
