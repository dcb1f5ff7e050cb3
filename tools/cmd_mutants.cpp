// SPDX-License-Identifier: MIT
// kfdlab mutants: one edit after the other that breaks a rule, and which test notices.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tools/commands.h"
#include "tools/host/interrupt.h"
#include "tools/host/paths.h"
#include "tools/judge/interrupt.h"
#include "tools/mutants/campaign.h"

namespace kfdlab {
namespace {

using mutants::Campaign;
using mutants::CampaignOptions;
using mutants::Mutant;
using mutants::Outcome;
using mutants::State;

struct MutantsArguments {
  std::string kernel = "6.12";
  std::string from;
  std::string json;
  std::vector<std::string> names;
  CampaignOptions options;
  bool list = false;
};

// A name is an id, a room, or a pattern of ids. An edit of a kernel's header means building most of the kernel anew, twice:
// such a mutant runs when it is named.
bool chosen(const MutantsArguments& arguments, const Mutant& mutant) {
  const bool quick = !of_kernel(mutant.room) || !mutant.file.starts_with("include/");
  return (arguments.names.empty() && (quick || arguments.list)) ||
         std::any_of(arguments.names.begin(), arguments.names.end(), [&](const std::string& name) {
           return name == to_string(mutant.room) || mutants::matches(name, mutant.id);
         });
}

std::vector<const Mutant*> of_kernel(const MutantsArguments& arguments, const std::vector<Mutant>& all,
                                     const std::string& kernel) {
  std::vector<const Mutant*> list;
  for (const Mutant& mutant : all) {
    if (mutant.exists_on(kernel) && chosen(arguments, mutant)) {
      list.push_back(&mutant);
    }
  }
  return list;
}

void print_list(const std::vector<const Mutant*>& list) {
  for (const Mutant* mutant : list) {
    fmt::print("{:<8} {:<10} {} ({} in {}){}\n", mutant->id, to_string(mutant->room), mutant->title, mutant->function,
               mutant->file, mutant->equivalent.empty() ? "" : ", equivalent");
  }
}

// Mutants that say which tests must not notice: who did, by the way each test takes.
void print_paths(const Outcome& outcome) {
  if (!outcome.verdict || outcome.mutant->spares.empty() || outcome.verdict->killers.empty()) {
    return;
  }
  fmt::print("\n{} ({}) on {}:\n", outcome.mutant->id, outcome.mutant->title, outcome.kernel);
  for (const mutants::Killer& killer : outcome.verdict->killers) {
    const std::string path = mutants::path_of(killer.name);
    fmt::print("  killed by    {:<5} {} {}\n", path, killer.suite, killer.name);
  }
  for (const std::string& name : outcome.verdict->passed) {
    if (const std::string path = mutants::path_of(name); !path.empty()) {
      fmt::print("  not seen by  {:<5} {}\n", path, name);
    }
  }
}

struct Counts {
  unsigned killed = 0;
  unsigned survived = 0;
  unsigned equivalent = 0;
  unsigned not_tried = 0;
  unsigned not_spared = 0;
};

Counts count(const std::vector<Outcome>& outcomes) {
  Counts counts;
  for (const Outcome& outcome : outcomes) {
    if (!outcome.verdict) {
      ++counts.not_tried;
      continue;
    }
    counts.killed += outcome.verdict->state == State::Killed ? 1 : 0;
    counts.survived += outcome.verdict->state == State::Survived ? 1 : 0;
    counts.equivalent += outcome.verdict->state == State::Equivalent ? 1 : 0;
    counts.not_spared += outcome.verdict->objects.empty() ? 0 : 1;
  }
  return counts;
}

Status write_json(const MutantsArguments& arguments, const std::vector<Outcome>& outcomes, const Counts& counts) {
  if (arguments.json.empty()) {
    return ok_status();
  }
  nlohmann::json list = nlohmann::json::array();
  for (const Outcome& outcome : outcomes) {
    nlohmann::json item = outcome.verdict ? mutants::to_json(*outcome.verdict)
                                          : nlohmann::json{{"result", "not tried"}, {"reason", outcome.trouble}};
    item["id"] = outcome.mutant->id;
    item["title"] = outcome.mutant->title;
    item["room"] = to_string(outcome.mutant->room);
    item["breaks"] = outcome.mutant->breaks;
    item["equivalent"] = outcome.mutant->equivalent;
    item["kernel"] = outcome.kernel;
    list.push_back(std::move(item));
  }
  const nlohmann::json json = {{"schema", 1},
                               {"mutants", list},
                               {"counts",
                                {{"killed", counts.killed},
                                 {"survived", counts.survived},
                                 {"equivalent", counts.equivalent},
                                 {"not_tried", counts.not_tried}}}};
  return write_file_atomically(arguments.json, json.dump(1) + "\n");
}

int conclude(const MutantsArguments& arguments, const std::vector<Outcome>& outcomes) {
  const Counts counts = count(outcomes);
  for (const Outcome& outcome : outcomes) {
    print_paths(outcome);
  }
  fmt::print("\n{} killed, {} survived, {} equivalent, {} not tried\n", counts.killed, counts.survived,
             counts.equivalent, counts.not_tried);
  if (const auto written = write_json(arguments, outcomes, counts); !written.ok()) {
    fmt::print(stderr, "kfdlab: {}\n", written.error().message);
    return kHarnessStatus;
  }
  if (counts.survived + counts.not_spared > 0) {
    return 1;
  }
  return counts.not_tried > 0 ? kHarnessStatus : 0;
}

int run(const MutantsArguments& arguments) {
  const auto cache = cache_directory();
  const auto all = mutants::load_mutants(arguments.from.empty() ? source_directory() / "tests/mutants"
                                                                : std::filesystem::path(arguments.from));
  if (!cache.ok() || !all.ok()) {
    fmt::print(stderr, "kfdlab: {}\n", cache.ok() ? all.error().message : cache.error().message);
    return kUsageStatus;
  }
  std::vector<std::string> kernels = {arguments.kernel};
  if (arguments.kernel == "all") {
    kernels = {"6.1", "6.12"};
  }
  judge::Interrupt interrupt;
  Campaign campaign(cache.value(), arguments.options);
  std::vector<Outcome> outcomes;
  bool any = false;
  for (const std::string& kernel : kernels) {
    const auto list = of_kernel(arguments, all.value(), kernel);
    any = any || !list.empty();
    if (arguments.list) {
      print_list(list);
    } else if (!list.empty() && !campaign.run(kernel, list, &outcomes)) {
      return interrupt.signal() != 0 ? 128 + interrupt.signal() : kHarnessStatus;
    }
  }
  if (!any) {
    fmt::print(stderr, "kfdlab: no such mutant on {}; `kfdlab mutants --list` shows them\n", arguments.kernel);
    return kUsageStatus;
  }
  return arguments.list ? 0 : conclude(arguments, outcomes);
}

}  // namespace

std::function<int()> setup_mutants(CLI::App& app) {
  auto arguments = std::make_shared<MutantsArguments>();
  app.add_option("name", arguments->names, "ids, rooms (mm, ttm, amdkfd, kfdlab-ttm, device) or patterns of ids");
  app.add_option("--kernel", arguments->kernel, "6.1, 6.12 or all (default 6.12)")
      ->check(CLI::IsMember({"6.1", "6.12", "all"}));
  app.add_option("--from", arguments->from, "directory of mutants (default tests/mutants)")
      ->check(CLI::ExistingDirectory);
  app.add_flag("--list", arguments->list, "say what there is and run nothing");
  app.add_option("--json", arguments->json, "write the results as JSON");
  app.add_flag("--fresh", arguments->options.fresh, "forget the results of earlier campaigns");
  app.add_option("--test-timeout", arguments->options.test_seconds, "seconds for one test (default 90)");
  app.add_flag("--verbose,-v", arguments->options.verbose, "show what the runs print");
  return [arguments] { return run(*arguments); };
}

}  // namespace kfdlab
