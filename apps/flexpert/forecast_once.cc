#include <cmath>
#include <memory>

#include <boost/json.hpp>
#include <fmt/ranges.h>

#include "flexpert/exit_codes.h"
#include "flexpert/files.h"
#include "flexpert/forecast_options.h"
#include "flexpert/place_screen.h"
#include "flexpert/pretty_json.h"
#include "forecast/evaluation_field.h"
#include "forecast/warm_start.h"
#include "report/forecast_html.h"
#include "report/table.h"

namespace flexpert::app {

namespace {

constexpr std::size_t kMostDrawn = 2000;  // steps ahead

struct Outcome {
  codec::Series series;
  forecast::PredictorOptions made;
  std::unique_ptr<forecast::Predictor> predictor;
  std::vector<std::size_t> horizons;
  std::vector<forecast::Prediction> predictions;
};

Result<void> start(const ForecastOptions& options, Outcome& out) {
  if (!options.load_state.empty()) {
    FLEXPERT_ASSIGN(const std::string text, read_text_file(options.load_state));
    auto stored = forecast::read_predictor(text);
    if (!stored) return fail(stored.error().with_context(options.load_state));
    if (std::abs(stored->options.step_s / out.series.step_s - 1) > 1e-6)
      return fail(ErrorCode::kInvalidArgument, "{} was saved with a step of {} s, {} has one of {} s: --step {} makes them equal",
                  options.load_state, stored->options.step_s, options.files.front(), out.series.step_s, stored->options.step_s);
    if (!options.predictors.empty() && options.predictors.front() != stored->options.name)
      return fail(ErrorCode::kInvalidArgument, "{} holds the predictor {}, not {}", options.load_state, stored->options.name,
                  options.predictors.front());
    out.made = stored->options;
    out.predictor = std::move(stored->predictor);
    return {};
  }
  out.made.name = options.predictors.empty() ? "mixture" : options.predictors.front();
  out.made.step_s = out.series.step_s;
  out.made.non_negative = !options.allow_negative;
  FLEXPERT_ASSIGN(out.predictor, forecast::make_contestant(out.made));
  return {};
}

Result<Outcome> forecast_series(const ForecastOptions& options) {
  if (options.files.size() != 1)
    return fail(ErrorCode::kInvalidArgument, "one FILE is needed, {} given (flexpert forecast evaluate takes several)",
                options.files.size());
  if (options.predictors.size() > 1)
    return fail(ErrorCode::kInvalidArgument, "--predictor is given {} times: one can forecast", options.predictors.size());
  Outcome out;
  FLEXPERT_ASSIGN(out.series, read_series(options.files.front(), options));
  FLEXPERT_ASSIGN(out.horizons, horizon_steps(options.horizons, out.series.step_s));
  FLEXPERT_TRY(start(options, out));
  forecast::warm_start(*out.predictor, out.series.values);
  out.predictions = out.predictor->predict(out.horizons, options.levels);
  return out;
}

report::ForecastPage page_of(const ForecastOptions& options, const Outcome& outcome) {
  report::ForecastPage page;
  const std::string& file = options.files.front();
  page.title = "Forecast of " + (file == "-" ? "stdin" : file.substr(file.rfind('/') + 1));
  page.facts = {{"series", series_text(options.files.front(), outcome.series)},
                {"predictor", outcome.made.name + (options.load_state.empty() ? "" : ", continued from " + options.load_state)}};
  page.chart.start_s = outcome.series.start_s;
  page.chart.step_s = outcome.series.step_s;
  page.chart.values = outcome.series.values;
  page.chart.levels = options.levels;
  page.chart.bounds.resize(options.levels.size());
  std::vector<std::size_t> steps;
  for (std::size_t step = 1; step <= std::min(outcome.horizons.back(), kMostDrawn); ++step) steps.push_back(step);
  for (const forecast::Prediction& prediction : outcome.predictor->predict(steps, options.levels)) {
    page.chart.mean.push_back(prediction.mean);
    for (std::size_t i = 0; i < options.levels.size(); ++i) page.chart.bounds[i].push_back(prediction.quantiles[i]);
  }
  for (std::size_t i = 0; i < outcome.horizons.size(); ++i)
    page.rows.push_back(
        {static_cast<double>(outcome.horizons[i]) * outcome.series.step_s, outcome.predictions[i].mean, outcome.predictions[i].quantiles});
  return page;
}

void print_json(const ForecastOptions& options, const Outcome& outcome) {
  boost::json::array rows;
  for (std::size_t i = 0; i < outcome.horizons.size(); ++i) {
    boost::json::array bounds;
    for (const double bound : outcome.predictions[i].quantiles) bounds.emplace_back(bound);
    rows.push_back({{"steps", outcome.horizons[i]},
                    {"ahead_s", static_cast<double>(outcome.horizons[i]) * outcome.series.step_s},
                    {"mean", outcome.predictions[i].mean},
                    {"bounds", std::move(bounds)}});
  }
  boost::json::array levels(options.levels.begin(), options.levels.end());
  boost::json::array notes(outcome.series.notes.begin(), outcome.series.notes.end());
  const boost::json::object all = {
      {"file", options.files.front()},
      {"column", outcome.series.column},
      {"values", outcome.series.values.size()},
      {"step_s", outcome.series.step_s},
      {"end_s", outcome.series.start_s + outcome.series.step_s * static_cast<double>(outcome.series.values.size() - 1)},
      {"notes", std::move(notes)},
      {"predictor", outcome.made.name},
      {"levels", std::move(levels)},
      {"forecast", std::move(rows)}};
  say("{}\n", pretty_json(all));
}

void print_forecast(const ForecastOptions& options, const Outcome& outcome) {
  say("{}\npredictor {}{}\n\n", series_text(options.files.front(), outcome.series), outcome.made.name,
      options.load_state.empty() ? "" : ", continued from " + options.load_state);
  std::vector<report::Column> columns = {
      {"ahead", report::Align::kLeft}, {"steps", report::Align::kRight}, {"mean", report::Align::kRight}};
  for (const double level : options.levels) columns.push_back({report::level_name(level), report::Align::kRight});
  report::Table table(std::move(columns));
  for (std::size_t i = 0; i < outcome.horizons.size(); ++i) {
    std::vector<std::string> cells = {report::span_text(static_cast<double>(outcome.horizons[i]) * outcome.series.step_s),
                                      std::to_string(outcome.horizons[i]), fmt::format("{:.5g}", outcome.predictions[i].mean)};
    for (const double bound : outcome.predictions[i].quantiles) cells.push_back(fmt::format("{:.5g}", bound));
    table.add_row(std::move(cells));
  }
  print_table(table);
}

Result<void> write_files(const ForecastOptions& options, const Outcome& outcome) {
  if (!options.html.empty()) FLEXPERT_TRY(write_text_file(options.html, report::forecast_html(page_of(options, outcome))));
  if (!options.save_state.empty())
    FLEXPERT_TRY(write_text_file(options.save_state, forecast::write_predictor(*outcome.predictor, outcome.made)));
  return {};
}

}  // namespace

int run_forecast_once(const ForecastOptions& options) {
  if (options.files.empty()) return fail_with("forecast", "a FILE is needed: lines t_s,value (see flexpert forecast --help)", kExitUsage);
  const auto outcome = forecast_series(options);
  if (!outcome) return fail_with("forecast", outcome.error());
  if (const auto written = write_files(options, *outcome); !written) return fail_with("forecast", written.error());
  if (options.json) {
    print_json(options, *outcome);
  } else {
    print_forecast(options, *outcome);
    if (!options.html.empty()) say("\ndrawn in {}\n", options.html);
  }
  return kExitOk;
}

}  // namespace flexpert::app
