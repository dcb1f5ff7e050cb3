// SPDX-License-Identifier: MIT
#include "tests/stress/holds.h"

#include <utility>

namespace kfdlab::stress {

bool Holds::any_on(std::size_t slot) const {
  for (const Hold& hold : holds_) {
    for (const HeldPage& page : hold.pages) {
      if (page.slot == slot) {
        return true;
      }
    }
  }
  return false;
}

void Holds::unbind(std::size_t slot, PageKey key) {
  for (Hold& hold : holds_) {
    for (HeldPage& page : hold.pages) {
      if (page.slot == slot) {
        page.slot = kUnbound;
        page.key = key;
        page.frame_known = false;
      }
    }
  }
}

void Holds::move(std::size_t from, std::size_t to) {
  for (Hold& hold : holds_) {
    for (HeldPage& page : hold.pages) {
      if (page.slot == from) {
        page.slot = to;
      }
    }
  }
}

void Holds::written(std::size_t slot) {
  for (Hold& hold : holds_) {
    for (HeldPage& page : hold.pages) {
      if (page.slot == slot && !hold.exclusive()) {
        page.bytes_known = false;
        page.frame_known = false;
      }
    }
  }
}

void Holds::forked() {
  for (Hold& hold : holds_) {
    for (HeldPage& page : hold.pages) {
      page.frame_known = page.frame_known && hold.exclusive();
    }
  }
}

void Holds::replaced(std::size_t slot) {
  for (Hold& hold : holds_) {
    for (HeldPage& page : hold.pages) {
      if (page.slot == slot && !hold.exclusive()) {
        page.frame_known = false;
      }
    }
  }
}

void Holds::abandon() {
  // Destructors would give back what the parent still holds: both share the files behind it.
  auto* parents = new std::vector<Hold>(std::move(holds_));
  static_cast<void>(parents);
  holds_.clear();
}

}  // namespace kfdlab::stress
