// SPDX-License-Identifier: MIT
// Where is the page? Three independent witnesses; PageOracle is the one the suites use, the others confirm it.
//
//  1. PageOracle: /proc/self/pagemap gives the page frame (root), and a frame inside the BAR behind which a GPU's
//     VRAM lies is VRAM. One read answers for a whole buffer. It moves, faults and references nothing.
//  2. TestDevice::pages() (counters.h): the kernel looks with FOLL_GET, fast only. It needs our test ioctls.
//  3. numa_maps_pages(): that file does not count device pages. No privilege needed, but it counts per mapping.
//
// kpageflags, move_pages and mincore cannot tell a coherent page from a hole or from RAM, so nothing here asks them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/fd.h"
#include "common/result.h"

namespace kfdlab {

enum class PageHome : std::uint8_t {
  None,  // no present PTE: hole, swapped out
  Ram,   // the shared zero page included
  Vram,  // device-coherent memory of some GPU
};

// How many of a run of pages live where. The three sum up to the pages asked for.
struct PageCensus {
  std::size_t none = 0;
  std::size_t ram = 0;
  std::size_t vram = 0;
  bool operator==(const PageCensus&) const = default;
};
// "3 VRAM, 1 RAM, 0 none"; GoogleTest prints failures with it.
std::string to_string(const PageCensus& census);
void PrintTo(const PageCensus& census, std::ostream* out);
void PrintTo(PageHome home, std::ostream* out);

// Page frames of one GPU's VRAM aperture, both inclusive.
struct FrameRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

// Reads this process's page tables. A fork child opens its own: the file shows the process that opened it.
class PageOracle {
 public:
  // Error: pagemap hides frames (not root), or no GPU with coherent VRAM is driven on this machine.
  static Result<PageOracle> open();

  // Abort when pagemap cannot be read, which cannot happen to a valid address range of this process.
  [[nodiscard]] std::vector<PageHome> homes(const void* start, std::size_t npages) const;
  [[nodiscard]] PageCensus census(const void* start, std::size_t npages) const;
  [[nodiscard]] PageHome home(const void* page) const;
  // The page frame, 0 without a present PTE.
  [[nodiscard]] std::uint64_t frame(const void* page) const;
  // The same for a run of pages, by one read.
  [[nodiscard]] std::vector<std::uint64_t> frames(const void* start, std::size_t npages) const;

  [[nodiscard]] const std::vector<FrameRange>& vram() const { return vram_; }

 private:
  PageOracle(Fd pagemap, std::vector<FrameRange> vram) : pagemap_(std::move(pagemap)), vram_(std::move(vram)) {}
  // The oracle, or why it cannot see frames.
  static Result<PageOracle> shows_frames(PageOracle oracle);
  [[nodiscard]] std::vector<std::uint64_t> entries(const void* start, std::size_t npages) const;
  [[nodiscard]] PageHome classify(std::uint64_t entry) const;

  Fd pagemap_;
  std::vector<FrameRange> vram_;
};

// Pages that /proc/self/numa_maps counts on any node for the mapping that starts at `mapping`. Device pages are
// not among them, so 0 for a mapping that is wholly in VRAM. nullopt: no mapping starts there.
[[nodiscard]] std::optional<std::size_t> numa_maps_pages(const void* mapping);

}  // namespace kfdlab
