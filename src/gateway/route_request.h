#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flexpert::gateway {

/// `any` runs the least loaded of the allowed groups, `all` runs each of them and combines.
enum class RouteMode { kAny, kAll };

/// The body of POST /route.
struct RouteRequest {
  std::uint32_t token_id = 0;
  std::vector<std::string> expert_names;  ///< without duplicates; the defaults where the body has none
  std::vector<double> gate_weights;       ///< one for each of expert_names, each over 0; equal shares of 1 by default
  RouteMode mode = RouteMode::kAny;
};

/// Reads a body strictly: unknown and repeated fields are refused. The message begins with the field at fault.
Result<RouteRequest> parse_route_request(std::string_view body, const std::vector<std::string>& default_names);

/// Returns the names in the order of their first mention, once each, with commas between.
std::string joined_once(const std::vector<std::string>& names);

/// What the model server answered to POST /internal/experts.
struct ExpertsAnswer {
  struct Call {
    std::string name;
    std::string instance;
    double latency_ms = 0;
  };
  std::vector<Call> calls;
  std::string output_digest;
};
Result<ExpertsAnswer> parse_experts_answer(std::string_view body);

/// `error.message` and `error.code` of an error body; empty where there is none.
struct ErrorText {
  std::string message;
  std::string code;
};
ErrorText parse_error_body(std::string_view body);

}  // namespace flexpert::gateway
