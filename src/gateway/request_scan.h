#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/caller.h"
#include "gateway/json_strings.h"

namespace flexpert::gateway {

/// Where a value stands in a body, as JSON text. Empty: the field is not there.
struct JsonRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] bool there() const { return end > begin; }
  [[nodiscard]] std::string_view in(std::string_view body) const { return body.substr(begin, end - begin); }
};

/// The little that the gateway needs to know of a request's body; the body itself goes on as it came. Only fields of the
/// outermost object count: what stands inside prompts never does.
struct ScannedRequest {
  std::string_view model;                   ///< decoded; holds until the next scan and as long as the body
  bool stream = false;
  bool include_usage = false;               ///< stream_options.include_usage
  std::optional<std::uint64_t> max_tokens;  ///< of the answer: the smaller of both fields, where they are whole numbers
  JsonRange model_at, stream_at, stream_options_at, max_tokens_at, max_completion_tokens_at, temperature_at, seed_at, n_at, user_at;
  JsonRange prompt_at;                      ///< `messages`, `prompt` or `input`, whichever comes first
  std::size_t first_key = 0;                ///< where a further field can be put in
};

/// Checks that a body is one JSON object, to its last byte, and finds what ScannedRequest names. Keeps its buffers between
/// calls; one thread.
class RequestScanner {
 public:
  static constexpr int kMaxDepth = 64;

  /// `reading`: one that this machine can do; all find the same.
  explicit RequestScanner(StringReading reading = best_string_reading());
  ~RequestScanner();
  /// Returns why the body is refused, if it is: it is not a JSON object in UTF-8, it is nested too deeply, `model` is missing, or a
  /// field that is read here has the wrong type or is given twice (two readers of one request must never disagree about it).
  std::optional<Refusal> scan(std::string_view body, ScannedRequest& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Returns the ids of a model list ({"data":[{"id":...}]}), as GET /v1/models gives it.
Result<std::vector<std::string>> parse_model_list(std::string_view body);

}  // namespace flexpert::gateway
