// SPDX-License-Identifier: MIT
// Prints docs/page-states.md.
#include <cstdio>

#include "tests/states/states.h"

int main() { return std::fputs(kfdlab::states::table_page().c_str(), stdout) < 0 ? 1 : 0; }
