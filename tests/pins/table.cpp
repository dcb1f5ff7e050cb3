// SPDX-License-Identifier: MIT
// Every pinner: a row each.
#include <array>
#include <cerrno>

#include "tests/pins/pinners.h"

namespace kfdlab::pins {
namespace {

constexpr char kRxeRefuses[] = "rxe_reg_user_mr: returned err|rxe_mr_init_user: ";

constexpr std::array kPinners = {
    PinnerRow{.name = "gup_fast", .make = make_gup_fast, .road = Road::Fast, .read_only_memory = EFAULT},
    PinnerRow{.name = "gup_fast_read", .make = make_gup_fast_read, .road = Road::Fast, .stores = false},
    PinnerRow{.name = "gup_slow", .make = make_gup_slow, .read_only_memory = EFAULT},
    PinnerRow{.name = "gup_slow_read", .make = make_gup_slow_read, .stores = false},
    PinnerRow{.name = "io_uring_buffers",
              .make = make_uring_fixed,
              .road = Road::FastSince6_12,
              .charge = Charge::Pinned,
              .beyond_limit = ENOMEM,
              .read_only_memory = EFAULT},
    PinnerRow{.name = "io_uring_buffer_ring",
              .make = make_uring_ring,
              .road = Road::FastSince6_12,
              .stores = false,
              .read_only_memory = EFAULT},
    PinnerRow{.name = "rdma",
              .make = make_rdma,
              .road = Road::Fast,
              .charge = Charge::Pinned,
              .beyond_limit = ENOMEM,
              .read_only_memory = EFAULT,
              .refusal_line = kRxeRefuses},
    PinnerRow{.name = "rdma_read",
              .make = make_rdma_read,
              .road = Road::Fast,
              .stores = false,
              .charge = Charge::Pinned,
              .beyond_limit = ENOMEM,
              .refusal_line = kRxeRefuses},
    PinnerRow{.name = "af_xdp",
              .make = make_xdp,
              .charge = Charge::User,
              .beyond_limit = ENOBUFS,
              .read_only_memory = EFAULT},
    // On 6.1 with FOLL_FORCE, which PROT_READ does not stop. A picture fills 15 pages.
    PinnerRow{.name = "v4l2_userptr",
              .make = make_v4l2,
              .road = Road::Fast,
              .loads = false,
              .read_only_memory = EFAULT,
              .read_only_memory_6_1 = 0,
              .npages = 15},
};

}  // namespace

std::span<const PinnerRow> all_pinners() { return kPinners; }

}  // namespace kfdlab::pins
