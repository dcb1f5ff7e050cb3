// SPDX-License-Identifier: MIT
#include "device/engine/mem_tables.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

void add_memory(LowerTable& table) {
  add_global(table);
  add_global_atomics(table);
  add_buffer(table);
  add_buffer_atomics(table);
  add_buffer_lds(table);
  add_typed_buffer(table);
  add_images(table);
  add_lds(table);
  add_lds_atomics(table);
  add_lds_lanes(table);
  add_scalar_memory(table);
  add_scratch(table);
  add_global_sync(table);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
