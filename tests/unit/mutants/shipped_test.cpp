// SPDX-License-Identifier: MIT
// The mutants of tests/mutants: an edit that no longer fits our sources shall be seen when the source changes, not in
// the next campaign.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "tools/host/paths.h"
#include "tools/judge/here.h"
#include "tools/mutants/edit.h"
#include "tools/mutants/mutant.h"

namespace kfdlab::mutants {
namespace {

const std::filesystem::path kRoot = KFDLAB_SOURCE_DIR;

std::vector<Mutant> shipped() {
  auto list = load_mutants(kRoot / "tests/mutants");
  EXPECT_TRUE(list.ok()) << list.error().message;
  return list.ok() ? list.take() : std::vector<Mutant>{};
}

TEST(ShippedMutants, ThoseOfOurOwnSourcesFit) {
  for (const Mutant& mutant : shipped()) {
    if (of_kernel(mutant.room)) {
      continue;
    }
    const auto source = read_file(kRoot / mutant.file);
    ASSERT_TRUE(source.ok()) << mutant.id << ": " << source.error().message;
    const auto edited = apply_edit(source.value(), mutant);
    EXPECT_TRUE(edited.ok()) << edited.error().message;
  }
}

TEST(ShippedMutants, EachIsWatchedByASuiteThatExists) {
  for (const Mutant& mutant : shipped()) {
    for (const Watch& watch : mutant.watch) {
      EXPECT_TRUE(judge::is_suite_name(watch.suite)) << mutant.id << ": " << watch.suite;
    }
  }
}

TEST(ShippedMutants, ThereAreThirtyOfOurOwn) {
  std::map<Room, unsigned> rooms;
  unsigned own = 0;
  for (const Mutant& mutant : shipped()) {
    ++rooms[mutant.room];
    own += of_kernel(mutant.room) ? 0 : 1;
  }
  EXPECT_GE(own, 30u);
  for (const Room room : {Room::Amdkfd, Room::KfdlabTtm, Room::Device}) {
    EXPECT_GE(rooms[room], 3u) << to_string(room);
  }
}

}  // namespace
}  // namespace kfdlab::mutants
