// SPDX-License-Identifier: MIT
// Holding pages: long-term pins, ordinary pins, references and pipes, each over a random number of further
// operations, and what a holder may rely on meanwhile.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "tests/stress/actor.h"
#include "tests/support/needs.h"

namespace kfdlab::stress {
namespace {

// As long as a page stays in VRAM when nobody holds it, so that many an eviction meets a held one; all together hold
// less than half of VRAM.
constexpr std::size_t kMostHolds = 12;
constexpr std::size_t kLongestHold = 500;   // operations
constexpr std::size_t kMostHeldPages = 16;  // of one hold: what a pipe takes without asking for more
// A long-term pin may meet an eviction, compaction or a scan that references the page for a moment.
constexpr std::chrono::seconds kTransientLimit{3};
// A page table entry may be a migration entry when it is looked at.
constexpr unsigned kFrameLooks = 10000;

HoldKind kind_of(const GupFlavour& flavour) {
  return flavour.longterm() ? HoldKind::Longterm : flavour.pins() ? HoldKind::Pin : HoldKind::Get;
}

const char* taken(HoldKind kind) {
  switch (kind) {
    case HoldKind::Longterm:
      return "long-term pin";
    case HoldKind::Pin:
      return "ordinary pin";
    case HoldKind::Get:
      return "reference";
    case HoldKind::Pipe:
      return "vmsplice";
  }
  return "";
}

}  // namespace

// Pages whose contents are certain and which are really there: a hold of a page of zeroes or of a lazily freed one
// could be of another page than the one the owner writes to next.
Run Actor::pick_holdable(Random& random, std::size_t most) {
  const int protection = random.one_in(8) ? PROT_READ : PROT_READ | PROT_WRITE;
  Run run = window_.pick(random, random.size(most), [&](std::size_t slot) {
    return window_.at(slot).content != Content::Hole && window_.at(slot).protection == protection;
  });
  for (std::size_t i = 0; i < run.count; ++i) {
    const Slot& page = window_.at(run.first + i);
    if (page.content == Content::Exact && page.key != kZeroKey) {
      continue;
    }
    if (protection == PROT_READ) {
      run.count = i;
    } else {
      write(run.first + i, new_key(random, run.first + i));
    }
  }
  // Mostly they are in VRAM, as far as there is room: to be moved out by the pin, or to be in the way of
  // evictions.
  if (run.count > 0 && context_.kfd != nullptr && !random.one_in(4)) {
    move_run(run, random_gpu(random), "prefetch before a hold");
    changed(Count::PrefetchVram);
  }
  return run;
}

bool Actor::others_may_hold(Run run) const {
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    if (holds_.any_on(slot)) {
      return true;
    }
  }
  return child_ || living_children() > 0;
}

