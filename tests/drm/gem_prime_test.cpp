// SPDX-License-Identifier: MIT
// Objects as dma-bufs: the same GPU shares the object, anybody else finds it in RAM; what comes from others is mapped
// from them. vgem stands for the foreign importer and exporter.
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include "tests/drm/gem_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSize = 2 << 20;
constexpr std::size_t kPages = kSize / kPageSize;
constexpr std::uint64_t kSeed = 0xdb5;

// vgem's primary node, where it makes objects; invalid if the kernel has no vgem.
Fd open_vgem() {
  (void)!std::system("modprobe vgem >/dev/null 2>&1");
  Fd found;
  const auto look = [&found] {
    for (int minor = 0; minor < 16 && !found.valid(); ++minor) {
      Fd file(::open(("/dev/dri/card" + std::to_string(minor)).c_str(), O_RDWR | O_CLOEXEC));
      if (!file.valid()) {
        continue;
      }
      const std::unique_ptr<drmVersion, void (*)(drmVersionPtr)> version(drmGetVersion(file.get()), drmFreeVersion);
      if (version != nullptr && std::strcmp(version->name, "vgem") == 0) {
        found = std::move(file);
      }
    }
    return found.valid();
  };
  (void)eventually(look, std::chrono::seconds(1));
  return found;
}

class GemPrime : public GemTest {
 protected:
  // An exported object of this file; closed by the caller.
  [[nodiscard]] Fd exported(std::uint32_t handle) const {
    Fd dma_buf;
    EXPECT_EQ(gem().to_dma_buf(handle, &dma_buf), 0);
    return dma_buf;
  }
};

class MultiGpuGem : public GemPrime {
 protected:
  void SetUp() override {
    GemPrime::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    for (unsigned minor = 128; minor < 144 && !other_.valid(); ++minor) {
      Fd file(::open(("/dev/dri/renderD" + std::to_string(minor)).c_str(), O_RDWR | O_CLOEXEC));
      const auto keys = file.valid() ? GemFile(file.get()).fdinfo() : std::map<std::string, std::string>();
      if (keys.contains("drm-pdev") && keys.at("drm-pdev") != gem().fdinfo()["drm-pdev"]) {
        other_ = std::move(file);
      }
    }
    KFDLAB_NEEDS(other_.valid(), "there is one GPU only");
  }
  [[nodiscard]] int other_gpu() const { return other_.get(); }

 private:
  Fd other_;
};

TEST_F(GemPrime, ImportingOnesOwnGivesTheSameHandle) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const Fd first = exported(handle);
  const Fd second = exported(handle);
  struct stat one = {};
  struct stat two = {};
  ASSERT_EQ(::fstat(first.get(), &one), 0);
  ASSERT_EQ(::fstat(second.get(), &two), 0);
  EXPECT_EQ(one.st_ino, two.st_ino) << "one dma-buf";
  EXPECT_EQ(::lseek(first.get(), 0, SEEK_END), static_cast<off_t>(kSize));
  std::uint32_t again = 0;
  EXPECT_EQ(gem().from_dma_buf(first.get(), &again), 0);
  EXPECT_EQ(again, handle);
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemPrime, AnotherFileSharesTheObjectInVram) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const GemMapping here(fd(), offset_of(handle), kSize);
  fill_pattern(here.bytes(), kSeed);
  const Fd dma_buf = exported(handle);
  const Fd file = open_node();
  const GemFile other(file.get());
  std::uint32_t imported = 0;
  ASSERT_EQ(other.from_dma_buf(dma_buf.get(), &imported), 0);
  std::uint32_t again = 0;
  EXPECT_EQ(other.from_dma_buf(dma_buf.get(), &again), 0);
  EXPECT_EQ(again, imported);
  std::uint64_t offset = 0;
  ASSERT_EQ(other.mmap_offset(imported, &offset), 0);
  const GemMapping there(file.get(), offset, kSize);
  ASSERT_TRUE(there.valid());
  EXPECT_EQ(std::memcmp(here.data(), there.data(), kSize), 0);
  EXPECT_EQ(homes(here), (PageCensus{0, 0, kPages}));
  EXPECT_EQ(frame(here.data()), frame(there.data()));
  // Metadata is the object's, whoever asks.
  const std::byte note{0x2a};
  ASSERT_EQ(gem().set_metadata(handle, 7, {&note, 1}), 0);
  drm_amdgpu_gem_metadata metadata;
  ASSERT_EQ(other.get_metadata(imported, &metadata), 0);
  EXPECT_EQ(metadata.data.data_size_bytes, 1u);
  EXPECT_EQ(metadata.data.flags, 7u);
  EXPECT_EQ(gem().close(handle), 0);
  EXPECT_EQ(there.data()[0], here.data()[0]) << "the other's handle keeps it";
}

