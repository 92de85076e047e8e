// Forecast accuracy on recorded load, rolling origin: the default predictor against the last value and three baselines.
#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "codec/series_csv.h"
#include "figures.h"
#include "forecast/evaluation.h"
#include "forecast/evaluation_field.h"

namespace flexpert::bench {
namespace {

constexpr double kMinutes[] = {10, 30, 60};
constexpr std::size_t kHorizons = std::size(kMinutes);

struct Recorded {
  std::string name;
  std::string file;
};

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Result<codec::Series> read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(ErrorCode::kNotFound, "file cannot be read: {}", path);
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  return codec::parse_series_csv(bytes);
}

/// The scores of one predictor on every series, and what it cost.
struct Row {
  std::vector<forecast::EvaluationScore> series;
  double cpu_us = 0;  ///< for one value observed and predicted from, in the mean

  [[nodiscard]] double mean_wape(std::size_t horizon) const {
    double sum = 0;
    for (const auto& one : series) sum += one.horizons[horizon].wape / static_cast<double>(series.size());
    return sum;
  }
};

Result<Row> play(const std::string& name, const std::vector<codec::Series>& all) {
  Row row;
  double seconds = 0;
  double values = 0;
  for (const codec::Series& series : all) {
    forecast::EvaluationOptions how;
    for (const double minutes : kMinutes) how.horizons.push_back(static_cast<std::size_t>(std::nearbyint(minutes * 60 / series.step_s)));
    how.warm_up = forecast::default_warm_up(series.values.size(), series.step_s);
    FLEXPERT_ASSIGN(auto predictor, forecast::make_contestant({.name = name, .step_s = series.step_s, .non_negative = true}));
    const double before = cpu_seconds();
    row.series.push_back(forecast::evaluate(*predictor, series.values, how));
    seconds += cpu_seconds() - before;
    values += static_cast<double>(series.values.size());
  }
  row.cpu_us = seconds * 1e6 / values;
  return row;
}

void hold_against_constant(const std::vector<Recorded>& recorded, const Row& ours, const Row& constant, Figures& figures) {
  for (std::size_t s = 0; s < recorded.size(); ++s)
    for (std::size_t h = 0; h < kHorizons; ++h) {
      const double mine = ours.series[s].horizons[h].wape;
      const double worse = (mine / constant.series[s].horizons[h].wape - 1) * 100;
      figures.note(fmt::format("{} {} min: WAPE of the default", recorded[s].name, kMinutes[h]), mine * 100, "%");
      figures.hold(fmt::format("{} {} min: over that of constant", recorded[s].name, kMinutes[h]), worse, "%", "<= 1.5", worse <= 1.5);
    }
  double better = 0;
  for (std::size_t s = 0; s < recorded.size(); ++s)
    better += (1 - ours.series[s].horizons[1].wape / constant.series[s].horizons[1].wape) * 100 / static_cast<double>(recorded.size());
  figures.hold("mean of the series, 30 min: better than constant by", better, "%", ">= 1", better >= 1);
}

Result<void> measure(const std::string& folder, Figures& figures) {
  const std::vector<Recorded> recorded = {{"m_large", "m_large_d0_6_rates.csv.gz"},
                                          {"m_small", "m_small_d0_6_rates.csv.gz"},
                                          {"deepseek_r1", "deepseek_r1_h0_15_rates.csv.gz"},
                                          {"azure", "azure2024_conv_week_10min.csv"}};
  std::vector<codec::Series> all;
  for (const Recorded& one : recorded) {
    FLEXPERT_ASSIGN(all.emplace_back(), read(folder + "/" + one.file));
    const std::size_t warm_up = forecast::default_warm_up(all.back().values.size(), all.back().step_s);
    figures.note(one.name + ": values", static_cast<double>(all.back().values.size()),
                 fmt::format("of {} s, the first origin after {}", all.back().step_s, warm_up));
  }
  FLEXPERT_ASSIGN(const Row ours, play("mixture", all));
  FLEXPERT_ASSIGN(const Row constant, play("constant", all));
  hold_against_constant(recorded, ours, constant, figures);
  for (const std::string& name : forecast::baseline_names()) {
    FLEXPERT_ASSIGN(const Row baseline, play(name, all));
    for (std::size_t h = 0; h < kHorizons; ++h) {
      const double better = (1 - ours.mean_wape(h) / baseline.mean_wape(h)) * 100;
      figures.hold(fmt::format("mean of the series, {} min: better than {} ({:.2f} %) by", kMinutes[h], name, baseline.mean_wape(h) * 100),
                   better, "%", ">= 12", better >= 12);
    }
    figures.note(name + ": CPU a value", baseline.cpu_us, "us");
  }
  for (std::size_t s = 0; s < recorded.size(); ++s)
    for (std::size_t h = 0; h < kHorizons; ++h) {
      const forecast::HorizonScore& score = ours.series[s].horizons[h];
      const double covers = score.coverage * 100;
      figures.hold(fmt::format("{} {} min: p90 covers of {} values", recorded[s].name, kMinutes[h], score.scored), covers, "%", "88 to 92",
                   covers >= 88 && covers <= 92);
    }
  figures.note("mixture: CPU a value", ours.cpu_us, "us");
  return {};
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  return flexpert::bench::run_folder_measurement(
      argc, argv, "forecast-accuracy",
      "rolling origin on four recorded series of 600 s: each predictor sees every value in turn, from the first; an origin at every value "
      "after two days of them, at most a quarter; scored is every target that is known, the same for all; WAPE = sum of errors over sum of "
      "values",
      flexpert::bench::measure);
}
