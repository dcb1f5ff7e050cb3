// SPDX-License-Identifier: MIT
#include "tools/mutants/campaign.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <system_error>

#include "tools/host/interrupt.h"
#include "tools/host/paths.h"
#include "tools/kernels/file_lock.h"
#include "tools/kernels/make_process.h"
#include "tools/kernels/stamp.h"

namespace kfdlab::mutants {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

void add_watch(const Mutant& mutant, std::set<std::string>* suites, std::set<std::string>* filters) {
  for (const Watch& watch : mutant.watch) {
    suites->insert(watch.suite);
    filters->insert(watch.filter);
  }
}

std::optional<nlohmann::json> read_json(const fs::path& file) {
  const auto text = read_file(file);
  if (!text.ok()) {
    return std::nullopt;
  }
  auto json = nlohmann::json::parse(text.value(), nullptr, false);
  return json.is_object() ? std::optional(std::move(json)) : std::nullopt;
}

void print_outcome(const Outcome& outcome) {
  const std::string name =
      fmt::format("{:<5} {:<8} {:<10}", outcome.kernel, outcome.mutant->id, to_string(outcome.mutant->room));
  if (!outcome.verdict) {
    fmt::print("{} NOT TRIED: {}\n", name, outcome.trouble);
  } else {
    fmt::print("{} {}, {:.0f} s{}\n", name, describe(*outcome.verdict), outcome.verdict->seconds,
               outcome.known ? " (known)" : "");
    for (const std::string& object : outcome.verdict->objects) {
      fmt::print("{} should have been spared: {}\n", name, object);
    }
  }
  std::fflush(stdout);
}

}  // namespace

Result<std::string> tests_key(const Mutant& mutant) {
  std::vector<std::string> parts = {"tests/support"};
  for (const Watch& watch : mutant.watch) {
    parts.push_back("tests/" + watch.suite);
  }
  const auto tests = content_hash(source_directory(), parts);
  KFDLAB_TRY(tests);
  return tests.value() + "\n" + mutant.text;
}

Campaign::Campaign(fs::path cache, CampaignOptions options) : cache_(std::move(cache)), options_(options) {}

fs::path Campaign::result_file(const std::string& key) const {
  return cache_ / "mutants/results" / fmt::format("{:016x}.json", text_hash(key));
}

Result<nlohmann::json> Campaign::validate(const Base& base, const std::set<std::string>& suites,
                                          const std::string& filter) {
  auto scratch = TemporaryDirectory::create(fs::temp_directory_path());
  KFDLAB_TRY(scratch);
  const fs::path json = scratch.value().path() / "report.json";
  auto argv = base.validate_command();
  for (const std::string& suite : suites) {
    argv.insert(argv.end(), {"--suite", suite});
  }
  argv.insert(argv.end(), {"--filter", filter, "--no-controls", "--json", json.string(), "--out",
                           (scratch.value().path() / "out").string(), "--test-timeout",
                           std::to_string(options_.test_seconds), "--timeout", std::to_string(options_.vm_seconds)});
  const fs::path log = base.log_file().parent_path() / "run.log";
  const auto show = [this](std::string_view line) {
    if (options_.verbose) {
      fmt::print(stderr, "  {}\n", line);
    }
  };
  const auto status = run_make(argv, log, show);
  KFDLAB_TRY(status);
  auto report = read_json(json);
  if (!report) {
    const auto text = read_file(log);
    return Error{
        fmt::format("validate ended with {} and without a report; its output is in {}", status.value(), log.string())};
  }
  return std::move(*report);
}

Result<std::set<std::string>> Campaign::try_none(Base* base, const std::vector<const Mutant*>& mutants,
                                                 const std::string& key) {
  std::set<std::string> suites;
  std::set<std::string> filters;
  for (const Mutant* mutant : mutants) {
    add_watch(*mutant, &suites, &filters);
  }
  const std::string filter = fmt::format("{}", fmt::join(filters, ":"));
  const fs::path file = result_file(key + "\n" + filter);
  nlohmann::json report;
  if (auto known = read_json(file); known && !options_.fresh) {
    report = std::move(*known);
  } else {
    const auto begin = Clock::now();
    auto run = validate(*base, suites, filter);
    KFDLAB_TRY(run);
    Mutant none;
    none.id = "no mutant";
    auto verdict = judge_mutant(none, run.value(), {});
    KFDLAB_TRY(verdict);
    verdict.value().seconds = seconds_since(begin);
    report = to_json(verdict.value());
    KFDLAB_TRY(write_file_atomically(file, report.dump(1) + "\n"));
  }
  const Verdict verdict = verdict_from_json(report);
  std::set<std::string> failing;
  for (const Killer& killer : verdict.killers) {
    if (killer.suite == "machine") {
      return Error{"without a mutant the machine does not come to its end: " + killer.reason};
    }
    fmt::print("fails without a mutant, so it kills none: {} {}: {}\n", killer.suite, killer.name, killer.reason);
    failing.insert(killer.name);
  }
  fmt::print("without a mutant {} tests pass, {:.0f} s\n", verdict.passed.size(), verdict.seconds);
  std::fflush(stdout);
  return failing;
}

