// SPDX-License-Identifier: MIT
#include "tools/protocol.h"

#include <cstring>
#include <utility>

namespace kfdlab::protocol {
namespace {

template <typename T>
void append_le(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  }
}

template <typename T>
T load_le(std::string_view bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

template <typename T>
T take_le(std::string_view& rest, bool& ok) {
  if (rest.size() < sizeof(T)) {
    ok = false;
    rest = {};
    return 0;
  }
  const T value = load_le<T>(rest);
  rest.remove_prefix(sizeof(T));
  return value;
}

}  // namespace

std::string encode_frame(Type type, std::string_view payload) {
  std::string frame;
  frame.reserve(kHeaderSize + payload.size());
  append_le(frame, static_cast<std::uint32_t>(type));
  append_le(frame, static_cast<std::uint32_t>(payload.size()));
  frame.append(payload);
  return frame;
}

std::string encode_frame_u32(Type type, std::uint32_t value) {
  PayloadWriter payload;
  payload.u32(value);
  return encode_frame(type, payload.take());
}

std::optional<Frame> FrameReader::next() {
  const std::string_view rest = std::string_view(buffer_).substr(used_);
  if (broken_ || rest.size() < kHeaderSize) {
    return std::nullopt;
  }
  const auto length = load_le<std::uint32_t>(rest.substr(4));
  if (length > kMaxPayload) {
    broken_ = true;
    return std::nullopt;
  }
  if (rest.size() - kHeaderSize < length) {
    return std::nullopt;
  }
  Frame frame{static_cast<Type>(load_le<std::uint32_t>(rest)), std::string(rest.substr(kHeaderSize, length))};
  used_ += kHeaderSize + length;
  if (used_ == buffer_.size() || used_ > kMaxPayload) {
    buffer_.erase(0, used_);
    used_ = 0;
  }
  return frame;
}

void PayloadWriter::u32(std::uint32_t value) { append_le(bytes_, value); }
void PayloadWriter::u64(std::uint64_t value) { append_le(bytes_, value); }

void PayloadWriter::string(std::string_view value) {
  u32(static_cast<std::uint32_t>(value.size()));
  bytes_.append(value);
}

void PayloadWriter::strings(const std::vector<std::string>& values) {
  u32(static_cast<std::uint32_t>(values.size()));
  for (const auto& value : values) {
    string(value);
  }
}

std::uint32_t PayloadReader::u32() { return take_le<std::uint32_t>(rest_, ok_); }
std::uint64_t PayloadReader::u64() { return take_le<std::uint64_t>(rest_, ok_); }

std::string PayloadReader::string() {
  const std::uint32_t length = u32();
  if (length > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  std::string value(rest_.substr(0, length));
  rest_.remove_prefix(length);
  return value;
}

std::vector<std::string> PayloadReader::strings() {
  std::vector<std::string> values;
  for (std::uint32_t left = u32(); left > 0 && ok_; --left) {
    values.push_back(string());
  }
  return values;
}

std::string encode_exec(const ExecRequest& request) {
  PayloadWriter out;
  for (const std::uint32_t value :
       {request.flags, request.uid, request.gid, request.umask, request.rows, request.columns}) {
    out.u32(value);
  }
  out.string(request.cwd);
  out.u32(static_cast<std::uint32_t>(request.groups.size()));
  for (const std::uint32_t group : request.groups) {
    out.u32(group);
  }
  out.u32(static_cast<std::uint32_t>(request.limits.size()));
  for (const Limit& limit : request.limits) {
    out.u32(limit.resource);
    out.u64(limit.soft);
    out.u64(limit.hard);
  }
  out.strings(request.argv);
  out.strings(request.env);
  return out.take();
}

std::optional<ExecRequest> decode_exec(std::string_view payload) {
  PayloadReader in(payload);
  ExecRequest request;
  request.flags = in.u32();
  request.uid = in.u32();
  request.gid = in.u32();
  request.umask = in.u32();
  request.rows = in.u32();
  request.columns = in.u32();
  request.cwd = in.string();
  for (std::uint32_t left = in.u32(); left > 0 && in.ok(); --left) {
    request.groups.push_back(in.u32());
  }
  for (std::uint32_t left = in.u32(); left > 0 && in.ok(); --left) {
    const std::uint32_t resource = in.u32();
    const std::uint64_t soft = in.u64();
    const std::uint64_t hard = in.u64();
    request.limits.push_back({resource, soft, hard});
  }
  request.argv = in.strings();
  request.env = in.strings();
  if (!in.ok() || request.argv.empty()) {
    return std::nullopt;
  }
  return request;
}

}  // namespace kfdlab::protocol
