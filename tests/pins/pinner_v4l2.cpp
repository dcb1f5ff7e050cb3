// SPDX-License-Identifier: MIT
// Video capture into memory of the process (V4L2_MEMORY_USERPTR). The camera is vivid; what it shows is known from
// read(), which goes through buffers of the kernel's own.
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "common/fd.h"
#include "tests/pins/pinners.h"
#include "tests/pins/system.h"
#include "tests/support/needs.h"

namespace kfdlab::pins {
namespace {

namespace fs = std::filesystem;

// The smallest its webcam has, one byte per pixel: 14 pages and a piece.
constexpr std::uint32_t kWidth = 320;
constexpr std::uint32_t kHeight = 180;
constexpr int kGrayRamp = 20;  // of its test patterns

std::string find_camera() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/sys/class/video4linux", error)) {
    std::string name;
    if (std::getline(std::ifstream(entry.path() / "name"), name) && name == "vivid-000-vid-cap") {
      return "/dev/" + entry.path().filename().string();
    }
  }
  return {};
}

class Camera {
 public:
  Status open();
  // 0 or errno.
  int call(unsigned long request, void* argument) const { return ::ioctl(fd_.get(), request, argument) == 0 ? 0 : errno; }
  [[nodiscard]] bool wait() const {
    pollfd ready{fd_.get(), POLLIN, 0};
    return ::poll(&ready, 1, 2000 * static_cast<int>(patience())) == 1 && (ready.revents & POLLIN) != 0;
  }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::size_t frame_bytes() const { return frame_bytes_; }

 private:
  Status set_control(const std::string& name, int value) const;
  Fd fd_;
  std::size_t frame_bytes_ = 0;
};

Status Camera::open() {
  const std::string node = find_camera();
  if (node.empty()) {
    return Error{"vivid gives no camera"};
  }
  fd_.reset(::open(node.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd_.valid()) {
    return errno_error(node, errno);
  }
  v4l2_format format{};
  format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  format.fmt.pix.width = kWidth;
  format.fmt.pix.height = kHeight;
  format.fmt.pix.pixelformat = V4L2_PIX_FMT_GREY;
  if (const int error = call(VIDIOC_S_FMT, &format)) {
    return errno_error("VIDIOC_S_FMT", error);
  }
  frame_bytes_ = format.fmt.pix.sizeimage;
  // A picture that does not change, without the time in it.
  KFDLAB_TRY(set_control("OSD Text Mode", 2));
  return set_control("Test Pattern", kGrayRamp);
}

Status Camera::set_control(const std::string& name, int value) const {
  v4l2_queryctrl control{};
  control.id = V4L2_CTRL_FLAG_NEXT_CTRL;
  while (call(VIDIOC_QUERYCTRL, &control) == 0) {
    if (name == reinterpret_cast<const char*>(control.name)) {
      v4l2_control set{control.id, value};
      const int error = call(VIDIOC_S_CTRL, &set);
      return error == 0 ? ok_status() : errno_error("VIDIOC_S_CTRL " + name, error);
    }
    control.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
  }
  return Error{"the camera has no control " + name};
}

class UserPointer : public Pinner {
 public:
  ~UserPointer() override { static_cast<void>(release()); }
  explicit UserPointer(std::vector<std::byte> picture) : picture_(std::move(picture)) {}
  Status open() { return camera_.open(); }

  int hold(std::span<std::byte> pages) override {
    pages_ = pages;
    if (const int error = request(1)) {
      return error;
    }
    const int error = queue();
    if (error != 0) {
      static_cast<void>(request(0));
    }
    queued_ = error == 0;
    return error;
  }
  int release() override {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    const int error = camera_.call(VIDIOC_STREAMOFF, &type);
    queued_ = false;
    return error != 0 ? error : request(0);
  }

  Result<Pieces> store(std::uint64_t) override {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (const int error = !queued_ ? queue() : 0) {
      return errno_error("VIDIOC_QBUF", error);
    }
    if (const int error = camera_.call(VIDIOC_STREAMON, &type)) {
      return errno_error("VIDIOC_STREAMON", error);
    }
    v4l2_buffer done = buffer();
    const bool came = camera_.wait();
    const int error = came ? camera_.call(VIDIOC_DQBUF, &done) : ETIMEDOUT;
    queued_ = false;
    if (error != 0 || (done.flags & V4L2_BUF_FLAG_ERROR) != 0 || done.bytesused != camera_.frame_bytes()) {
      return errno_error("no picture came", error);
    }
    return Pieces{{0, picture_}};
  }

 private:
  int request(unsigned count) const {
    v4l2_requestbuffers wanted{};
    wanted.count = count;
    wanted.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    wanted.memory = V4L2_MEMORY_USERPTR;
    return camera_.call(VIDIOC_REQBUFS, &wanted);
  }
  [[nodiscard]] v4l2_buffer buffer() const {
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = V4L2_MEMORY_USERPTR;
    buffer.m.userptr = reinterpret_cast<std::uintptr_t>(pages_.data());
    buffer.length = static_cast<std::uint32_t>(pages_.size());
    return buffer;
  }
  // This pins.
  int queue() const {
    v4l2_buffer queued = buffer();
    return camera_.call(VIDIOC_QBUF, &queued);
  }

  std::vector<std::byte> picture_;  // what the camera shows
  Camera camera_;
  std::span<std::byte> pages_;
  bool queued_ = false;
};

Result<std::vector<std::byte>> take_picture() {
  KFDLAB_TRY(load_module("vivid", "n_devs=1 node_types=0x1"));
  Camera camera;
  KFDLAB_TRY(camera.open());
  std::vector<std::byte> picture(camera.frame_bytes());
  if (::read(camera.fd(), picture.data(), picture.size()) != static_cast<ssize_t>(picture.size())) {
    return errno_error("reading a picture", errno);
  }
  return picture;
}

MadePinner make() {
  static const auto picture = take_picture();
  KFDLAB_TRY(picture);
  auto pinner = std::make_unique<UserPointer>(picture.value());
  KFDLAB_TRY(pinner->open());
  return MadePinner(std::move(pinner));
}

}  // namespace

MadePinner make_v4l2() { return make(); }

}  // namespace kfdlab::pins
