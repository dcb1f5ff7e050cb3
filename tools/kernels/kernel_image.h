// SPDX-License-Identifier: MIT
// The kernel inside a bzImage. Under TCG the image's own decompressor costs one to three seconds of each boot,
// so it is done once, here, and QEMU starts the ELF image by its PVH entry (kernel option CONFIG_PVH). It is the
// same kernel, bit for bit; only its address is not randomised, which was the decompressor's work too.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace kfdlab {

// Where a bzImage keeps its compressed kernel (kernel source: Documentation/arch/x86/boot.rst, payload_offset and
// payload_length). `data` ends before the trailing length word, whose value is `unpacked_size`.
struct KernelPayload {
  std::string_view data;
  std::uint32_t unpacked_size = 0;
};
[[nodiscard]] std::optional<KernelPayload> find_payload(std::string_view image);

// uname -r of a bzImage: the first word of its version text (kernel_version in the setup header).
[[nodiscard]] std::optional<std::string> image_release(std::string_view image);

// The unpacked kernel of `image`, made in `directory` on first use; `image` itself when it cannot be unpacked
// (unknown compression, tool not installed) or has no PVH entry, which only costs time.
[[nodiscard]] std::filesystem::path unpacked_kernel(const std::filesystem::path& image,
                                                    const std::filesystem::path& directory);

}  // namespace kfdlab
