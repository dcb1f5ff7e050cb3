// SPDX-License-Identifier: MIT
// The makers of all subjects, by the file that has them.
#pragma once

#include "tests/states/subject.h"

namespace kfdlab::states {

using Made = Result<std::unique_ptr<Subject>>;

// subjects_anon.cpp
Made make_exclusive();
Made make_hole();
Made make_zero_page();
Made make_mlocked();
Made make_prot_none();
Made make_prot_read();
Made make_soft_dirty_cleared();
Made make_uffd_missing();
Made make_swapped_out();
Made make_swap_cache();
// subjects_shared.cpp
Made make_fork_shared();
Made make_fork_child_wrote();
Made make_fork_parent_wrote();
Made make_fork_child_gone();
Made make_pinned();
Made make_longterm_pinned();
Made make_spliced();
// subjects_huge.cpp
Made make_thp();
Made make_thp_by_ptes();
Made make_mthp();
Made make_hugetlb();
// subjects_file.cpp
Made make_shared_anonymous();
Made make_shmem();
Made make_private_file();
Made make_private_file_written();
Made make_secret();
Made make_vdso();
// subjects_odd.cpp
Made make_merged();
Made make_poisoned();
Made make_soft_offlined();

}  // namespace kfdlab::states
