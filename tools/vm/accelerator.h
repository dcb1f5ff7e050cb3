// SPDX-License-Identifier: MIT
// Whether KVM really runs a guest here. A present /dev/kvm proves nothing: nested or restricted hosts let it
// be opened and then hang. So a tiny guest is run against a short deadline, once per boot of the host.
#pragma once

#include <filesystem>
#include <string>

namespace kfdlab {

// "kvm" or "tcg". KFDLAB_ACCEL in the environment overrides the probe.
[[nodiscard]] std::string choose_accelerator(const std::filesystem::path& cache);

}  // namespace kfdlab
