// SPDX-License-Identifier: MIT
// /dev/kfdlab_gup itself: every argument may be wrong, each mistake has its errno (include/uapi/kfdlab_gup.h), and
// a refused call holds nothing.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <limits>

#include "tests/support/child.h"
#include "tests/gup/gup_fixture.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::size_t kPages = 4;

// A request that would succeed; each test spoils one thing.
kfdlab_gup_hold good_request(const Buffer& buffer) {
  kfdlab_gup_hold request{};
  request.addr = buffer.address();
  request.npages = buffer.npages();
  request.path = KFDLAB_GUP_FAST;
  request.flags = KFDLAB_GUP_PIN | KFDLAB_GUP_WRITE;
  return request;
}

struct BadRequest {
  const char* what;
  int error;
  void (*spoil)(kfdlab_gup_hold*);
};

const BadRequest kBadRequests[] = {
    {"path 0", EINVAL, [](kfdlab_gup_hold* request) { request->path = 0; }},
    {"unknown path", EINVAL, [](kfdlab_gup_hold* request) { request->path = KFDLAB_GUP_FAST_ONLY + 1; }},
    {"huge path", EINVAL, [](kfdlab_gup_hold* request) { request->path = 0x80000001u; }},
    {"unknown flag", EINVAL, [](kfdlab_gup_hold* request) { request->flags |= 0x8u; }},
    {"highest flag", EINVAL, [](kfdlab_gup_hold* request) { request->flags |= 0x80000000u; }},
    {"LONGTERM without PIN", EINVAL, [](kfdlab_gup_hold* request) { request->flags = KFDLAB_GUP_LONGTERM; }},
    {"PIN with FAST_ONLY", EINVAL, [](kfdlab_gup_hold* request) { request->path = KFDLAB_GUP_FAST_ONLY; }},
    {"misaligned address", EINVAL, [](kfdlab_gup_hold* request) { request->addr += 8; }},
    {"no pages", EINVAL, [](kfdlab_gup_hold* request) { request->npages = 0; }},
    {"too many pages", EINVAL, [](kfdlab_gup_hold* request) { request->npages = KFDLAB_GUP_MAX_PAGES + 1; }},
    {"page count that overflows a byte count", EINVAL, [](kfdlab_gup_hold* request) { request->npages = 1ull << 52; }},
    {"wrapping range", EINVAL, [](kfdlab_gup_hold* request) { request->addr = ~0ull << 12; }},
    {"kernel address", EFAULT, [](kfdlab_gup_hold* request) { request->addr = 0xffff888000000000ull; }},
    {"kernel address, slow", EFAULT,
     [](kfdlab_gup_hold* request) {
       request->addr = 0xffff888000000000ull;
       request->path = KFDLAB_GUP_SLOW;
     }},
    {"non-canonical address", EFAULT, [](kfdlab_gup_hold* request) { request->addr = 1ull << 62; }},
    {"null page", EFAULT, [](kfdlab_gup_hold* request) { request->addr = 0; }},
    {"pid without REMOTE", EINVAL, [](kfdlab_gup_hold* request) { request->pid = 1; }},
    {"negative pid", EINVAL,
     [](kfdlab_gup_hold* request) {
       request->path = KFDLAB_GUP_REMOTE;
       request->pid = -1;
     }},
    {"no such pid", ESRCH,
     [](kfdlab_gup_hold* request) {
       request->path = KFDLAB_GUP_REMOTE;
       request->pid = std::numeric_limits<int>::max();
     }},
    {"kernel thread", ESRCH,
     [](kfdlab_gup_hold* request) {
       request->path = KFDLAB_GUP_REMOTE;
       request->pid = 2;
     }},
};

