// SPDX-License-Identifier: MIT
// GupTest: what every test of the pin suite stands on. It opens the GPU, the pin module and the oracles, brings
// pages to VRAM, and states the two outcomes the suite is about as assertions:
//
//   departed(): the pages left VRAM before the call that holds them returned, each departure counted once;
//   stayed():   the pages are held where they were, in VRAM, and nobody counted a departure.
//
// Tests run once per flavour of get_user_pages(), under names like GupPin.LongtermMovesVramPagesToRam/
// pin_fast_longterm_write. GoogleTest's own parameters would need one suite per set of flavours, while the suite's
// names are a contract (the negative control selects GupPin.Longterm*), so GUP_TEST_EACH registers them itself.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/support/buffer.h"
#include "tests/support/counters.h"
#include "tests/support/gup_client.h"
#include "tests/support/kfd_client.h"
#include "tests/support/pages.h"

namespace kfdlab {

// Pattern seeds: what the process wrote at first, and what a device (or the process, later) wrote over it.
inline constexpr std::uint64_t kFirst = 1;
inline constexpr std::uint64_t kSecond = 2;

// One run of a parametrised test.
struct GupCase {
  GupFlavour flavour;
  std::size_t npages = 8;
  std::string name;  // behind the slash
};

// Selections for GUP_TEST_EACH: flavours of the running kernel, eight pages each.
[[nodiscard]] std::vector<GupCase> every_flavour();
[[nodiscard]] std::vector<GupCase> every_pin();
[[nodiscard]] std::vector<GupCase> longterm_pins();
[[nodiscard]] std::vector<GupCase> longterm_write_pins();
[[nodiscard]] std::vector<GupCase> ordinary_flavours();  // everything that is not long-term
[[nodiscard]] std::vector<GupCase> ordinary_write_flavours();
[[nodiscard]] std::vector<GupCase> writing_flavours();
// Those that only read and may therefore touch PROT_READ memory.
[[nodiscard]] std::vector<GupCase> longterm_read_pins();
[[nodiscard]] std::vector<GupCase> ordinary_read_flavours();

inline constexpr GupFlavour kPinFastWrite{KFDLAB_GUP_FAST, KFDLAB_GUP_PIN | KFDLAB_GUP_WRITE};
inline constexpr GupFlavour kPinFastLongtermWrite{KFDLAB_GUP_FAST,
                                                  KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM | KFDLAB_GUP_WRITE};
inline constexpr GupFlavour kPinSlowLongtermWrite{KFDLAB_GUP_SLOW,
                                                  KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM | KFDLAB_GUP_WRITE};
inline constexpr GupFlavour kGetFastRead{KFDLAB_GUP_FAST, 0};

class GupTest : public testing::Test {
 public:
  void set_case(GupCase gup_case) { case_ = std::move(gup_case); }

 protected:
  using Pages = std::span<std::byte>;  // whole pages

  // Skips the test when something is missing.
  void SetUp() override;

  [[nodiscard]] const GupFlavour& flavour() const { return case_.flavour; }
  [[nodiscard]] std::size_t npages() const { return case_.npages; }

  [[nodiscard]] const GupClient& gup() const { return *gup_; }
  [[nodiscard]] const KfdClient& kfd() const { return *kfd_; }
  [[nodiscard]] const PageOracle& oracle() const { return *oracle_; }
  [[nodiscard]] const TestDevice& device() const { return *device_; }
  [[nodiscard]] std::uint32_t gpu_id() const { return gpu_id_; }
  // Fail the test and give zeros when the ioctl fails.
  [[nodiscard]] kfdlab_test_counters counters() const;
  [[nodiscard]] TestDevice::Evicted evict() const;
  // Pins held in the whole system.
  [[nodiscard]] std::int64_t outstanding_pins() const;