// False: refused for a reason the rules allow.
bool Actor::take_pin(const GupFlavour& flavour, Run run, Hold* hold) {
  const bool denied = flavour.writes() && !window_.writable(run.first);
  const auto deadline = std::chrono::steady_clock::now() + kTransientLimit * patience();
  for (;;) {
    int error = gup_->hold(flavour, window_.address(run.first), run.count, &hold->gup);
    if (error == 0 && flavour.longterm() && hold->gup.npages() < run.count) {
      // The fast part keeps what it has when the slow one meets a page that is held.
      expect_ok(hold->gup.release(false), "giving a part back", run);
      error = EBUSY;
    }
    if (denied) {
      expect_ok(error == EFAULT ? 0 : EPROTO, flavour.name() + " against the protection", run);
      context_.board->add(Count::PinsDenied);
      return false;
    }
    if (error != EBUSY || !flavour.longterm()) {
      expect_ok(error, flavour.name(), run);
      return true;
    }
    if (others_may_hold(run)) {
      context_.board->add(Count::Ebusy);
      return false;
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      fail(fmt::format("{} of slots {}..{} answers EBUSY, and nobody holds them; slot {} is {}, history {}",
                       flavour.name(), run.first, run.first + run.count - 1, run.first, where(run.first),
                       window_.history(run.first)));
    }
    context_.board->add(Count::EbusyTransient);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

void Actor::pin(Random& random) {
  if (holds_.all().size() >= kMostHolds) {
    release(random, random.below(holds_.all().size()));
  }
  GupFlavour flavour = flavours_[random.below(flavours_.size())];
  while (!flavour.faults()) {
    flavour = flavours_[random.below(flavours_.size())];
  }
  const Run run = pick_holdable(random, kMostHeldPages);
  if (run.count == 0) {
    return;
  }
  Hold hold;
  hold.kind = kind_of(flavour);
  hold.writes = flavour.writes();
  note(run, taken(hold.kind));
  if (!take_pin(flavour, run, &hold)) {
    // Before it met the page that is in the way it may have parted the owner from shared ones.
    for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
      holds_.replaced(slot);
    }
    return;
  }
  if (hold.gup.npages() != run.count) {
    fail(fmt::format("{} holds {} of {} pages from slot {}", flavour.name(), hold.gup.npages(), run.count, run.first));
  }
  if (flavour.longterm()) {
    if (hold.gup.vram() != 0) {
      fail(fmt::format("{} holds {} of {} pages in VRAM, from slot {} ({})", flavour.name(), hold.gup.vram(), run.count,
                       run.first, window_.history(run.first)));
    }
    context_.board->add(Count::PinsLongtermPages, run.count);
  } else {
    context_.board->add(Count::HeldPagesInVram, hold.gup.vram());
  }
  changed(flavour.longterm() ? Count::PinsLongterm : flavour.pins() ? Count::PinsOrdinary : Count::PinsGet);
  keep(random, std::move(hold), run);
}

void Actor::splice(Random& random) {
  if (holds_.all().size() >= kMostHolds) {
    release(random, random.below(holds_.all().size()));
  }
  const Run run = pick_holdable(random, kMostHeldPages);
  int ends[2];
  if (run.count == 0) {
    return;
  }
  expect_ok(::pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno, "pipe", run);
  Hold hold;
  hold.kind = HoldKind::Pipe;
  hold.pipe = Fd(ends[0]);
  hold.pipe_in = Fd(ends[1]);
  note(run, taken(hold.kind));
  const iovec pages{window_.address(run.first), run.count * kPageBytes};
  const ssize_t spliced = ::vmsplice(hold.pipe_in.get(), &pages, 1, 0);
  if (spliced != static_cast<ssize_t>(pages.iov_len)) {
    fail(fmt::format("vmsplice of {} pages from slot {} answered {}, errno {}", run.count, run.first, spliced, errno));
  }
  changed(Count::Vmsplices);
  keep(random, std::move(hold), run);
}

void Actor::keep(Random& random, Hold hold, Run run) {
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    HeldPage page{.slot = slot, .key = window_.at(slot).key};
    const PageHome home = oracle_->home(window_.address(slot));
    // A page in RAM that is merely referenced may be swapped out and in again.
    page.frame_known = hold.exclusive() || home == PageHome::Vram;
    page.frame = page.frame_known ? oracle_->frame(window_.address(slot)) : 0;
    page.frame_known = page.frame != 0;
    if (hold.kind == HoldKind::Longterm && home == PageHome::Vram) {
      fail(fmt::format("slot {} is long-term pinned and {}", slot, where(slot)));
    }
    if (hold.kind == HoldKind::Pipe) {
      context_.board->add(Count::HeldPagesInVram, home == PageHome::Vram ? 1 : 0);
    }
    if (hold.exclusive() || hold.writes) {
      holds_.replaced(slot);
    }
    hold.pages.push_back(page);
  }
  hold.until = operation_ + random.size(kLongestHold);
  holds_.all().push_back(std::move(hold));
}

// While a page is held its owner sees the same frame, unless the owner parted from it.
void Actor::check_frame(const Hold& hold, const HeldPage& page) {
  if (page.slot == kUnbound || !page.frame_known) {
    return;
  }
  for (unsigned look = 0; look < kFrameLooks; ++look) {
    const std::uint64_t frame = oracle_->frame(window_.address(page.slot));
    if (frame == page.frame) {
      return;
    }
    if (frame != 0) {
      fail(fmt::format("a {} of slot {} holds frame {:#x}, but the process now maps {:#x}, {}; history {}",
                       taken(hold.kind), page.slot, page.frame, frame, where(page.slot), window_.history(page.slot)));
    }
    if (!window_.readable(page.slot)) {
      return;  // swapped out, or on its way: nothing brings it back while it cannot be touched
    }
    check(page.slot);
  }
  fail(fmt::format("slot {}, held by a {}, does not become present", page.slot, taken(hold.kind)));
}

