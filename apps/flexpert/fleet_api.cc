#include "flexpert/fleet_api.h"

#include <boost/json.hpp>

#include "codec/fleet_json.h"
#include "http/client.h"

namespace flexpert::app {

namespace json = boost::json;

namespace {

Result<json::object> parse_object(std::string_view body) {
  boost::system::error_code error;
  json::value root = json::parse(json::string_view(body.data(), body.size()), error);
  if (error || !root.is_object()) return fail(ErrorCode::kDataLoss, "controller's answer is not a JSON object");
  return std::move(root.get_object());
}

}  // namespace

Result<FleetStatus> parse_status(std::string_view body) {
  FleetStatus status;
  FLEXPERT_ASSIGN(status.snapshot, codec::decode_fleet_snapshot(body));
  FLEXPERT_ASSIGN(const json::object root, parse_object(body));
  const json::value* dry_run = root.if_contains("dry_run");
  status.dry_run = dry_run != nullptr && dry_run->is_bool() && dry_run->get_bool();
  return status;
}

Result<std::vector<Decision>> parse_decisions(std::string_view body) {
  FLEXPERT_ASSIGN(const json::object root, parse_object(body));
  const json::value* list = root.if_contains("decisions");
  if (list == nullptr || !list->is_array()) return fail(ErrorCode::kDataLoss, "controller's answer has no list of decisions");
  std::vector<Decision> decisions;
  for (const json::value& value : list->get_array()) {
    FLEXPERT_ASSIGN(Decision decision, codec::decode_decision(json::serialize(value)));
    decisions.push_back(std::move(decision));
  }
  return decisions;
}

http::Request get(std::string target) {
  http::Request request;
  request.method = "GET";
  request.target = std::move(target);
  return request;
}

Result<std::string> fetch_body(const net::Address& address, std::string target) {
  auto answer = http::fetch(address, get(target), Seconds(5));
  if (!answer) return fail(answer.error());
  if (answer->status != 200)
    return fail(ErrorCode::kUnavailable, "controller answered HTTP {}: {}{}: {}", answer->status, address.to_string(), target, answer->body.substr(0, 200));
  return std::move(answer->body);
}

}  // namespace flexpert::app
