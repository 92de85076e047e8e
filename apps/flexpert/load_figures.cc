#include "flexpert/load_figures.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include "flexpert/pretty_json.h"

namespace flexpert::app {

namespace json = boost::json;

namespace {

void add_row(report::Table& table, const std::string& name, const workload::LoadFigures& f) {
  table.add_row({name, fmt::format("{}", f.requests), fmt::format("{}", f.failed), fmt::format("{}", f.not_sent), fmt::format("{}", f.tokens),
                 fmt::format("{:.0f}", f.ttft_p50_ms), fmt::format("{:.0f}", f.ttft_p95_ms), fmt::format("{:.1f}", f.itl_p50_ms),
                 fmt::format("{:.1f}", f.itl_p95_ms)});
}

double rounded(double ms) { return static_cast<double>(static_cast<std::int64_t>(ms * 1000 + 0.5)) / 1000; }

json::object to_json(const workload::LoadFigures& f) {
  return {{"requests", f.requests},
          {"failed", f.failed},
          {"not_sent", f.not_sent},
          {"tokens", f.tokens},
          {"ttft_p50_ms", rounded(f.ttft_p50_ms)},
          {"ttft_p95_ms", rounded(f.ttft_p95_ms)},
          {"itl_p50_ms", rounded(f.itl_p50_ms)},
          {"itl_p95_ms", rounded(f.itl_p95_ms)}};
}

}  // namespace

report::Table load_table(const workload::LoadRecord& record, const std::vector<workload::Phase>& phases) {
  using report::Align;
  report::Table table({{"phase", Align::kLeft},          {"requests", Align::kRight},    {"failed", Align::kRight},
                       {"not sent", Align::kRight},      {"tokens", Align::kRight},      {"TTFT p50 ms", Align::kRight},
                       {"TTFT p95 ms", Align::kRight},   {"ITL p50 ms", Align::kRight},  {"ITL p95 ms", Align::kRight}});
  if (phases.size() > 1)
    for (std::uint32_t phase = 0; phase < phases.size(); ++phase) add_row(table, phases[phase].name, record.figures({.phase = phase}));
  add_row(table, "all", record.figures());
  return table;
}

std::string load_figures_json(const workload::LoadRecord& record, const std::vector<workload::Phase>& phases, double seconds) {
  const workload::LoadFigures all = record.figures();
  json::object root = to_json(all);
  root["seconds"] = rounded(seconds);
  root["tokens_per_s"] = seconds > 0 ? rounded(static_cast<double>(all.tokens) / seconds) : 0.0;
  json::array of_phases;
  for (std::uint32_t phase = 0; phase < phases.size(); ++phase) {
    json::object entry{{"name", phases[phase].name}};
    for (const auto& field : to_json(record.figures({.phase = phase}))) entry.insert(field);
    of_phases.push_back(std::move(entry));
  }
  root["phases"] = std::move(of_phases);
  json::object failures;
  for (const auto& [reason, count] : record.failures()) failures[reason] = count;
  root["failures"] = std::move(failures);
  return pretty_json(root);
}

}  // namespace flexpert::app
