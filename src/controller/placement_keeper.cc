#include "controller/placement_keeper.h"

#include <algorithm>
#include <numeric>

namespace flexpert::controller {
namespace {

/// Fewer tokens say nothing about how even a placement is.
constexpr std::uint64_t kFewestTokens = 64;

std::vector<double> rows_since(const scaling::CumulativeLoads& start, const scaling::CumulativeLoads& end) {
  std::vector<double> rows(end.rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<double>(end.rows[i] - start.rows[i]);
  return rows;
}

}  // namespace

bool PlacementKeeper::observe(const scaling::CumulativeLoads& total, std::uint64_t steps) {
  newest_ = total;
  steps_ = steps;
  if (!window_start_) window_start_ = total, steps_at_window_ = steps;
  if (!plan_start_ && in_force_at_ && !waiting_) plan_start_ = total;
  if (total.tokens - window_start_->tokens < policy_.window_tokens) return false;
  close_window();
  return true;
}

void PlacementKeeper::observe_server(const InstanceId& id, const ExpertGeometry& geometry, const std::vector<expert_protocol::SlotRows>& rows) {
  Server& server = servers_[id];
  std::vector<std::uint64_t> now(geometry.layers, 0);
  for (const expert_protocol::SlotRows& one : rows)
    if (geometry.contains(one.slot)) now[one.slot.layer] += one.rows;
  server.last.resize(now.size(), 0);
  server.total.resize(now.size(), 0);
  const bool restarted = std::accumulate(now.begin(), now.end(), std::uint64_t{0}) < std::accumulate(server.last.begin(), server.last.end(), std::uint64_t{0});
  for (std::size_t layer = 0; layer < now.size(); ++layer) server.total[layer] += restarted ? now[layer] : now[layer] - server.last[layer];
  server.last = std::move(now);
  if (server.at_plan.empty() && in_force_at_ && !waiting_) server.at_plan = server.total;
}

void PlacementKeeper::close_window() {
  if (!newest_ || !window_start_ || newest_->tokens <= window_start_->tokens) return;
  const auto tokens = static_cast<double>(newest_->tokens - window_start_->tokens);
  newest_window_ = rows_since(*window_start_, *newest_);
  for (double& rows : newest_window_) rows *= 1000 / tokens;
  if (loads_.size() != newest_window_.size()) loads_ = newest_window_;
  for (std::size_t i = 0; i < loads_.size(); ++i) loads_[i] += policy_.smoothing * (newest_window_[i] - loads_[i]);
  const auto steps = static_cast<double>(steps_ - steps_at_window_);
  if (steps > 0) tokens_per_step_ = tokens / steps;
  const double seconds = to_seconds(newest_->at - window_start_->at);
  if (seconds > 0) steps_per_s_ = steps / seconds;
  window_start_ = newest_;
  steps_at_window_ = steps_;
}

void PlacementKeeper::planned(const RoutingTable& table) {
  waiting_ = true;
  expected_.reset();
  drift_base_.reset();
  if (loads_.size() != table.geometry.size() || table.endpoints.empty()) return;
  expected_ = balance_of(table, loads_);
  drift_base_ = expected_->balancedness;
}

void PlacementKeeper::in_force(TimePoint now) {
  if (!std::exchange(waiting_, false)) return;
  in_force_at_ = now;
  // What was counted before the next news may still be the old table's.
  plan_start_.reset();
  for (auto& [id, server] : servers_) server.at_plan.clear();
}

void PlacementKeeper::looked(TimePoint now, double balancedness) {
  looked_at_ = now;
  drift_base_ = balancedness;
}

std::optional<Reason> PlacementKeeper::due(const RoutingTable& table, TimePoint now) const {
  if (loads_.empty() || table.epoch == 0 || !in_force_at_) return std::nullopt;
  const TimePoint last = std::max(looked_at_.value_or(*in_force_at_), *in_force_at_);
  const double waited_s = to_seconds(now - last);
  if (policy_.drift > 0 && drift_base_) {
    const double measured = balance_of(table, newest_window_).balancedness;
    if (measured < *drift_base_ - policy_.drift)
      return Reason{"drift",
                    fmt::format("the newest window's balancedness is {:.3f}, and {:.3f} was expected", measured, *drift_base_),
                    {{"measured", measured}, {"expected", *drift_base_}, {"drift", policy_.drift}, {"waited_s", waited_s}}};
  }
  if (policy_.interval > Duration::zero() && now - last >= policy_.interval)
    return Reason{"interval", fmt::format("{:.1f} s after the last look", waited_s), {{"waited_s", waited_s}, {"interval_s", to_seconds(policy_.interval)}}};
  return std::nullopt;
}

RebalanceInput PlacementKeeper::wish(Reason trigger) const {
  const bool asked = trigger.code == "asked";
  RebalanceInput input;
  input.trigger = std::move(trigger);
  input.loads = loads_;
  input.threshold = asked ? 0 : policy_.threshold;
  input.least_gain = asked ? 0 : policy_.least_gain;
  input.max_moves = policy_.max_moves;
  if (!asked && policy_.cost != nullptr)
    input.worth = {policy_.cost, tokens_per_step_, steps_per_s_ * to_seconds(policy_.interval), policy_.link_bytes_per_s};
  return input;
}

PlacementFigures PlacementKeeper::figures(const RoutingTable& table, TimePoint now) const {
  PlacementFigures out;
  if (in_force_at_) out.age_s = std::max(0.0, to_seconds(now - *in_force_at_));
  out.expected = expected_;
  if (waiting_ || !plan_start_ || !newest_ || table.endpoints.empty()) return out;
  out.measured_tokens = newest_->tokens - plan_start_->tokens;
  if (out.measured_tokens < kFewestTokens) return out;
  out.even_split = balance_of(table, rows_since(*plan_start_, *newest_));
  std::vector<std::vector<double>> rows(table.geometry.layers);  // [layer][server]
  for (const ExpertEndpoint& endpoint : table.endpoints) {
    const auto server = servers_.find(endpoint.id);
    if (server == servers_.end() || server->second.at_plan.size() != rows.size()) return out;
    for (std::size_t layer = 0; layer < rows.size(); ++layer) {
      rows[layer].push_back(static_cast<double>(server->second.total[layer] - server->second.at_plan[layer]));
      out.measured_rows += server->second.total[layer] - server->second.at_plan[layer];
    }
  }
  if (out.measured_rows > 0) out.measured = balance_of_rows(rows);
  return out;
}

}  // namespace flexpert::controller
