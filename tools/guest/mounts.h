// SPDX-License-Identifier: MIT
// The guest's file systems: the host's root, read-only, under an overlay in RAM, with the guest's own /proc,
// /sys, /dev and /run instead of the host's.
#pragma once

#include "common/fd.h"
#include "common/result.h"
#include "tools/guest/config.h"

namespace kfdlab::guest {

// /dev, /proc and /sys of the initramfs.
[[nodiscard]] Status mount_early();

// Both layers stay reachable through these after the root has been switched.
struct RootLayers {
  Fd lower;  // the host's root
  Fd upper;  // what the guest changed
};

// Everything below /root, the later root.
[[nodiscard]] Result<RootLayers> mount_root(const Config& config);
// /root becomes /.
[[nodiscard]] Status switch_root();

// Host name, loopback interface, limits; failures are tolerable and silent.
void set_up_environment(const Config& config);
// Group and mode that udev would give the GPU's device nodes. Cheap: repeated before each command, since nodes
// may appear late.
void set_device_groups(const Config& config);

}  // namespace kfdlab::guest
