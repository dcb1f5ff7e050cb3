// SPDX-License-Identifier: MIT
// Operations of a thread on its own mappings: ordinary system calls that must not notice where the pages are.
#include <sys/mman.h>

#include <cerrno>

#include "tests/stress/actor.h"

namespace kfdlab::stress {
namespace {

constexpr std::size_t kHugeSlots = 512;
constexpr int kReadWrite = PROT_READ | PROT_WRITE;

}  // namespace

void Actor::touch_write(Random& random) {
  const Run run = pick_writable(random, 16);
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    write(slot, new_key(random, slot));
  }
  if (run.count > 0) {
    context_.board->add(Count::Writes, run.count);
    context_.board->add(Count::OpsTotal);
  }
}

void Actor::touch_read(Random& random) {
  const Run run = window_.pick(random, random.size(128), [this](std::size_t slot) { return window_.readable(slot); });
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    check(slot);
  }
}

void Actor::move_in() {
  begin("moving in");
  Random random(mix(stream_));
  const Run all{0, context_.setup->thread_pages};
  map_run(all);
  for (std::size_t slot = 0; slot < all.count; ++slot) {
    if (!random.one_in(4)) {
      write(slot, new_key(random, slot));
    }
  }
  activity_->began_ns = 0;
}

void Actor::map_hole(Random& random) {
  if (window_.mapped() >= context_.setup->thread_pages) {
    return;
  }
  const Run run = window_.pick(random, random.size(64),
                               [this](std::size_t slot) { return window_.at(slot).content == Content::Hole; });
  if (run.count == 0) {
    return;
  }
  map_run(run);
  changed(Count::Mmaps);
  // What was there before munmap() is forgotten.
  if (context_.kfd != nullptr) {
    check_attributes(run);
  }
  for (std::size_t i = random.below(run.count + 1); i > 0; --i) {
    write(run.first + i - 1, new_key(random, run.first + i - 1));
  }
}

void Actor::map_run(Run run) {
  void* address = window_.address(run.first);
  void* mapped = ::mmap(address, run.count * kPageBytes, kReadWrite,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  expect_ok(mapped == address ? 0 : errno, "mmap", run);
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    window_.set_content(slot, Content::Exact, kZeroKey);
    window_.set_protection(slot, kReadWrite);
  }
  note(run, "mmap");
}

void Actor::unmap(Random& random) {
  const Run run = pick_mapped(random, 48);
  if (run.count == 0) {
    return;
  }
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    check(slot);
  }
  expect_ok(::munmap(window_.address(run.first), run.count * kPageBytes) == 0 ? 0 : errno, "munmap", run);
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    holds_.unbind(slot, window_.at(slot).key);
    window_.set_content(slot, Content::Hole, kZeroKey);
    window_.set_granularity(slot, kDefaultGranularity);
  }
  note(run, "munmap");
  changed(Count::Munmaps);
  if (context_.kfd != nullptr && random.one_in(4)) {
    check_forgotten(random, run);
  }
}

// A page of what was unmapped is mapped again, before the driver had time for more than the notifier.
void Actor::check_forgotten(Random& random, Run run) {
  const Run page{run.first + random.below(run.count), 1};
  map_run(page);
  changed(Count::Mmaps);
  check_attributes(page);
}

void Actor::remap(Random& random) {
  Run from = pick_mapped(random, 32);
  const Run to = window_.pick(random, from.count > 0 ? from.count : 1,
                              [this](std::size_t slot) { return window_.at(slot).content == Content::Hole; });
  std::size_t count = std::min(from.count, to.count);
  if (count == 0) {
    return;
  }
  // Leaves the old mapping, empty.
  const bool leave = random.one_in(4) && window_.mapped() + count <= context_.setup->thread_pages;
  const int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (leave ? MREMAP_DONTUNMAP : 0);
  for (;; count /= 2) {
    from.count = count;
    void* target = window_.address(to.first);
    if (::mremap(window_.address(from.first), count * kPageBytes, count * kPageBytes, flags, target) == target) {
      break;
    }
    // Only that the run is more than one mapping is a reason; one page never is.
    expect_ok(errno == EFAULT && count > 1 ? 0 : errno, "mremap", from);
    context_.board->add(Count::MremapsRefused);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const Slot page = window_.at(from.first + i);
    window_.set_content(to.first + i, page.content, page.key);
    window_.set_protection(to.first + i, page.protection);
    window_.set_content(from.first + i, leave ? Content::Exact : Content::Hole, kZeroKey);
    window_.set_granularity(from.first + i, kDefaultGranularity);
    window_.move_history(from.first + i, to.first + i);
    holds_.move(from.first + i, to.first + i);
  }
  note(from, leave ? "left by mremap" : "gone by mremap");
  note({to.first, count}, "arrived by mremap");
  changed(Count::Mremaps);
  if (context_.kfd != nullptr && random.one_in(4)) {
    check_attributes({to.first, count});
  }
  check(to.first);
  check(from.first);
}

