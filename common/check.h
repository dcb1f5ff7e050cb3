// SPDX-License-Identifier: MIT
// KFDLAB_CHECK: a broken invariant of our own stops the process, in release builds too. Never for anything a
// guest or a user can cause.
#pragma once

#include <cstdio>
#include <cstdlib>

#define KFDLAB_CHECK(condition)                                                                \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      std::fprintf(stderr, "kfdlab: %s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                            \
    }                                                                                          \
  } while (false)
