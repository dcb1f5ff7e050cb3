// SPDX-License-Identifier: MIT
#include "tests/hip/process/roles.h"

#include <hip/hip_runtime_api.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <map>
#include <span>

#include "tests/hip/kernels.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0xb5;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kBytes = 64 * kPage;
constexpr std::size_t kStormPages = 4096;
constexpr int kHipFailed = 1;
constexpr int kWrong = 2;

// What every role needs. `words` is host memory that kernels and CPU share, all 0.
struct Started {
  std::uint32_t* words = nullptr;
  std::byte* memory = nullptr;  // managed, kBytes
  [[nodiscard]] std::uint64_t* wrong() const { return reinterpret_cast<std::uint64_t*>(words + 64); }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(memory); }
  [[nodiscard]] std::span<std::byte> bytes() const { return {memory, kBytes}; }
};

// Says which call failed.
bool done(hipError_t result, const char* what) {
  if (result != hipSuccess) {
    std::printf("%s: %s\n", what, hipGetErrorString(result));
    std::fflush(stdout);
  }
  return result == hipSuccess;
}

bool start(Started* it) {
  return done(hipInit(0), "hipInit") &&
         done(hipHostMalloc(reinterpret_cast<void**>(&it->words), kPage, hipHostMallocCoherent), "hipHostMalloc") &&
         done(hipMallocManaged(reinterpret_cast<void**>(&it->memory), kBytes, hipMemAttachGlobal), "hipMallocManaged") &&
         done(launch_fill(it->memory, kBytes / 8, it->address(), kSeed, nullptr), "fill") &&
         done(hipDeviceSynchronize(), "first synchronize");
}

bool wait_for_word(std::uint32_t* word, std::uint32_t least) {
  return eventually([&] { return std::atomic_ref(*word).load() >= least; }, std::chrono::seconds(10));
}

int synchronized() { return done(hipDeviceSynchronize(), "hipDeviceSynchronize") ? 0 : kHipFailed; }

// ---- what an actor can do ----

int work(const Started& it, const Wire&) {
  if (!done(launch_reseed(it.memory, kBytes / 8, it.address(), kSeed, kSeed + 1, it.wrong(), nullptr), "reseed") ||
      synchronized() != 0) {
    return kHipFailed;
  }
  return *it.wrong() == 0 && pattern_error(it.bytes(), kSeed + 1).empty() ? 0 : kWrong;
}

// An address at which nothing is mapped.
std::byte* hole(std::size_t bytes = kPage) {
  void* const pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ::munmap(pages, bytes);
  return static_cast<std::byte*>(pages);
}

int read_unmapped(const Started& it, const Wire&) {
  return done(launch_load(hole(), it.wrong(), nullptr), "load") ? synchronized() : kHipFailed;
}

int write_unmapped(const Started&, const Wire&) {
  return done(launch_store(hole(), 1, nullptr), "store") ? synchronized() : kHipFailed;
}

int read_address_zero(const Started& it, const Wire&) {
  return done(launch_load(nullptr, it.wrong(), nullptr), "load") ? synchronized() : kHipFailed;
}

int write_read_only(const Started& it, const Wire&) {
  ::mprotect(it.memory, kBytes, PROT_READ);
  return done(launch_store(it.memory + 5 * kPage, 1, nullptr), "store") ? synchronized() : kHipFailed;
}

// Words that are no instruction.
int jump_into_data(const Started&, const Wire&) {
  void* target = nullptr;
  if (!done(hipMalloc(&target, kPage), "hipMalloc") || !done(hipMemset(target, 0xff, kPage), "hipMemset")) {
    return kHipFailed;
  }
  return done(launch_jump(target, nullptr), "jump") ? synchronized() : kHipFailed;
}

int jump_into_nothing(const Started&, const Wire&) {
  return done(launch_jump(hole(), nullptr), "jump") ? synchronized() : kHipFailed;
}

int endless(const Started& it, const Wire& parent) {
  if (!done(launch_endless(it.words, 64, nullptr), "endless") || !wait_for_word(it.words, 1)) {
    return kHipFailed;
  }
  parent.signal();
  return synchronized();
}

// Every lane wants another page that is not there.
int touch_thousands_of_unmapped_pages(const Started& it, const Wire&) {
  constexpr std::size_t kSize = kStormPages * kPage;
  return done(launch_reseed_strided(hole(kSize), kSize, kPage, kSeed, kSeed, it.wrong(), nullptr), "reseed")
             ? synchronized()
             : kHipFailed;
}

