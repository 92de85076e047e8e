#include <cmath>

#include "forecast/holt_predictor.h"
#include "forecast/holt_winters.h"
#include "forecast/residual_predictor.h"

namespace flexpert::forecast {
namespace {

constexpr double kDayS = 86400;
constexpr std::size_t kMostParts = 288;
constexpr std::size_t kDays = 3;

/// Parts of a day: one step each, or several where a day has more steps than parts.
struct DayParts {
  std::size_t steps = 1;  ///< of a part
  std::size_t count = 1;  ///< of a day

  explicit DayParts(double step_s) {
    const auto day = static_cast<std::size_t>(std::clamp(std::round(kDayS / step_s), 1.0, 1e8));
    steps = (day + kMostParts - 1) / kMostParts;
    count = std::max<std::size_t>(1, day / steps);
  }
};

struct HoltWintersModel {
  static constexpr std::string_view kName = "holt_winters";

  DayParts parts;
  std::vector<double> means;  // of the last parts, the oldest first; gaps hold what was expected of them
  SmoothingShape shape{true, true, Season::kNone, 0};
  SmoothingParameters parameters{0.5, 0.05, 0, 0.9, 0, 0, {}};
  SmoothingState state;
  std::size_t since_fit = 0;
  std::size_t in_part = 0;  // steps of the part that is going on
  std::size_t known = 0;    // those that are no gaps
  double mean = 0;
  double last = 0;
  bool seen = false;

  explicit HoltWintersModel(double step_s) : parts(step_s) {}

  [[nodiscard]] std::size_t most_means() const { return std::max<std::size_t>(kDays * parts.count, 60); }

  /// Keeps the weights of least squared errors on `scaled` for this shape, if they are better than `least`.
  void try_shape(const SmoothingShape& tried, const std::vector<double>& scaled, double scale, double& least) {
    SmoothingParameters p = initial_smoothing(tried, scaled);
    p.trend = 0;
    p.damping = 0.9;
    const std::vector<double> season_weights = tried.season == Season::kNone ? std::vector<double>{0} : std::vector<double>{0.02, 0.1, 0.3};
    for (const double alpha : {0.05, 0.2, 0.4, 0.6, 0.8, 0.97}) {
      for (const double beta : {0.0, 0.1 * alpha}) {
        for (const double gamma : season_weights) {
          p.level_weight = alpha;
          p.trend_weight = beta;
          p.season_weight = gamma * (1 - alpha);
          const SmoothingFit fit = run_smoothing(tried, p, scaled);
          if (!(fit.sse < least)) continue;
          least = fit.sse;
          shape = tried;
          parameters = fit.parameters;
          state = fit.state;
          state.level *= scale;
          state.trend *= scale;
          if (tried.season != Season::kAdditive) continue;
          for (double& season : state.season) season *= scale;
        }
      }
    }
    parameters.season.clear();
  }

  void refit() {
    since_fit = 0;
    double scale = 0;
    bool positive = true;
    for (const double value : means) {
      scale = std::max(scale, std::abs(value));
      positive = positive && value > 0;
    }
    if (scale == 0 || !std::isfinite(1 / scale)) return;
    std::vector<double> scaled = means;
    for (double& value : scaled) value /= scale;
    double least = HUGE_VAL;
    const std::size_t period = parts.count;
    const bool seasonal = period >= 2 && means.size() >= std::max(2 * period, 10 + 2 * (period / 2));
    if (!seasonal) return try_shape({true, true, Season::kNone, 0}, scaled, scale, least);
    try_shape({true, true, Season::kAdditive, period}, scaled, scale, least);
    if (positive) try_shape({true, true, Season::kMultiplicative, period}, scaled, scale, least);
  }

  [[nodiscard]] bool sound() const {
    bool out = std::isfinite(state.level) && std::isfinite(state.trend);
    for (const double season : state.season) out = out && std::isfinite(season);
    return out;
  }

