#include "gateway/route_request.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <simdjson.h>

namespace flexpert::gateway {
namespace {

namespace dom = simdjson::dom;
constexpr std::size_t kMaxExpertNames = 64;
constexpr std::size_t kMaxNameBytes = 256;
constexpr double kMaxGateWeight = 1e6;

Result<std::uint32_t> read_token_id(const dom::element& value) {
  std::uint64_t id = 0;
  if (value.get(id) != simdjson::SUCCESS || id > INT32_MAX)
    return fail(ErrorCode::kInvalidArgument, "token_id: must be a whole number from 0 to {}", INT32_MAX);
  return static_cast<std::uint32_t>(id);
}

Result<std::vector<std::string>> read_names(const dom::element& value) {
  dom::array list;
  if (value.get(list) != simdjson::SUCCESS || list.size() == 0 || list.size() > kMaxExpertNames)
    return fail(ErrorCode::kInvalidArgument, "expert_names: must be a list of 1 to {} names", kMaxExpertNames);
  std::vector<std::string> names;
  for (const dom::element entry : list) {
    std::string_view name;
    if (entry.get(name) != simdjson::SUCCESS || name.empty() || name.size() > kMaxNameBytes)
      return fail(ErrorCode::kInvalidArgument, "expert_names[{}]: must be a string of 1 to {} bytes", names.size(), kMaxNameBytes);
    if (std::find(names.begin(), names.end(), name) != names.end())
      return fail(ErrorCode::kInvalidArgument, "expert_names[{}]: {} is given twice", names.size(), name);
    names.emplace_back(name);
  }
  return names;
}

Result<std::vector<double>> read_weights(const dom::element& value) {
  dom::array list;
  if (value.get(list) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "gate_weights: must be a list of numbers");
  std::vector<double> weights;
  for (const dom::element entry : list) {
    double weight = 0;
    if (entry.get(weight) != simdjson::SUCCESS || !(weight > 0) || weight > kMaxGateWeight)
      return fail(ErrorCode::kInvalidArgument, "gate_weights[{}]: must be a number over 0 and up to {}", weights.size(), kMaxGateWeight);
    weights.push_back(weight);
  }
  return weights;
}

Result<RouteMode> read_mode(const dom::element& value) {
  std::string_view mode;
  if (value.get(mode) == simdjson::SUCCESS) {
    if (mode == "any") return RouteMode::kAny;
    if (mode == "all") return RouteMode::kAll;
  }
  return fail(ErrorCode::kInvalidArgument, "mode: must be \"any\" or \"all\"");
}

}  // namespace

Result<RouteRequest> parse_route_request(std::string_view body, const std::vector<std::string>& default_names) {
  dom::parser parser;
  dom::element root;
  if (const auto error = parser.parse(body.data(), body.size()).get(root); error != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidArgument, "the body is not valid JSON: {}", simdjson::error_message(error));
  dom::object object;
  if (root.get(object) != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidArgument, "the body must be a JSON object like {{\"token_id\": 101, \"expert_names\": [\"A\", \"B\"]}}");

  RouteRequest request;
  std::set<std::string_view> seen;
  for (const dom::key_value_pair field : object) {
    if (!seen.insert(field.key).second) return fail(ErrorCode::kInvalidArgument, "{}: given twice", field.key.substr(0, 64));
    if (field.key == "token_id") {
      FLEXPERT_ASSIGN(request.token_id, read_token_id(field.value));
    } else if (field.key == "expert_names") {
      FLEXPERT_ASSIGN(request.expert_names, read_names(field.value));
    } else if (field.key == "gate_weights") {
      FLEXPERT_ASSIGN(request.gate_weights, read_weights(field.value));
    } else if (field.key == "mode") {
      FLEXPERT_ASSIGN(request.mode, read_mode(field.value));
    } else {
      return fail(ErrorCode::kInvalidArgument, "{}: unknown field; allowed: token_id, expert_names, mode, gate_weights", field.key.substr(0, 64));
    }
  }
  if (!seen.contains("token_id")) return fail(ErrorCode::kInvalidArgument, "token_id: missing");
  if (!seen.contains("expert_names")) request.expert_names = default_names;
  const std::size_t names = request.expert_names.size();
  if (!seen.contains("gate_weights")) request.gate_weights.assign(names, 1.0 / static_cast<double>(std::max<std::size_t>(names, 1)));
  if (request.gate_weights.size() != names)
    return fail(ErrorCode::kInvalidArgument, "gate_weights: must have one number for each expert name: {} wanted, {} given", names,
                request.gate_weights.size());
  return request;
}

std::string joined_once(const std::vector<std::string>& names) {
  std::vector<std::string> once;
  for (const std::string& name : names)
    if (std::find(once.begin(), once.end(), name) == once.end()) once.push_back(name);
  return fmt::format("{}", fmt::join(once, ","));
}

Result<ExpertsAnswer> parse_experts_answer(std::string_view body) {
  dom::parser parser;
  dom::element root;
  ExpertsAnswer answer;
  std::string_view digest;
  dom::array calls;
  if (parser.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS || root["output_digest"].get(digest) != simdjson::SUCCESS ||
      root["calls"].get(calls) != simdjson::SUCCESS)
    return fail(ErrorCode::kDataLoss, "the model server's answer is not of the agreed form");
  answer.output_digest = digest;
  for (const dom::element entry : calls) {
    std::string_view name;
    std::string_view instance;
    double latency_ms = 0;
    if (entry["name"].get(name) != simdjson::SUCCESS || entry["instance"].get(instance) != simdjson::SUCCESS ||
        entry["latency_ms"].get(latency_ms) != simdjson::SUCCESS || !std::isfinite(latency_ms))
      return fail(ErrorCode::kDataLoss, "the model server's answer is not of the agreed form: calls[{}]", answer.calls.size());
    answer.calls.push_back({std::string(name), std::string(instance), latency_ms});
  }
  return answer;
}

ErrorText parse_error_body(std::string_view body) {
  dom::parser parser;
  dom::element root;
  ErrorText text;
  if (parser.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS) return text;
  std::string_view value;
  if (root["error"]["message"].get(value) == simdjson::SUCCESS) text.message = value;
  if (root["error"]["code"].get(value) == simdjson::SUCCESS) text.code = value;
  return text;
}

}  // namespace flexpert::gateway
