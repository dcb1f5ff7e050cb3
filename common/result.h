// SPDX-License-Identifier: MIT
// Result<T>: how a failure of the host (a file, a socket, a child process) is reported. Functions that can
// fail for such a reason return it; main() prints the message. Guest mistakes are data, never a Result, and
// our own mistakes abort (common/check.h).
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <variant>

namespace kfdlab {

// One sentence that says what is wrong and, where known, what to do about it.
struct Error {
  std::string message;
};

// An Error from errno: "what: strerror".
[[nodiscard]] inline Error errno_error(std::string what, int error) {
  return Error{std::move(what) + ": " + std::strerror(error)};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}    // NOLINT: implicit by design
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Aborts on the wrong alternative (std::get would throw; nothing catches it).
  [[nodiscard]] T& value() { return *std::get_if<0>(&state_); }
  [[nodiscard]] const T& value() const { return *std::get_if<0>(&state_); }
  [[nodiscard]] T take() { return std::move(*std::get_if<0>(&state_)); }
  [[nodiscard]] const Error& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

struct Unit {};
// Result of a function that returns nothing.
using Status = Result<Unit>;
inline Status ok_status() { return Unit{}; }

}  // namespace kfdlab

// Return the error of `expr` from the enclosing function, else go on.
#define KFDLAB_TRY(expr)                                   \
  do {                                                     \
    if (auto&& kfdlab_try_ = (expr); !kfdlab_try_.ok()) {  \
      return kfdlab_try_.error();                          \
    }                                                      \
  } while (false)
