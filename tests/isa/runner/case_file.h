// SPDX-License-Identifier: MIT
// Files of tests/isa/cases: assembly of one instruction whose comments say what goes in and what comes out.
//
//   ; case NAME            starts a case; its code is the assembly up to the next one and ends with s_endpgm
//   ; in PLACE = VALUES    state before; what is not named holds a pattern of its own place
//   ; out PLACE = VALUES   state after; what is not named must be as before
//   ; out PLACE ulp N = VALUES   floating point values (their width tells the format) may be N units away
//   ;   VALUES             goes on with the line above
//
// PLACE: s3, s[4:7], ttmp2, vcc, exec, m0, flat_scratch, xnack_mask, scc, mode; v3, v[4:5], a[0:3]; lds+BYTES,
// mem+BYTES (dwords of memory; BYTES decimal).
// VALUES: hexadecimal numbers of the place's width, one for scalars, up to 64 for vectors (one per lane, fewer repeat
// from the start), any number of dwords for memory. VALUE*N repeats. `-` in an `out` is a value that must not change.
// `nan` is any quiet NaN of the place's width (32 or 64 bits), `nan16` one of 16 bits with zeros above, `?` anything.
// `mem+BYTES` is an address in the memory.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kfdlab::isa_cases {

enum class Space : std::uint8_t { Scalar, Scc, Mode, Vgpr, Agpr, Lds, Memory };

struct Place {
  Space space = Space::Scalar;
  unsigned first = 0;   // register, or byte
  unsigned dwords = 1;  // of one value
};

struct Value {
  enum class Kind : std::uint8_t { Number, Address, Unchanged, Any, Nan, Nan16 };
  Kind kind = Kind::Number;
  std::vector<std::uint32_t> dwords;  // Number: low first
  std::uint64_t offset = 0;           // Address: into the memory
};

struct Setting {
  Place place;
  std::vector<Value> values;
  unsigned ulp = 0;
  unsigned line = 0;
};

struct Case {
  std::string name;  // also the label of its code: FILE.NAME
  std::vector<Setting> in;
  std::vector<Setting> out;
};

struct CaseFile {
  std::string mnemonic;  // the file's name
  std::vector<Case> cases;
  std::string error;  // what of the file cannot be read; empty when good
};

[[nodiscard]] CaseFile read_case_file(const std::filesystem::path& path);

}  // namespace kfdlab::isa_cases
