// SPDX-License-Identifier: MIT
// The framed protocol between the launcher and the guest agent, spoken on the virtio-serial port
// org.kfdlab.agent. Both ends are built from this file, in one build, for one machine: the version in Hello
// only catches a stale kfdlab-guest.
//
// A frame is a header of two little-endian 32-bit words, type and payload length, and the payload. One command
// runs at a time.
//
//   launcher -> agent                              agent -> launcher
//   Exec        ExecRequest: start a command       Hello        u32 version, string boot trouble ("" = none)
//   Stdin       bytes for the command              StdinTaken   u32 bytes taken from the launcher's credit
//   StdinEof    no more of them                    Stdout, Stderr, Results   bytes from the command
//   Window      u32 rows, u32 columns              Exit         u32 status: 0..255, or 128 + signal
//   Signal      u32 number, to the process group   Discarded    strings: paths changed in the overlay
//   SysRq       u8 keys, in order                  SysRqDone    the keys were handled
//   ListChanges ask for Discarded
//   PowerOff    sync, then off
//
// Flow control: the launcher has kStdinCredit bytes on loan for Stdin; the agent gives them back as the command
// (or the bin, once its stdin is closed) takes them, so a command that does not read never delays a Signal. The
// agent reads the command's pipes only while little is queued for the port, so nothing is ever dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kfdlab::protocol {

inline constexpr std::uint32_t kVersion = 1;
inline constexpr const char* kAgentPort = "org.kfdlab.agent";
inline constexpr const char* kDevicePort = "org.kfdlab.device";
inline constexpr const char* kConfigPath = "/kfdlab.conf";

inline constexpr std::size_t kHeaderSize = 8;
inline constexpr std::size_t kMaxPayload = 4u << 20;  // a command line and environment fit
inline constexpr std::size_t kDataChunk = 32u << 10;  // largest payload of a data frame
inline constexpr std::size_t kStdinCredit = 256u << 10;

enum class Type : std::uint32_t {
  Hello = 1,
  Exec = 2,
  Stdin = 3,
  StdinEof = 4,
  StdinTaken = 5,
  Stdout = 6,
  Stderr = 7,
  Results = 8,
  Window = 9,
  Signal = 10,
  Exit = 11,
  SysRq = 12,
  SysRqDone = 13,
  ListChanges = 14,
  Discarded = 15,
  PowerOff = 16,
};

struct Frame {
  Type type{};
  std::string payload;
};

[[nodiscard]] std::string encode_frame(Type type, std::string_view payload = {});
[[nodiscard]] std::string encode_frame_u32(Type type, std::uint32_t value);

// Cuts a byte stream into frames, however it was split on its way.
class FrameReader {
 public:
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next whole frame, or nothing yet.
  [[nodiscard]] std::optional<Frame> next();
  // A header announced more than kMaxPayload: the stream is out of step and stays so.
  [[nodiscard]] bool broken() const { return broken_; }

 private:
  std::string buffer_;
  std::size_t used_ = 0;  // bytes of buffer_ already handed out
  bool broken_ = false;
};

// Payload fields: little-endian integers, strings as u32 length and bytes.
class PayloadWriter {
 public:
  void u32(std::uint32_t value);
  void u64(std::uint64_t value);
  void string(std::string_view value);
  void strings(const std::vector<std::string>& values);
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reading past the end yields zeros and clears ok(); the caller checks once, after the last field.
class PayloadReader {
 public:
  explicit PayloadReader(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] std::uint32_t u32();
  [[nodiscard]] std::uint64_t u64();
  [[nodiscard]] std::string string();
  [[nodiscard]] std::vector<std::string> strings();
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

struct Limit {
  std::uint32_t resource = 0;  // RLIMIT_*
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

struct ExecRequest {
  static constexpr std::uint32_t kPty = 1;        // stdin, stdout and stderr are one terminal
  static constexpr std::uint32_t kNullStdin = 2;  // stdin is /dev/null
  static constexpr std::uint32_t kResults = 4;    // descriptor 3 is the results stream

  std::uint32_t flags = 0;
  std::uint32_t uid = 0, gid = 0, umask = 022;
  std::uint32_t rows = 0, columns = 0;
  std::string cwd;
  std::vector<std::uint32_t> groups;
  std::vector<Limit> limits;
  std::vector<std::string> argv;
  std::vector<std::string> env;
};

[[nodiscard]] std::string encode_exec(const ExecRequest& request);
// Nothing when the payload is malformed or has no argv[0].
[[nodiscard]] std::optional<ExecRequest> decode_exec(std::string_view payload);

}  // namespace kfdlab::protocol