// A kernel and a stream of prefetches take pages from each other until somebody ends it.
int fight_for_pages(const Started& it, const Wire& parent) {
  hipStream_t mover = nullptr;
  if (!done(hipStreamCreateWithFlags(&mover, hipStreamNonBlocking), "hipStreamCreateWithFlags") ||
      !done(launch_reseed_until(it.memory, kBytes / 8, kSeed, it.words + 16, it.wrong(), it.words, nullptr),
            "reseed_until")) {
    return kHipFailed;
  }
  for (std::uint64_t turn = 0;; ++turn) {
    if (!done(hipMemPrefetchAsync(it.memory, kBytes, turn % 2 == 0 ? 0 : hipCpuDeviceId, mover), "prefetch") ||
        !done(hipStreamSynchronize(mover), "hipStreamSynchronize") ||
        (turn == 4 && !(wait_for_word(it.words, 2) && parent.signal()))) {
      return kHipFailed;
    }
  }
}

using Act = int (*)(const Started&, const Wire&);
const std::map<std::string, Act>& acts() {
  static const std::map<std::string, Act> all = {
      {"work", work},
      {"read-unmapped", read_unmapped},
      {"write-unmapped", write_unmapped},
      {"read-address-zero", read_address_zero},
      {"write-read-only", write_read_only},
      {"jump-into-data", jump_into_data},
      {"jump-into-nothing", jump_into_nothing},
      {"endless", endless},
      {"touch-thousands-of-unmapped-pages", touch_thousands_of_unmapped_pages},
      {"fight-for-pages", fight_for_pages},
  };
  return all;
}

int actor(const Wire& parent, const std::vector<std::string>& arguments) {
  Started it;
  if (!start(&it) || !parent.signal() || !parent.await()) {
    return kHipFailed;
  }
  const int status = acts().at(arguments.at(0))(it, parent);
  std::fflush(stdout);
  // A failed device is nothing that ROCm's destructors get over in bounded time.
  ::_exit(status);
}

// ---- the bystander ----

std::uint32_t progress(std::uint32_t* rounds) {
  return wait_for_word(rounds, std::atomic_ref(*rounds).load() + 3) ? 1 : 0;
}

int bystander(const Wire& parent, const std::vector<std::string>&) {
  Started it;
  if (!start(&it) || !done(hipMemPrefetchAsync(it.memory, kBytes, 0, nullptr), "prefetch")) {
    return kHipFailed;
  }
  std::uint32_t* const rounds = it.words;
  std::uint32_t* const stop = it.words + 16;
  if (!done(launch_reseed_until(it.memory, kBytes / 8, kSeed, stop, it.wrong(), rounds, nullptr), "reseed_until") ||
      !wait_for_word(rounds, 1) || !parent.signal()) {
    return kHipFailed;
  }
  for (BystanderRequest request{}; parent.receive(&request);) {
    if (request == BystanderRequest::Progress) {
      parent.send(progress(rounds));
      continue;
    }
    std::atomic_ref(*stop).store(1);
    const bool right = synchronized() == 0 && *it.wrong() == 0 && pattern_error(it.bytes(), kSeed + *rounds).empty();
    parent.send<std::uint32_t>(right ? 1 : 0);
    return right ? 0 : kWrong;
  }
  return kHipFailed;
}

}  // namespace

const RoleName kActor("actor", actor);
const RoleName kBystander("bystander", bystander);

std::string xnack_variable(bool on) { return on ? "HSA_XNACK=1" : "HSA_XNACK=0"; }

Bystander::Bystander(bool xnack) : process_(kBystander, {}, {xnack_variable(xnack)}) {}

bool Bystander::runs() {
  std::uint32_t answer = 0;
  return process_.wire().send(BystanderRequest::Progress) && process_.wire().receive(&answer) && answer == 1;
}

std::string Bystander::end() {
  std::uint32_t answer = 0;
  const bool right = process_.wire().send(BystanderRequest::End) && process_.wire().receive(&answer) && answer == 1;
  const int status = process_.wait();
  return right && status == 0 ? "" : "status " + std::to_string(status) + ": " + process_.output();
}

}  // namespace kfdlab
