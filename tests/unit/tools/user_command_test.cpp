// SPDX-License-Identifier: MIT
// Where kfdlab's options end and the command's words begin.
#include "tools/user_command.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace kfdlab {
namespace {

using Words = std::vector<std::string>;

// The command of `kfdlab run <words>`; nothing but "usage" when they do not parse.
UserCommand parse(Words words) {
  UserCommand command;
  CLI::App app;
  app.require_subcommand(1);
  CLI::App* run = app.add_subcommand("run");
  add_user_command_options(*run, command);
  add_command_words(*run, command);
  words.insert(words.begin(), "run");
  std::reverse(words.begin(), words.end());  // as CLI11 wants a vector
  try {
    app.parse(words);
  } catch (const CLI::ParseError&) {
    command.argv = {"usage"};
  }
  return command;
}

TEST(RunWords, OptionsBehindTheCommandAreTheCommands) {
  EXPECT_EQ(parse({"ls", "-l"}).argv, (Words{"ls", "-l"}));
  EXPECT_EQ(parse({"--", "ls", "-l"}).argv, (Words{"ls", "-l"}));
  EXPECT_EQ(parse({"--kernel", "6.1", "--", "sh", "-c", "exit 7"}).argv, (Words{"sh", "-c", "exit 7"}));
  EXPECT_EQ(parse({"prog", "--kernel", "x", "--timeout=5", "--unknown"}).argv,
            (Words{"prog", "--kernel", "x", "--timeout=5", "--unknown"}));
  EXPECT_EQ(parse({"prog", "--kernel", "x"}).kernel, "6.12");
}

TEST(RunWords, ArriveUntouched) {
  const Words words = {"p", "", "a b", "--", "-", "[1,2]", "{}", "%%", "a,b", "--help", "-v", "$X", "run", "validate"};
  Words line = words;
  line.insert(line.begin(), "--");
  EXPECT_EQ(parse(line).argv, words);
  EXPECT_EQ(parse(words).argv, words);
  EXPECT_EQ(parse({"{}"}).argv, Words{"{}"});
}

TEST(RunWords, RepeatedOptionsTakeOneValueEach) {
  const UserCommand command = parse({"--rw", "/a", "--rw", "/b", "--env", "A=1", "--env", "B=2 3", "ls"});
  EXPECT_EQ(command.writable, (Words{"/a", "/b"}));
  EXPECT_EQ(command.env, (Words{"A=1", "B=2 3"}));
  EXPECT_EQ(command.argv, Words{"ls"});
}

TEST(RunWords, ACommandIsNeeded) {
  EXPECT_EQ(parse({}).argv, Words{"usage"});
  EXPECT_EQ(parse({"--unknown-option", "ls"}).argv, Words{"usage"});
}

}  // namespace
}  // namespace kfdlab
