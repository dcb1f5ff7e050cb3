// SPDX-License-Identifier: MIT
#include "tools/mutants/mutant.h"

#include <gtest/gtest.h>

namespace kfdlab::mutants {
namespace {

constexpr char kText[] = R"(# a comment
id: M01
title: the fast path
title: hands it out
room: mm
kernels: 6.1 6.12
file: mm/gup.c
function: try_grab_folio_fast
breaks: a rule
watch: gup *GupPin.Longterm*
watch: kfd *VmFault.*
spares: *slow*
before:
|	if (a &&

|	    b)
after:
|	if (a)
)";

std::string without(const std::string& line) {
  std::string text = kText;
  const auto at = text.find(line);
  return text.erase(at, text.find('\n', at) + 1 - at);
}

TEST(MutantText, EveryFieldIsRead) {
  const auto parsed = parse_mutant("x", kText);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  const Mutant& mutant = parsed.value();
  EXPECT_EQ(mutant.id, "M01");
  EXPECT_EQ(mutant.title, "the fast path hands it out");
  EXPECT_EQ(mutant.room, Room::Mm);
  EXPECT_TRUE(mutant.exists_on("6.1"));
  EXPECT_FALSE(mutant.exists_on("6"));
  ASSERT_EQ(mutant.watch.size(), 2u);
  EXPECT_EQ(mutant.watch[1].suite, "kfd");
  EXPECT_EQ(mutant.watch[1].filter, "*VmFault.*");
  EXPECT_EQ(mutant.before, "\tif (a &&\n\t    b)");
  EXPECT_EQ(mutant.after, "\tif (a)");
  EXPECT_EQ(mutant.spares, "*slow*");
}

TEST(MutantText, WhatIsMissingIsNamed) {
  for (const char* line : {"id:", "room:", "kernels:", "file:", "function:", "breaks:"}) {
    const auto parsed = parse_mutant("x", without(line));
    ASSERT_FALSE(parsed.ok()) << line;
    EXPECT_NE(parsed.error().message.find(line), std::string::npos) << parsed.error().message;
  }
}

TEST(MutantText, MistakesAreRefused) {
  EXPECT_FALSE(parse_mutant("x", std::string(kText) + "colour: red\n").ok());
  EXPECT_FALSE(parse_mutant("x", std::string(kText) + "room: attic\n").ok());
  EXPECT_FALSE(parse_mutant("x", std::string(kText) + "watch: gup\n").ok());
  EXPECT_FALSE(parse_mutant("x", std::string(kText) + "watch: gup A.*-A.b\n").ok());
  EXPECT_FALSE(parse_mutant("x", "|\tstray\n" + std::string(kText)).ok());
  EXPECT_FALSE(parse_mutant("x", "id: A\n").ok());
}

TEST(MutantText, AnEquivalentOneNeedsNoWatch) {
  std::string text = without("watch: gup");
  text.erase(text.find("watch: kfd"), std::string("watch: kfd *VmFault.*\n").size());
  EXPECT_FALSE(parse_mutant("x", text).ok());
  EXPECT_TRUE(parse_mutant("x", "equivalent: the next check catches it\n" + text).ok());
}

TEST(MutantText, PatternsMatchAsGoogleTestDoes) {
  EXPECT_TRUE(matches("A*", "A01"));
  EXPECT_TRUE(matches("B*:*fast*", "x/pin_fast_write"));
  EXPECT_TRUE(matches("A?1", "A01"));
  EXPECT_FALSE(matches("A", "A01"));
  EXPECT_FALSE(matches("", "A01"));
}

}  // namespace
}  // namespace kfdlab::mutants
