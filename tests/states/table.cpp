// SPDX-License-Identifier: MIT
// The table itself, and its page.
#include <fmt/format.h>

#include "tests/states/states.h"

namespace kfdlab::states {
namespace {

constexpr std::array kNames = {std::string_view("to_vram"), std::string_view("to_ram"), std::string_view("evict"),
                               std::string_view("pin"),     std::string_view("fork"),   std::string_view("unmap")};
constexpr std::array kTitles = {std::string_view("to VRAM"),       std::string_view("to RAM"),
                                std::string_view("evict"),         std::string_view("long-term pin"),
                                std::string_view("fork"),          std::string_view("munmap")};

constexpr std::array kStates = {
    State{"exclusive", "private, this process's alone",
          {"moves", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"}},
    State{"hole", "private, never touched",
          {"filled in VRAM", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"},
          "amdkfd populates holes too: a prefetch is the first touch. The memory is zero."},
    State{"zero_page", "private, only read (the zero page)",
          {"moves", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"}},
    State{"mlocked", "mlocked", {"moves", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"}},
    State{"prot_none", "PROT_NONE", {"stays", "not in VRAM", "not in VRAM", "EFAULT", "shared in RAM", "not in VRAM"},
          "migrate_vma would take them; our driver leaves out what the GPU may not read."},
    State{"prot_read", "PROT_READ", {"moves", "moves", "moves", "EFAULT", "shared in VRAM", "VRAM is free"},
          "the pin asks to write. A reading long-term pin moves them (suite gup)."},
    State{"soft_dirty_cleared", "soft-dirty bits cleared",
          {"moves", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"}},
    State{"uffd_missing", "hole, registered with userfaultfd (missing)",
          {"stays", "not in VRAM", "not in VRAM", "EFAULT", "child has no pages yet", "not in VRAM"},
          "who registered fills them in. The pin gets EFAULT since the descriptor asks for SIGBUS; otherwise it would wait for the handler."},
    State{"swapped_out", "swapped out", {"stays", "not in VRAM", "not in VRAM", "held in RAM", "child has no pages yet", "not in VRAM"},
          "migrate_vma does not read from swap; the first access does, and the next prefetch moves what came."},
    State{"swap_cache", "read back, still in the swap cache",
          {"moves", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"},
          "6.12 gives the place on the disk back first (folio_free_swap()); 6.1 leaves out pages that have a mapping, and "
          "that the swap cache is."},
    State{"fork_shared", "shared with a child since fork",
          {"moves", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"},
          "fork shares device pages like any other. The pin must have a page of its own: it unshares, and the copy lies in RAM."},
    State{"fork_child_wrote", "after fork, the child wrote all",
          {"moves", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"}},
    State{"fork_parent_wrote", "after fork, this process wrote all",
          {"moves", "not in VRAM", "not in VRAM", "held in RAM", "shared in RAM", "not in VRAM"},
          "copy-on-write allocates in RAM: who writes has the copy there, the child keeps the pages in VRAM."},
    State{"fork_child_gone", "after fork, the child is gone",
          {"moves", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"}},
    State{"pinned", "held by an ordinary pin",
          {"stays", "stays in VRAM", "stays in VRAM", "EBUSY", "copied in RAM", "VRAM is free"},
          "a page with a holder cannot move, so a long-term pin of it fails rather than hold it in VRAM. fork copies what may be pinned, so that the holder and this process keep one page."},
    State{"longterm_pinned", "held by a long-term pin",
          {"stays", "not in VRAM", "not in VRAM", "held in RAM", "copied in RAM", "not in VRAM"},
          "the first pin moved them to RAM; the next one finds them there."},
    State{"spliced", "in a pipe (vmsplice)",
          {"stays", "stays in VRAM", "stays in VRAM", "EBUSY", "shared in VRAM", "VRAM is free"},
          "a pipe holds plain references without limit of time, which no rule about long-term pins covers; their VRAM comes back when the pipe is read or closed."},
    State{"thp", "transparent huge page",
          {"moves", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"},
          "collection splits it; the pages move one by one."},
    State{"thp_by_ptes", "transparent huge page, mapped by PTEs",
          {"stays", "not in VRAM", "not in VRAM", "held in RAM", "shared in RAM", "not in VRAM"},
          "migrate_vma_collect_pmd() of both kernels leaves out pages of large folios that are mapped by PTEs."},
    State{"mthp", "huge page of 64 KiB (6.12)",
          {"stays", "not in VRAM", "not in VRAM", "held in RAM", "shared in RAM", "not in VRAM"},
          "as above."},
    State{"hugetlb", "hugetlbfs", {"stays", "not in VRAM", "not in VRAM", "held in RAM", "shared in RAM", "not in VRAM"},
          "migrate_vma refuses the mapping; a prefetch passes it over without an error, as amdkfd's does."},
    State{"shared_anonymous", "MAP_SHARED, anonymous",
          {"stays", "not in VRAM", "not in VRAM", "held in RAM", "child has no pages yet", "not in VRAM"},
          "device-coherent pages are anonymous and private. fork does not copy page tables of shared mappings."},
    State{"shmem", "MAP_SHARED of a memfd",
          {"stays", "not in VRAM", "not in VRAM", "held in RAM", "child has no pages yet", "not in VRAM"}},
    State{"private_file", "private file mapping, not written",
          {"stays", "not in VRAM", "not in VRAM", "held in RAM", "child has no pages yet", "not in VRAM"},
          "the pages are the file's until they are written. The pin writes, so it holds copies."},
    State{"private_file_written", "private file mapping, written",
          {"moves", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"}},
    State{"secret", "memfd_secret", {"stays", "not in VRAM", "not in VRAM", "EFAULT", "child has no pages yet", "not in VRAM"},
          "nobody but the process may reach them."},
    State{"vdso", "the vDSO", {"stays", "not in VRAM", "not in VRAM", "EFAULT", "child has no pages yet", "not in VRAM"},
          "special mappings are passed over."},
    State{"merged", "merged by KSM",
          {"stays", "not in VRAM", "not in VRAM", "held in RAM", "shared in RAM", "not in VRAM"},
          "memory registered for merging stays in RAM (decision 0021). The pin unmerges."},
    State{"poisoned", "one page poisoned",
          {"15 of 16 move", "moves", "moves", "holds 3 of 16", "15 of 16 shared in VRAM", "VRAM is free"},
          "the bad page's entry is a marker that nothing moves; the pin stops in front of it."},
    State{"soft_offlined", "one page soft-offlined",
          {"moves", "moves", "moves", "moves to RAM first", "shared in VRAM", "VRAM is free"},
          "the page was replaced by a good one, which moves."},
};

constexpr std::array kDifferences = {
    Difference{"swap_cache", Operation::ToVram, "stays"},
    Difference{"swap_cache", Operation::ToRam, "not in VRAM"},
    Difference{"swap_cache", Operation::Evict, "not in VRAM"},
    Difference{"swap_cache", Operation::Pin, "held in RAM"},
    Difference{"swap_cache", Operation::Fork, "shared in RAM"},
    Difference{"swap_cache", Operation::Unmap, "not in VRAM"},
};

std::size_t index_of(Operation operation) { return static_cast<std::size_t>(operation); }

std::string cell_text(const State& state, Operation operation) {
  const std::string_view now = outcome_of(state, operation, true);
  const std::string_view before = outcome_of(state, operation, false);
  return now == before ? std::string(now) : fmt::format("{} (6.1: {})", now, before);
}

}  // namespace

std::string_view name_of(Operation operation) { return kNames[index_of(operation)]; }
std::string_view title_of(Operation operation) { return kTitles[index_of(operation)]; }
std::span<const State> all_states() { return kStates; }
std::span<const Difference> differences() { return kDifferences; }

std::string_view outcome_of(const State& state, Operation operation, bool modern) {
  for (const Difference& difference : differences()) {
    if (!modern && difference.state == state.name && difference.operation == operation) {
      return difference.before_6_12;
    }
  }
  return state.outcomes[index_of(operation)];
}

std::string table_page() {
  std::string page =
      "<!-- SPDX-License-Identifier: MIT -->\n"
      "# Page states and operations\n\n"
      "Made from `tests/states/table.cpp` (`kfdlab_states_page`); a unit test says when it must be made again. "
      "Every cell is\na test: `./kfdlab validate --suite states --filter '*/STATE_OPERATION'`.\n\n"
      "All operations but *to VRAM* begin with the pages sent to VRAM, as far as they go; sharers and holders come after "
      "that.\nIn every cell the contents are checked too, no VRAM page and no pin is left behind, and the kernel log stays "
      "clean.\n\n| state |";
  for (const Operation operation : kOperations) {
    page += fmt::format(" {} |", title_of(operation));
  }
  page += "\n| --- |";
  for (std::size_t i = 0; i < kOperations.size(); ++i) {
    page += " --- |";
  }
  page += "\n";
  std::string reasons;
  for (const State& state : all_states()) {
    page += fmt::format("| {} (`{}`) |", state.what, state.name);
    for (const Operation operation : kOperations) {
      page += fmt::format(" {} |", cell_text(state, operation));
    }
    page += "\n";
    if (!state.why.empty()) {
      reasons += fmt::format("* `{}`: {}\n", state.name, state.why);
    }
  }
  return page + "\n## Why\n\n" + reasons;
}

}  // namespace kfdlab::states