GUP_TEST(GupIoctl, EveryMistakeInHoldHasItsErrno) {
  Buffer buffer(kPages);
  fill_pattern(buffer.bytes(), kFirst);
  const std::int64_t pins = outstanding_pins();
  for (const BadRequest& bad : kBadRequests) {
    kfdlab_gup_hold request = good_request(buffer);
    bad.spoil(&request);
    EXPECT_EQ(gup().raw(KFDLAB_GUP_HOLD, &request), bad.error) << bad.what;
    EXPECT_EQ(request.id, 0u) << bad.what;
  }
  EXPECT_EQ(outstanding_pins(), pins);
  kfdlab_gup_hold request = good_request(buffer);
  EXPECT_EQ(gup().raw(KFDLAB_GUP_HOLD, &request), 0) << "the request the others were made from";
  EXPECT_NE(request.id, 0u);
  kfdlab_gup_release release{request.id, 0};
  EXPECT_EQ(gup().raw(KFDLAB_GUP_RELEASE, &release), 0);
}

GUP_TEST(GupIoctl, UnlockedLongtermIsRefusedWhereTheKernelHasNone) {
  Buffer buffer(kPages);
  fill_pattern(buffer.bytes(), kFirst);
  kfdlab_gup_hold request = good_request(buffer);
  request.path = KFDLAB_GUP_UNLOCKED;
  request.flags |= KFDLAB_GUP_LONGTERM;
  EXPECT_EQ(gup().raw(KFDLAB_GUP_HOLD, &request), kernel_at_least(6, 3) ? 0 : EOPNOTSUPP);
  if (request.id != 0) {
    kfdlab_gup_release release{request.id, 0};
    EXPECT_EQ(gup().raw(KFDLAB_GUP_RELEASE, &release), 0);
  }
}

GUP_TEST(GupIoctl, UnwritableReplyHoldsNothing) {
  Buffer buffer(kPages);
  fill_pattern(buffer.bytes(), kFirst);
  const std::int64_t pins = outstanding_pins();
  Buffer reply(1);
  const kfdlab_gup_hold request = good_request(buffer);
  std::memcpy(reply.data(), &request, sizeof request);
  reply.protect(0, 1, PROT_READ);
  EXPECT_EQ(gup().raw(KFDLAB_GUP_HOLD, reply.data()), EFAULT);
  EXPECT_EQ(outstanding_pins(), pins);
}

GUP_TEST(GupIoctl, BadPointersAndUnknownCommands) {
  for (const unsigned long command : {KFDLAB_GUP_HOLD, KFDLAB_GUP_RELEASE, KFDLAB_GUP_ACCESS}) {
    EXPECT_EQ(gup().raw(command, nullptr), EFAULT);
    EXPECT_EQ(gup().raw(command, reinterpret_cast<void*>(~0ul - 64)), EFAULT);
  }
  kfdlab_gup_hold request{};
  EXPECT_EQ(gup().raw(_IOWR(KFDLAB_GUP_IOC, 1, char), &request), ENOTTY) << "another size is another command";
  EXPECT_EQ(gup().raw(_IO(KFDLAB_GUP_IOC, 1), &request), ENOTTY);
  EXPECT_EQ(gup().raw(_IO(KFDLAB_GUP_IOC, 77), &request), ENOTTY);
}

GUP_TEST(GupIoctl, AHoldIsReleasedOnceAndByItsOwnFile) {
  Buffer buffer(kPages);
  fill_pattern(buffer.bytes(), kFirst);
  kfdlab_gup_hold request = good_request(buffer);
  ASSERT_EQ(gup().raw(KFDLAB_GUP_HOLD, &request), 0);

  auto stranger = GupClient::open();
  ASSERT_TRUE(stranger.ok());
  kfdlab_gup_release release{request.id, 0};
  EXPECT_EQ(stranger.value().raw(KFDLAB_GUP_RELEASE, &release), ENOENT);
  release.id = 0;
  EXPECT_EQ(gup().raw(KFDLAB_GUP_RELEASE, &release), ENOENT);
  release.id = 0xffffffffu;
  EXPECT_EQ(gup().raw(KFDLAB_GUP_RELEASE, &release), ENOENT);
  release = {request.id, 2};
  EXPECT_EQ(gup().raw(KFDLAB_GUP_RELEASE, &release), EINVAL);
  release = {request.id, 1};
  EXPECT_EQ(gup().raw(KFDLAB_GUP_RELEASE, &release), 0);
  EXPECT_EQ(gup().raw(KFDLAB_GUP_RELEASE, &release), ENOENT);
}

