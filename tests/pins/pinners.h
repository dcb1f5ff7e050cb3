// SPDX-License-Identifier: MIT
// The makers of all pinners, by the file that has them.
#pragma once

#include "tests/pins/pinner.h"

namespace kfdlab::pins {

// pinner_gup.cpp
MadePinner make_gup_fast();
MadePinner make_gup_fast_read();
MadePinner make_gup_slow();
MadePinner make_gup_slow_read();
// pinner_uring.cpp
MadePinner make_uring_fixed();
MadePinner make_uring_ring();
// pinner_rdma.cpp
MadePinner make_rdma();
MadePinner make_rdma_read();
// pinner_v4l2.cpp
MadePinner make_v4l2();
// pinner_xdp.cpp
MadePinner make_xdp();

}  // namespace kfdlab::pins
