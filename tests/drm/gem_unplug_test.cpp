// SPDX-License-Identifier: MIT
// The GPU goes away (its PCI function is removed) while files, mappings, dma-bufs and importers of its objects are
// there: whoever asks gets ENODEV, whoever touches gets SIGBUS, and when the last one lets go nothing is left.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/drm/gem_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSize = 1 << 20;
constexpr std::uint64_t kSeed = 0x0d1e;

class GemUnplug : public DrmTest {
 protected:
  void SetUp() override {
    DrmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    KFDLAB_NEEDS_ROOT();
    KFDLAB_NEEDS_NODE("/dev/kfdlab_test");
    device_ = resolve("/sys/dev/char/226:" + std::to_string(gpu().render_minor) + "/device");
    ASSERT_FALSE(device_.empty());
  }
  // Whatever happened, the next test finds the GPU.
  void TearDown() override {
    if (removed_) {
      plug();
    }
  }
  void unplug() {
    write(device_ + "/remove");
    removed_ = true;
  }
  void plug() {
    write("/sys/bus/pci/rescan");
    removed_ = false;
    EXPECT_TRUE(eventually([this] { return std::filesystem::exists(device_ + "/drm"); }));
  }

 private:
  static std::string resolve(const std::string& path) {
    char* real = ::realpath(path.c_str(), nullptr);
    const std::string text = real != nullptr ? real : "";
    std::free(real);
    return text;
  }
  static void write(const std::string& file) {
    std::ofstream stream(file);
    stream << 1 << std::flush;
    EXPECT_TRUE(stream.good()) << file;
  }

  std::string device_;
  bool removed_ = false;
};

int touch(const GemMapping& mapping) {
  Child child([&](Peer&) {
    (void)*static_cast<volatile std::byte*>(mapping.data());
    return 0;
  });
  return child.wait();
}

TEST_F(GemUnplug, FilesAndMappingsOfAGoneGpuAnswerAndNothingIsLeft) {
  Fd file = open_node();
  ASSERT_TRUE(file.valid());
  {
    const GemFile gem(file.get());
    const Buffer memory(16);
    std::uint32_t vram = 0;
    std::uint32_t gtt = 0;
    std::uint32_t user = 0;
    std::uint64_t vram_offset = 0;
    std::uint64_t gtt_offset = 0;
    Fd dma_buf;
    ASSERT_EQ(gem.create(kSize, AMDGPU_GEM_DOMAIN_VRAM, 0, &vram), 0);
    ASSERT_EQ(gem.create(kSize, AMDGPU_GEM_DOMAIN_GTT, 0, &gtt), 0);
    ASSERT_EQ(
        gem.userptr(memory.data(), memory.size(), AMDGPU_GEM_USERPTR_REGISTER | AMDGPU_GEM_USERPTR_VALIDATE, &user), 0);
    ASSERT_EQ(gem.va(AMDGPU_VA_OP_MAP, vram, 1ull << 32, kSize), 0);
    ASSERT_EQ(gem.mmap_offset(vram, &vram_offset), 0);
    ASSERT_EQ(gem.mmap_offset(gtt, &gtt_offset), 0);
    ASSERT_EQ(gem.to_dma_buf(vram, &dma_buf), 0);
    const GemMapping vram_mapping(file.get(), vram_offset, kSize);
    const GemMapping gtt_mapping(file.get(), gtt_offset, kSize);
    const GemMapping shared(dma_buf.get(), 0, kSize);
    ASSERT_TRUE(vram_mapping.valid() && gtt_mapping.valid() && shared.valid());
    fill_pattern(vram_mapping.bytes(), kSeed);
    fill_pattern(gtt_mapping.bytes(), kSeed);
    ASSERT_EQ(touch(vram_mapping), 0);

    unplug();

    std::uint32_t handle = 0;
    drm_amdgpu_gem_create_in info = {};
    EXPECT_EQ(gem.create(kSize, AMDGPU_GEM_DOMAIN_VRAM, 0, &handle), ENODEV);
    EXPECT_EQ(gem.create_info(vram, &info), ENODEV);
    EXPECT_EQ(gem.va(AMDGPU_VA_OP_UNMAP, vram, 1ull << 32, kSize), ENODEV);
    EXPECT_EQ(gem.from_dma_buf(dma_buf.get(), &handle), ENODEV);
    EXPECT_EQ(gem.close(vram), ENODEV);
    for (const GemMapping* mapping : {&vram_mapping, &gtt_mapping, &shared}) {
      EXPECT_EQ(touch(*mapping), 128 + SIGBUS);
    }
    const GemMapping late(file.get(), vram_offset, kSize);
    EXPECT_FALSE(late.valid());
  }
  file.reset();
  plug();
  // The GPU that came back starts with nothing in it, and works.
  const Fd fresh =
      Fd(::open(("/dev/dri/renderD" + std::to_string(first_gpu_node()->render_minor)).c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(fresh.valid());
  std::uint32_t handle = 0;
  EXPECT_EQ(GemFile(fresh.get()).create(kSize, AMDGPU_GEM_DOMAIN_VRAM, 0, &handle), 0);
}

}  // namespace
}  // namespace kfdlab
