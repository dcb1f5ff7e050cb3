// SPDX-License-Identifier: MIT
// The makers of all visitors, by the file that has them.
#pragma once

#include "tests/pins/visitor.h"

namespace kfdlab::pins {

// visitor_disk.cpp
MadeVisitor make_direct_read();
MadeVisitor make_direct_write();
// visitor_process.cpp
MadeVisitor make_process_vm_readv();
MadeVisitor make_process_vm_writev();
MadeVisitor make_proc_mem_read();
MadeVisitor make_proc_mem_write();
MadeVisitor make_ptrace_peek();
MadeVisitor make_ptrace_poke();
MadeVisitor make_futex();
// visitor_pipe.cpp
MadeVisitor make_vmsplice();
MadeVisitor make_zerocopy();
// visitor_crypto.cpp
MadeVisitor make_crypto_hash();
MadeVisitor make_crypto_cipher();
// visitor_kvm.cpp
MadeVisitor make_kvm_read();
MadeVisitor make_kvm_write();

}  // namespace kfdlab::pins