void Actor::check_hold(Hold& hold, std::size_t index) {
  const HeldPage& page = hold.pages[index];
  check_frame(hold, page);
  if (!page.bytes_known || hold.kind == HoldKind::Pipe) {
    return;
  }
  const PageKey key = page.slot == kUnbound ? page.key : window_.at(page.slot).key;
  expect_ok(hold.gup.read(index * kPageBytes, std::as_writable_bytes(std::span(scratch_))), "reading a held page",
            {page.slot, 1});
  context_.board->add(Count::BytesChecked, kPageBytes);
  context_.board->add(Count::HeldPagesChecked);
  if (first_wrong_word(scratch_.data(), key) != kPageWords) {
    lost(page.slot, key, scratch_.data(), fmt::format("the holder of a {}", taken(hold.kind)));
  }
}

void Actor::write_by_dma(Random& random, Hold& hold, std::size_t index) {
  HeldPage& page = hold.pages[index];
  const PageKey key =
      make_key(context_.process, thread_, child_, page.slot == kUnbound ? 0xffff : page.slot, ++generation_);
  check_hold(hold, index);
  fill_page(scratch_.data(), key);
  expect_ok(hold.gup.write(index * kPageBytes, std::as_bytes(std::span(scratch_))), "writing a held page",
            {page.slot, 1});
  context_.board->add(Count::DmaWrites);
  context_.board->add(Count::OpsTotal);
  page.key = key;
  if (page.slot == kUnbound) {
    for (Hold& other : holds_.all()) {
      for (HeldPage& same : other.pages) {
        // Two holds may have parted from the owner with the same page.
        same.bytes_known = same.bytes_known && (same.slot != kUnbound || &same == &page);
      }
    }
    return;
  }
  window_.set_content(page.slot, Content::Exact, key);
  window_.note(page.slot, operation_, "written through a pin");
  holds_.written(page.slot);
  if (random.one_in(2)) {
    check(page.slot);
  }
}

void Actor::look_at_hold(Random& random) {
  Hold& hold = holds_.all()[random.below(holds_.all().size())];
  const std::size_t index = random.below(hold.pages.size());
  if (hold.exclusive() && hold.writes && random.one_in(2)) {
    write_by_dma(random, hold, index);
  } else {
    check_hold(hold, index);
  }
}

void Actor::drain_pipe(Hold& hold) {
  for (const HeldPage& page : hold.pages) {
    check_frame(hold, page);
    std::size_t got = 0;
    while (got < kPageBytes) {
      const ssize_t n = ::read(hold.pipe.get(), scratch_.data() + got, kPageBytes - got);
      expect_ok(n > 0 ? 0 : EPIPE, "reading a pipe", {page.slot, 1});
      got += static_cast<std::size_t>(n);
    }
    context_.board->add(Count::HeldPagesChecked);
    context_.board->add(Count::BytesChecked, kPageBytes);
    const PageKey key = page.slot == kUnbound ? page.key : window_.at(page.slot).key;
    if (page.bytes_known && first_wrong_word(scratch_.data(), key) != kPageWords) {
      lost(page.slot, key, scratch_.data(), "the reader of a pipe");
    }
  }
}

void Actor::release(Random& random, std::size_t index) {
  Hold hold = std::move(holds_.all()[index]);
  for (const HeldPage& page : hold.pages) {
    if (page.slot != kUnbound) {
      remember(window_.address(page.slot), 1, "release");
    }
  }
  holds_.all().erase(holds_.all().begin() + static_cast<std::ptrdiff_t>(index));
  if (hold.kind == HoldKind::Pipe) {
    drain_pipe(hold);
  } else {
    for (std::size_t page = 0; page < hold.pages.size(); ++page) {
      check_hold(hold, page);
    }
    // A device that wrote says so when it lets go.
    expect_ok(hold.gup.release(hold.writes && random.one_in(2)), "giving a hold back", {hold.pages.front().slot, 1});
  }
  changed(Count::Releases);
}

void Actor::release_due(Random& random) {
  for (std::size_t i = holds_.all().size(); i > 0; --i) {
    if (holds_.all()[i - 1].until <= operation_) {
      release(random, i - 1);
    }
  }
  if (!holds_.all().empty() && random.one_in(2)) {
    look_at_hold(random);
  }
}

}  // namespace kfdlab::stress
