// SPDX-License-Identifier: MIT
#include "tests/stress/actor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace kfdlab::stress {
namespace {

constexpr std::size_t kCommonOneIn = 8;  // pages that KSM may merge

// /proc/kpageflags of a frame, 0 if it has none (Documentation/admin-guide/mm/pagemap.rst).
std::uint64_t page_flags(std::uint64_t frame) {
  const Fd file(::open("/proc/kpageflags", O_RDONLY | O_CLOEXEC));
  std::uint64_t flags = 0;
  return ::pread(file.get(), &flags, sizeof flags, static_cast<off_t>(frame * sizeof flags)) == sizeof flags ? flags
                                                                                                             : 0;
}

}  // namespace

// Weights: evictions, pins, forks and munmaps must each come more than three times a second in every VM while two of
// them share two emulated cores. Children do what needs no device of the parent's.
const std::array<Actor::Operation, 22> Actor::kOperations = {{
    {"write", 160, 250, &Actor::touch_write},
    {"read", 120, 150, &Actor::touch_read},
    {"mmap", 90, 40, &Actor::map_hole},
    {"munmap", 70, 40, &Actor::unmap},
    {"mremap", 50, 40, &Actor::remap},
    {"mprotect", 50, 30, &Actor::protect},
    {"MADV_DONTNEED", 40, 30, &Actor::discard},
    {"MADV_FREE", 20, 10, &Actor::free_lazily},
    {"MADV_PAGEOUT", 15, 10, &Actor::page_out},
    {"MADV_COLD", 10, 5, &Actor::cool},
    {"MADV_MERGEABLE", 15, 5, &Actor::advise_merge},
    {"MADV_HUGEPAGE", 15, 5, &Actor::advise_huge},
    {"fill huge", 2, 1, &Actor::fill_huge},
    {"prefetch to VRAM", 200, 60, &Actor::prefetch_vram},
    {"prefetch to RAM", 40, 15, &Actor::prefetch_ram},
    {"prefetch of another's pages", 20, 0, &Actor::prefetch_of_others},
    {"attributes", 30, 10, &Actor::change_attributes},
    {"evict all", 1, 0, &Actor::evict_all},
    {"buffer", 60, 0, &Actor::buffers},
    {"pin", 110, 60, &Actor::pin},
    {"vmsplice", 40, 20, &Actor::splice},
    {"fork", 40, 0, &Actor::fork_child},
}};

Actor::Actor(Context context, unsigned thread)
    : context_(std::move(context)),
      thread_(thread),
      stream_(mix(mix(mix(context_.setup->seed) + context_.process) + context_.incarnation) + thread),
      generation_(static_cast<std::uint32_t>(mix(stream_))),
      activity_(&context_.board->processes[context_.process].threads[thread]),
      window_(context_.process, thread, context_.setup->window_slots()),
      flavours_(gup_flavours()) {
  activity_->pid = ::getpid();
  activity_->tid = ::gettid();
  auto gup = GupClient::open();
  auto device = TestDevice::open();
  auto oracle = PageOracle::open();
  if (!gup || !device || !oracle) {
    fail((!gup ? gup.error() : !device ? device.error() : oracle.error()).message);
  }
  gup_ = std::make_unique<GupClient>(gup.take());
  device_ = std::make_unique<TestDevice>(device.take());
  oracle_.emplace(oracle.take());
}

const Actor::Operation& Actor::choose(Random& random) const {
  std::size_t sum = 0;
  for (const Operation& operation : kOperations) {
    sum += child_ ? operation.child_weight : operation.weight;
  }
  std::size_t left = random.below(sum);
  for (const Operation& operation : kOperations) {
    const std::size_t weight = child_ ? operation.child_weight : operation.weight;
    if (left < weight) {
      return operation;
    }
    left -= weight;
  }
  return kOperations.front();
}

void Actor::begin(const char* what) {
  doing_ = what;
  activity_->what = what;
  activity_->operation = operation_;
  activity_->began_ns = now_ns();
}

void Actor::step() {
  ++operation_;
  Random random(mix(stream_) + operation_);
  reap_children();
  const Operation& operation = choose(random);
  begin(operation.name);
  (this->*operation.run)(random);
  release_due(random);
  activity_->began_ns = 0;
}

void Actor::finish() {
  Random random(mix(stream_) - 1);
  begin("final check");
  check_all();
  while (!holds_.all().empty()) {
    release(random, holds_.all().size() - 1);
  }
  for (unsigned i = 0; i < buffers_.size(); ++i) {
    if (buffers_[i].memory != nullptr) {
      free_buffer(random, i);
    }
  }
  check_all();
  activity_->began_ns = 0;
}

void Actor::check_all() {
  for (std::size_t slot = 0; slot < window_.slots(); ++slot) {
    check(slot);
  }
}

