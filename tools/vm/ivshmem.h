// SPDX-License-Identifier: MIT
// The server's half of the ivshmem protocol, as QEMU's ivshmem-doorbell expects it on its socket: protocol
// version, the client's own peer number, -1 with the shared memory, then one message per eventfd, with the
// number of the peer it rings. (QEMU: docs/specs/ivshmem-spec.txt, "Client-Server protocol".) Our peers never
// change, so the whole conversation is said at once, before QEMU starts; the socket then only has to stay open.
#pragma once

#include <span>

#include "common/result.h"

namespace kfdlab {

// `kick` ring the device (KFDLAB_KICK_*), `irq` are the guest's MSI-X vectors (KFDLAB_IRQ_*).
[[nodiscard]] Status send_ivshmem_handshake(int socket, int shared_memory, std::span<const int> kick,
                                            std::span<const int> irq);

}  // namespace kfdlab
