// SPDX-License-Identifier: MIT
// Names of instructions.
#include "device/isa/inst.h"

#include <cstddef>

namespace kfdlab::isa {
namespace {

constexpr std::array kNames = {
#define KFDLAB_MNEMONIC(name) #name,
#include "device/isa/mnemonics.inc"
#undef KFDLAB_MNEMONIC
};
static_assert(kNames.size() == static_cast<std::size_t>(Op::kCount));

}  // namespace

const char* name(Op op) {
  const auto index = static_cast<std::size_t>(op);
  return index < kNames.size() ? kNames[index] : "?";
}

}  // namespace kfdlab::isa
