// SPDX-License-Identifier: MIT
#include "tests/support/pages.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <sstream>

#include "common/check.h"
#include "hw/bar_layout.h"
#include "tests/support/buffer.h"

namespace kfdlab {
namespace {

namespace fs = std::filesystem;

// Documentation/admin-guide/mm/pagemap.rst
constexpr std::uint64_t kPresent = 1ull << 63;
constexpr std::uint64_t kFrameMask = (1ull << 55) - 1;

std::optional<std::uint64_t> read_hex(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (!(file >> std::hex >> std::showbase >> value)) {
    return std::nullopt;
  }
  return value;
}

// Line `index` of a PCI function's resource file: start and end of that BAR, flags.
std::optional<FrameRange> bar_frames(const fs::path& device, unsigned index) {
  std::ifstream file(device / "resource");
  std::string line;
  for (unsigned i = 0; i <= index; ++i) {
    if (!std::getline(file, line)) {
      return std::nullopt;
    }
  }
  std::istringstream fields(line);
  std::uint64_t start = 0, end = 0;
  if (!(fields >> std::hex >> start >> end) || end <= start) {
    return std::nullopt;
  }
  return FrameRange{(start + KFDLAB_BAR_VRAM) / kPageSize, end / kPageSize};
}

// VRAM of the virtual GPUs that a driver is bound to. Without a driver nothing of the BAR is anybody's page.
std::vector<FrameRange> virtual_gpu_vram() {
  std::vector<FrameRange> ranges;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/sys/bus/pci/devices", error)) {
    const fs::path& device = entry.path();
    if (read_hex(device / "vendor") != KFDLAB_PCI_VENDOR_ID || read_hex(device / "device") != KFDLAB_PCI_DEVICE_ID ||
        !fs::exists(device / "driver", error)) {
      continue;
    }
    if (const auto frames = bar_frames(device, 2)) {
      ranges.push_back(*frames);
    }
  }
  return ranges;
}

}  // namespace

std::string to_string(const PageCensus& census) {
  return std::to_string(census.vram) + " VRAM, " + std::to_string(census.ram) + " RAM, " + std::to_string(census.none) +
         " none";
}

void PrintTo(const PageCensus& census, std::ostream* out) { *out << to_string(census); }

void PrintTo(PageHome home, std::ostream* out) {
  switch (home) {
    case PageHome::None:
      *out << "none";
      return;
    case PageHome::Ram:
      *out << "RAM";
      return;
    case PageHome::Vram:
      *out << "VRAM";
      return;
  }
}

Result<PageOracle> PageOracle::open() {
  Fd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!pagemap.valid()) {
    return errno_error("/proc/self/pagemap", errno);
  }
  std::vector<FrameRange> vram = virtual_gpu_vram();
  if (vram.empty()) {
    return Error{"no GPU with coherent VRAM: no driver is bound to a virtual GPU (PCI 1af4:1110)"};
  }
  PageOracle oracle(std::move(pagemap), std::move(vram));
  return shows_frames(std::move(oracle));
}

Result<PageOracle> PageOracle::shows_frames(PageOracle oracle) {
  // Without CAP_SYS_ADMIN the frame of a present page reads as zero. Compaction and reclaim may take even the page
  // that was just written, so one look proves nothing.
  constexpr int kLooks = 100'000;
  volatile int witness = 0;
  for (int look = 0; look < kLooks; ++look) {
    witness = look;
    const std::uint64_t entry = oracle.entries(const_cast<const int*>(&witness), 1).front();
    if ((entry & kPresent) == 0) {
      continue;
    }
    if ((entry & kFrameMask) == 0) {
      return Error{"/proc/self/pagemap shows no page frames: run the suite as root"};
    }
    return oracle;
  }
  return Error{"/proc/self/pagemap never shows a stack page in the moment after a write to it"};
}

std::vector<std::uint64_t> PageOracle::entries(const void* start, std::size_t npages) const {
  std::vector<std::uint64_t> entries(npages);
  const auto offset = reinterpret_cast<std::uintptr_t>(start) / kPageSize * sizeof(std::uint64_t);
  std::size_t done = 0;
  while (done < npages * sizeof(std::uint64_t)) {
    const ssize_t got = ::pread(pagemap_.get(), reinterpret_cast<char*>(entries.data()) + done,
                                npages * sizeof(std::uint64_t) - done, static_cast<off_t>(offset + done));
    KFDLAB_CHECK(got > 0);
    done += static_cast<std::size_t>(got);
  }
  return entries;
}

PageHome PageOracle::classify(std::uint64_t entry) const {
  if ((entry & kPresent) == 0) {
    return PageHome::None;
  }
  const std::uint64_t frame = entry & kFrameMask;
  const bool in_vram = std::any_of(vram_.begin(), vram_.end(), [frame](const FrameRange& range) {
    return frame >= range.first && frame <= range.last;
  });
  return in_vram ? PageHome::Vram : PageHome::Ram;
}

std::vector<PageHome> PageOracle::homes(const void* start, std::size_t npages) const {
  std::vector<PageHome> homes;
  homes.reserve(npages);
  for (const std::uint64_t entry : entries(start, npages)) {
    homes.push_back(classify(entry));
  }
  return homes;
}

PageCensus PageOracle::census(const void* start, std::size_t npages) const {
  PageCensus census;
  for (const std::uint64_t entry : entries(start, npages)) {
    switch (classify(entry)) {
      case PageHome::None:
        ++census.none;
        break;
      case PageHome::Ram:
        ++census.ram;
        break;
      case PageHome::Vram:
        ++census.vram;
        break;
    }
  }
  return census;
}

PageHome PageOracle::home(const void* page) const { return classify(entries(page, 1).front()); }

std::uint64_t PageOracle::frame(const void* page) const { return frames(page, 1).front(); }

std::vector<std::uint64_t> PageOracle::frames(const void* start, std::size_t npages) const {
  std::vector<std::uint64_t> frames = entries(start, npages);
  for (std::uint64_t& entry : frames) {
    entry = (entry & kPresent) != 0 ? entry & kFrameMask : 0;
  }
  return frames;
}

std::optional<std::size_t> numa_maps_pages(const void* mapping) {
  std::ifstream file("/proc/self/numa_maps");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::uintptr_t start = 0;
    if (!(fields >> std::hex >> start) || start != reinterpret_cast<std::uintptr_t>(mapping)) {
      continue;
    }
    std::size_t pages = 0;
    for (std::string field; fields >> field;) {  // "N0=12": 12 pages on node 0
      const std::size_t equals = field.find('=');
      if (equals != std::string::npos && field[0] == 'N' && field[1] >= '0' && field[1] <= '9') {
        std::size_t count = 0;
        std::from_chars(field.data() + equals + 1, field.data() + field.size(), count);
        pages += count;
      }
    }
    return pages;
  }
  return std::nullopt;
}

}  // namespace kfdlab
