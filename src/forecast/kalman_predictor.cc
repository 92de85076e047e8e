#include <cmath>
#include <vector>

#include "forecast/kalman.h"
#include "forecast/residual_predictor.h"

namespace flexpert::forecast {
namespace {

struct FixedKalman {
  static constexpr std::string_view kName = "kalman_fixed";
  TrendFilter filter;

  void observe(double value) { filter.observe(value); }
  void skip() { filter.observe(std::nan("")); }
  [[nodiscard]] bool started() const { return filter.started(); }
  [[nodiscard]] double forecast(std::size_t horizon) const { return filter.forecast(horizon); }
  void save(StateWriter& writer) const { filter.save(writer); }
  void restore(StateReader& reader) { filter.restore(reader); }
};

/// Filters in units of the value's noise. Each is judged by the mean of |error| / deviation, which estimates the noise's
/// scale, and by the mean of log deviation: together the likelihood of Laplace-like errors with their scale taken out. So
/// one outlier does not decide, and no scale overflows.
struct ScaleFreeKalman {
  static constexpr std::string_view kName = "kalman";
  static constexpr double kForget = 0.02;
  static constexpr double kTrendDamping = 0.9;  // a trend of load does not last

  struct Judged {
    TrendFilter filter;
    double scale = 0;
    double log_deviation = 0;
  };
  std::vector<Judged> filters;
  std::size_t scored = 0;

  ScaleFreeKalman() {
    for (const double level : {0.01, 0.1, 0.5, 2.0, 20.0}) {
      for (const double trend : {0.0001, 0.01, 0.1}) filters.push_back({TrendFilter({level, trend * level, 1}), 0, 0});
    }
  }

  void observe(double value) {
    const bool known = started();
    if (known) ++scored;
    const double weight = std::max(kForget, 1 / static_cast<double>(std::max<std::size_t>(scored, 1)));
    for (Judged& judged : filters) {
      if (known) {
        const double deviation = std::sqrt(judged.filter.next_variance());
        judged.scale += weight * (std::abs(value - judged.filter.forecast(1)) / deviation - judged.scale);
        judged.log_deviation += weight * (std::log(deviation) - judged.log_deviation);
      }
      judged.filter.observe(value);
    }
  }
  void skip() {
    for (Judged& judged : filters) judged.filter.observe(std::nan(""));
  }
  [[nodiscard]] bool started() const { return filters.front().filter.started(); }
  [[nodiscard]] double forecast(std::size_t horizon) const {
    const Judged* best = &filters.front();
    double least = HUGE_VAL;
    for (const Judged& judged : filters) {
      const double unlikely = judged.log_deviation + std::log(judged.scale);
      if (!(unlikely < least)) continue;
      least = unlikely;
      best = &judged;
    }
    return best->filter.forecast(horizon, kTrendDamping);
  }
  void save(StateWriter& writer) const {
    writer.integer(static_cast<std::int64_t>(scored));
    for (const Judged& judged : filters) {
      judged.filter.save(writer);
      writer.number(judged.scale);
      writer.number(judged.log_deviation);
    }
  }
  void restore(StateReader& reader) {
    const std::int64_t count = reader.integer();
    if (count < 0) reader.reject("a count of 0 at least");
    scored = static_cast<std::size_t>(std::max<std::int64_t>(count, 0));
    for (Judged& judged : filters) {
      judged.filter.restore(reader);
      judged.scale = reader.number();
      judged.log_deviation = reader.number();
    }
  }
};

}  // namespace

std::unique_ptr<Predictor> make_kalman_predictor(const PredictorOptions& options) {
  return std::make_unique<ResidualPredictor<ScaleFreeKalman>>(ScaleFreeKalman(), options.non_negative);
}

std::unique_ptr<Predictor> make_fixed_kalman_predictor(const PredictorOptions& options, const TrendNoise& noise) {
  return std::make_unique<ResidualPredictor<FixedKalman>>(FixedKalman{TrendFilter(noise)}, options.non_negative);
}

}  // namespace flexpert::forecast