TEST_F(GemPrime, AnotherProcessSharesTheObject) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const GemMapping mapping(fd(), offset_of(handle), kSize);
  fill_pattern(mapping.bytes(), kSeed);
  const auto mapping_address = reinterpret_cast<std::uintptr_t>(mapping.data());
  const Fd dma_buf = exported(handle);
  Child child([&](Peer&) {
    const Fd file = open_node();
    const GemFile other(file.get());
    std::uint32_t imported = 0;
    std::uint64_t offset = 0;
    if (other.from_dma_buf(dma_buf.get(), &imported) != 0 || other.mmap_offset(imported, &offset) != 0) {
      return 1;
    }
    const GemMapping there(file.get(), offset, kSize);
    return there.valid() && pattern_error(there.bytes(), mapping_address, kSeed).empty() ? 0 : 2;
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemPrime, DmaBufKeepsTheObjectAndMapsIt) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  Fd dma_buf = exported(handle);
  {
    const GemMapping first(fd(), offset_of(handle), kSize);
    fill_pattern(first.bytes(), 0, kSeed);
  }
  EXPECT_EQ(gem().close(handle), 0);
  {
    const GemMapping mapping(dma_buf.get(), 0, kSize);
    ASSERT_TRUE(mapping.valid());
    EXPECT_EQ(pattern_error(mapping.bytes(), 0, kSeed), "");
    EXPECT_EQ(homes(mapping), (PageCensus{0, 0, kPages}));
    dma_buf_sync sync = {DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW};
    EXPECT_EQ(::ioctl(dma_buf.get(), DMA_BUF_IOCTL_SYNC, &sync), 0);
    sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
    EXPECT_EQ(::ioctl(dma_buf.get(), DMA_BUF_IOCTL_SYNC, &sync), 0);
    evict_all_vram();
    EXPECT_EQ(pattern_error(mapping.bytes(), 0, kSeed), "");
    EXPECT_EQ(homes(mapping), (PageCensus{0, kPages, 0}));
  }
  dma_buf.reset();
  expect_usage_back();
}

// The object comes back to life in a file after its last handle was closed.
TEST_F(GemPrime, ReimportAfterTheLastHandle) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_GTT);
  const Fd dma_buf = exported(handle);
  EXPECT_EQ(gem().close(handle), 0);
  for (int round = 0; round < 3; ++round) {
    std::uint32_t again = 0;
    ASSERT_EQ(gem().from_dma_buf(dma_buf.get(), &again), 0);
    const Fd other = exported(again);
    EXPECT_EQ(gem().close(again), 0);
  }
}

