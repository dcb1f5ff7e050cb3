// SPDX-License-Identifier: MIT
#include "tests/unit/engine/support/assembler.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "common/check.h"

namespace kfdlab::engine {
namespace {

std::string tool() {
  for (const char* path : {"/usr/bin/llvm-mc", "/usr/bin/llvm-mc-15", "/usr/bin/llvm-mc-14"}) {
    if (access(path, X_OK) == 0) {
      return path;
    }
  }
  return "";
}

class TemporaryFile {
 public:
  TemporaryFile() {
    const int fd = mkstemp(path_.data());
    KFDLAB_CHECK(fd >= 0);
    close(fd);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { unlink(path_.data()); }
  [[nodiscard]] const char* path() const { return path_.data(); }

 private:
  std::array<char, 24> path_{"/tmp/kfdlab-asm-XXXXXX"};
};

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::uint32_t> text_section(const std::string& object) {
  Elf64_Ehdr header{};
  KFDLAB_CHECK(object.size() >= sizeof header);
  std::memcpy(&header, object.data(), sizeof header);
  const auto section = [&](unsigned index) {
    Elf64_Shdr found{};
    std::memcpy(&found, object.data() + header.e_shoff + index * sizeof found, sizeof found);
    return found;
  };
  const Elf64_Shdr names = section(header.e_shstrndx);
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr each = section(i);
    if (std::strcmp(object.data() + names.sh_offset + each.sh_name, ".text") == 0) {
      std::vector<std::uint32_t> words(each.sh_size / 4);
      std::memcpy(words.data(), object.data() + each.sh_offset, words.size() * 4);
      return words;
    }
  }
  return {};
}

}  // namespace

std::optional<std::vector<std::uint32_t>> assemble(const std::string& source) {
  const std::string llvm_mc = tool();
  if (llvm_mc.empty()) {
    return std::nullopt;
  }
  const TemporaryFile input;
  const TemporaryFile output;
  const TemporaryFile errors;
  std::ofstream(input.path()) << source << '\n';
  const std::string command = llvm_mc + " -arch=amdgcn -mcpu=gfx90a -filetype=obj -o " + output.path() + " " +
                              input.path() + " 2>" + errors.path();
  const int status = std::system(command.c_str());
  if (status != 0) {
    const std::string message = read_file(errors.path());
    if (message.find("invalid target") != std::string::npos || message.find("unable to get target") != std::string::npos) {
      return std::nullopt;
    }
    ADD_FAILURE() << message;
    return std::vector<std::uint32_t>{};
  }
  return text_section(read_file(output.path()));
}

}  // namespace kfdlab::engine
