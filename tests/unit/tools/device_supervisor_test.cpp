// SPDX-License-Identifier: MIT
// The supervisor with a shell script as device process.
#include "tools/vm/device_supervisor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>

#include "tools/host/paths.h"

namespace kfdlab {
namespace {

// The guest's view of one GPU: BAR 2 as QEMU would get it.
class GuestView {
 public:
  explicit GuestView(GpuFunction& gpu) {
    std::vector<int> fds;
    static_cast<void>(gpu.device_argument(fds));
    bar_ = static_cast<unsigned char*>(::mmap(nullptr, KFDLAB_BAR_VRAM, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0));
  }
  ~GuestView() { ::munmap(bar_, KFDLAB_BAR_VRAM); }
  [[nodiscard]] std::uint64_t state() const {
    return __atomic_load_n(&reinterpret_cast<kfdlab_device_regs*>(bar_ + KFDLAB_BAR_DEVICE_REGS)->state,
                           __ATOMIC_ACQUIRE);
  }
  void request_reset(std::uint32_t generation) {
    reinterpret_cast<kfdlab_driver_regs*>(bar_ + KFDLAB_BAR_DRIVER_REGS)->reset_request = generation;
  }

 private:
  unsigned char* bar_;
};

class DeviceSupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    auto directory = TemporaryDirectory::create(std::filesystem::temp_directory_path());
    ASSERT_TRUE(directory.ok());
    directory_ = std::make_unique<TemporaryDirectory>(directory.take());
    for (unsigned i = 0; i < 2; ++i) {
      auto gpu = GpuFunction::create(i, 2, 16ull << 20);
      ASSERT_TRUE(gpu.ok());
      gpus_.push_back(gpu.take());
    }
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    port_.reset(fds[0]);
    guest_.reset(fds[1]);
    auto ram = memory_file("ram", 4096);
    ASSERT_TRUE(ram.ok());
    ram_ = ram.take();
  }

  void start(const std::string& body) {
    const auto program = directory_->path() / "device";
    std::ofstream(program) << "#!/bin/sh\n" << body << "\n";
    ::chmod(program.c_str(), 0755);
    auto supervisor = DeviceSupervisor::start(
        {program, directory_->path() / "device.log", ram_.get(), "0x0:0x1000:0x0", port_.get()}, gpus_);
    ASSERT_TRUE(supervisor.ok());
    supervisor_ = supervisor.take();
  }

  std::string ask(const std::string& request) {
    const std::string line = request + "\n";
    EXPECT_EQ(::send(guest_.get(), line.data(), line.size(), 0), static_cast<ssize_t>(line.size()));
    pollfd poll_fd{guest_.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&poll_fd, 1, 20000), 1);
    char text[256];
    const ssize_t n = ::recv(guest_.get(), text, sizeof(text), MSG_DONTWAIT);
    return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : std::string();
  }

  static bool eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) {
        return false;
      }
      ::poll(nullptr, 0, 2);
    }
    return true;
  }

  std::unique_ptr<TemporaryDirectory> directory_;
  std::vector<GpuFunction> gpus_;
  Fd port_, guest_, ram_;
  std::unique_ptr<DeviceSupervisor> supervisor_;
};

constexpr const char* kRunForEver = "exec sleep 1000";

TEST_F(DeviceSupervisorTest, PassesTheContractsArguments) {
  start("printf '%s\\n' \"$@\"; exec sleep 1000");
  const auto log = directory_->path() / "device.log";
  ASSERT_TRUE(eventually(
      [&log] { return read_file(log).ok() && read_file(log).value().find("index=1") != std::string::npos; }));
  const std::string text = read_file(log).value();
  EXPECT_TRUE(text.starts_with("--generation\n1\n--ram-fd\n" + std::to_string(ram_.get()) +
                               "\n--ram-map\n0x0:0x1000:0x0\n--gpu\nindex=0,bar="));
}

TEST_F(DeviceSupervisorTest, KillAnswersAfterDeadIsInEveryDevicePage) {
  start(kRunForEver);
  GuestView first(gpus_[0]);
  GuestView second(gpus_[1]);
  EXPECT_EQ(ask("hold"), "ok generation=1 state=running\n");
  EXPECT_EQ(ask("kill"), "ok generation=1 state=held\n");
  EXPECT_EQ(first.state(), kfdlab_state_word(1, KFDLAB_STATE_DEAD));
  EXPECT_EQ(second.state(), kfdlab_state_word(1, KFDLAB_STATE_DEAD));
  EXPECT_EQ(ask("resume"), "ok generation=2 state=running\n");
  EXPECT_EQ(supervisor_->unexpected_deaths(), 0u);
}

TEST_F(DeviceSupervisorTest, AStoppedProcessIsKilledByTheDriversReset) {
  start(kRunForEver);
  GuestView guest(gpus_[1]);
  EXPECT_EQ(ask("stop"), "ok generation=1 state=stopped\n");
  guest.request_reset(1);
  ASSERT_EQ(::eventfd_write(gpus_[1].reset_kick(), 1), 0);
  EXPECT_TRUE(eventually([&] { return guest.state() == kfdlab_state_word(1, KFDLAB_STATE_DEAD); }));
  EXPECT_TRUE(eventually([&] { return ask("status") == "ok generation=2 state=running\n"; }));
  EXPECT_EQ(supervisor_->unexpected_deaths(), 0u);
}

TEST_F(DeviceSupervisorTest, IgnoresAResetOfAnotherGeneration) {
  start(kRunForEver);
  GuestView guest(gpus_[0]);
  guest.request_reset(7);
  ASSERT_EQ(::eventfd_write(gpus_[0].reset_kick(), 1), 0);
  // The kick is consumed before the next request is answered: both are events of one poll round or the kick is older.
  EXPECT_EQ(ask("status"), "ok generation=1 state=running\n");
  EXPECT_EQ(guest.state(), 0u);
}

TEST_F(DeviceSupervisorTest, GivesUpOnAProcessThatKeepsDying) {
  start("exit 3");
  EXPECT_TRUE(eventually([&] { return supervisor_->unexpected_deaths() == 5; }));
  EXPECT_EQ(ask("status"), "ok generation=5 state=dead\n");
  GuestView guest(gpus_[0]);
  EXPECT_EQ(guest.state(), kfdlab_state_word(5, KFDLAB_STATE_DEAD));
}

}  // namespace
}  // namespace kfdlab
