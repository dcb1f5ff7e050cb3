// SPDX-License-Identifier: MIT
#include "tools/mutants/verdict.h"

#include <gtest/gtest.h>

namespace kfdlab::mutants {
namespace {

nlohmann::json test(const char* name, const char* result, const char* reason = "") {
  return {{"suite", "gup"}, {"name", name}, {"result", result}, {"reason", reason}};
}

nlohmann::json report(nlohmann::json tests, const char* error = "") {
  return {{"runs", {{{"error", error}, {"tests", std::move(tests)}}}}};
}

Mutant plain() {
  Mutant mutant;
  mutant.id = "X";
  return mutant;
}

TEST(MutantVerdict, AFailureKillsAndNamesTheTest) {
  const auto verdict =
      judge_mutant(plain(), report({test("P.a/pin_fast", "fail", "why\nmore"), test("P.b", "pass")}), {});
  ASSERT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.value().state, State::Killed);
  ASSERT_EQ(verdict.value().killers.size(), 1u);
  EXPECT_EQ(verdict.value().killers[0].reason, "why");
  EXPECT_EQ(describe(verdict.value()), "killed by gup P.a/pin_fast (fast 1, slow 0)");
}

TEST(MutantVerdict, WhatFailsAnywayKillsNothing) {
  const auto verdict = judge_mutant(plain(), report({test("P.a", "fail"), test("P.b", "pass")}), {"P.a"});
  ASSERT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.value().state, State::Survived);
}

TEST(MutantVerdict, ATestThatDidNotRunIsNoWitness) {
  const auto verdict = judge_mutant(
      plain(), report({test("P.a", "fail", "did not run: the process died"), test("P.b", "fail", "died")}), {});
  ASSERT_TRUE(verdict.ok());
  ASSERT_EQ(verdict.value().killers.size(), 1u);
  EXPECT_EQ(verdict.value().killers[0].name, "P.b");
}

TEST(MutantVerdict, AMachineThatHangsKillsAndTestsAreNamedFirst) {
  const auto verdict =
      judge_mutant(plain(), report({test("Suite.EndsCleanly", "fail", "rmmod"), test("P.a", "fail", "x")}, "hang"), {});
  ASSERT_TRUE(verdict.ok());
  ASSERT_EQ(verdict.value().killers.size(), 3u);
  EXPECT_EQ(verdict.value().killers[0].name, "P.a");
  EXPECT_EQ(verdict.value().killers[1].name, "Suite.EndsCleanly");
  EXPECT_EQ(verdict.value().killers[2].reason, "hang");
}

TEST(MutantVerdict, NothingThatRanIsNoVerdict) {
  EXPECT_FALSE(judge_mutant(plain(), report(nlohmann::json::array()), {}).ok());
  EXPECT_FALSE(judge_mutant(plain(), nlohmann::json::object(), {}).ok());
}

TEST(MutantVerdict, SparedTestsMustPass) {
  Mutant mutant = plain();
  mutant.spares = "*slow*";
  const auto bad = judge_mutant(mutant, report({test("P.a/pin_slow", "fail", "x")}), {});
  ASSERT_TRUE(bad.ok());
  EXPECT_EQ(bad.value().objects.size(), 1u);
  const auto absent = judge_mutant(mutant, report({test("P.a/pin_fast", "fail", "x")}), {});
  ASSERT_TRUE(absent.ok());
  EXPECT_EQ(absent.value().objects.size(), 1u);
  const auto good = judge_mutant(mutant, report({test("P.a/pin_fast", "fail", "x"), test("P.a/pin_slow", "pass")}), {});
  ASSERT_TRUE(good.ok());
  EXPECT_TRUE(good.value().objects.empty());
}

TEST(MutantVerdict, IsKeptAndReadBackTheSame) {
  const auto verdict = judge_mutant(plain(), report({test("P.a", "fail", "x"), test("P.b", "pass")}), {});
  ASSERT_TRUE(verdict.ok());
  EXPECT_EQ(to_json(verdict_from_json(to_json(verdict.value()))), to_json(verdict.value()));
}

}  // namespace
}  // namespace kfdlab::mutants
