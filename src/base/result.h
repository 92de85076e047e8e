#pragma once

#include <expected>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace flexpert {

/// What kind of thing went wrong: enough for a caller to choose an HTTP status or to retry, no more.
enum class ErrorCode {
  kInvalidArgument,
  kNotFound,
  kUnauthenticated,
  kPermissionDenied,
  kResourceExhausted,
  kFailedPrecondition,
  kUnavailable,
  kDeadlineExceeded,
  kCancelled,
  kDataLoss,
  kInternal,
};

/// Returns the stable snake_case name of `code`, for logs and metrics.
const char* name_of(ErrorCode code);

/// A failure: the static part of the message first, the values last, and what to do about it.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  /// Returns the same error with `context` and ": " put in front of its message.
  [[nodiscard]] Error with_context(std::string_view context) const { return {code, fmt::format("{}: {}", context, message)}; }
};

/// Holds a T or says why there is none. Everything that can fail returns one; nothing of ours throws.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

/// Makes the failure that a function returning `Result` returns: `return fail(ErrorCode::kNotFound, "no such model: {}", name);`
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

[[nodiscard]] inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

}  // namespace flexpert

/// Evaluates a `Result<void>`-returning expression and returns its error from the enclosing function, if any.
#define FLEXPERT_TRY(expression)                                                           \
  do {                                                                                     \
    if (auto flexpert_try_result = (expression); !flexpert_try_result)                     \
      return ::flexpert::fail(std::move(flexpert_try_result.error()));                     \
  } while (false)

#define FLEXPERT_CONCAT_INNER(a, b) a##b
#define FLEXPERT_CONCAT(a, b) FLEXPERT_CONCAT_INNER(a, b)

/// `FLEXPERT_ASSIGN(auto value, expression_returning_result);` declares or assigns the value, or returns the error.
#define FLEXPERT_ASSIGN(target, expression)                                                           \
  auto FLEXPERT_CONCAT(flexpert_assign_, __LINE__) = (expression);                                    \
  if (!FLEXPERT_CONCAT(flexpert_assign_, __LINE__))                                                   \
    return ::flexpert::fail(std::move(FLEXPERT_CONCAT(flexpert_assign_, __LINE__).error()));          \
  target = std::move(*FLEXPERT_CONCAT(flexpert_assign_, __LINE__))