  void end_part() {
    double value = known > 0 ? mean : std::nan("");
    if (means.empty()) {
      state.level = value;
    } else {
      const double expected = advance(shape, parameters, value, state);
      if (std::isnan(value)) value = std::isfinite(expected) ? expected : last;
    }
    if (!sound()) {
      shape = {true, true, Season::kNone, 0};
      state = {value, 0, {}};
    }
    if (means.size() == most_means()) {
      means.erase(means.begin(), means.begin() + static_cast<std::ptrdiff_t>(std::min(parts.count, most_means() / 3)));
    }
    means.push_back(value);
    in_part = known = 0;
    mean = 0;
    if (++since_fit * 10 >= means.size() && means.size() >= 10) refit();
  }

  void pass(double value) {
    if (!seen) return;
    ++in_part;
    if (!std::isnan(value)) {
      ++known;
      mean += value / static_cast<double>(known) - mean / static_cast<double>(known);
    }
    if (in_part == parts.steps) end_part();
  }
  void observe(double value) {
    last = value;
    seen = true;
    pass(value);
  }
  void skip() { pass(std::nan("")); }
  [[nodiscard]] bool started() const { return seen; }

  /// What is known of the part that is going on counts as the whole of it.
  [[nodiscard]] double forecast(std::size_t horizon) const {
    if (means.empty()) return last;
    const std::size_t ahead = (in_part + horizon - 1) / parts.steps;  // parts between the one going on and the one asked for
    if (known == 0) return smoothed_forecast(shape, parameters.damping, state, ahead + 1);
    SmoothingState now = state;
    advance(shape, parameters, mean, now);
    if (ahead == 0) {
      const double seasonal = shape.season == Season::kNone ? 0 : state.season.front();
      return shape.season == Season::kNone ? now.level : shape.season == Season::kAdditive ? now.level + seasonal : now.level * seasonal;
    }
    return smoothed_forecast(shape, parameters.damping, now, ahead);
  }

  void save(StateWriter& writer) const {
    writer.numbers(means);
    writer.integer(static_cast<std::int64_t>(shape.season));
    const SmoothingParameters& p = parameters;
    for (const double weight : {p.level_weight, p.trend_weight, p.season_weight, p.damping}) writer.number(weight);
    for (const double number : {state.level, state.trend, mean, last}) writer.number(number);
    writer.numbers(state.season);
    for (const std::size_t count : {since_fit, in_part, known}) writer.integer(static_cast<std::int64_t>(count));
    writer.integer(seen ? 1 : 0);
  }

  void restore(StateReader& reader) {
    means = reader.numbers();
    const std::int64_t season = reader.integer();
    SmoothingParameters& p = parameters;
    for (double* weight : {&p.level_weight, &p.trend_weight, &p.season_weight, &p.damping}) *weight = reader.number();
    for (double* number : {&state.level, &state.trend, &mean, &last}) *number = reader.number();
    state.season = reader.numbers();
    for (std::size_t* count : {&since_fit, &in_part, &known}) {
      const std::int64_t saved = reader.integer();
      if (saved < 0) reader.reject("a count of 0 at least");
      *count = static_cast<std::size_t>(saved);
    }
    seen = reader.integer() != 0;
    if (!reader.ok()) return;
    if (means.size() > most_means() || in_part >= parts.steps || known > in_part) reader.reject("counts that agree");
    const std::size_t width = season == 0 ? 0 : parts.count;
    if (season < 0 || season > 2 || state.season.size() != width) return reader.reject("a season of the day's parts");
    if (!sound()) reader.reject("a finite state");
    shape = {true, true, static_cast<Season>(season), season == 0 ? 0 : parts.count};
  }
};

}  // namespace

std::unique_ptr<Predictor> make_holt_winters_predictor(const PredictorOptions& options) {
  return std::make_unique<ResidualPredictor<HoltWintersModel>>(HoltWintersModel(options.step_s), options.non_negative);
}

}  // namespace flexpert::forecast
