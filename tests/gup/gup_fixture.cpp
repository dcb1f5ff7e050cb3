// SPDX-License-Identifier: MIT
#include "tests/gup/gup_fixture.h"

#include <cstring>
#include <fstream>
#include <functional>
#include <utility>

#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

using testing::AssertionFailure;
using testing::AssertionResult;
using testing::AssertionSuccess;

std::vector<GupCase> select(const std::function<bool(const GupFlavour&)>& wanted) {
  std::vector<GupCase> cases;
  for (const GupFlavour& flavour : gup_flavours()) {
    if (wanted(flavour)) {
      cases.push_back({flavour, 8, flavour.name()});
    }
  }
  return cases;
}

// Pages the driver moved on somebody's demand: none of that may happen behind a pin.
std::uint64_t moved_on_demand(const kfdlab_test_counters& counters) {
  return counters.pages_to_vram + counters.pages_to_ram_prefetch + counters.pages_to_ram_evict;
}

AssertionResult holds_all(const GupHold& hold, std::size_t npages) {
  if (!hold.held()) {
    return AssertionFailure() << "nothing is held";
  }
  if (hold.npages() != npages) {
    return AssertionFailure() << hold.npages() << " of " << npages << " pages are held";
  }
  return AssertionSuccess();
}

}  // namespace

std::vector<GupCase> every_flavour() {
  return select([](const GupFlavour&) { return true; });
}
std::vector<GupCase> every_pin() {
  return select([](const GupFlavour& flavour) { return flavour.pins(); });
}
std::vector<GupCase> longterm_pins() {
  return select([](const GupFlavour& flavour) { return flavour.longterm(); });
}
std::vector<GupCase> longterm_write_pins() {
  return select([](const GupFlavour& flavour) { return flavour.longterm() && flavour.writes(); });
}
std::vector<GupCase> longterm_read_pins() {
  return select([](const GupFlavour& flavour) { return flavour.longterm() && !flavour.writes(); });
}
std::vector<GupCase> ordinary_flavours() {
  return select([](const GupFlavour& flavour) { return !flavour.longterm(); });
}
std::vector<GupCase> ordinary_read_flavours() {
  return select([](const GupFlavour& flavour) { return !flavour.longterm() && !flavour.writes(); });
}
std::vector<GupCase> ordinary_write_flavours() {
  return select([](const GupFlavour& flavour) { return !flavour.longterm() && flavour.writes(); });
}
std::vector<GupCase> writing_flavours() {
  return select([](const GupFlavour& flavour) { return flavour.writes(); });
}

void GupTest::SetUp() {
  KFDLAB_NEEDS_ROOT();
  KFDLAB_NEEDS_NODE("/dev/kfd");
  KFDLAB_NEEDS_NODE("/dev/kfdlab_gup");
  KFDLAB_NEEDS_NODE("/dev/kfdlab_test");

  const std::vector<std::uint32_t> gpus = topology_gpu_ids();
  ASSERT_FALSE(gpus.empty()) << "the KFD topology shows no GPU";
  gpu_id_ = gpus.front();

  auto kfd = KfdClient::open();
  ASSERT_TRUE(kfd.ok()) << kfd.error().message;
  kfd_.emplace(kfd.take());
  auto gup = GupClient::open();
  ASSERT_TRUE(gup.ok()) << gup.error().message;
  gup_.emplace(gup.take());
  auto oracle = PageOracle::open();
  ASSERT_TRUE(oracle.ok()) << oracle.error().message;
  oracle_.emplace(oracle.take());
  auto device = TestDevice::open();
  ASSERT_TRUE(device.ok()) << device.error().message;
  device_.emplace(device.take());
}

kfdlab_test_counters GupTest::counters() const {
  auto counters = device_->counters(gpu_id_);
  if (!counters.ok()) {
    ADD_FAILURE() << counters.error().message;
    return {};
  }
  return counters.value();
}

TestDevice::Evicted GupTest::evict() const {
  auto evicted = device_->evict(gpu_id_);
  if (!evicted.ok()) {
    ADD_FAILURE() << evicted.error().message;
    return {};
  }
  return evicted.value();
}

std::int64_t GupTest::outstanding_pins() const {
  auto pins = read_pin_counts();
  if (!pins.ok()) {
    ADD_FAILURE() << pins.error().message;
    return 0;
  }
  return pins.value().outstanding();
}

int GupTest::prefetch_to_vram(Pages pages) const {
  return kfd_->svm_prefetch(reinterpret_cast<std::uintptr_t>(pages.data()), pages.size(), gpu_id_);
}

int GupTest::prefetch_to_ram(Pages pages) const {
  return kfd_->svm_prefetch(reinterpret_cast<std::uintptr_t>(pages.data()), pages.size(), kSvmSystem);
}

