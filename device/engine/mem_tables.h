// SPDX-License-Identifier: MIT
// The files of memory handlers, each of which adds its mnemonics to a table. Only for files compiled per instruction
// set.
#pragma once

#include "device/engine/lower.h"
#include "device/engine/simd.h"

namespace kfdlab::engine {

void add_global_sync(LowerTable& table);  // gws.cpp; needs no vector extension

}  // namespace kfdlab::engine

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

// A VGPR or AGPR tuple of at least that many registers: what lowering has checked then covers all a handler touches.
inline bool is_tuple(const isa::Operand& operand, unsigned dwords) {
  return operand.is_vector() && operand.dwords >= dwords;
}

void add_global(LowerTable& table);
void add_global_atomics(LowerTable& table);
void add_buffer(LowerTable& table);
void add_buffer_atomics(LowerTable& table);
void add_buffer_lds(LowerTable& table);
void add_typed_buffer(LowerTable& table);
void add_images(LowerTable& table);
void add_lds(LowerTable& table);
void add_lds_atomics(LowerTable& table);
void add_lds_lanes(LowerTable& table);
void add_scalar_memory(LowerTable& table);
void add_scratch(LowerTable& table);

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