  [[nodiscard]] static std::size_t count(Pages pages) { return pages.size() / kPageSize; }
  [[nodiscard]] PageCensus census(Pages pages) const { return oracle_->census(pages.data(), count(pages)); }
  // Ask the driver to move pages and check nothing: 0 or errno.
  int prefetch_to_vram(Pages pages) const;
  int prefetch_to_ram(Pages pages) const;

  // Take references to `pages` with a flavour, of this process. 0 or errno.
  int hold(const GupFlavour& flavour, Pages pages, GupHold* hold) const {
    return gup_->hold(flavour, pages.data(), count(pages), hold);
  }

  // Fill with the pattern of kFirst and bring to VRAM.
  [[nodiscard]] testing::AssertionResult fill_in_vram(Pages pages) const;
  // Bring to VRAM, all of them.
  [[nodiscard]] testing::AssertionResult move_to_vram(Pages pages) const;
  [[nodiscard]] testing::AssertionResult all_in_vram(Pages pages) const;
  [[nodiscard]] testing::AssertionResult all_in_ram(Pages pages) const;
  // Contents as this process sees them, and as the holder sees them (pages[0] is the first page held).
  [[nodiscard]] static testing::AssertionResult intact(Pages pages, std::uint64_t seed);
  [[nodiscard]] static testing::AssertionResult intact_through(const GupHold& hold, Pages pages, std::uint64_t seed);

  // `hold` holds all of `pages`, none is in VRAM, and since `before` exactly `from_vram` departures by a pin
  // were counted and no other movement.
  [[nodiscard]] testing::AssertionResult departed(const GupHold& hold, Pages pages, std::size_t from_vram,
                                                  const kfdlab_test_counters& before) const;
  // `hold` holds all of `pages`, all are in VRAM, and since `before` no movement was counted.
  [[nodiscard]] testing::AssertionResult stayed(const GupHold& hold, Pages pages,
                                                const kfdlab_test_counters& before) const;
  // For the verdict: of `pages` pages in VRAM, `left` were in RAM when a pin of this flavour held them.
  void record_departure(const GupFlavour& flavour, std::size_t pages, std::size_t left);

 private:
  GupCase case_;
  std::optional<KfdClient> kfd_;
  std::optional<GupClient> gup_;
  std::optional<PageOracle> oracle_;
  std::optional<TestDevice> device_;
  std::uint32_t gpu_id_ = 0;
};

// Registers Test once per case as "suite.rule/case".
template <typename Test>
bool register_gup_tests(const char* suite, const std::string& rule, const std::vector<GupCase>& cases, const char* file,
                        int line) {
  for (const GupCase& gup_case : cases) {
    testing::RegisterTest(suite, (rule + "/" + gup_case.name).c_str(), nullptr, nullptr, file, line,
                          [gup_case]() -> GupTest* {
                            auto* test = new Test;
                            test->set_case(gup_case);
                            return test;
                          });
  }
  return true;
}

}  // namespace kfdlab

// A test of suite `suite` for each case that `selection()` gives.
#define GUP_TEST_EACH(suite, rule, selection)                                                     \
  class suite##_##rule : public kfdlab::GupTest {                                                 \
    void TestBody() override;                                                                     \
  };                                                                                              \
  [[maybe_unused]] const bool suite##_##rule##_registered =                                       \
      kfdlab::register_gup_tests<suite##_##rule>(#suite, #rule, selection(), __FILE__, __LINE__); \
  void suite##_##rule::TestBody()

// The same without parameters; TEST_F would give the suite another fixture than GUP_TEST_EACH does.
#define GUP_TEST(suite, rule)                                                                                        \
  class suite##_##rule : public kfdlab::GupTest {                                                                    \
    void TestBody() override;                                                                                        \
  };                                                                                                                 \
  [[maybe_unused]] const testing::TestInfo* const suite##_##rule##_registered = testing::RegisterTest(               \
      #suite, #rule, nullptr, nullptr, __FILE__, __LINE__, []() -> kfdlab::GupTest* { return new suite##_##rule; }); \
  void suite##_##rule::TestBody()
