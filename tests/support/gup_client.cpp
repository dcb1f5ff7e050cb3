// SPDX-License-Identifier: MIT
#include "tests/support/gup_client.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <utility>

#include "common/check.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

const char* path_name(std::uint32_t path) {
  switch (path) {
    case KFDLAB_GUP_FAST:
      return "fast";
    case KFDLAB_GUP_SLOW:
      return "slow";
    case KFDLAB_GUP_UNLOCKED:
      return "unlocked";
    case KFDLAB_GUP_REMOTE:
      return "remote";
    case KFDLAB_GUP_FAST_ONLY:
      return "fast_only";
  }
  return "unknown";
}

}  // namespace

std::string GupFlavour::name() const {
  std::string name = pins() ? "pin_" : "get_";
  name += path_name(path);
  name += longterm() ? "_longterm" : "";
  name += writes() ? "_write" : "_read";
  return name;
}

std::vector<GupFlavour> gup_flavours() {
  std::vector<GupFlavour> flavours;
  for (const std::uint32_t path :
       {KFDLAB_GUP_FAST, KFDLAB_GUP_SLOW, KFDLAB_GUP_UNLOCKED, KFDLAB_GUP_REMOTE, KFDLAB_GUP_FAST_ONLY}) {
    for (const std::uint32_t kind : {0u, KFDLAB_GUP_PIN, KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM}) {
      if ((path == KFDLAB_GUP_FAST_ONLY && kind != 0) ||
          (path == KFDLAB_GUP_UNLOCKED && (kind & KFDLAB_GUP_LONGTERM) != 0 && !kernel_at_least(6, 3))) {
        continue;
      }
      flavours.push_back({path, kind});
      flavours.push_back({path, kind | KFDLAB_GUP_WRITE});
    }
  }
  return flavours;
}

GupHold::GupHold(GupHold&& other) noexcept
    : client_(std::exchange(other.client_, nullptr)), reply_(std::exchange(other.reply_, {})) {}

GupHold& GupHold::operator=(GupHold&& other) noexcept {
  if (this != &other) {
    release();
    client_ = std::exchange(other.client_, nullptr);
    reply_ = std::exchange(other.reply_, {});
  }
  return *this;
}

int GupHold::read(std::uint64_t offset, std::span<std::byte> into) const {
  KFDLAB_CHECK(held());
  kfdlab_gup_access access{};
  access.id = id();
  access.offset = offset;
  access.size = into.size();
  access.buf = reinterpret_cast<std::uintptr_t>(into.data());
  return client_->raw(KFDLAB_GUP_ACCESS, &access);
}

int GupHold::write(std::uint64_t offset, std::span<const std::byte> from) const {
  KFDLAB_CHECK(held());
  kfdlab_gup_access access{};
  access.id = id();
  access.write = 1;
  access.offset = offset;
  access.size = from.size();
  access.buf = reinterpret_cast<std::uintptr_t>(from.data());
  return client_->raw(KFDLAB_GUP_ACCESS, &access);
}

int GupHold::release(bool dirty) {
  if (!held()) {
    return 0;
  }
  kfdlab_gup_release request{id(), dirty ? 1u : 0u};
  const int error = client_->raw(KFDLAB_GUP_RELEASE, &request);
  client_ = nullptr;
  return error;
}

Result<GupClient> GupClient::open() {
  Fd fd(::open("/dev/kfdlab_gup", O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    return errno_error("/dev/kfdlab_gup (needs root and the kfdlab_gup module)", errno);
  }
  return GupClient(std::move(fd));
}

int GupClient::hold(const GupFlavour& flavour, const void* start, std::size_t npages, GupHold* hold, int pid) const {
  hold->release();
  kfdlab_gup_hold request{};
  request.addr = reinterpret_cast<std::uintptr_t>(start);
  request.npages = npages;
  request.path = flavour.path;
  request.flags = flavour.flags;
  request.pid = pid;
  const int error = raw(KFDLAB_GUP_HOLD, &request);
  if (error == 0) {
    hold->client_ = this;
    hold->reply_ = request;
  }
  return error;
}

int GupClient::raw(unsigned long request, void* argument) const {
  return ::ioctl(fd_.get(), request, argument) == 0 ? 0 : errno;
}

}  // namespace kfdlab
