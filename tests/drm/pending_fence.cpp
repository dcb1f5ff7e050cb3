// SPDX-License-Identifier: MIT
#include "tests/drm/pending_fence.h"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <xf86drm.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace kfdlab {
namespace {

// vgem's own ioctls (include/uapi/drm/vgem_drm.h of the kernel, which Debian does not install).
struct VgemFenceAttach {
  std::uint32_t handle;
  std::uint32_t flags;
  std::uint32_t out_fence;
  std::uint32_t pad;
};
struct VgemFenceSignal {
  std::uint32_t fence;
  std::uint32_t flags;
};
constexpr unsigned long kFenceAttach = DRM_IOWR(DRM_COMMAND_BASE + 0x1, VgemFenceAttach);
constexpr unsigned long kFenceSignal = DRM_IOW(DRM_COMMAND_BASE + 0x2, VgemFenceSignal);
constexpr std::uint32_t kFenceWrite = 1;
constexpr int kMaxCards = 64;

Fd open_vgem() {
  for (int card = 0; card < kMaxCards; ++card) {
    Fd fd(::open(("/dev/dri/card" + std::to_string(card)).c_str(), O_RDWR | O_CLOEXEC));
    if (!fd.valid()) {
      continue;
    }
    const std::unique_ptr<drmVersion, decltype(&drmFreeVersion)> version(drmGetVersion(fd.get()), drmFreeVersion);
    if (version != nullptr && std::string_view(version->name) == "vgem") {
      return fd;
    }
  }
  return Fd();
}

}  // namespace

std::optional<PendingFence> PendingFence::create() {
  PendingFence pending;
  pending.vgem_ = open_vgem();
  if (!pending.vgem_.valid() && std::system("modprobe -q vgem") == 0) {
    pending.vgem_ = open_vgem();
  }
  drm_mode_create_dumb dumb = {};
  dumb.width = 32;
  dumb.height = 32;
  dumb.bpp = 32;
  if (!pending.vgem_.valid() || ::ioctl(pending.vgem_.get(), DRM_IOCTL_MODE_CREATE_DUMB, &dumb) != 0) {
    return std::nullopt;
  }
  VgemFenceAttach attach = {.handle = dumb.handle, .flags = kFenceWrite, .out_fence = 0, .pad = 0};
  if (::ioctl(pending.vgem_.get(), kFenceAttach, &attach) != 0) {
    return std::nullopt;
  }
  pending.buffer_ = dumb.handle;
  pending.fence_ = attach.out_fence;
  return pending;
}

Fd PendingFence::dma_buf() const {
  int fd = -1;
  return drmPrimeHandleToFD(vgem_.get(), buffer_, DRM_CLOEXEC | DRM_RDWR, &fd) == 0 ? Fd(fd) : Fd();
}

Fd PendingFence::sync_file() const {
  const Fd buffer = dma_buf();
  dma_buf_export_sync_file request = {.flags = DMA_BUF_SYNC_RW, .fd = -1};
  if (!buffer.valid() || ::ioctl(buffer.get(), DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &request) != 0) {
    return Fd();
  }
  return Fd(request.fd);
}

std::uint32_t PendingFence::syncobj(int fd) const {
  const Fd file = sync_file();
  std::uint32_t handle = 0;
  if (!file.valid() || drmSyncobjCreate(fd, 0, &handle) != 0) {
    return 0;
  }
  if (drmSyncobjImportSyncFile(fd, handle, file.get()) != 0) {
    drmSyncobjDestroy(fd, handle);
    return 0;
  }
  return handle;
}

bool PendingFence::signal() {
  VgemFenceSignal request = {.fence = fence_, .flags = 0};
  return ::ioctl(vgem_.get(), kFenceSignal, &request) == 0;
}

}  // namespace kfdlab
