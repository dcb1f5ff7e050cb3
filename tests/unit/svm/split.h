// SPDX-License-Identifier: MIT
// The C header of the module under test, for C++.
#pragma once

extern "C" {
#include "kernel/amdkfd/pure/svm_split.h"
}