void Actor::protect(Random& random) {
  const Run run = pick_mapped(random, 32);
  if (run.count == 0) {
    return;
  }
  const std::size_t dice = random.below(10);
  const int protection = dice < 6 ? kReadWrite : dice < 8 ? PROT_READ : PROT_NONE;
  expect_ok(::mprotect(window_.address(run.first), run.count * kPageBytes, protection) == 0 ? 0 : errno, "mprotect",
            run);
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    window_.set_protection(slot, protection);
  }
  note(run, protection == kReadWrite ? "PROT_WRITE" : protection == PROT_READ ? "PROT_READ" : "PROT_NONE");
  changed(Count::Mprotects);
}

void Actor::discard(Random& random) {
  const Run run = pick_mapped(random, random.one_in(10) ? kHugeSlots : 32);
  if (run.count == 0) {
    return;
  }
  madvise_run(run, MADV_DONTNEED, "MADV_DONTNEED");
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    holds_.unbind(slot, window_.at(slot).key);
    window_.set_content(slot, Content::Exact, kZeroKey);
  }
  changed(Count::Discards);
  check(run.first);
}

// The pages are written first, so they are this process's alone. MADV_FREE of a page that a fork shares loses the
// other process's bytes on stock kernels without any driver, if that one got its copy by a reading pin: such a copy
// is dirty neither in the page table nor in the page (wp_page_copy() with unshare).
void Actor::free_lazily(Random& random) {
  const Run run = window_.pick(random, random.size(32),
                               [this](std::size_t slot) { return window_.writable(slot) && !holds_.any_on(slot); });
  if (run.count == 0) {
    return;
  }
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    write(slot, new_key(random, slot));
  }
  madvise_run(run, MADV_FREE, "MADV_FREE");
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    const PageKey key = window_.at(slot).key;
    window_.set_content(slot, key == kZeroKey ? Content::Exact : Content::Maybe, key);
  }
  changed(Count::LazyFrees);
}

void Actor::page_out(Random& random) {
  const Run run = pick_mapped(random, 64);
  if (run.count > 0) {
    madvise_run(run, MADV_PAGEOUT, "MADV_PAGEOUT");
    changed(Count::Pageouts);
  }
}

void Actor::cool(Random& random) {
  const Run run = pick_mapped(random, 64);
  if (run.count > 0) {
    madvise_run(run, MADV_COLD, "MADV_COLD");
    changed(Count::Colds);
  }
}

// What is registered for merging does not go to VRAM, so most is taken back.
void Actor::advise_merge(Random& random) {
  if (!context_.setup->ksm) {
    return;
  }
  const bool merge = random.one_in(3);
  const Run run = pick_mapped(random, merge ? 64 : kHugeSlots);
  if (run.count > 0) {
    madvise_run(run, merge ? MADV_MERGEABLE : MADV_UNMERGEABLE, merge ? "MADV_MERGEABLE" : "MADV_UNMERGEABLE");
    changed(Count::Merges);
  }
}

void Actor::advise_huge(Random& random) {
  const Run run = pick_mapped(random, 2 * kHugeSlots);
  if (run.count > 0) {
    const bool huge = !random.one_in(3);
    madvise_run(run, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE, huge ? "MADV_HUGEPAGE" : "MADV_NOHUGEPAGE");
    changed(Count::HugeAdvice);
  }
}

// A huge page from the first fault on, where a whole one fits.
void Actor::fill_huge(Random& random) {
  const std::size_t first = random.below(window_.slots() / kHugeSlots) * kHugeSlots;
  const Run run{first, kHugeSlots};
  for (std::size_t slot = first; slot < first + kHugeSlots; ++slot) {
    if (!window_.writable(slot)) {
      return;
    }
  }
  madvise_run(run, MADV_HUGEPAGE, "MADV_HUGEPAGE");
  madvise_run(run, MADV_DONTNEED, "MADV_DONTNEED");
  for (std::size_t slot = first; slot < first + kHugeSlots; ++slot) {
    holds_.unbind(slot, window_.at(slot).key);
    window_.set_content(slot, Content::Exact, kZeroKey);
  }
  for (std::size_t slot = first + random.below(64); slot < first + kHugeSlots; slot += random.between(1, 32)) {
    write(slot, new_key(random, slot));
  }
  changed(Count::HugeFills);
}

}  // namespace kfdlab::stress
