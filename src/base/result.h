// Errors are values: a function that can fail returns Result<T>; nothing of ours throws.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace sessmtp {

enum class ErrorCode : std::uint8_t {
  kInvalidInput,  // what the user gave cannot work; trying again does not help
  kNotFound,      // a file, a key, a context that is not there
  kIo,            // the operating system said no
  kInternal,      // a promise of our own or of a library was broken
};

// What happened, in words for a person: what, why, and what to do. Holds no secret, ever.
struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  // The same error, with the place it happened put in front: "reading X: no such file".
  [[nodiscard]] Error in(std::string_view context) && {
    return {code, std::string(context) + ": " + std::move(message)};
  }
};

template <class T, class E = Error>
using Result = std::expected<T, E>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace sessmtp
