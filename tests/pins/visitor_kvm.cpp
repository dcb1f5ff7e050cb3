// SPDX-License-Identifier: MIT
// A guest of KVM that reads or writes the pages as its own memory.
#include <algorithm>
#include <vector>

#include "tests/pins/guest.h"
#include "tests/pins/visitors.h"
#include "tests/support/pattern.h"

namespace kfdlab::pins {
namespace {

class GuestMemory : public Visitor {
 public:
  GuestMemory(Guest guest, bool write) : guest_(std::move(guest)), write_(write) {}
  Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t seed) override {
    KFDLAB_TRY(guest_.map(pages));
    if (write_) {
      fill_pattern(guest_.plain(), reinterpret_cast<std::uintptr_t>(pages.data()), seed);
    }
    KFDLAB_TRY(guest_.copy(!write_));
    return Pieces{{0, std::vector<std::byte>(guest_.plain().begin(), guest_.plain().end())}};
  }

 private:
  Guest guest_;
  bool write_;
};

MadeVisitor make(bool write) {
  auto guest = Guest::open();
  KFDLAB_TRY(guest);
  return MadeVisitor(std::make_unique<GuestMemory>(guest.take(), write));
}

}  // namespace

MadeVisitor make_kvm_read() { return make(false); }
MadeVisitor make_kvm_write() { return make(true); }

}  // namespace kfdlab::pins
