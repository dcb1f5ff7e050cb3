// SPDX-License-Identifier: MIT
#include "tools/vm/qemu.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tools/host/process.h"

namespace kfdlab {
namespace {

std::string line_for(const VmOptions& options, const std::string& accelerator) {
  QemuConfig config{options, accelerator, "/tmp/console.log", {}};
  config.fds.gpus.assign(options.gpus, 40);
  return shell_line(qemu_arguments(config));
}

TEST(QemuArguments, OneCpuUnderTcgStillMakesAtomicsAtomic) {
  VmOptions options;
  options.cpus = 1;
  EXPECT_NE(line_for(options, "tcg").find("-smp 1,maxcpus=2"), std::string::npos);
  EXPECT_NE(line_for(options, "kvm").find("-smp 1 "), std::string::npos);
}

TEST(QemuArguments, EveryGpuIsAFunctionOfItsOwn) {
  VmOptions options;
  options.gpus = 2;
  const std::string line = line_for(options, "tcg");
  EXPECT_NE(line.find("ivshmem-doorbell,id=ivshmem0,chardev=gpu0,vectors=4"), std::string::npos);
  EXPECT_NE(line.find("ivshmem-doorbell,id=ivshmem1,chardev=gpu1,vectors=4"), std::string::npos);
}

TEST(QemuArguments, TheHostsRootIsNeverWritable) {
  VmOptions options;
  options.writable = {"/srv/a,b"};
  const std::string line = line_for(options, "tcg");
  EXPECT_NE(line.find("local,id=host,path=/,security_model=none,multidevs=remap,readonly=on"), std::string::npos);
  EXPECT_NE(line.find("local,id=rw0,path=/srv/a,,b,security_model=none,multidevs=remap "), std::string::npos);
}

TEST(KernelCommandLine, EndsWithTheUsersWords) {
  VmOptions options;
  options.append = "debug foo=bar";
  EXPECT_TRUE(kernel_command_line(options, "tcg").ends_with(" debug foo=bar"));
  EXPECT_EQ(kernel_command_line(options, "kvm").find("mitigations=off"), std::string::npos);
  EXPECT_EQ(kernel_command_line(options, "kvm").find("rcu_cpu_stall_timeout"), std::string::npos);
  EXPECT_NE(kernel_command_line(options, "kvm").find("hung_task_timeout_secs=40 "), std::string::npos);
  EXPECT_NE(kernel_command_line(options, "tcg").find("hung_task_timeout_secs=120 "), std::string::npos);
  options.kernel.words = "vm_debug=-";
  EXPECT_TRUE(kernel_command_line(options, "tcg").ends_with(" vm_debug=- debug foo=bar"));
  options.kernel.instrumented = true;
  EXPECT_NE(kernel_command_line(options, "tcg").find("hung_task_timeout_secs=360 "), std::string::npos);
  EXPECT_NE(kernel_command_line(options, "tcg").find("kasan_multi_shot"), std::string::npos);
}

TEST(ShellLine, AShellReadsItBack) {
  const std::vector<std::string> words = {"printf", "%s|", "plain", "two words", "it's", "", "$HOME `x` \\ \"q\"",
                                          "a\nb"};
  const auto output = run_helper({"sh", "-c", shell_line(words)});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output.value().out, "plain|two words|it's||$HOME `x` \\ \"q\"|a\nb|");
}

}  // namespace
}  // namespace kfdlab
