// SPDX-License-Identifier: MIT
// Operations of a thread that ask the GPU driver for something: prefetch, attributes, eviction.
#include <fmt/format.h>

#include <algorithm>

#include "tests/stress/actor.h"

namespace kfdlab::stress {
namespace {

std::uint64_t number(const char* address) { return reinterpret_cast<std::uintptr_t>(address); }

}  // namespace

std::uint32_t Actor::random_gpu(Random& random) const {
  return context_.setup->gpus[random.below(context_.setup->gpus.size())];
}

void Actor::move_run(Run run, std::uint32_t location, const char* what) {
  note(run, what);
  expect_ok(context_.kfd->svm_prefetch(number(window_.address(run.first)), run.count * kPageBytes, location), what,
            run);
}

void Actor::prefetch(Random& random, bool to_vram) {
  const Run run = pick_mapped(random, random.one_in(8) ? 512 : 96);
  if (run.count == 0 || context_.kfd == nullptr) {
    return;
  }
  const std::uint32_t location = to_vram ? random_gpu(random) : kSvmSystem;
  const char* what = to_vram ? "prefetch to VRAM" : "prefetch to RAM";
  move_run(run, location, what);
  changed(to_vram ? Count::PrefetchVram : Count::PrefetchRam);
  const std::size_t slot = run.first + random.below(run.count);
  check(slot);
}

void Actor::prefetch_vram(Random& random) { prefetch(random, true); }

void Actor::prefetch_ram(Random& random) { prefetch(random, false); }

// Pages of another thread of this process, who knows nothing of it. Its window may have holes.
void Actor::prefetch_of_others(Random& random) {
  const unsigned threads = context_.setup->threads;
  if (threads < 2 || context_.kfd == nullptr) {
    return;
  }
  const auto other = static_cast<unsigned>((thread_ + 1 + random.below(threads - 1)) % threads);
  const std::size_t count = random.size(64);
  const std::size_t first = random.below(window_.slots() - count);
  const bool to_vram = random.one_in(2);
  const std::uint64_t address = number(Window::base_of(context_.process, other)) + first * kPageBytes;
  remember(Window::base_of(context_.process, other) + first * kPageBytes, count,
           to_vram ? "foreign prefetch to VRAM" : "foreign prefetch to RAM");
  const int error = context_.kfd->svm_prefetch(address, count * kPageBytes, to_vram ? random_gpu(random) : kSvmSystem);
  if (error == EFAULT) {
    context_.board->add(Count::PrefetchHoles);
    return;
  }
  expect_ok(error, "prefetch of another's pages", {first, count});
  changed(to_vram ? Count::PrefetchVram : Count::PrefetchRam);
}

// GET answers the smallest granularity of all the pages.
void Actor::check_attributes(Run run) {
  std::uint32_t expected = kDefaultGranularity;
  for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
    expected = std::min<std::uint32_t>(expected, window_.at(slot).granularity);
  }
  kfd_ioctl_svm_attribute attribute{KFD_IOCTL_SVM_ATTR_GRANULARITY, 0};
  expect_ok(context_.kfd->svm_get(number(window_.address(run.first)), run.count * kPageBytes, {&attribute, 1}),
            "GET of SVM attributes", run);
  if (attribute.value != expected) {
    fail(fmt::format("SVM granularity of slots {}..{} is {} instead of {}; history of the first: {}", run.first,
                     run.first + run.count - 1, attribute.value, expected, window_.history(run.first)));
  }
}

void Actor::change_attributes(Random& random) {
  const Run run = pick_mapped(random, 128);
  if (run.count == 0 || context_.kfd == nullptr) {
    return;
  }
  check_attributes(run);
  const std::uint32_t gpu = random_gpu(random);
  const std::array<std::uint32_t, 3> locations = {gpu, kSvmSystem, kSvmUndefined};
  const auto granularity = static_cast<std::uint8_t>(random.below(kDefaultGranularity + 1));
  const std::array<kfd_ioctl_svm_attribute, 7> choices = {{
      {KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, locations[random.below(locations.size())]},
      {KFD_IOCTL_SVM_ATTR_ACCESS, gpu},
      {KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE, gpu},
      {KFD_IOCTL_SVM_ATTR_NO_ACCESS, gpu},
      {KFD_IOCTL_SVM_ATTR_SET_FLAGS, KFD_IOCTL_SVM_FLAG_GPU_READ_MOSTLY},
      {KFD_IOCTL_SVM_ATTR_GRANULARITY, granularity},
      {KFD_IOCTL_SVM_ATTR_GRANULARITY, granularity},
  }};
  const kfd_ioctl_svm_attribute attribute = choices[random.below(choices.size())];
  expect_ok(context_.kfd->svm_set(number(window_.address(run.first)), run.count * kPageBytes, {&attribute, 1}),
            fmt::format("SVM attribute {}", attribute.type), run);
  if (attribute.type == KFD_IOCTL_SVM_ATTR_GRANULARITY) {
    for (std::size_t slot = run.first; slot < run.first + run.count; ++slot) {
      window_.set_granularity(slot, granularity);
    }
  }
  note(run, "attribute");
  changed(Count::Attributes);
}

// Rare: afterwards VRAM is empty, and TTM has nothing to evict for a while.
void Actor::evict_all(Random& random) {
  if (!random.one_in(10)) {
    return;
  }
  if (const auto evicted = device_->evict(random_gpu(random)); !evicted) {
    fail(evicted.error().message);
  }
  changed(Count::EvictAll);
}

}  // namespace kfdlab::stress
