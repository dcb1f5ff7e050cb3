// SPDX-License-Identifier: MIT
// Which kernel a path means, and what is said when it means none.
#include "tools/kernels/kernel_tree.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "tools/host/paths.h"

namespace kfdlab {
namespace {

namespace fs = std::filesystem;

// A bzImage that says its release and has nothing else.
std::string image_of(const std::string& release) {
  std::string image(0x600, '\0');
  image.replace(0x202, 4, "HdrS");
  const std::uint16_t pointer = 0x300;
  std::memcpy(image.data() + 0x20e, &pointer, sizeof(pointer));
  const std::string text = release + " (somebody@somewhere) #1 SMP";
  image.replace(0x500, text.size(), text);
  return image;
}

class KernelTreeTest : public testing::Test {
 protected:
  void SetUp() override {
    auto directory = TemporaryDirectory::create(fs::temp_directory_path());
    ASSERT_TRUE(directory.ok());
    directory_ = std::make_unique<TemporaryDirectory>(directory.take());
  }
  [[nodiscard]] fs::path root() const { return directory_->path(); }
  fs::path put(const fs::path& name, const std::string& text = "") const {
    fs::create_directories((root() / name).parent_path());
    std::ofstream(root() / name, std::ios::binary) << text;
    return root() / name;
  }
  void build_tree(const std::string& image_release, const std::string& modules_release) const {
    put("tree/.config", "CONFIG_KASAN=y\n");
    put("tree/arch/x86/boot/bzImage", image_of(image_release));
    put("tree/Module.symvers");
    put("tree/modules.order", "lib/test_hmm.o\n");
    put("tree/include/config/kernel.release", modules_release + "\n");
  }
  [[nodiscard]] std::string error_of(const fs::path& path) const {
    const auto kernel = find_kernel(path);
    return kernel.ok() ? "found" : kernel.error().message;
  }
  std::unique_ptr<TemporaryDirectory> directory_;
};

TEST_F(KernelTreeTest, FindsABuiltTreeByItsDirectoryAndByItsImage) {
  build_tree("6.12.1-mine", "6.12.1-mine");
  for (const fs::path& path : {root() / "tree", root() / "tree/arch/x86/boot/bzImage", root() / "tree/../tree"}) {
    const auto kernel = find_kernel(path);
    ASSERT_TRUE(kernel.ok()) << path << kernel.error().message;
    EXPECT_EQ(kernel.value().release, "6.12.1-mine");
    EXPECT_EQ(kernel.value().headers, fs::canonical(root() / "tree"));
    EXPECT_TRUE(kernel.value().modules.empty());
    EXPECT_TRUE(is_instrumented(kernel.value().config));
  }
}

TEST_F(KernelTreeTest, SaysWhatToDoWithATreeThatIsNotBuilt) {
  EXPECT_NE(error_of(root() / "nothing").find("there is no kernel at"), std::string::npos);
  EXPECT_NE(error_of(root()).find("is not a kernel tree"), std::string::npos);
  put("tree/Kconfig");
  EXPECT_NE(error_of(root() / "tree").find("make menuconfig"), std::string::npos);
  put("tree/.config");
  EXPECT_NE(error_of(root() / "tree").find("run there: make bzImage modules"), std::string::npos);
}

TEST_F(KernelTreeTest, RefusesATreeWhoseImageIsOlderThanItsModules) {
  build_tree("6.12.1-old", "6.12.1-new");
  EXPECT_NE(error_of(root() / "tree").find("is of 6.12.1-old, its modules are of 6.12.1-new"), std::string::npos);
}

TEST_F(KernelTreeTest, FindsAnInstalledKernelsHeadersAndModules) {
  const fs::path image = put("boot/vmlinuz-6.12.1-mine", image_of("6.12.1-mine"));
  EXPECT_NE(error_of(image).find("no headers of 6.12.1-mine"), std::string::npos);
  put("usr/src/linux-headers-6.12.1-mine/Module.symvers");
  EXPECT_NE(error_of(image).find("modules of 6.12.1-mine are neither"), std::string::npos);
  put("lib/modules/6.12.1-mine/modules.dep");
  const auto kernel = find_kernel(image);
  ASSERT_TRUE(kernel.ok()) << kernel.error().message;
  EXPECT_EQ(kernel.value().modules, fs::canonical(root()) / "lib/modules/6.12.1-mine");
  EXPECT_EQ(kernel.value().headers, fs::canonical(root()) / "usr/src/linux-headers-6.12.1-mine");
}

TEST_F(KernelTreeTest, RefusesWhatIsNoImage) {
  EXPECT_NE(error_of(put("file", "text")).find("is not a bzImage"), std::string::npos);
}

TEST_F(KernelTreeTest, ShowsTheModulesAsInstalledAndAgainWhenTheyChange) {
  build_tree("6.12.1-mine", "6.12.1-mine");
  put("tree/lib/test_hmm.ko", "module");
  put("tree/modules.builtin", "kernel/fs/9p/9p.ko\n");
  auto kernel = find_kernel(root() / "tree");
  ASSERT_TRUE(kernel.ok());
  const auto view = module_view(root() / "cache", kernel.value());
  ASSERT_TRUE(view.ok()) << view.error().message;
  const fs::path modules = view.value() / "lib/modules/6.12.1-mine";
  EXPECT_EQ(read_file(modules / "kernel/lib/test_hmm.ko").value(), "module");
  EXPECT_EQ(read_file(modules / "modules.builtin").value(), "kernel/fs/9p/9p.ko\n");
  EXPECT_TRUE(fs::exists(modules / "modules.dep"));
  put("tree/modules.order", "lib/other_module.ko\n");
  ASSERT_TRUE(module_view(root() / "cache", kernel.value()).ok());
  EXPECT_FALSE(fs::is_symlink(modules / "kernel/lib/test_hmm.ko"));
  EXPECT_TRUE(fs::is_symlink(modules / "kernel/lib/other_module.ko"));
}

TEST(ModulesOrder, NamesWhereAModuleIsInstalled) {
  EXPECT_EQ(installed_module_path("drivers/gpu/drm/ttm/ttm.ko"), "kernel/drivers/gpu/drm/ttm/ttm.ko");
  EXPECT_EQ(installed_module_path("kernel/trace/x.o"), "kernel/kernel/trace/x.ko");
}

}  // namespace
}  // namespace kfdlab
