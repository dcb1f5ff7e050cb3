// SPDX-License-Identifier: MIT
// Our own module: pin_user_pages_fast() and pin_user_pages() themselves, on kernels where no stock pinner takes that path.
#include <cerrno>

#include "tests/pins/pinners.h"
#include "tests/support/gup_client.h"
#include "tests/support/pattern.h"

namespace kfdlab::pins {
namespace {

class GupPinner : public Pinner {
 public:
  GupPinner(GupClient client, GupFlavour flavour) : client_(std::move(client)), flavour_(flavour) {}
  int hold(std::span<std::byte> pages) override {
    pages_ = pages;
    return client_.hold(flavour_, pages.data(), pages.size() / 4096, &hold_);
  }
  int release() override { return hold_.release(flavour_.writes()); }
  Result<Pieces> load() override {
    Pieces all{{0, std::vector<std::byte>(pages_.size())}};
    const int error = hold_.read(0, all[0].bytes);
    return error == 0 ? Result<Pieces>(std::move(all)) : errno_error("reading through the hold", error);
  }
  Result<Pieces> store(std::uint64_t seed) override {
    Pieces all{{0, std::vector<std::byte>(pages_.size())}};
    fill_pattern(all[0].bytes, reinterpret_cast<std::uintptr_t>(pages_.data()), seed);
    const int error = hold_.write(0, all[0].bytes);
    return error == 0 ? Result<Pieces>(std::move(all)) : errno_error("writing through the hold", error);
  }

 private:
  GupClient client_;
  GupFlavour flavour_;
  std::span<std::byte> pages_;
  GupHold hold_;
};

MadePinner make(std::uint32_t path, std::uint32_t write) {
  auto client = GupClient::open();
  if (!client.ok()) {
    return client.error();
  }
  const GupFlavour flavour{path, KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM | write};
  return MadePinner(std::make_unique<GupPinner>(client.take(), flavour));
}

}  // namespace

MadePinner make_gup_fast() { return make(KFDLAB_GUP_FAST, KFDLAB_GUP_WRITE); }
MadePinner make_gup_fast_read() { return make(KFDLAB_GUP_FAST, 0); }
MadePinner make_gup_slow() { return make(KFDLAB_GUP_SLOW, KFDLAB_GUP_WRITE); }
MadePinner make_gup_slow_read() { return make(KFDLAB_GUP_SLOW, 0); }

}  // namespace kfdlab::pins