bool Actor::corrupt() {
  for (std::size_t slot = 0; slot < window_.slots(); ++slot) {
    if (window_.writable(slot) && window_.at(slot).content == Content::Exact) {
      window_.address(slot)[100] ^= 1;
      return true;
    }
  }
  return false;
}

void Actor::note(Run run, const char* what) {
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    window_.note(slot, operation_, what);
  }
  remember(window_.address(run.first), run.count, what);
}

void Actor::remember(const char* address, std::size_t pages, const char* what) {
  const auto start = reinterpret_cast<std::uintptr_t>(address);
  context_.board->processes[context_.process].diary.write(thread_, child_, operation_, what, start,
                                                          start + pages * kPageBytes);
}

void Actor::check(std::size_t slot) {
  if (!window_.readable(slot)) {
    return;
  }
  const Slot& page = window_.at(slot);
  const char* bytes = window_.address(slot);
  context_.board->add(Count::BytesChecked, kPageBytes);
  if (first_wrong_word(bytes, page.key) == kPageWords) {
    return;
  }
  if (page.content == Content::Maybe && first_wrong_word(bytes, kZeroKey) == kPageWords) {
    window_.set_content(slot, Content::Exact, kZeroKey);
    window_.note(slot, operation_, "found freed");
    context_.board->add(Count::LazyFreed);
    return;
  }
  lost(slot, page.key, bytes, "the process");
}

void Actor::write(std::size_t slot, PageKey key) {
  check(slot);
  fill_page(window_.address(slot), key);
  window_.set_content(slot, Content::Exact, key);
  window_.note(slot, operation_, "written");
  remember(window_.address(slot), 1, "write");
  holds_.written(slot);
}

PageKey Actor::new_key(Random& random, std::size_t slot) {
  if (random.one_in(kCommonOneIn)) {
    return make_common_key(random.next());
  }
  return make_key(context_.process, thread_, child_, slot, ++generation_);
}

Run Actor::pick_mapped(Random& random, std::size_t most) const {
  return window_.pick(random, random.size(most),
                      [this](std::size_t slot) { return window_.at(slot).content != Content::Hole; });
}

Run Actor::pick_writable(Random& random, std::size_t most) const {
  return window_.pick(random, random.size(most), [this](std::size_t slot) { return window_.writable(slot); });
}

void Actor::madvise_run(Run run, int advice, const char* what) {
  expect_ok(::madvise(window_.address(run.first), run.count * kPageBytes, advice) == 0 ? 0 : errno, what, run);
  note(run, what);
}

void Actor::expect_ok(int result, std::string_view call, Run run) {
  if (result != 0) {
    fail(fmt::format("{} of slots {}..{} answered {} ({})", call, run.first, run.first + run.count - 1, result,
                     std::strerror(result)));
  }
}

std::string Actor::where(std::size_t slot) const {
  const std::uint64_t frame = oracle_->frame(window_.address(slot));
  switch (oracle_->home(window_.address(slot))) {
    case PageHome::None:
      return "not present";
    case PageHome::Ram:
      return fmt::format("in RAM, frame {:#x} with kpageflags {:#x}", frame, page_flags(frame));
    case PageHome::Vram:
      return fmt::format("in VRAM, frame {:#x}", frame);
  }
  return "";
}

// What the parent of this process has at an address: a child that lost bytes has lost its own, or both.
std::string Actor::parents_view(std::size_t slot) const {
  std::array<char, kPageBytes> page{};
  const iovec here{page.data(), page.size()};
  const iovec there{window_.address(slot), page.size()};
  if (::process_vm_readv(::getppid(), &here, 1, &there, 1, 0) != static_cast<ssize_t>(page.size())) {
    return "its parent has no such page";
  }
  return "its parent has: " + describe_page(page.data(), window_.at(slot).key);
}

void Actor::lost(std::size_t slot, PageKey expected, const void* bytes, std::string_view seen_by) {
  std::string text = fmt::format("lost bytes, seen by {}: ", seen_by) + describe_page(bytes, expected);
  if (slot != kUnbound) {
    const void* address = window_.address(slot);
    text +=
        fmt::format("\nslot {} at {}, {}; its last operations: {}", slot, address, where(slot), window_.history(slot));
    text += child_ ? "\n" + parents_view(slot) : "";
    text += context_.board->processes[context_.process].diary.about(reinterpret_cast<std::uintptr_t>(address));
  }
  fail(text);
}

void Actor::fail(std::string_view what) {
  context_.board->fail(fmt::format("seed {}, process {} (life {}), thread {}{}, operation {} ({}): {}",
                                   context_.setup->seed, context_.process, context_.incarnation, thread_,
                                   child_ ? ", a child" : "", operation_, doing_, what)
                           .c_str());
  ::_exit(1);
}

}  // namespace kfdlab::stress
