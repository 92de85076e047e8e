#include "flexpert/demo_figures.h"

#include <algorithm>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "flexpert/demo_phases.h"
#include "flexpert/pretty_json.h"

namespace flexpert::app {

namespace json = boost::json;

namespace {

constexpr double kSettleSeconds = 3;
constexpr double kLeastAfterSeconds = 6;

double rounded(double ms) { return static_cast<double>(static_cast<std::int64_t>(ms * 1000 + 0.5)) / 1000; }

bool adds_capacity(const Decision& decision) {
  for (const Action& action : decision.actions)
    if (action.kind == ActionKind::kExpertScaleUp || action.kind == ActionKind::kServerActivate) return true;
  return false;
}

std::uint64_t count(const Decision& decision, ActionKind kind) {
  std::uint64_t found = 0;
  if (decision.acted)
    for (const Action& action : decision.actions) found += action.kind == kind ? 1 : 0;
  return found;
}

std::optional<double> itl_p95(const workload::LoadRecord& record, std::uint32_t phase, double from_s, double until_s) {
  const workload::LoadFigures part = record.figures({.phase = phase, .from_s = from_s, .until_s = until_s});
  if (part.itl_samples == 0) return std::nullopt;
  return part.itl_p95_ms;
}

std::string optional_ms(const std::optional<double>& ms) { return ms ? fmt::format("{:.1f}", *ms) : "-"; }

json::value optional_json(const std::optional<double>& ms) { return ms ? json::value(rounded(*ms)) : json::value(nullptr); }

json::object latencies(const workload::LoadFigures& load) {
  return {{"requests", load.requests},
          {"failed", load.failed},
          {"not_sent", load.not_sent},
          {"tokens", load.tokens},
          {"ttft_p50_ms", rounded(load.ttft_p50_ms)},
          {"ttft_p95_ms", rounded(load.ttft_p95_ms)},
          {"itl_p50_ms", rounded(load.itl_p50_ms)},
          {"itl_p95_ms", rounded(load.itl_p95_ms)}};
}

}  // namespace

DemoFigures make_demo_figures(const workload::LoadRecord& record, const std::vector<workload::Phase>& phases, const std::vector<Decision>& decisions,
                              std::int64_t start_unix_ms) {
  DemoFigures figures;
  figures.all = record.figures();
  double begin_s = 0;
  for (std::uint32_t index = 0; index < phases.size(); ++index) {
    const double end_s = begin_s + phases[index].seconds;
    DemoPhaseFigures phase;
    phase.name = phases[index].name;
    phase.hot = is_hot(phases[index]);
    phase.load = record.figures({.phase = index});
    std::optional<double> first_addition;
    double last_addition = 0;
    for (const Decision& decision : decisions) {
      const double at_s = static_cast<double>(decision.unix_ms - start_unix_ms) / 1000;
      if (at_s < begin_s || at_s >= end_s) continue;
      phase.scale_ups += count(decision, ActionKind::kExpertScaleUp);
      phase.scale_downs += count(decision, ActionKind::kExpertScaleDown);
      if (!decision.acted || !adds_capacity(decision) || at_s < begin_s + kSettleSeconds) continue;
      if (!first_addition) first_addition = at_s;
      last_addition = at_s;
    }
    if (first_addition) {
      phase.itl_p95_before_ms = itl_p95(record, index, begin_s, *first_addition);
      phase.itl_p95_after_ms = itl_p95(record, index, std::max(*first_addition, std::min(last_addition, end_s - kLeastAfterSeconds)), end_s);
    }
    figures.scale_ups += phase.scale_ups;
    figures.scale_downs += phase.scale_downs;
    figures.phases.push_back(std::move(phase));
    begin_s = end_s;
  }
  return figures;
}

const DemoPhaseFigures* DemoFigures::scaled_phase() const {
  for (const DemoPhaseFigures& phase : phases)
    if (phase.hot && phase.scale_ups > 0 && phase.itl_p95_before_ms && phase.itl_p95_after_ms) return &phase;
  return nullptr;
}

std::string DemoFigures::problem() const {
  if (all.requests == 0) return "no request was made";
  if (all.failed > 0) return fmt::format("{} of {} requests failed", all.failed, all.requests);
  if (all.not_sent > 0) return fmt::format("{} requests could not be sent: too many were in flight", all.not_sent);
  if (scale_ups == 0) return "no expert was given more replicas";
  if (scale_downs == 0) return "no expert was given fewer replicas";
  for (const SecureRouteCall& call : calls)
    if (!call.as_expected()) return fmt::format("secure routing answered HTTP {} instead of {}: {}", call.status, call.expected_status, call.answer);
  return {};
}

report::Table demo_table(const DemoFigures& figures) {
  using report::Align;
  report::Table table({{"phase", Align::kLeft}, {"requests", Align::kRight}, {"failed", Align::kRight}, {"tokens", Align::kRight},
                       {"TTFT p50/p95 ms", Align::kRight}, {"ITL p50/p95 ms", Align::kRight}, {"ITL p95 before -> after scale-up", Align::kRight},
                       {"scale-ups", Align::kRight}, {"scale-downs", Align::kRight}});
  const auto add = [&](const std::string& name, const workload::LoadFigures& load, const std::string& change, std::uint64_t ups, std::uint64_t downs) {
    table.add_row({name, std::to_string(load.requests), std::to_string(load.failed), std::to_string(load.tokens),
                   fmt::format("{:.0f}/{:.0f}", load.ttft_p50_ms, load.ttft_p95_ms), fmt::format("{:.1f}/{:.1f}", load.itl_p50_ms, load.itl_p95_ms),
                   change, std::to_string(ups), std::to_string(downs)});
  };
  for (const DemoPhaseFigures& phase : figures.phases) {
    const std::string change =
        phase.itl_p95_before_ms ? optional_ms(phase.itl_p95_before_ms) + " -> " + optional_ms(phase.itl_p95_after_ms) : std::string("-");
    add(phase.name, phase.load, change, phase.scale_ups, phase.scale_downs);
  }
  add("all", figures.all, "", figures.scale_ups, figures.scale_downs);
  return table;
}

std::string to_json(const DemoFigures& figures) {
  json::object root = latencies(figures.all);
  root["expert_scale_ups"] = figures.scale_ups;
  root["expert_scale_downs"] = figures.scale_downs;
  root["paced"] = figures.paced;
  root["seconds"] = rounded(figures.seconds);
  root["expert_servers_most"] = figures.most_expert_servers;
  root["restarts"] = figures.restarts;
  const DemoPhaseFigures* scaled = figures.scaled_phase();
  root["hot_phase"] = scaled == nullptr ? json::value(nullptr) : json::value(scaled->name);
  root["itl_p95_before_ms"] = scaled == nullptr ? json::value(nullptr) : optional_json(scaled->itl_p95_before_ms);
  root["itl_p95_after_ms"] = scaled == nullptr ? json::value(nullptr) : optional_json(scaled->itl_p95_after_ms);
  json::array phases;
  for (const DemoPhaseFigures& phase : figures.phases) {
    json::object entry{{"name", phase.name}, {"hot", phase.hot}};
    for (const auto& field : latencies(phase.load)) entry.insert(field);
    entry["expert_scale_ups"] = phase.scale_ups;
    entry["expert_scale_downs"] = phase.scale_downs;
    if (phase.hot) {
      entry["itl_p95_before_ms"] = optional_json(phase.itl_p95_before_ms);
      entry["itl_p95_after_ms"] = optional_json(phase.itl_p95_after_ms);
    }
    phases.push_back(std::move(entry));
  }
  root["phases"] = std::move(phases);
  json::array calls;
  for (const SecureRouteCall& call : figures.calls)
    calls.push_back(json::object{{"command", call.command}, {"status", call.status}, {"expected_status", call.expected_status}, {"answer", call.answer}});
  root["secure_route"] = std::move(calls);
  const std::string problem = figures.problem();
  root["problem"] = problem.empty() ? json::value(nullptr) : json::value(problem);
  return pretty_json(root);
}

}  // namespace flexpert::app
