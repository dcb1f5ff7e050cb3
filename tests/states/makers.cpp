// SPDX-License-Identifier: MIT
#include "tests/states/makers.h"

#include <map>

namespace kfdlab::states {

Maker find_maker(const std::string& state) {
  static const std::map<std::string, Maker> kMakers = {
      {"exclusive", make_exclusive},
      {"hole", make_hole},
      {"zero_page", make_zero_page},
      {"mlocked", make_mlocked},
      {"prot_none", make_prot_none},
      {"prot_read", make_prot_read},
      {"soft_dirty_cleared", make_soft_dirty_cleared},
      {"uffd_missing", make_uffd_missing},
      {"swapped_out", make_swapped_out},
      {"swap_cache", make_swap_cache},
      {"fork_shared", make_fork_shared},
      {"fork_child_wrote", make_fork_child_wrote},
      {"fork_parent_wrote", make_fork_parent_wrote},
      {"fork_child_gone", make_fork_child_gone},
      {"pinned", make_pinned},
      {"longterm_pinned", make_longterm_pinned},
      {"spliced", make_spliced},
      {"thp", make_thp},
      {"thp_by_ptes", make_thp_by_ptes},
      {"mthp", make_mthp},
      {"hugetlb", make_hugetlb},
      {"shared_anonymous", make_shared_anonymous},
      {"shmem", make_shmem},
      {"private_file", make_private_file},
      {"private_file_written", make_private_file_written},
      {"secret", make_secret},
      {"vdso", make_vdso},
      {"merged", make_merged},
      {"poisoned", make_poisoned},
      {"soft_offlined", make_soft_offlined},
  };
  const auto found = kMakers.find(state);
  return found == kMakers.end() ? nullptr : found->second;
}

}  // namespace kfdlab::states
