#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <memory>

#include <boost/json.hpp>
#include <fmt/ranges.h>
#include <unistd.h>

#include "flexpert/exit_codes.h"
#include "flexpert/forecast_options.h"
#include "flexpert/place_screen.h"
#include "flexpert/pretty_json.h"
#include "forecast/evaluation.h"
#include "forecast/evaluation_field.h"
#include "report/forecast_chart.h"
#include "report/sparkline.h"
#include "report/table.h"
#include "report/terminal.h"

namespace flexpert::app {

namespace {

struct Contest {
  std::string file;
  codec::Series series;
  forecast::EvaluationOptions how;
  std::vector<forecast::EvaluationScore> scores;
  std::vector<double> cpu_ms;  ///< for one value, of each predictor
};

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// One line on stderr that is drawn over, where stderr is a terminal.
class Progress {
 public:
  Progress() : terminal_(report::Terminal::of(STDERR_FILENO)) {}
  ~Progress() { draw("", -1); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void draw(const std::string& what, double share) {
    if (!terminal_.interactive) return;
    const int percent = static_cast<int>(share * 100);
    if (percent == drawn_) return;
    drawn_ = percent;
    const std::string line = share < 0 ? "" : fmt::format("{} {:3} % {}", report::bar(share, 24), percent, what);
    fmt::print(stderr, "\r\x1b[2K{}", report::cut_to_width(line, terminal_.width - 1));
    std::fflush(stderr);
  }

 private:
  report::Terminal terminal_;
  int drawn_ = -1;
};

std::vector<std::string> contestants(const ForecastOptions& options) {
  std::vector<std::string> out = options.predictors;
  if (out.empty()) {
    out = {"mixture", "constant"};
    for (const std::string& name : forecast::baseline_names()) out.push_back(name);
  }
  if (std::find(out.begin(), out.end(), "constant") == out.end()) out.emplace_back("constant");  // what the others are held against
  return out;
}

Result<Contest> contest(const std::string& file, const ForecastOptions& options, Progress& progress) {
  Contest out;
  out.file = file;
  FLEXPERT_ASSIGN(out.series, read_series(file, options));
  FLEXPERT_ASSIGN(out.how.horizons, horizon_steps(options.horizons, out.series.step_s));
  out.how.level = options.level;
  out.how.origin_stride = options.stride;
  out.how.warm_up = options.warm_up ? *options.warm_up : forecast::default_warm_up(out.series.values.size(), out.series.step_s);
  if (out.how.warm_up + out.how.horizons.back() > out.series.values.size())
    return fail(ErrorCode::kInvalidArgument,
                "{}: {} values are too few: {} are seen before the first origin and the farthest horizon is {} steps (--warm-up and "
                "--horizon change that)",
                file, out.series.values.size(), out.how.warm_up, out.how.horizons.back());
  const std::vector<std::string> names = contestants(options);
  for (std::size_t i = 0; i < names.size(); ++i) {
    FLEXPERT_ASSIGN(auto predictor,
                    forecast::make_contestant({.name = names[i], .step_s = out.series.step_s, .non_negative = !options.allow_negative}));
    const double before = cpu_seconds();
    auto score = forecast::evaluate(*predictor, out.series.values, out.how, [&](double share) {
      progress.draw(fmt::format("{}: {}", file, names[i]), (static_cast<double>(i) + share) / static_cast<double>(names.size()));
    });
    out.cpu_ms.push_back((cpu_seconds() - before) * 1e3 / static_cast<double>(out.series.values.size()));
    score.predictor = names[i];
    out.scores.push_back(std::move(score));
  }
  return out;
}

const forecast::EvaluationScore& constant_of(const Contest& contest) {
  return *std::find_if(contest.scores.begin(), contest.scores.end(), [](const auto& score) { return score.predictor == "constant"; });
}

/// How much larger than the constant's a WAPE is: 0.02 is 2 % worse.
double against(double wape, double constant) { return constant > 0 ? wape / constant - 1 : wape > 0 ? 1 : 0; }

std::string percent(double share, int decimals = 2) { return fmt::format("{:.{}f} %", share * 100, decimals); }
std::string signed_percent(double share) { return fmt::format("{:+.2f} %", share * 100); }

report::Table empty_table(const Contest& contest) {
  std::vector<report::Column> columns = {{"predictor", report::Align::kLeft}};
  for (const std::size_t horizon : contest.how.horizons) {
    const std::string name = report::span_text(static_cast<double>(horizon) * contest.series.step_s);
    columns.push_back({name + " WAPE", report::Align::kRight});
    columns.push_back({"vs constant", report::Align::kRight});
    columns.push_back({report::level_name(contest.how.level) + " covers", report::Align::kRight});
  }
  columns.push_back({"CPU a value", report::Align::kRight});
  return report::Table(std::move(columns));
}

std::string cpu_text(double milliseconds) {
  return milliseconds < 1 ? fmt::format("{:.0f} us", milliseconds * 1e3) : fmt::format("{:.2f} ms", milliseconds);
}

void print_contest(const Contest& contest) {
  const std::size_t gaps = static_cast<std::size_t>(
      std::count_if(contest.series.values.begin(), contest.series.values.end(), [](double value) { return std::isnan(value); }));
  std::string scored;
  for (const forecast::HorizonScore& score : contest.scores.front().horizons)
    scored += fmt::format("{}{} at {}", scored.empty() ? "" : ", ", score.scored,
                          report::span_text(static_cast<double>(score.horizon) * contest.series.step_s));
  print_title(contest.file);
  say("{}\n", series_text(contest.file, contest.series));
  say("rolling origin: predictors see every value in turn, from the first; an origin at each {} after {} values ({}); scored {}; {} gaps, "
      "never "
      "scored\n",
      contest.how.origin_stride == 1 ? "value" : fmt::format("{}th value", contest.how.origin_stride), contest.how.warm_up,
      report::span_text(static_cast<double>(contest.how.warm_up) * contest.series.step_s), scored, gaps);
  report::Table table = empty_table(contest);
  const forecast::EvaluationScore& constant = constant_of(contest);
  for (std::size_t i = 0; i < contest.scores.size(); ++i) {
    const forecast::EvaluationScore& score = contest.scores[i];
    std::vector<std::string> cells = {score.predictor};
    for (std::size_t h = 0; h < score.horizons.size(); ++h) {
      cells.push_back(percent(score.horizons[h].wape));
      cells.push_back(signed_percent(against(score.horizons[h].wape, constant.horizons[h].wape)));
      cells.push_back(percent(score.horizons[h].coverage, 1));
    }
    cells.push_back(cpu_text(contest.cpu_ms[i]));
    table.add_row(std::move(cells));
  }
  print_table(table);
}

/// The mean over series, where they have the same horizons in time.
void print_mean(const std::vector<Contest>& contests) {
  const Contest& first = contests.front();
  for (const Contest& contest : contests) {
    if (contest.how.horizons.size() != first.how.horizons.size()) return;
    for (std::size_t h = 0; h < first.how.horizons.size(); ++h)
      if (std::abs(static_cast<double>(contest.how.horizons[h]) * contest.series.step_s -
                   static_cast<double>(first.how.horizons[h]) * first.series.step_s) > 1)
        return;
  }
  print_title(fmt::format("mean of {} series", contests.size()));
  report::Table table = empty_table(first);
  const double count = static_cast<double>(contests.size());
  for (std::size_t i = 0; i < first.scores.size(); ++i) {
    std::vector<std::string> cells = {first.scores[i].predictor};
    double cpu = 0;
    for (const Contest& contest : contests) cpu += contest.cpu_ms[i] / count;
    for (std::size_t h = 0; h < first.how.horizons.size(); ++h) {
      double wape = 0;
      double worse = 0;
      double coverage = 0;
      for (const Contest& contest : contests) {
        const forecast::HorizonScore& score = contest.scores[i].horizons[h];
        wape += score.wape / count;
        worse += against(score.wape, constant_of(contest).horizons[h].wape) / count;
        coverage += score.coverage / count;
      }
      cells.push_back(percent(wape));
      cells.push_back(signed_percent(worse));
      cells.push_back(percent(coverage, 1));
    }
    cells.push_back(cpu_text(cpu));
    table.add_row(std::move(cells));
  }
  print_table(table);
}

boost::json::object json_of(const Contest& contest) {
  boost::json::array predictors;
  const forecast::EvaluationScore& constant = constant_of(contest);
  for (std::size_t i = 0; i < contest.scores.size(); ++i) {
    boost::json::array horizons;
    for (std::size_t h = 0; h < contest.how.horizons.size(); ++h) {
      const forecast::HorizonScore& score = contest.scores[i].horizons[h];
      horizons.push_back({{"steps", score.horizon},
                          {"ahead_s", static_cast<double>(score.horizon) * contest.series.step_s},
                          {"scored", score.scored},
                          {"wape", score.wape},
                          {"against_constant", against(score.wape, constant.horizons[h].wape)},
                          {"bias", score.bias},
                          {"coverage", score.coverage},
                          {"bound_width", score.bound_width}});
    }
    predictors.push_back({{"name", contest.scores[i].predictor}, {"cpu_ms_a_value", contest.cpu_ms[i]}, {"horizons", std::move(horizons)}});
  }
  boost::json::array notes(contest.series.notes.begin(), contest.series.notes.end());
  return {{"file", contest.file},
          {"column", contest.series.column},
          {"values", contest.series.values.size()},
          {"step_s", contest.series.step_s},
          {"notes", std::move(notes)},
          {"warm_up", contest.how.warm_up},
          {"stride", contest.how.origin_stride},
          {"level", contest.how.level},
          {"predictors", std::move(predictors)}};
}

}  // namespace

int run_forecast_evaluate(const ForecastOptions& options) {
  std::vector<Contest> contests;
  {
    Progress progress;
    for (const std::string& file : options.files) {
      auto one = contest(file, options, progress);
      if (!one) return fail_with("forecast evaluate", one.error());
      contests.push_back(std::move(*one));
    }
  }
  if (options.json) {
    boost::json::array all;
    for (const Contest& one : contests) all.push_back(json_of(one));
    say("{}\n", pretty_json(all));
    return kExitOk;
  }
  for (const Contest& one : contests) print_contest(one);
  if (contests.size() > 1) print_mean(contests);
  say("\nWAPE: sum of errors over sum of values. vs constant: how much more than that of the last value (below 0: better). CPU: observing "
      "and "
      "predicting, with what a predictor refits on the way.\n");
  return kExitOk;
}

}  // namespace flexpert::app
