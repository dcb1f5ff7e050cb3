// SPDX-License-Identifier: MIT
// What a run of validate says about a mutant.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/result.h"
#include "tools/mutants/mutant.h"

namespace kfdlab::mutants {

// A test that noticed.
struct Killer {
  std::string suite;
  std::string name;
  std::string reason;
};

// Which way of the kernel a test takes to a page, by its name: "fast", "slow" (also unlocked and remote), or "".
[[nodiscard]] std::string path_of(const std::string& test);

enum class State { Killed, Survived, Equivalent };
[[nodiscard]] const char* to_string(State state);

struct Verdict {
  State state = State::Survived;
  std::vector<Killer> killers;       // tests before what the judge itself says (unclean log, failed rmmod)
  std::vector<std::string> passed;   // that ran and did not notice
  std::vector<std::string> objects;  // tests that the mutant says it spares, and that failed or did not run
  double seconds = 0;                // build and run
};

// report: of `validate --json`. Tests in `failing` fail without any mutant and kill none. A run that did not come to
// its end (the kernel crashed or hung) kills too; an Error means that nothing ran.
[[nodiscard]] Result<Verdict> judge_mutant(const Mutant& mutant, const nlohmann::json& report,
                                           const std::set<std::string>& failing);

// "killed by gup GupPin.X/pin_fast_longterm_write and 11 more (fast 12)"
[[nodiscard]] std::string describe(const Verdict& verdict);

[[nodiscard]] nlohmann::json to_json(const Verdict& verdict);
[[nodiscard]] Verdict verdict_from_json(const nlohmann::json& json);

}  // namespace kfdlab::mutants
