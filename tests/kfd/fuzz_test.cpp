// SPDX-License-Identifier: MIT
// Random arguments to every ioctl: whatever they are, the call returns, the kernel stays silent, and nothing is left
// when the process is gone. The seed of a run is in the log; --seed repeats it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "tests/support/child.h"
#include "tests/kfd/kfd_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

constexpr int kCalls = 4000;
constexpr std::size_t kWords = 32;

// Values near what matters: small numbers, pages, ids, limits, our own memory.
class Words {
 public:
  Words(std::uint64_t seed, std::uint32_t gpu_id, const Buffer& memory, std::uint64_t space, std::vector<int> files)
      : random_(seed), gpu_id_(gpu_id), memory_(memory), space_(space), files_(std::move(files)) {}

  std::uint64_t number(std::uint64_t below) { return random_() % below; }
  std::uint64_t word() {
    switch (number(12)) {
      case 10:
        // Descriptors, in either half of a word.
        return std::uint64_t{gpu_id_} | static_cast<std::uint64_t>(file()) << 32;
      case 11:
        return static_cast<std::uint64_t>(file());
      case 0:
        return 0;
      case 1:
        return number(16);
      case 2:
        return number(64) * kPageSize;
      case 3:
        return memory_.page_address(number(memory_.npages()));
      case 4:
        return space_ + number(256) * kPageSize;
      case 5:
        return 1ull << number(64);
      case 6:
        return ~0ull - number(3) * kPageSize;
      case 7:
        return std::uint64_t{gpu_id_} << 32 | number(64);
      case 8:
        return gpu_id_ | number(4) << 32;
      default:
        return random_();
    }
  }

 private:
  int file() { return files_[number(files_.size())]; }

  std::mt19937_64 random_;
  std::uint32_t gpu_id_;
  const Buffer& memory_;
  std::uint64_t space_;
  std::vector<int> files_;
};

// Keep a call from doing what is legal but takes for ever, or would move the ground the test stands on.
void tame(unsigned number, std::array<std::uint64_t, kWords>* words) {
  if (number == _IOC_NR(AMDKFD_IOC_WAIT_EVENTS)) {
    auto* args = reinterpret_cast<kfd_ioctl_wait_events_args*>(words->data());
    args->timeout %= 2;
    args->num_events %= 64;
  }
}

int call_at_random(std::uint64_t seed, std::uint32_t gpu_id, int render) {
  const auto client = KfdClient::open();
  if (!client || client.value().acquire_vm(gpu_id, render) != 0) {
    return 1;
  }
  const Buffer memory(64);
  for (std::size_t i = 0; i < memory.npages(); ++i) {
    *memory.page(i) = std::byte{1};
  }
  const Reservation space(256 * kPageSize);
  // Something to import: a buffer of ours, where no random address comes.
  const Reservation exported(4 * kPageSize);
  KfdAlloc alloc;
  alloc.va = exported.address();
  alloc.size = exported.size();
  alloc.gpu_id = gpu_id;
  alloc.flags = KFD_IOC_ALLOC_MEM_FLAGS_VRAM;
  if (client.value().alloc(&alloc) != 0) {
    return 3;
  }
  std::array<std::uint64_t, 2> export_args{alloc.handle, O_CLOEXEC};
  if (client.value().raw(_IOC(_IOC_READ | _IOC_WRITE, AMDKFD_IOCTL_BASE, 0x24, sizeof export_args),
                         export_args.data()) != 0) {
    return 4;
  }
  const Fd dmabuf(static_cast<int>(export_args[1] >> 32));
  Words words(seed, gpu_id, memory, space.address(), {dmabuf.get(), render, client.value().fd(), -1});
  for (int i = 0; i < kCalls; ++i) {
    std::array<std::uint64_t, kWords> argument{};
    for (auto& word : argument) {
      word = words.word();
    }
    const auto number = static_cast<unsigned>(words.number(0x28));
    const auto size = words.number(4) != 0 ? 8 * words.number(14) : words.number(sizeof argument);
    tame(number, &argument);
    const int error =
        client.value().raw(_IOC(_IOC_READ | _IOC_WRITE, AMDKFD_IOCTL_BASE, number, size), argument.data());
    // Internal retries never leave the driver.
    if (error == EAGAIN || error == ENODEV || error > 133) {
      return 2;
    }
  }
  return 0;
}

// SMI files: random masks, reads and writes of any length, while events come.
int use_smi_at_random(std::uint64_t seed, std::uint32_t gpu_id) {
  const auto client = KfdClient::open();
  kfd_ioctl_smi_events_args args{};
  args.gpuid = gpu_id;
  if (!client || client.value().raw(AMDKFD_IOC_SMI_EVENTS, &args) != 0) {
    return 1;
  }
  const Fd smi(static_cast<int>(args.anon_fd));
  const Buffer memory(4);
  std::mt19937_64 random(seed);
  for (int i = 0; i < kCalls; ++i) {
    std::byte* at = memory.data() + random() % (6 * kPageSize);
    const std::size_t size = random() % (2 * kPageSize);
    const ssize_t done = random() % 2 != 0 ? ::read(smi.get(), at, size) : ::write(smi.get(), at, size);
    if (done < 0 && errno != EAGAIN && errno != EFAULT) {
      return 2;
    }
    if (i % 8 == 0) {
      const std::uint64_t mask = random();
      static_cast<void>(!::write(smi.get(), &mask, sizeof mask));
      static_cast<void>(client.value().svm_prefetch(memory.address(), memory.size(), i % 16 == 0 ? gpu_id : 0));
    }
  }
  return 0;
}

TEST(KfdFuzz, RandomUseOfSmiFilesNeverHurts) {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  const auto ids = kfd_gpu_ids();
  KFDLAB_NEEDS(!ids.empty(), "the KFD topology has no GPU");
  RecordProperty("seed", static_cast<int>(test_seed()));
  Child one([&](Peer&) { return use_smi_at_random(test_seed(), ids.front()); });
  Child two([&](Peer&) { return use_smi_at_random(test_seed() + 1, ids.front()); });
  EXPECT_EQ(one.wait(), 0);
  EXPECT_EQ(two.wait(), 0);
}

TEST(KfdFuzz, RandomArgumentsNeverHurt) {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  const auto ids = kfd_gpu_ids();
  KFDLAB_NEEDS(!ids.empty(), "the KFD topology has no GPU");
  const std::string render_path = "/dev/dri/renderD" + std::to_string(node_properties(1)["drm_render_minor"]);
  RecordProperty("seed", static_cast<int>(test_seed()));
  for (std::uint64_t round = 0; round < 4; ++round) {
    // Two at once: of different address spaces, on one GPU.
    std::vector<std::unique_ptr<Child>> children;
    for (std::uint64_t i = 0; i < 2; ++i) {
      children.push_back(std::make_unique<Child>([&, seed = test_seed() + 2 * round + i](Peer&) {
        const Fd render(::open(render_path.c_str(), O_RDWR | O_CLOEXEC));
        return call_at_random(seed, ids.front(), render.get());
      }));
    }
    for (auto& child : children) {
      EXPECT_EQ(child->wait(), 0) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace kfdlab