Result<Verdict> Campaign::try_mutant(const Mutant& mutant, Base* base, const std::set<std::string>& failing) {
  const auto begin = Clock::now();
  std::set<std::string> suites;
  std::set<std::string> filters;
  add_watch(mutant, &suites, &filters);
  KFDLAB_TRY(base->apply(mutant));
  const auto built = base->build(mutant.file);
  auto run = built.ok() ? validate(*base, suites, fmt::format("{}", fmt::join(filters, ":")))
                        : Result<nlohmann::json>(built.error());
  KFDLAB_TRY(base->restore(mutant.file));
  KFDLAB_TRY(run);
  auto verdict = judge_mutant(mutant, run.value(), failing);
  if (verdict.ok()) {
    verdict.value().seconds = seconds_since(begin);
  }
  return verdict;
}

bool Campaign::run_room(const std::string& kernel, const std::vector<const Mutant*>& mutants,
                        std::vector<Outcome>* outcomes) {
  const auto fail_all = [&](const std::string& trouble) {
    for (const Mutant* mutant : mutants) {
      outcomes->push_back({kernel, mutant, std::nullopt, trouble});
      print_outcome(outcomes->back());
    }
    return !interrupted();
  };
  auto base = make_base(mutants.front()->room, kernel, cache_);
  if (!base.ok()) {
    return fail_all(base.error().message);
  }
  const auto base_key = base.value()->key();
  if (!base_key.ok()) {
    return fail_all(base_key.error().message);
  }
  std::vector<std::pair<const Mutant*, fs::path>> left;
  std::vector<const Mutant*> left_mutants;
  for (const Mutant* mutant : mutants) {
    const auto tests = tests_key(*mutant);
    if (!tests.ok()) {
      return fail_all(tests.error().message);
    }
    const fs::path file = result_file(base_key.value() + "\n" + tests.value());
    if (const auto known = options_.fresh ? std::nullopt : read_json(file)) {
      outcomes->push_back({kernel, mutant, verdict_from_json(*known), "", true});
      print_outcome(outcomes->back());
    } else {
      left.emplace_back(mutant, file);
      left_mutants.push_back(mutant);
    }
  }
  if (left.empty()) {
    return true;
  }
  LiveLine live(fmt::format("mutants of {}, {}", to_string(mutants.front()->room), kernel));
  if (const auto prepared = base.value()->prepare(&live); !prepared.ok()) {
    return fail_all(prepared.error().message);
  }
  const auto failing = try_none(base.value().get(), left_mutants, base_key.value());
  if (!failing.ok()) {
    return fail_all(failing.error().message);
  }
  for (const auto& [mutant, file] : left) {
    auto verdict = try_mutant(*mutant, base.value().get(), failing.value());
    if (interrupted()) {
      return false;
    }
    Outcome outcome{kernel, mutant, std::nullopt, verdict.ok() ? "" : verdict.error().message};
    if (verdict.ok()) {
      if (const auto kept = write_file_atomically(file, to_json(verdict.value()).dump(1) + "\n"); !kept.ok()) {
        fmt::print(stderr, "kfdlab: {}\n", kept.error().message);
      }
      outcome.verdict = verdict.take();
    }
    outcomes->push_back(std::move(outcome));
    print_outcome(outcomes->back());
  }
  return true;
}

bool Campaign::run(const std::string& kernel, const std::vector<const Mutant*>& mutants,
                   std::vector<Outcome>* outcomes) {
  std::error_code error;
  fs::create_directories(cache_ / "mutants/results", error);
  LiveLine live("mutants");
  const auto lock = lock_patiently(cache_ / "mutants/lock", &live);
  if (!lock.ok()) {
    fmt::print(stderr, "kfdlab: {}\n", lock.error().message);
    return false;
  }
  // Cheap ones first: those of a room share a base.
  enum Kind { kModules, kDevice, kKernel, kKinds };
  std::vector<const Mutant*> kinds[kKinds];
  for (const Mutant* mutant : mutants) {
    if (!mutant->equivalent.empty()) {
      Verdict verdict;
      verdict.state = State::Equivalent;
      outcomes->push_back({kernel, mutant, verdict, ""});
      fmt::print("{:<5} {:<8} {:<10} equivalent: {}\n", kernel, mutant->id, to_string(mutant->room),
                 mutant->equivalent);
      continue;
    }
    kinds[of_kernel(mutant->room) ? kKernel : mutant->room == Room::Device ? kDevice : kModules].push_back(mutant);
  }
  return std::all_of(std::begin(kinds), std::end(kinds), [&](const std::vector<const Mutant*>& list) {
    return list.empty() || run_room(kernel, list, outcomes);
  });
}

}  // namespace kfdlab::mutants
