// SPDX-License-Identifier: MIT
// The campaign: each mutant built, run and judged, the unmutated thing first with the same tests. Results are kept in
// the cache under the contents of mutant, base and tests, so a campaign that was interrupted goes on.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/result.h"
#include "tools/mutants/base.h"
#include "tools/mutants/mutant.h"
#include "tools/mutants/verdict.h"

namespace kfdlab::mutants {

struct CampaignOptions {
  unsigned test_seconds = 90;  // limit of one test: a mutant that makes it hang is noticed then
  unsigned vm_seconds = 900;   // of one mutant's VM
  bool fresh = false;          // forget what is known
  bool verbose = false;
};

struct Outcome {
  std::string kernel;
  const Mutant* mutant = nullptr;
  std::optional<Verdict> verdict;  // none: trouble
  std::string trouble;             // why it could not be tried
  bool known = false;              // from an earlier campaign
};

class Campaign {
 public:
  Campaign(std::filesystem::path cache, CampaignOptions options);

  // Tries all mutants of one kernel, prints a line for each, adds an Outcome for each. False when interrupted.
  bool run(const std::string& kernel, const std::vector<const Mutant*>& mutants, std::vector<Outcome>* outcomes);

 private:
  bool run_room(const std::string& kernel, const std::vector<const Mutant*>& mutants, std::vector<Outcome>* outcomes);
  Result<Verdict> try_mutant(const Mutant& mutant, Base* base, const std::set<std::string>& failing);
  // Runs the tests on the unmutated thing: those that fail there.
  Result<std::set<std::string>> try_none(Base* base, const std::vector<const Mutant*>& mutants, const std::string& key);
  Result<nlohmann::json> validate(const Base& base, const std::set<std::string>& suites, const std::string& filter);
  [[nodiscard]] std::filesystem::path result_file(const std::string& key) const;

  std::filesystem::path cache_;
  CampaignOptions options_;
};

// What a mutant's result depends on besides its base: its text and the sources of the tests that watch it.
[[nodiscard]] Result<std::string> tests_key(const Mutant& mutant);

}  // namespace kfdlab::mutants