TEST_F(GemPrime, ObjectsOfOneFileStayThere) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_GTT, AMDGPU_GEM_CREATE_VM_ALWAYS_VALID);
  Fd dma_buf;
  EXPECT_EQ(gem().to_dma_buf(handle, &dma_buf), EPERM);
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemPrime, WhatIsNoDmaBufIsRefused) {
  std::uint32_t handle = 0;
  EXPECT_EQ(gem().from_dma_buf(-1, &handle), EBADF);
  EXPECT_EQ(gem().from_dma_buf(fd(), &handle), EINVAL);
  const Fd file(::memfd_create("gem_prime", MFD_CLOEXEC));
  EXPECT_EQ(gem().from_dma_buf(file.get(), &handle), EINVAL);
}

// While somebody else is attached the object is in RAM and stays there.
TEST_F(GemPrime, ForeignImporterFindsTheObjectInRam) {
  const Fd vgem_file = open_vgem();
  KFDLAB_NEEDS(vgem_file.valid(), "the kernel has no vgem");
  const GemFile vgem(vgem_file.get());
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const GemMapping mapping(fd(), offset_of(handle), kSize);
  fill_pattern(mapping.bytes(), kSeed);
  ASSERT_EQ(homes(mapping), (PageCensus{0, 0, kPages}));
  const Fd dma_buf = exported(handle);
  std::uint32_t imported = 0;
  ASSERT_EQ(vgem.from_dma_buf(dma_buf.get(), &imported), 0);
  EXPECT_EQ(pattern_error(mapping.bytes(), kSeed), "");
  EXPECT_EQ(homes(mapping), (PageCensus{0, kPages, 0}));
  const std::uint64_t at = frame(mapping.data());
  evict_all_vram();
  EXPECT_EQ(frame(mapping.data()), at);
  EXPECT_EQ(gem().close(handle), 0);
  EXPECT_EQ(pattern_error(mapping.bytes(), kSeed), "") << "the importer keeps it";
  EXPECT_EQ(vgem.close(imported), 0);
}

// What an importer pinned is not in the way of what can leave GTT.
TEST_F(GemPrime, EvictionOfGttPassesOverWhatAnImporterPinned) {
  const Fd vgem_file = open_vgem();
  KFDLAB_NEEDS(vgem_file.valid(), "the kernel has no vgem");
  const GemFile vgem(vgem_file.get());
  const auto evict_gtt = [this] {
    std::ifstream file("/sys/kernel/debug/dri/" + std::to_string(gpu().render_minor) + "/amdgpu_evict_gtt");
    std::int64_t result = -1;
    file >> result;
    return result;
  };
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_GTT);
  const std::uint32_t other = make(kSize, AMDGPU_GEM_DOMAIN_GTT);
  const Fd dma_buf = exported(handle);
  std::uint32_t imported = 0;
  ASSERT_EQ(vgem.from_dma_buf(dma_buf.get(), &imported), 0);
  EXPECT_EQ(evict_gtt(), 0);
  EXPECT_EQ(gtt_used(), gem().fdinfo_bytes("drm-memory-gtt"));
  EXPECT_EQ(gem().fdinfo_bytes("drm-memory-gtt"), kSize) << "the pinned one";
  EXPECT_EQ(vgem.close(imported), 0);
  // Once the importer is gone it can leave like any other.
  EXPECT_EQ(evict_gtt(), 0);
  EXPECT_EQ(gem().fdinfo_bytes("drm-memory-gtt"), 0u);
  EXPECT_EQ(gem().close(handle), 0);
  EXPECT_EQ(gem().close(other), 0);
}

