// SPDX-License-Identifier: MIT
#include "tools/mutants/edit.h"

#include <gtest/gtest.h>

namespace kfdlab::mutants {
namespace {

constexpr char kSource[] = R"(/* put(page) { is no definition } */
static void put(struct page *page);

static void put(struct page *page) __must_hold(&lock)
{
	const char *brace = "}";
	if (page)
		drop(page);
}

static int use(struct page *page)
{
	put(page);
	if (page)
		drop(page);
	return 0;
}
)";

Mutant mutant(const std::string& function, const std::string& before, const std::string& after) {
  Mutant made;
  made.id = "X";
  made.function = function;
  made.before = before;
  made.after = after;
  return made;
}

TEST(MutantEdit, ADefinitionIsFoundAmongDeclarationsCallsAndComments) {
  const std::string source = kSource;
  const auto spans = find_function(source, "put");
  ASSERT_EQ(spans.size(), 1u);
  const std::string text = source.substr(spans[0].begin, spans[0].end - spans[0].begin);
  EXPECT_TRUE(text.starts_with("static void put(struct page *page) __must_hold"));
  EXPECT_TRUE(text.ends_with("drop(page);\n}"));
}

TEST(MutantEdit, AMethodIsFoundWithAndWithoutItsClass) {
  const std::string source = "int Tlb::fill(int a) const {\n  return other.fill(a);\n}\n";
  EXPECT_EQ(find_function(source, "Tlb::fill").size(), 1u);
  EXPECT_EQ(find_function(source, "fill").size(), 1u);
  EXPECT_TRUE(find_function(source, "ill").empty());
}

TEST(MutantEdit, OnlyTheNamedFunctionChanges) {
  const auto edited = apply_edit(kSource, mutant("use", "\tif (page)\n\t\tdrop(page);", "\tdrop(page);"));
  ASSERT_TRUE(edited.ok()) << edited.error().message;
  EXPECT_NE(edited.value().find("\tif (page)\n\t\tdrop(page);\n}"), std::string::npos);
  EXPECT_NE(edited.value().find("\tput(page);\n\tdrop(page);\n\treturn 0;"), std::string::npos);
}

TEST(MutantEdit, LinesThatGoTakeTheirLineEndAlong) {
  const auto edited = apply_edit(kSource, mutant("use", "\tput(page);", ""));
  ASSERT_TRUE(edited.ok()) << edited.error().message;
  EXPECT_NE(edited.value().find("{\n\tif (page)\n\t\tdrop(page);\n\treturn 0;"), std::string::npos);
}

TEST(MutantEdit, LinesThatAreNotThereOrTwiceAreAnError) {
  EXPECT_FALSE(apply_edit(kSource, mutant("use", "\tget(page);", "")).ok());
  EXPECT_FALSE(apply_edit(kSource, mutant("use", "page", "folio")).ok());
  EXPECT_FALSE(apply_edit(kSource, mutant("nobody", "\tput(page);", "")).ok());
}

}  // namespace
}  // namespace kfdlab::mutants
