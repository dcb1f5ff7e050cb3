// SPDX-License-Identifier: MIT
// AF_ALG: the kernel's ciphers as sockets. A hash reads the pages that are sent, without a copy; a cipher stores its
// result in the pages that receive it. The cipher used copies what it is given.
#include <linux/if_alg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/fd.h"
#include "tests/pins/system.h"
#include "tests/pins/visitors.h"
#include "tests/support/pattern.h"

namespace kfdlab::pins {
namespace {

Result<Fd> open_algorithm(const char* type, const char* name) {
  const Fd family(::socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_alg address{};
  address.salg_family = AF_ALG;
  std::strcpy(reinterpret_cast<char*>(address.salg_type), type);
  std::strcpy(reinterpret_cast<char*>(address.salg_name), name);
  const auto* plain = reinterpret_cast<const sockaddr*>(&address);
  if (!family.valid() || ::bind(family.get(), plain, sizeof address) != 0) {
    return errno_error(std::string("AF_ALG ") + name, errno);
  }
  Fd operation(::accept4(family.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!operation.valid()) {
    return errno_error("accept4(AF_ALG)", errno);
  }
  return operation;
}

class Hash : public Visitor {
 public:
  explicit Hash(Fd operation) : operation_(std::move(operation)) {}
  // A digest cannot be turned back: the same digest for a copy says that the kernel read the same.
  Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t) override {
    auto ours = digest(pages);
    KFDLAB_TRY(ours);
    Pieces all{{0, std::vector<std::byte>(pages.begin(), pages.end())}};
    auto copys = digest(all[0].bytes);
    KFDLAB_TRY(copys);
    if (ours.value() != copys.value()) {
      return Error{"the digest of the pages is not that of a copy"};
    }
    return all;
  }

 private:
  using Digest = std::array<std::byte, 32>;
  [[nodiscard]] Result<Digest> digest(std::span<const std::byte> bytes) const {
    Digest digest{};
    if (::send(operation_.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()) ||
        ::recv(operation_.get(), digest.data(), digest.size(), 0) != static_cast<ssize_t>(digest.size())) {
      return errno_error("hashing", errno);
    }
    return digest;
  }
  Fd operation_;
};

class Cipher : public Visitor {
 public:
  explicit Cipher(Fd operation) : operation_(std::move(operation)) {}
  Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t seed) override {
    Pieces all{{0, std::vector<std::byte>(pages.size())}};
    fill_pattern(all[0].bytes, reinterpret_cast<std::uintptr_t>(pages.data()), seed);
    for (std::size_t done = 0; done < pages.size();) {
      const std::size_t part = std::min<std::size_t>(pages.size() - done, 32768);
      if (::send(operation_.get(), all[0].bytes.data() + done, part, 0) != static_cast<ssize_t>(part) ||
          ::recv(operation_.get(), pages.data() + done, part, 0) != static_cast<ssize_t>(part)) {
        return errno_error("enciphering", errno);
      }
      done += part;
    }
    return all;
  }

 private:
  Fd operation_;
};

template <typename V>
MadeVisitor make(const char* type, const char* name) {
  auto operation = open_algorithm(type, name);
  KFDLAB_TRY(operation);
  return MadeVisitor(std::make_unique<V>(operation.take()));
}

}  // namespace

MadeVisitor make_crypto_hash() {
  KFDLAB_TRY(load_module("algif_hash"));
  return make<Hash>("hash", "sha256");
}
MadeVisitor make_crypto_cipher() {
  KFDLAB_TRY(load_module("algif_skcipher"));
  return make<Cipher>("skcipher", "ecb(cipher_null)");
}

}  // namespace kfdlab::pins
