#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flexpert::gateway {

/// The little that routing needs to know of a request's body; the body itself goes on byte for byte.
struct ScannedRequest {
  std::string model;
  bool stream = false;
  std::optional<std::uint64_t> max_tokens;  ///< of the answer, where the request limits it
};

/// Why a body is not relayed, in the parts of an OpenAI error. `param` and `code` may be empty.
struct RefusedRequest {
  std::string message;
  std::string_view param;
  std::string_view code;
};

/// Checks that a body is JSON and finds `model` and `stream`. Keeps its buffers between calls; one thread.
class RequestScanner {
 public:
  RequestScanner();
  ~RequestScanner();
  /// Refuses if the body is not a JSON object in UTF-8, if `model` is missing, or if either field has
  /// the wrong type or is given twice (two readers of one request must never disagree about it).
  std::expected<ScannedRequest, RefusedRequest> scan(std::string_view body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Returns the ids of a model list ({"data":[{"id":...}]}), as GET /v1/models gives it.
Result<std::vector<std::string>> parse_model_list(std::string_view body);

}  // namespace flexpert::gateway
