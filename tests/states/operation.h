// SPDX-License-Identifier: MIT
// Operations on a subject, each with its outcome in words.
#pragma once

#include <memory>
#include <string>

#include "tests/gup/gup_fixture.h"
#include "tests/states/states.h"
#include "tests/states/subject.h"

namespace kfdlab::states {

// What an operation needs of the test that runs it.
struct Ground {
  const KfdClient& kfd;
  const GupClient& gup;
  const PageOracle& oracle;
  const TestDevice& device;
  std::uint32_t gpu_id;
};

// Runs the operation and says what came of it, in the words of the table; Unmap ends the subject. What must never
// happen (wrong contents in a child, a long-term pin in VRAM) is part of the outcome, in capitals.
[[nodiscard]] std::string run(Operation operation, const Ground& ground, std::unique_ptr<Subject>& subject);

// Ask for the pages in VRAM. 0 or errno.
int send_to_vram(const Ground& ground, const Subject& subject);

}  // namespace kfdlab::states