GUP_TEST(GupIoctl, AccessStaysInsideTheHold) {
  Buffer buffer(kPages);
  fill_pattern(buffer.bytes(), kFirst);
  GupHold held;
  ASSERT_EQ(hold(kPinFastWrite, buffer.bytes(), &held), 0);
  std::vector<std::byte> bytes(2 * kPageSize);
  const std::uint64_t end = buffer.size();

  EXPECT_EQ(held.read(end - bytes.size(), bytes), 0);
  EXPECT_EQ(pattern_error(bytes, buffer.address() + end - bytes.size(), kFirst), "");
  EXPECT_EQ(held.read(4088, bytes), 0) << "any byte offset, across pages";
  EXPECT_EQ(pattern_error(bytes, buffer.address() + 4088, kFirst), "");
  EXPECT_EQ(held.read(end - bytes.size() + 1, bytes), EINVAL);
  EXPECT_EQ(held.read(end, std::span(bytes).first(1)), EINVAL);
  EXPECT_EQ(held.read(~0ull, bytes), EINVAL);
  EXPECT_EQ(held.write(end - 1, bytes), EINVAL);
  EXPECT_EQ(held.read(0, {}), EINVAL);
  EXPECT_EQ(held.read(0, {static_cast<std::byte*>(nullptr), kPageSize}), EFAULT);
  EXPECT_EQ(held.write(0, {static_cast<const std::byte*>(nullptr), kPageSize}), EFAULT);
  kfdlab_gup_access access{held.id(), 2, 0, 8, reinterpret_cast<std::uintptr_t>(bytes.data())};
  EXPECT_EQ(gup().raw(KFDLAB_GUP_ACCESS, &access), EINVAL);
  access.id = 0;
  access.write = 0;
  EXPECT_EQ(gup().raw(KFDLAB_GUP_ACCESS, &access), ENOENT);
  EXPECT_TRUE(intact(buffer.bytes(), kFirst)) << "no refused call wrote";
}

GUP_TEST(GupIoctl, AReadingHoldCannotBeWrittenThrough) {
  Buffer buffer(kPages);  // never touched: its pages are the zero page, which is everybody's
  GupHold held;
  ASSERT_EQ(hold(kGetFastRead, buffer.bytes(), &held), 0);
  const std::vector<std::byte> bytes(8, std::byte{0x5a});
  EXPECT_EQ(held.write(0, bytes), EPERM);
  kfdlab_gup_release release{held.id(), 1};
  EXPECT_EQ(gup().raw(KFDLAB_GUP_RELEASE, &release), EPERM) << "nor marked dirty";
  EXPECT_EQ(held.release(), 0);
  EXPECT_EQ(buffer.data()[0], std::byte{0});
}

GUP_TEST(GupIoctl, OneFileHoldsABoundedNumberOfPages) {
  // Holds are charged by what was asked for; a short count needs no memory of that size.
  Buffer buffer(kPages);
  fill_pattern(buffer.bytes(), kFirst);
  kfdlab_gup_hold most = good_request(buffer);
  most.npages = KFDLAB_GUP_MAX_PAGES;
  ASSERT_EQ(gup().raw(KFDLAB_GUP_HOLD, &most), 0);
  EXPECT_EQ(most.held, kPages);

  GupHold held;
  EXPECT_EQ(hold(kPinFastWrite, buffer.pages(0, 1), &held), ENOSPC);
  kfdlab_gup_release release{most.id, 0};
  ASSERT_EQ(gup().raw(KFDLAB_GUP_RELEASE, &release), 0);
  EXPECT_EQ(hold(kPinFastWrite, buffer.bytes(), &held), 0);
}

GUP_TEST(GupIoctl, OnlyTheAdministratorOpensIt) {
  Child child([](Peer&) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) {
      return 1;
    }
    return ::open("/dev/kfdlab_gup", O_RDWR) < 0 && (errno == EACCES || errno == EPERM) ? 0 : 2;
  });
  EXPECT_EQ(child.wait(), 0);
}

}  // namespace
}  // namespace kfdlab
