// SPDX-License-Identifier: MIT
#include "tests/isa/runner/object_file.h"

#include <elf.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <span>

namespace kfdlab::isa_cases {
namespace {

class Elf {
 public:
  explicit Elf(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  // False: not an object of this kind, or cut off.
  bool read(ObjectFile& out) {
    Elf64_Ehdr header;
    if (!get(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return false;
    for (unsigned i = 0; i < header.e_shnum; i++) {
      Elf64_Shdr section;
      if (!get(header.e_shoff + i * sizeof section, section)) return false;
      if (section.sh_type == SHT_PROGBITS && (section.sh_flags & SHF_EXECINSTR) != 0) text_section_ = i;
      sections_.push_back(section);
    }
    for (const Elf64_Shdr& section : sections_) {
      if (section.sh_type == SHT_SYMTAB && !read_labels(section, out)) return false;
    }
    if (text_section_ >= sections_.size()) return false;
    const Elf64_Shdr& text = sections_[text_section_];
    if (!inside(text)) return false;
    out.text.assign(bytes_.begin() + static_cast<std::ptrdiff_t>(text.sh_offset),
                    bytes_.begin() + static_cast<std::ptrdiff_t>(text.sh_offset + text.sh_size));
    return true;
  }

 private:
  template <typename T>
  bool get(std::uint64_t offset, T& value) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof value) return false;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return true;
  }
  bool inside(const Elf64_Shdr& section) const {
    return section.sh_offset <= bytes_.size() && section.sh_size <= bytes_.size() - section.sh_offset;
  }
  bool read_labels(const Elf64_Shdr& table, ObjectFile& out) const {
    if (table.sh_link >= sections_.size() || !inside(table) || !inside(sections_[table.sh_link])) return false;
    const Elf64_Shdr& strings = sections_[table.sh_link];
    for (std::uint64_t at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      if (!get(table.sh_offset + at, symbol) || symbol.st_name >= strings.sh_size) return false;
      if (symbol.st_shndx != text_section_ || symbol.st_name == 0) continue;
      const auto* name = reinterpret_cast<const char*>(bytes_.data()) + strings.sh_offset + symbol.st_name;
      out.labels[std::string(name, strnlen(name, strings.sh_size - symbol.st_name))] = symbol.st_value;
    }
    return true;
  }

  std::vector<std::byte> bytes_;
  std::vector<Elf64_Shdr> sections_;
  unsigned text_section_ = ~0u;
};

}  // namespace

ObjectFile read_object_file(const std::filesystem::path& path) {
  ObjectFile object;
  std::ifstream stream(path, std::ios::binary);
  std::vector<char> chars{std::istreambuf_iterator<char>(stream), {}};
  const auto bytes = std::as_bytes(std::span(chars));
  if (!Elf({bytes.begin(), bytes.end()}).read(object)) object.error = path.string() + " is no object with code";
  return object;
}

}  // namespace kfdlab::isa_cases
