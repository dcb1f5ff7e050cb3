// SPDX-License-Identifier: MIT
// The initramfs of a VM: the agent, the modules it loads and its configuration.
//
// The configuration (protocol::kConfigPath) is lines of a keyword and the rest of the line:
//   early NAME [PARAMETERS]   module of /modules to load before the root is mounted, in order
//   late NAME [PARAMETERS]    module to load once the guest is set up, in order
//   release R                 kernel release
//   modules PATH              host path of the release's module tree
//   writable TAG PATH         9p tag of a host directory the guest may write
//   compile_cache_tag TAG     9p tag of what the compile cache keeps
//   compile_cache_library PATH, compile_cache_real PATH   what stands in for what
//   hostname NAME
//   render GID, video GID     groups of the GPU's device nodes
#pragma once

#include "common/fd.h"
#include "common/result.h"
#include "tools/vm/guest_modules.h"
#include "tools/vm/vm.h"

namespace kfdlab {

[[nodiscard]] std::string guest_config(const VmOptions& options, const GuestModules& modules);
// A memory file with the whole initramfs.
[[nodiscard]] Result<Fd> build_guest_image(const VmOptions& options, const GuestModules& modules);

}  // namespace kfdlab
