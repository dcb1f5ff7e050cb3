// SPDX-License-Identifier: MIT
// Parts of add_salu(): branches, calls, messages, hardware registers.
#pragma once

#include "device/engine/lower.h"

namespace kfdlab::engine {

void add_salu_control(LowerTable& table);
void add_salu_registers(LowerTable& table);

}  // namespace kfdlab::engine
