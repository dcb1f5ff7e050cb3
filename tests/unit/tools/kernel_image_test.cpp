// SPDX-License-Identifier: MIT
#include "tools/kernels/kernel_image.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "tools/host/paths.h"
#include "tools/host/process.h"

namespace kfdlab {
namespace {

void store32(std::string& bytes, std::size_t offset, std::uint32_t value) {
  std::memcpy(bytes.data() + offset, &value, 4);
}

// A bzImage with `payload` behind one setup sector and the boot sector.
std::string image_with(const std::string& payload, std::uint32_t unpacked_size) {
  std::string image(2 * 512 + 16, '\0');
  image[0x1f1] = 1;
  image.replace(0x202, 4, "HdrS");
  store32(image, 0x248, 16);
  store32(image, 0x24c, static_cast<std::uint32_t>(payload.size() + 4));
  image += payload + std::string(4, '\0');
  store32(image, image.size() - 4, unpacked_size);
  return image;
}

class KernelImageTest : public testing::Test {
 protected:
  void SetUp() override {
    auto directory = TemporaryDirectory::create(std::filesystem::temp_directory_path());
    ASSERT_TRUE(directory.ok());
    directory_ = std::make_unique<TemporaryDirectory>(directory.take());
  }
  std::filesystem::path file(const std::string& name, const std::string& bytes) {
    std::ofstream(directory_->path() / name, std::ios::binary) << bytes;
    return directory_->path() / name;
  }
  std::unique_ptr<TemporaryDirectory> directory_;
};

TEST_F(KernelImageTest, FindsThePayloadByTheSetupHeader) {
  const std::string image = image_with("compressed", 77);
  const auto payload = find_payload(image);
  ASSERT_TRUE(payload);
  EXPECT_EQ(payload->data, "compressed");
  EXPECT_EQ(payload->unpacked_size, 77u);
}

TEST_F(KernelImageTest, RefusesWhatIsNoImageOrIsCutShort) {
  EXPECT_FALSE(find_payload(""));
  EXPECT_FALSE(find_payload(std::string(4096, 'x')));
  const std::string image = image_with("compressed", 77);
  for (std::size_t size = 0; size < image.size(); ++size) {
    EXPECT_FALSE(find_payload(std::string_view(image).substr(0, size))) << size;
  }
}

// The note that says where a PVH guest starts: sizes of name and value, type, name.
std::string pvh_note() { return {"\4\0\0\0\x8\0\0\0\x12\0\0\0Xen\0", 16}; }

TEST_F(KernelImageTest, UnpacksOnceAndKeepsTheBits) {
  const std::string kernel = std::string("\x7f") + "ELF" + std::string(100000, 'k') + pvh_note();
  const auto plain = file("plain", kernel);
  for (const char* program : {"xz", "gzip", "zstd"}) {
    const auto packed = run_helper({program, "-c", plain.string()});
    ASSERT_TRUE(packed.ok());
    const auto cache = directory_->path() / (std::string("cache-") + program);
    const auto image = file("vmlinuz", image_with(packed.value().out, static_cast<std::uint32_t>(kernel.size())));
    const auto first = unpacked_kernel(image, cache);
    EXPECT_EQ(first, cache / "vmlinux");
    EXPECT_EQ(read_file(first).value(), kernel);
    EXPECT_EQ(unpacked_kernel("/no/such/image", cache), first);
  }
}

TEST_F(KernelImageTest, LeavesAKernelWithoutPvhEntryInItsImage) {
  const std::string kernel = std::string("\x7f") + "ELF" + std::string(1000, 'k');
  const auto packed = run_helper({"xz", "-c", file("plain", kernel).string()});
  ASSERT_TRUE(packed.ok());
  const auto image = file("vmlinuz", image_with(packed.value().out, static_cast<std::uint32_t>(kernel.size())));
  EXPECT_EQ(unpacked_kernel(image, directory_->path() / "cache"), image);
}

TEST_F(KernelImageTest, ReadsTheReleaseFromTheSetupHeader) {
  std::string image = image_with("x", 1);
  EXPECT_FALSE(image_release(image));  // no version text
  image[0x20e] = '\x90';               // 0x290
  image.replace(0x290, 27, "6.12.1-mine (a@b) #1 SMP\0\0", 26);
  EXPECT_EQ(image_release(image), "6.12.1-mine");
  EXPECT_FALSE(image_release("no image"));
}

TEST_F(KernelImageTest, FallsBackToTheImageItself) {
  const auto unknown = file("unknown", image_with("plain text", 10));
  EXPECT_EQ(unpacked_kernel(unknown, directory_->path() / "cache"), unknown);
  const auto packed = run_helper({"sh", "-c", "printf '\\177ELFx' | xz -c"});
  ASSERT_TRUE(packed.ok());
  const auto wrong_size = file("wrong", image_with(packed.value().out, 6));
  EXPECT_EQ(unpacked_kernel(wrong_size, directory_->path() / "cache"), wrong_size);
}

}  // namespace
}  // namespace kfdlab
