// SPDX-License-Identifier: MIT
// Holds: what one thread holds references to at the moment, and what is known about each held page. A held page is
// *bound* while the owner's page table still points at it; then what the holder sees is what the owner sees. When
// the owner unmaps, discards or copies it, the holder keeps the old page with its last contents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/fd.h"
#include "tests/stress/page_key.h"
#include "tests/stress/window.h"
#include "tests/support/gup_client.h"

namespace kfdlab::stress {

enum class HoldKind : std::uint8_t {
  Longterm,  // FOLL_PIN | FOLL_LONGTERM
  Pin,       // FOLL_PIN
  Get,       // FOLL_GET
  Pipe,      // vmsplice()
};

inline constexpr std::size_t kUnbound = ~std::size_t{0};

struct HeldPage {
  std::size_t slot = kUnbound;
  PageKey key = kZeroKey;   // contents; of a bound page the window knows better
  std::uint64_t frame = 0;  // while frame_known: the frame the slot must map
  bool bytes_known = true;
  bool frame_known = false;
};

struct Hold {
  HoldKind kind = HoldKind::Get;
  bool writes = false;
  GupHold gup;
  Fd pipe;                  // reading end; closing it gives everything back
  Fd pipe_in;               // writing end
  std::uint64_t until = 0;  // operation at which it is given back
  std::vector<HeldPage> pages;

  // The page cannot be replaced in the owner's page table behind its back.
  [[nodiscard]] bool exclusive() const { return kind == HoldKind::Longterm || kind == HoldKind::Pin; }
};

class Holds {
 public:
  [[nodiscard]] std::vector<Hold>& all() { return holds_; }
  [[nodiscard]] bool any_on(std::size_t slot) const;

  // The page behind a slot is no longer mapped there; its contents were `key`.
  void unbind(std::size_t slot, PageKey key);
  void move(std::size_t from, std::size_t to);
  // The owner writes: a page held by a mere reference may have been copied first. It may as well be the page still.
  void written(std::size_t slot);
  // The owner forked: from now on a write may replace a page held by a mere reference.
  void forked();
  // A pin, or a reference for writing, was taken: if the page was shared, the slot maps a copy now.
  void replaced(std::size_t slot);
  // In a child of fork(): these are the parent's. Nothing is given back.
  void abandon();

 private:
  std::vector<Hold> holds_;
};

}  // namespace kfdlab::stress
