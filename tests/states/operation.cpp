// SPDX-License-Identifier: MIT
#include "tests/states/operation.h"

#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/needs.h"

namespace kfdlab::states {
namespace {

PageCensus census(const Ground& ground, const Subject& subject) {
  return ground.oracle.census(subject.pages().data(), subject.pages().size() / kPageSize);
}

std::size_t count(const Subject& subject) { return subject.pages().size() / kPageSize; }

std::string error_name(int error) { return ::strerrorname_np(error); }

int prefetch(const Ground& ground, const Subject& subject, std::uint32_t location) {
  return ground.kfd.svm_prefetch(reinterpret_cast<std::uintptr_t>(subject.pages().data()), subject.pages().size(),
                                 location);
}

std::string to_vram(const Ground& ground, const Subject& subject) {
  const PageCensus before = census(ground, subject);
  if (const int error = send_to_vram(ground, subject)) {
    return error_name(error);
  }
  const std::size_t arrived = census(ground, subject).vram;
  if (arrived == count(subject)) {
    return before.none == arrived ? "filled in VRAM" : "moves";
  }
  return arrived == 0 ? "stays" : fmt::format("{} of {} move", arrived, count(subject));
}

// Behind an operation that takes pages out of VRAM.
std::string departure(const Ground& ground, const Subject& subject, const PageCensus& before) {
  const std::size_t left = census(ground, subject).vram;
  if (before.vram == 0) {
    return "not in VRAM";
  }
  if (left == 0) {
    return "moves";
  }
  return left == before.vram ? "stays in VRAM" : fmt::format("{} of {} move", before.vram - left, before.vram);
}

std::string to_ram(const Ground& ground, const Subject& subject) {
  const PageCensus before = census(ground, subject);
  const int error = prefetch(ground, subject, kSvmSystem);
  return error != 0 ? error_name(error) : departure(ground, subject, before);
}

std::string evict(const Ground& ground, const Subject& subject) {
  const PageCensus before = census(ground, subject);
  const auto evicted = ground.device.evict(ground.gpu_id);
  return evicted.ok() ? departure(ground, subject, before) : "FAILS: " + evicted.error().message;
}

std::string pin(const Ground& ground, const Subject& subject) {
  const PageCensus before = census(ground, subject);
  GupHold hold;
  if (const int error = ground.gup.hold(kPinFastLongtermWrite, subject.pages().data(), count(subject), &hold)) {
    return error_name(error);
  }
  if (hold.vram() != 0) {
    return fmt::format("HOLDS {} PAGES IN VRAM", hold.vram());
  }
  if (hold.npages() != count(subject)) {
    return fmt::format("holds {} of {}", hold.npages(), count(subject));
  }
  return before.vram != 0 ? "moves to RAM first" : "held in RAM";
}

// What a child finds.
struct Inheritance {
  PageCensus census;
  std::size_t same = 0;  // pages with the frame they had in the parent before the fork
  bool intact = false;
};

Inheritance inherit(Subject& subject, const std::vector<std::uint64_t>& frames) {
  Inheritance found;
  const auto oracle = PageOracle::open();
  if (!oracle.ok()) {
    return found;
  }
  found.census = oracle.value().census(subject.pages().data(), count(subject));
  const auto now = oracle.value().frames(subject.pages().data(), count(subject));
  for (std::size_t page = 0; page < now.size(); ++page) {
    found.same += now[page] != 0 && now[page] == frames[page] ? 1 : 0;
  }
  found.intact = subject.error().empty();
  // Copy-on-write must keep it from the parent.
  if (subject.child_may_write()) {
    std::memset(subject.pages().data(), 0x5a, kPageSize);
  }
  return found;
}

std::string describe(const Inheritance& found, std::size_t npages) {
  if (!found.intact) {
    return "THE CHILD SEES OTHER CONTENTS";
  }
  if (found.census.none == npages) {
    return "child has no pages yet";
  }
  const std::size_t present = npages - found.census.none;
  if ((found.census.vram != 0 && found.census.ram != 0) || (found.same != 0 && found.same != present)) {
    return fmt::format("child has {}, {} of them shared", to_string(found.census), found.same);
  }
  const std::string all = fmt::format("{} in {}", found.same == 0 ? "copied" : "shared", found.census.vram != 0 ? "VRAM" : "RAM");
  return present == npages ? all : fmt::format("{} of {} {}", present, npages, all);
}

std::string fork(const Ground& ground, Subject& subject) {
  const auto frames = ground.oracle.frames(subject.pages().data(), count(subject));
  Child child([&](Peer& parent) { return parent.send(inherit(subject, frames)) ? 0 : 1; });
  Inheritance found;
  if (!child.peer().receive(&found) || child.wait() != 0) {
    return fmt::format("THE CHILD DIES: {}", child.wait());
  }
  return describe(found, count(subject));
}

// Pages in use in the GPU's VRAM, of everybody.
std::uint64_t occupied(const Ground& ground) {
  const auto counters = ground.device.counters(ground.gpu_id);
  return counters.ok() ? counters.value().svm_pages_occupied : ~0ull;
}

std::string unmap(const Ground& ground, std::unique_ptr<Subject>& subject) {
  const std::size_t ours = census(ground, *subject).vram;
  subject.reset();
  if (!eventually([&] { return occupied(ground) == 0; })) {
    return fmt::format("LEAVES {} PAGES IN VRAM", occupied(ground));
  }
  return ours != 0 ? "VRAM is free" : "not in VRAM";
}

}  // namespace

int send_to_vram(const Ground& ground, const Subject& subject) { return prefetch(ground, subject, ground.gpu_id); }

std::string run(Operation operation, const Ground& ground, std::unique_ptr<Subject>& subject) {
  switch (operation) {
    case Operation::ToVram:
      return to_vram(ground, *subject);
    case Operation::ToRam:
      return to_ram(ground, *subject);
    case Operation::Evict:
      return evict(ground, *subject);
    case Operation::Pin:
      return pin(ground, *subject);
    case Operation::Fork:
      return fork(ground, *subject);
    case Operation::Unmap:
      return unmap(ground, subject);
  }
  return "UNKNOWN OPERATION";
}

}  // namespace kfdlab::states
