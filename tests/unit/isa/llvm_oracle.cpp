// SPDX-License-Identifier: MIT
#include "tests/unit/isa/llvm_oracle.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <sstream>

extern char** environ;

namespace kfdlab::isa {
namespace {

// Each input line is: s_mov_b32 s0, <line number>; the instruction; s_nop to catch up after an invalid word. Warnings
// carry the number of the line.
constexpr std::uint32_t kMarker = 0xbe8000ff;
constexpr std::uint32_t kMarkerBase = 0x5a000000;
constexpr std::uint32_t kNop = 0xbf800000;
// Of the first byte of the instruction, counted from 1: eight bytes of "0x12 " precede it.
constexpr unsigned kColumn = 41;

class Memfd {
 public:
  explicit Memfd(const char* name) : fd_(memfd_create(name, 0)) {}
  ~Memfd() { close(fd_); }
  Memfd(const Memfd&) = delete;
  Memfd& operator=(const Memfd&) = delete;
  int fd() const { return fd_; }
  bool write(const std::string& text) const {
    return pwrite(fd_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
  }
  std::string read() const {
    std::string text(static_cast<std::size_t>(lseek(fd_, 0, SEEK_END)), '\0');
    const ssize_t size = pread(fd_, text.data(), text.size(), 0);
    text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return text;
  }

 private:
  int fd_;
};

void append_word(std::string& text, std::uint32_t word) {
  for (unsigned i = 0; i < 4; i++) text += fmt::format("0x{:02x} ", word >> (8 * i) & 0xff);
}

std::string input_text(const std::vector<std::uint32_t>* first, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; i++) {
    append_word(text, kMarker);
    append_word(text, kMarkerBase + static_cast<std::uint32_t>(i));
    for (const std::uint32_t word : first[i]) append_word(text, word);
    for (unsigned n = 0; n < 4; n++) append_word(text, kNop);
    text += '\n';
  }
  return text;
}

// Runs the program to its end; false when it died of a signal.
bool run(const std::string& program, int in, int out, int err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  std::array<std::string, 4> arguments = {program, "-arch=amdgcn", "-mcpu=gfx90a", "-disassemble"};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), arguments[3].data(), nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  return error == 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status);
}

void parse_output(const std::string& output, std::size_t count, OracleAnswer* answers) {
  std::istringstream lines(output);
  std::string line;
  std::size_t expected = count;
  while (std::getline(lines, line)) {
    unsigned marker = 0;
    if (std::sscanf(line.c_str(), " s_mov_b32 s0, 0x%x", &marker) == 1 && marker >= kMarkerBase &&
        marker - kMarkerBase < count) {
      expected = marker - kMarkerBase;
      continue;
    }
    if (expected == count || line.find("//") == 0) continue;
    answers[expected] = {OracleAnswer::Kind::Text, line.substr(0, line.find("//"))};
    expected = count;
  }
}

// Warnings start with file:line:column.
void parse_warnings(const std::string& errors, std::size_t count, OracleAnswer* answers) {
  std::istringstream lines(errors);
  std::string line;
  while (std::getline(lines, line)) {
    unsigned number = 0;
    unsigned column = 0;
    if (line.find("invalid instruction encoding") == std::string::npos) continue;
    if (std::sscanf(line.c_str(), "<stdin>:%u:%u:", &number, &column) != 2 || column != kColumn || number == 0 ||
        number > count)
      continue;
    answers[number - 1] = {};
  }
}

}  // namespace

std::optional<LlvmOracle> LlvmOracle::find(std::string& reason) {
  const std::string program = KFDLAB_LLVM_MC;
  if (!program.empty() && access(program.c_str(), X_OK) == 0) return LlvmOracle(program);
  reason = "no llvm-mc with AMDGPU (package llvm-15)";
  return std::nullopt;
}

bool LlvmOracle::batch(const std::vector<std::uint32_t>* first, std::size_t count, OracleAnswer* answers) const {
  const Memfd in("words");
  const Memfd out("assembly");
  const Memfd err("warnings");
  if (!in.write(input_text(first, count)) || !run(program_, in.fd(), out.fd(), err.fd())) return false;
  parse_output(out.read(), count, answers);
  parse_warnings(err.read(), count, answers);
  return true;
}

void LlvmOracle::ask(const std::vector<std::uint32_t>* first, std::size_t count, OracleAnswer* answers) const {
  if (batch(first, count, answers)) return;
  if (count == 1) {
    answers[0] = {OracleAnswer::Kind::Died, ""};
    return;
  }
  ask(first, count / 2, answers);
  ask(first + count / 2, count - count / 2, answers + count / 2);
}

std::vector<OracleAnswer> LlvmOracle::disassemble(const std::vector<std::vector<std::uint32_t>>& instructions) const {
  std::vector<OracleAnswer> answers(instructions.size());
  if (!instructions.empty()) ask(instructions.data(), instructions.size(), answers.data());
  return answers;
}

}  // namespace kfdlab::isa
