// SPDX-License-Identifier: MIT
// Kernels that do what they must not: their process is ended by ROCm, says why, and nobody else notices.
#include <csignal>

#include "tests/hip/process/roles.h"
#include "tests/support/needs.h"

#include <gtest/gtest.h>

namespace kfdlab {
namespace {

constexpr int kAborted = 128 + SIGABRT;

// Another process computes beside each of these tests.
class HipFault : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (node_exists("/dev/kfd")) {
      bystander_ = new Bystander(false);
      ASSERT_TRUE(bystander_->ready());
    }
  }
  static void TearDownTestSuite() {
    if (bystander_ != nullptr) {
      EXPECT_EQ(bystander_->end(), "");
      delete bystander_;
      bystander_ = nullptr;
    }
  }
  void SetUp() override {
    KFDLAB_NEEDS_NODE("/dev/kfd");
    KFDLAB_NEEDS_ROOT();
    ASSERT_TRUE(bystander_->runs());
  }
  void TearDown() override {
    if (!IsSkipped()) {
      EXPECT_TRUE(bystander_->runs()) << "one process's fault stopped another's kernel";
    }
  }
  // The process is aborted by ROCm, which prints `reason`.
  static void expect_abort(const std::string& what, bool xnack, const std::string& reason) {
    Actor actor(what, xnack);
    ASSERT_TRUE(actor.ready()) << actor.process().output();
    ASSERT_TRUE(actor.go());
    EXPECT_EQ(actor.process().wait(), kAborted) << actor.process().output();
    EXPECT_NE(actor.process().output().find(reason), std::string::npos) << actor.process().output();
  }

 private:
  static Bystander* bystander_;
};

Bystander* HipFault::bystander_ = nullptr;

constexpr char kMemoryFault[] = "Memory access fault";

TEST_F(HipFault, ReadOfUnmappedMemoryAbortsTheProcess) { expect_abort("read-unmapped", false, kMemoryFault); }

TEST_F(HipFault, ReadOfUnmappedMemoryWithXnackAbortsTheProcess) { expect_abort("read-unmapped", true, kMemoryFault); }

TEST_F(HipFault, WriteOfUnmappedMemoryWithXnackAbortsTheProcess) { expect_abort("write-unmapped", true, kMemoryFault); }

TEST_F(HipFault, ReadOfAddressZeroAbortsTheProcess) { expect_abort("read-address-zero", false, kMemoryFault); }

TEST_F(HipFault, WriteOfReadOnlyMemoryAbortsTheProcess) { expect_abort("write-read-only", false, kMemoryFault); }

TEST_F(HipFault, WriteOfReadOnlyMemoryWithXnackAbortsTheProcess) { expect_abort("write-read-only", true, kMemoryFault); }

TEST_F(HipFault, JumpIntoDataAbortsTheProcess) { expect_abort("jump-into-data", false, "ILLEGAL_INSTRUCTION"); }

TEST_F(HipFault, JumpIntoNothingAbortsTheProcess) { expect_abort("jump-into-nothing", false, kMemoryFault); }

TEST_F(HipFault, AnEndlessKernelEndsWithItsProcess) {
  Actor actor("endless", false);
  ASSERT_TRUE(actor.ready()) << actor.process().output();
  ASSERT_TRUE(actor.go());
  ASSERT_TRUE(actor.begun()) << actor.process().output();
  EXPECT_EQ(actor.process().kill(), 128 + SIGKILL);
}

TEST_F(HipFault, ThousandsOfFaultsEndTheirProcess) {
  expect_abort("touch-thousands-of-unmapped-pages", true, kMemoryFault);
}

TEST_F(HipFault, ThousandsOfFaultsWithoutXnackEndTheirProcess) {
  expect_abort("touch-thousands-of-unmapped-pages", false, kMemoryFault);
}

TEST_F(HipFault, AProcessKilledWhileItsPagesMoveLeavesNothing) {
  Actor actor("fight-for-pages", true);
  ASSERT_TRUE(actor.ready()) << actor.process().output();
  ASSERT_TRUE(actor.go());
  ASSERT_TRUE(actor.begun()) << actor.process().output();
  EXPECT_EQ(actor.process().kill(), 128 + SIGKILL);
}

// The bystander is the third.
TEST_F(HipFault, ThreeProcessesWorkAtOnce) {
  Actor first("work", false);
  Actor second("work", true);
  for (Actor* actor : {&first, &second}) {
    ASSERT_TRUE(actor->ready()) << actor->process().output();
  }
  for (Actor* actor : {&first, &second}) {
    ASSERT_TRUE(actor->go());
  }
  for (Actor* actor : {&first, &second}) {
    EXPECT_EQ(actor->process().wait(), 0) << actor->process().output();
  }
}

}  // namespace
}  // namespace kfdlab
