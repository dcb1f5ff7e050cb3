// SPDX-License-Identifier: MIT
// Pages that others have too: a child since fork, or a holder.
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <optional>

#include "tests/gup/gup_fixture.h"
#include "tests/states/makers.h"
#include "tests/support/buffer.h"
#include "tests/support/child.h"
#include "tests/support/pattern.h"

namespace kfdlab::states {
namespace {

class Filled : public Subject {
 public:
  Filled() { fill_pattern(buffer_.bytes(), kSeed); }
  [[nodiscard]] std::span<std::byte> pages() const override { return buffer_.bytes(); }

 protected:
  // The same bytes again: a write to every page.
  void write_all() const { fill_pattern(buffer_.bytes(), kSeed); }

 private:
  Buffer buffer_{kPages};
};

enum class After : std::uint8_t { Fork, ChildWrote, ParentWrote, ChildEnded };

class Forked : public Filled {
 public:
  explicit Forked(After after) : after_(after) {}
  std::string settle() override {
    child_.emplace([this](Peer& parent) {
      if (after_ == After::ChildWrote) {
        write_all();
      }
      static_cast<void>(parent.signal());
      // Until the parent goes.
      return after_ == After::ChildEnded || parent.await() ? 0 : 1;
    });
    if (!child_->peer().await()) {
      return "the child did not come up";
    }
    if (after_ == After::ParentWrote) {
      write_all();
    }
    if (after_ == After::ChildEnded) {
      child_->wait();
      child_.reset();
    }
    return {};
  }

 private:
  After after_;
  std::optional<Child> child_;
};

class Held : public Filled {
 public:
  Held(GupFlavour flavour, GupClient client) : flavour_(flavour), client_(std::move(client)) {}
  std::string settle() override {
    const int error = client_.hold(flavour_, pages().data(), kPages, &hold_);
    return error == 0 ? "" : "cannot hold the pages: " + std::to_string(error);
  }

 private:
  GupFlavour flavour_;
  GupClient client_;
  GupHold hold_;
};

// In a pipe: references without end that no rule about long-term pins covers.
class Spliced : public Filled {
 public:
  ~Spliced() override {
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }
  std::string settle() override {
    if (::pipe2(pipe_, O_CLOEXEC) != 0) {
      return "pipe2() failed";
    }
    const iovec vector{pages().data(), pages().size()};
    return ::vmsplice(pipe_[1], &vector, 1, 0) == static_cast<ssize_t>(pages().size()) ? "" : "vmsplice() took less";
  }

 private:
  int pipe_[2] = {-1, -1};
};

Made make_held(GupFlavour flavour) {
  auto client = GupClient::open();
  if (!client.ok()) {
    return client.error();
  }
  return Made(std::make_unique<Held>(flavour, client.take()));
}

}  // namespace

Made make_fork_shared() { return Made(std::make_unique<Forked>(After::Fork)); }
Made make_fork_child_wrote() { return Made(std::make_unique<Forked>(After::ChildWrote)); }
Made make_fork_parent_wrote() { return Made(std::make_unique<Forked>(After::ParentWrote)); }
Made make_fork_child_gone() { return Made(std::make_unique<Forked>(After::ChildEnded)); }
Made make_pinned() { return make_held(kPinFastWrite); }
Made make_longterm_pinned() { return make_held(kPinFastLongtermWrite); }
Made make_spliced() { return Made(std::make_unique<Spliced>()); }

}  // namespace kfdlab::states