TEST_F(GemPrime, ForeignObjectIsMappedFromItsExporter) {
  const Fd vgem_file = open_vgem();
  KFDLAB_NEEDS(vgem_file.valid(), "the kernel has no vgem");
  const GemFile vgem(vgem_file.get());
  drm_mode_create_dumb dumb = {};
  dumb.width = 512;
  dumb.height = kSize / 512 / 4;
  dumb.bpp = 32;
  ASSERT_EQ(raw(vgem_file.get(), DRM_IOCTL_MODE_CREATE_DUMB, &dumb), 0);
  ASSERT_EQ(dumb.size, kSize);
  Fd dma_buf;
  ASSERT_EQ(vgem.to_dma_buf(dumb.handle, &dma_buf), 0);
  const GemMapping source(dma_buf.get(), 0, kSize);
  ASSERT_TRUE(source.valid());
  fill_pattern(source.bytes(), kSeed);
  std::uint32_t handle = 0;
  ASSERT_EQ(gem().from_dma_buf(dma_buf.get(), &handle), 0);
  const GemMapping mapping(fd(), offset_of(handle), kSize);
  ASSERT_TRUE(mapping.valid());
  EXPECT_EQ(std::memcmp(mapping.data(), source.data(), kSize), 0);
  drm_amdgpu_gem_create_in info = {};
  ASSERT_EQ(gem().create_info(handle, &info), 0);
  EXPECT_EQ(info.bo_size, kSize);
  EXPECT_EQ(info.domains, static_cast<std::uint64_t>(AMDGPU_GEM_DOMAIN_GTT));
  EXPECT_EQ(gem().set_placement(handle, AMDGPU_GEM_DOMAIN_VRAM), EINVAL);
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_MAP, handle, 1ull << 33, kSize), 0);
  // Handed on, it is the exporter's dma-buf that goes.
  const Fd onward = exported(handle);
  struct stat one = {};
  struct stat two = {};
  ASSERT_EQ(::fstat(dma_buf.get(), &one), 0);
  ASSERT_EQ(::fstat(onward.get(), &two), 0);
  EXPECT_EQ(one.st_ino, two.st_ino);
  EXPECT_EQ(gem().close(handle), 0);
  EXPECT_EQ(std::memcmp(mapping.data(), source.data(), kSize), 0) << "a mapping is the exporter's, not the handle's";
}

// The other GPU is anybody else.
TEST_F(MultiGpuGem, AnotherGpuFindsTheObjectInRam) {
  const GemFile other(other_gpu());
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const GemMapping mapping(fd(), offset_of(handle), kSize);
  fill_pattern(mapping.bytes(), kSeed);
  const Fd dma_buf = exported(handle);
  std::uint32_t imported = 0;
  ASSERT_EQ(other.from_dma_buf(dma_buf.get(), &imported), 0);
  std::uint64_t offset = 0;
  ASSERT_EQ(other.mmap_offset(imported, &offset), 0);
  {
    const GemMapping there(other.fd(), offset, kSize);
    ASSERT_TRUE(there.valid());
    EXPECT_EQ(std::memcmp(mapping.data(), there.data(), kSize), 0);
    EXPECT_EQ(homes(mapping), (PageCensus{0, kPages, 0}));
    EXPECT_EQ(frame(mapping.data()), frame(there.data()));
    EXPECT_EQ(gem().close(handle), 0);
    EXPECT_EQ(pattern_error(mapping.bytes(), kSeed), "");
  }
  EXPECT_EQ(other.close(imported), 0);
}

// Export, import, map and close by many at once on the same few objects.
TEST_F(GemPrime, RacingExportsAndImportsAgree) {
  constexpr int kRounds = 300;
  const std::uint32_t handle = make(kPageSize, AMDGPU_GEM_DOMAIN_VRAM);
  const Fd dma_buf = exported(handle);
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(std::make_unique<Child>([&](Peer&) {
      const Fd file = open_node();
      const GemFile other(file.get());
      for (int round = 0; round < kRounds; ++round) {
        std::uint32_t imported = 0;
        Fd again;
        if (other.from_dma_buf(dma_buf.get(), &imported) != 0 || other.to_dma_buf(imported, &again) != 0 ||
            other.close(imported) != 0) {
          return 1;
        }
      }
      return 0;
    }));
  }
  for (auto& child : children) {
    EXPECT_EQ(child->wait(), 0);
  }
  EXPECT_EQ(gem().close(handle), 0);
}

}  // namespace
}  // namespace kfdlab
