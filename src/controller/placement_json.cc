#include "controller/placement_json.h"

#include <cmath>

#include <boost/json.hpp>

#include "codec/fleet_json.h"

namespace flexpert::controller {
namespace {

namespace json = boost::json;

json::value number_or_null(std::optional<double> value) { return value && std::isfinite(*value) ? json::value(*value) : json::value(nullptr); }
json::string text(const std::string& value) { return json::string(value.data(), value.size()); }

json::object balance_object(const Balance& balance) {
  return {{"balancedness", balance.balancedness}, {"worst", balance.worst}, {"worst_layer", balance.worst_layer}, {"bound", balance.bound}};
}

json::value balance_or_null(const std::optional<Balance>& balance) {
  return balance ? json::value(balance_object(*balance)) : json::value(nullptr);
}

json::value server_or_null(const InstanceId& id) { return id.value.empty() ? json::value(nullptr) : json::value(text(id.value)); }

json::object report_object(const RebalanceReport& report) {
  json::object out{{"outcome", name_of(report.outcome)}, {"dry_run", report.dry_run}, {"epoch", report.epoch},
                   {"servers", report.servers},          {"moved", report.moves.size()}, {"bytes", report.bytes},
                   {"gain", report.gain()}};
  out["before"] = balance_object(report.before);
  out["after"] = balance_object(report.after);
  json::array& moves = out["moves"].emplace_array();
  for (const ReplicaMove& move : report.moves)
    moves.push_back({{"layer", move.slot.layer}, {"expert", move.slot.expert}, {"from", server_or_null(move.from)}, {"to", server_or_null(move.to)}});
  json::array& reasons = out["reasons"].emplace_array();
  for (const Reason& reason : report.reasons) {
    json::object numbers;
    for (const auto& [name, value] : reason.numbers) numbers[name] = number_or_null(value);
    reasons.push_back({{"code", text(reason.code)}, {"text", text(reason.text)}, {"numbers", std::move(numbers)}});
  }
  return out;
}

}  // namespace

std::string encode(const RebalanceReport& report) { return json::serialize(report_object(report)); }

std::string encode(const PlacementView& view) {
  json::object out;
  out["age_s"] = number_or_null(view.figures.age_s);
  out["expected"] = balance_or_null(view.figures.expected);
  out["measured"] = balance_or_null(view.figures.measured);
  out["even_split"] = balance_or_null(view.figures.even_split);
  out["measured_rows"] = view.figures.measured_rows;
  out["measured_tokens"] = view.figures.measured_tokens;
  out["policy"] = {{"rebalance_interval_s", to_seconds(view.policy.interval)},
                   {"threshold", view.policy.threshold},
                   {"drift", view.policy.drift},
                   {"least_gain", view.policy.least_gain},
                   {"max_moves", view.policy.max_moves},
                   {"window_tokens", view.policy.window_tokens}};
  out["moved_slots"] = view.moved_slots;
  out["moved_bytes"] = view.moved_bytes;
  json::object& outcomes = out["rebalances"].emplace_object();
  for (const auto& [name, count] : view.outcomes) outcomes[name] = count;
  out["last"] = view.last != nullptr ? json::value(report_object(*view.last)) : json::value(nullptr);
  out["routing"] = json::parse(codec::encode(*view.table));
  return json::serialize(out);
}

}  // namespace flexpert::controller