// A prefetch leaves behind what somebody holds, and another CPU's batch of LRU updates holds its pages until it is full.
// Compaction is the one thing user space can ask for that empties those batches; it is asked only when needed, and said.
AssertionResult GupTest::move_to_vram(Pages pages) const {
  if (const int error = prefetch_to_vram(pages)) {
    return AssertionFailure() << "prefetch to VRAM: " << std::strerror(error);
  }
  if (!all_in_vram(pages) && (std::ofstream("/proc/sys/vm/compact_memory") << 1 << std::flush)) {
    RecordProperty("lru_batches_emptied", 1);
    if (const int error = prefetch_to_vram(pages)) {
      return AssertionFailure() << "second prefetch to VRAM: " << std::strerror(error);
    }
  }
  return all_in_vram(pages);
}

AssertionResult GupTest::fill_in_vram(Pages pages) const {
  fill_pattern(pages, kFirst);
  return move_to_vram(pages);
}

AssertionResult GupTest::all_in_vram(Pages pages) const {
  const PageCensus found = census(pages);
  if (found.vram != count(pages)) {
    return AssertionFailure() << "expected all pages in VRAM, found " << to_string(found);
  }
  return AssertionSuccess();
}

AssertionResult GupTest::all_in_ram(Pages pages) const {
  const PageCensus found = census(pages);
  if (found.ram != count(pages)) {
    return AssertionFailure() << "expected all pages in RAM, found " << to_string(found);
  }
  return AssertionSuccess();
}

AssertionResult GupTest::intact(Pages pages, std::uint64_t seed) {
  if (const auto mismatch = find_mismatch(pages, seed)) {
    return AssertionFailure() << "the process sees wrong contents " << mismatch->describe();
  }
  return AssertionSuccess();
}

AssertionResult GupTest::intact_through(const GupHold& hold, Pages pages, std::uint64_t seed) {
  std::vector<std::byte> seen(pages.size());
  if (const int error = hold.read(0, seen)) {
    return AssertionFailure() << "reading through the hold: " << std::strerror(error);
  }
  if (const auto mismatch = find_mismatch(seen, reinterpret_cast<std::uintptr_t>(pages.data()), seed)) {
    return AssertionFailure() << "the holder sees wrong contents " << mismatch->describe();
  }
  return AssertionSuccess();
}

AssertionResult GupTest::departed(const GupHold& hold, Pages pages, std::size_t from_vram,
                                  const kfdlab_test_counters& before) const {
  if (const AssertionResult all = holds_all(hold, count(pages)); !all) {
    return all;
  }
  const PageCensus found = census(pages);
  if (found.vram != 0 || hold.vram() != 0) {
    return AssertionFailure() << "pages are held in VRAM: the process maps " << to_string(found) << ", the hold has "
                              << hold.vram() << " in VRAM";
  }
  const kfdlab_test_counters now = counters();
  const std::uint64_t left = now.pages_left_by_pin - before.pages_left_by_pin;
  if (left != from_vram) {
    return AssertionFailure() << from_vram << " pages departed, but the driver counted " << left
                              << " as taken by a pin";
  }
  if (moved_on_demand(now) != moved_on_demand(before)) {
    return AssertionFailure() << "something else than the pin moved pages meanwhile";
  }
  return AssertionSuccess();
}

AssertionResult GupTest::stayed(const GupHold& hold, Pages pages, const kfdlab_test_counters& before) const {
  if (const AssertionResult all = holds_all(hold, count(pages)); !all) {
    return all;
  }
  const PageCensus found = census(pages);
  if (found.vram != count(pages) || hold.vram() != count(pages)) {
    return AssertionFailure() << "pages left VRAM: the process maps " << to_string(found) << ", the hold has "
                              << hold.vram() << " in VRAM";
  }
  const kfdlab_test_counters now = counters();
  if (now.pages_left_by_pin != before.pages_left_by_pin) {
    return AssertionFailure() << "the driver counted " << now.pages_left_by_pin - before.pages_left_by_pin
                              << " pages as taken by a pin";
  }
  if (moved_on_demand(now) != moved_on_demand(before)) {
    return AssertionFailure() << "something else than the pin moved pages meanwhile";
  }
  return AssertionSuccess();
}

void GupTest::record_departure(const GupFlavour& flavour, std::size_t pages, std::size_t left) {
  RecordProperty("pages_in_vram", std::to_string(pages));
  RecordProperty("pages_departed", std::to_string(left));
  if (flavour.path == KFDLAB_GUP_FAST && flavour.longterm()) {
    RecordProperty("longterm_fast_pages", std::to_string(pages));
    RecordProperty("longterm_fast_left_vram", std::to_string(left));
  }
}

}  // namespace kfdlab
