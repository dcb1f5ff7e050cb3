// SPDX-License-Identifier: MIT
#include "tests/pins/guest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "tests/pins/system.h"

namespace kfdlab::pins {
namespace {

// Where things are in the guest. Its pages fill one segment of 64 KiB each.
constexpr std::uint64_t kCodeAt = 0x1000;
constexpr std::uint64_t kPagesAt = 0x10000;
constexpr std::uint64_t kPlainAt = 0x20000;
constexpr std::uint64_t kIn = 0x100;  // of the second program in the code page

// In real mode: copies segment `from` to segment `to` and halts.
void write_program(std::byte* at, std::uint16_t from, std::uint16_t to) {
  const unsigned char code[] = {
      0xb8, static_cast<unsigned char>(from), static_cast<unsigned char>(from >> 8),  // mov ax, from
      0x8e, 0xd8,                                                                     // mov ds, ax
      0xb8, static_cast<unsigned char>(to), static_cast<unsigned char>(to >> 8),      // mov ax, to
      0x8e, 0xc0,                                                                     // mov es, ax
      0x31, 0xf6, 0x31, 0xff,                                                         // xor si, si; xor di, di
      0xb9, 0x00, 0x80,                                                               // mov cx, 32768
      0xfc, 0xf3, 0xa5,                                                               // cld; rep movsw
      0xf4,                                                                           // hlt
  };
  std::memcpy(at, code, sizeof code);
}

Status load_kvm() {
  if (::access("/dev/kvm", F_OK) == 0) {
    return ok_status();
  }
  return load_module("kvm_amd").ok() ? ok_status() : load_module("kvm_intel");
}

}  // namespace

Result<Guest> Guest::open() {
  static const Status loaded = load_kvm();
  KFDLAB_TRY(loaded);
  const Fd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!kvm.valid()) {
    return errno_error("/dev/kvm", errno);
  }
  Fd machine(::ioctl(kvm.get(), KVM_CREATE_VM, 0));
  if (!machine.valid()) {
    return errno_error("KVM_CREATE_VM", errno);
  }
  Fd processor(::ioctl(machine.get(), KVM_CREATE_VCPU, 0));
  if (!processor.valid()) {
    return errno_error("KVM_CREATE_VCPU", errno);
  }
  Guest guest(std::move(machine), std::move(processor));
  write_program(guest.code_.data(), kPagesAt >> 4, kPlainAt >> 4);
  write_program(guest.code_.data() + kIn, kPlainAt >> 4, kPagesAt >> 4);
  std::memset(guest.plain_.data(), 0, guest.plain_.size());
  KFDLAB_TRY(guest.add_memory(0, kCodeAt, guest.code_.bytes()));
  KFDLAB_TRY(guest.add_memory(1, kPlainAt, guest.plain_.bytes()));
  return guest;
}

Status Guest::map(std::span<std::byte> pages) { return add_memory(2, kPagesAt, pages); }

Status Guest::copy(bool out_of_pages) { return run(out_of_pages ? kCodeAt : kCodeAt + kIn); }

Status Guest::add_memory(unsigned slot, std::uint64_t at, std::span<std::byte> bytes) {
  kvm_userspace_memory_region region{};
  region.slot = slot;
  region.guest_phys_addr = at;
  region.memory_size = bytes.size();
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(bytes.data());
  return ::ioctl(machine_.get(), KVM_SET_USER_MEMORY_REGION, &region) == 0
             ? ok_status()
             : errno_error("KVM_SET_USER_MEMORY_REGION", errno);
}

Status Guest::run(std::uint64_t from) {
  kvm_sregs segments{};
  kvm_regs registers{};
  registers.rip = from;
  registers.rflags = 2;
  if (::ioctl(processor_.get(), KVM_GET_SREGS, &segments) != 0) {
    return errno_error("KVM_GET_SREGS", errno);
  }
  segments.cs.base = 0;
  segments.cs.selector = 0;
  void* memory = ::mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, processor_.get(), 0);
  if (memory == MAP_FAILED || ::ioctl(processor_.get(), KVM_SET_SREGS, &segments) != 0 ||
      ::ioctl(processor_.get(), KVM_SET_REGS, &registers) != 0) {
    return errno_error("registers of the virtual CPU", errno);
  }
  const auto* state = static_cast<const kvm_run*>(memory);
  int error = 0;
  do {
    error = ::ioctl(processor_.get(), KVM_RUN, nullptr) == 0 ? 0 : errno;
  } while (error == EINTR || error == EAGAIN);
  const auto reason = state->exit_reason;
  ::munmap(memory, kPageSize);
  if (error != 0 || reason != KVM_EXIT_HLT) {
    return Error{fmt::format("the guest does not come to its end: errno {}, exit reason {}", error, reason)};
  }
  return ok_status();
}

}  // namespace kfdlab::pins
