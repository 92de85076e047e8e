#include "forecast/prophet_predictor.h"

#include <cmath>

#include "forecast/history.h"
#include "forecast/prophet.h"
#include "forecast/residual_predictor.h"

namespace flexpert::forecast {
namespace {

void save_fit(const ProphetFit& fit, StateWriter& writer) {
  for (const double number : {fit.start_s, fit.span_s, fit.y_scale, fit.k, fit.m, fit.sigma_obs}) writer.number(number);
  writer.numbers(fit.changepoints);
  writer.numbers(fit.deltas);
  writer.integer(static_cast<std::int64_t>(fit.seasonalities.size()));
  for (const Seasonality& seasonality : fit.seasonalities) {
    writer.number(seasonality.period_s);
    writer.integer(static_cast<std::int64_t>(seasonality.order));
  }
  writer.numbers(fit.beta);
}

void restore_fit(ProphetFit& fit, StateReader& reader) {
  for (double* number : {&fit.start_s, &fit.span_s, &fit.y_scale, &fit.k, &fit.m, &fit.sigma_obs}) *number = reader.number();
  fit.changepoints = reader.numbers();
  fit.deltas = reader.numbers();
  const std::int64_t seasonalities = reader.integer();
  if (seasonalities < 0 || seasonalities > 3) return reader.reject("up to 3 seasonalities");
  std::size_t features = 0;
  for (std::int64_t i = 0; i < seasonalities; ++i) {
    const double period = reader.number();
    const std::int64_t order = reader.integer();
    if (!(period > 0) || order < 1 || order > 10) return reader.reject("a seasonality of up to 10 harmonics");
    fit.seasonalities.push_back({period, static_cast<std::size_t>(order)});
    features += 2 * static_cast<std::size_t>(order);
  }
  fit.beta = reader.numbers();
  if (fit.beta.size() != features || fit.changepoints.size() != fit.deltas.size()) reader.reject("as many weights as features");
  if (!(fit.span_s > 0)) reader.reject("a span above 0");
}

struct ProphetModel {
  static constexpr std::string_view kName = "prophet";
  static constexpr std::size_t kMostBins = 720;
  static constexpr double kSpanS = 15 * 86400.0;
  static constexpr double kDrift = 3;  // recent errors, in units of the fit's noise, that call for a new fit

  double step_s;
  History history;
  ProphetFit fit;
  bool fitted = false;
  std::size_t fit_at = 0;     // steps seen at the last fit
  double recent_error = 0;    // in units of the fit's noise, forgets over about 10 steps
  double last = 0;
  bool seen = false;

  explicit ProphetModel(double step) : step_s(step), history(kMostBins, static_cast<std::size_t>(std::clamp(kSpanS / step, 1.0, 1e9))) {}

  void refit() {
    std::vector<double> times;
    const auto width = static_cast<double>(history.steps_a_bin());
    for (std::size_t i = 0; i < history.bins().size(); ++i) {
      const double middle = static_cast<double>(history.first_step()) + (static_cast<double>(i) + 0.5) * width - 0.5;
      times.push_back(middle * step_s);
    }
    auto made = fit_prophet(times, history.bins());
    if (!made) return;
    fit = std::move(*made);
    fitted = true;
    fit_at = history.steps();
    recent_error = 0;
  }

  void pass(double value) {
    history.add(value);
    const std::size_t since = history.steps() - fit_at;
    const bool due = !fitted || since * 10 >= history.bins().size() * history.steps_a_bin();
    const bool drifted = recent_error > kDrift && since >= 5 * history.steps_a_bin();
    if (due || drifted) refit();
  }
  void observe(double value) {
    if (fitted) {
      const double noise = fit.sigma_obs * fit.y_scale;
      const double error = std::abs(value - fit.forecast(static_cast<double>(history.steps()) * step_s));
      if (noise > 0) recent_error += 0.1 * (std::min(error / noise, 1e6) - recent_error);
      if (noise <= 0 && error > 0) recent_error = 2 * kDrift;
    }
    last = value;
    seen = true;
    pass(value);
  }
  void skip() { pass(std::nan("")); }
  [[nodiscard]] bool started() const { return seen; }
  [[nodiscard]] double forecast(std::size_t horizon) const {
    if (!fitted) return last;
    return fit.forecast((static_cast<double>(history.steps() - 1) + static_cast<double>(horizon)) * step_s);
  }
  void save(StateWriter& writer) const {
    history.save(writer);
    writer.integer(fitted ? 1 : 0);
    if (fitted) save_fit(fit, writer);
    writer.integer(static_cast<std::int64_t>(fit_at));
    writer.number(recent_error);
    writer.number(last);
    writer.integer(seen ? 1 : 0);
  }
  void restore(StateReader& reader) {
    history.restore(reader);
    fitted = reader.integer() != 0;
    if (fitted) restore_fit(fit, reader);
    const std::int64_t at = reader.integer();
    recent_error = reader.number();
    last = reader.number();
    seen = reader.integer() != 0;
    if (at < 0 || static_cast<std::uint64_t>(at) > history.steps()) return reader.reject("a fit of the past");
    fit_at = static_cast<std::size_t>(at);
  }
};

struct WindowedProphet {
  static constexpr std::string_view kName = "prophet_windowed";
  double step_s;
  std::size_t window;
  std::vector<double> values;
  std::size_t steps = 0;
  ProphetFit fit;
  bool fitted = false;

  void pass(double value) {
    if (values.size() == window) values.erase(values.begin());
    values.push_back(value);
    ++steps;
    fit_window();
  }
  void fit_window() {
    std::vector<double> times;
    for (std::size_t i = 0; i < values.size(); ++i) times.push_back(static_cast<double>(steps - values.size() + i) * step_s);
    auto made = fit_prophet(times, values);
    fitted = made.has_value();
    if (fitted) fit = std::move(*made);
  }
  void observe(double value) { pass(value); }
  void skip() { pass(std::nan("")); }
  [[nodiscard]] bool started() const {
    return std::any_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
  }
  [[nodiscard]] double forecast(std::size_t horizon) const {
    if (fitted) return fit.forecast((static_cast<double>(steps - 1) + static_cast<double>(horizon)) * step_s);
    return std::nan("");
  }
  void save(StateWriter& writer) const {
    writer.numbers(values);
    writer.integer(static_cast<std::int64_t>(steps));
  }
  void restore(StateReader& reader) {
    values = reader.numbers();
    const std::int64_t saved = reader.integer();
    const bool seen = saved >= 0 && static_cast<std::uint64_t>(saved) >= values.size();
    if (!seen || values.size() > window) return reader.reject("the window's values");
    steps = static_cast<std::size_t>(saved);
    fit_window();
  }
};

}  // namespace

std::unique_ptr<Predictor> make_prophet_predictor(const PredictorOptions& options) {
  return std::make_unique<ResidualPredictor<ProphetModel>>(ProphetModel(options.step_s), options.non_negative);
}

std::unique_ptr<Predictor> make_windowed_prophet_predictor(const PredictorOptions& options, std::size_t window) {
  WindowedProphet model{options.step_s, std::max<std::size_t>(window, 2), {}, 0, {}, false};
  return std::make_unique<ResidualPredictor<WindowedProphet>>(std::move(model), options.non_negative);
}

}  // namespace flexpert::forecast
