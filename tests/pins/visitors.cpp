// SPDX-License-Identifier: MIT
// Every visitor: a row each.
#include "tests/pins/visitors.h"

#include <array>

namespace kfdlab::pins {
namespace {

constexpr std::array kVisitors = {
    // The disk reads what is in the pages, or writes there. FOLL_GET on 6.1, FOLL_PIN on 6.12.
    VisitorRow{.name = "direct_write", .make = make_direct_write, .shared = Shared::Copied, .shared_6_1 = Shared::Stay},
    VisitorRow{.name = "direct_read", .make = make_direct_read, .writes = true, .shared = Shared::Copied},
    // FOLL_PIN on both.
    VisitorRow{.name = "process_vm_readv", .make = make_process_vm_readv, .shared = Shared::Copied},
    VisitorRow{.name = "process_vm_writev", .make = make_process_vm_writev, .writes = true, .shared = Shared::Copied},
    VisitorRow{.name = "proc_mem_read", .make = make_proc_mem_read},
    VisitorRow{.name = "proc_mem_write", .make = make_proc_mem_write, .writes = true, .shared = Shared::Copied},
    VisitorRow{.name = "ptrace_peek", .make = make_ptrace_peek},
    VisitorRow{.name = "ptrace_poke", .make = make_ptrace_poke, .writes = true, .shared = Shared::Copied},
    // A futex that may be shared between processes is looked up by its page.
    VisitorRow{.name = "futex_shared", .make = make_futex, .writes = true, .shared = Shared::Copied},
    VisitorRow{.name = "vmsplice", .make = make_vmsplice},
    VisitorRow{.name = "msg_zerocopy", .make = make_zerocopy},
    VisitorRow{.name = "af_alg_hash", .make = make_crypto_hash, .shared = Shared::Copied, .shared_6_1 = Shared::Stay},
    VisitorRow{.name = "af_alg_cipher", .make = make_crypto_cipher, .writes = true, .shared = Shared::Copied},
    // A guest maps what the process maps, without holding it.
    VisitorRow{.name = "kvm_read", .make = make_kvm_read},
    VisitorRow{.name = "kvm_write", .make = make_kvm_write, .writes = true, .shared = Shared::Copied},
};

}  // namespace

std::span<const VisitorRow> all_visitors() { return kVisitors; }

}  // namespace kfdlab::pins
