// SPDX-License-Identifier: MIT
// A request to stop everything, made by a signal: every wait of the launcher (helpers, boot, guest commands)
// polls interrupt_fd() and then fails in the ordinary way, so that destructors clean up.
#pragma once

namespace kfdlab {

// Readable from the request on, for the rest of the process.
[[nodiscard]] int interrupt_fd();
[[nodiscard]] bool interrupted();
// From any thread.
void request_interrupt();

}  // namespace kfdlab
