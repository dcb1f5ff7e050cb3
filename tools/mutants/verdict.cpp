// SPDX-License-Identifier: MIT
#include "tools/mutants/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "tools/judge/result.h"

namespace kfdlab::mutants {
namespace {

using judge::json_number;
using judge::json_text;

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Said by the judge about a process or the machine, not by a test.
bool is_own(const std::string& name) {
  return name.starts_with("Suite.") || name.starts_with("Boot.") || name.starts_with("Control.");
}

void add_tests(const nlohmann::json& run, const std::set<std::string>& failing, Verdict* verdict) {
  std::vector<Killer> own;
  const auto tests = run.find("tests");
  if (tests == run.end() || !tests->is_array()) {
    return;
  }
  for (const auto& test : *tests) {
    const Killer killer{json_text(test, "suite"), json_text(test, "name"), first_line(json_text(test, "reason"))};
    const std::string result = json_text(test, "result");
    if (result == "pass" && !is_own(killer.name)) {
      verdict->passed.push_back(killer.name);
    }
    if (result == "fail" && !failing.contains(killer.name) && !killer.reason.starts_with(judge::kDidNotRun)) {
      (is_own(killer.name) ? own : verdict->killers).push_back(killer);
    }
  }
  verdict->killers.insert(verdict->killers.end(), own.begin(), own.end());
}

void check_spared(const Mutant& mutant, Verdict* verdict) {
  for (const Killer& killer : verdict->killers) {
    if (matches(mutant.spares, killer.name)) {
      verdict->objects.push_back(killer.name);
    }
  }
  const bool any = std::any_of(verdict->passed.begin(), verdict->passed.end(),
                               [&](const std::string& name) { return matches(mutant.spares, name); });
  if (!mutant.spares.empty() && !any && verdict->objects.empty()) {
    verdict->objects.push_back("none of " + mutant.spares + " ran");
  }
}

}  // namespace

std::string path_of(const std::string& test) {
  std::string lower = test;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto has = [&](const char* word) { return lower.find(word) != std::string::npos; };
  if (has("fast")) {
    return "fast";
  }
  return has("slow") || has("unlocked") || has("remote") ? "slow" : "";
}

const char* to_string(State state) {
  constexpr const char* kNames[] = {"killed", "survived", "equivalent"};
  return kNames[static_cast<unsigned>(state)];
}

Result<Verdict> judge_mutant(const Mutant& mutant, const nlohmann::json& report, const std::set<std::string>& failing) {
  Verdict verdict;
  const auto runs = report.find("runs");
  if (runs == report.end() || !runs->is_array() || runs->empty()) {
    return Error{mutant.id + ": nothing ran"};
  }
  std::string end;
  for (const auto& run : *runs) {
    add_tests(run, failing, &verdict);
    end += first_line(json_text(run, "error"));
  }
  if (!end.empty()) {
    verdict.killers.push_back({"machine", "Vm.ComesToItsEnd", end});
  }
  if (verdict.killers.empty() && verdict.passed.empty()) {
    return Error{mutant.id + ": no test ran; is its watch: right?"};
  }
  check_spared(mutant, &verdict);
  verdict.state = verdict.killers.empty() ? State::Survived : State::Killed;
  return verdict;
}

std::string describe(const Verdict& verdict) {
  if (verdict.state != State::Killed) {
    return verdict.state == State::Survived ? fmt::format("SURVIVED {} tests", verdict.passed.size()) : "equivalent";
  }
  unsigned fast = 0;
  unsigned slow = 0;
  for (const Killer& killer : verdict.killers) {
    const std::string path = path_of(killer.name);
    fast += path == "fast" ? 1 : 0;
    slow += path == "slow" ? 1 : 0;
  }
  const Killer& first = verdict.killers.front();
  std::string text = fmt::format("killed by {} {}", first.suite, first.name);
  if (verdict.killers.size() > 1) {
    text += fmt::format(" and {} more", verdict.killers.size() - 1);
  }
  if (fast + slow > 0) {
    text += fmt::format(" (fast {}, slow {})", fast, slow);
  }
  return text;
}

nlohmann::json to_json(const Verdict& verdict) {
  nlohmann::json killers = nlohmann::json::array();
  for (const Killer& killer : verdict.killers) {
    killers.push_back(
        {{"suite", killer.suite}, {"name", killer.name}, {"path", path_of(killer.name)}, {"reason", killer.reason}});
  }
  return {{"result", to_string(verdict.state)},
          {"killers", killers},
          {"passed", verdict.passed},
          {"not_spared", verdict.objects},
          {"seconds", verdict.seconds}};
}

Verdict verdict_from_json(const nlohmann::json& json) {
  Verdict verdict;
  const std::string state = json_text(json, "result");
  verdict.state = state == "killed" ? State::Killed : state == "equivalent" ? State::Equivalent : State::Survived;
  verdict.seconds = json_number(json, "seconds");
  const auto list = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_array() ? *found : nlohmann::json::array();
  };
  for (const auto& killer : list("killers")) {
    verdict.killers.push_back({json_text(killer, "suite"), json_text(killer, "name"), json_text(killer, "reason")});
  }
  for (const auto& [key, texts] : {std::pair{"passed", &verdict.passed}, {"not_spared", &verdict.objects}}) {
    for (const auto& item : list(key)) {
      if (item.is_string()) {
        texts->push_back(item.get<std::string>());
      }
    }
  }
  return verdict;
}

}  // namespace kfdlab::mutants
