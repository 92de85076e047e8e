#include "forecast/arima_predictor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "forecast/arima_monitor.h"
#include "forecast/auto_arima.h"
#include "forecast/normal_quantile.h"

namespace flexpert::forecast {
namespace {

constexpr std::size_t kWindow = 240;           // values that models are estimated from
constexpr std::size_t kIdleRun = 10;           // zeros that end one episode of load and start the next
constexpr std::size_t kFrozenAt = 5;           // values that the frozen order is chosen from
constexpr std::size_t kConditionalAbove = 60;  // values above which candidate orders are compared the quick way
constexpr std::size_t kSelectionPause = 6;     // values between two choices because of drift
constexpr std::size_t kLongestSelection = 96;  // values between two choices of the order
constexpr std::size_t kLongestEstimate = 24;   // values between two estimates of its coefficients
constexpr std::size_t kFarthest = 4096;        // steps ahead; beyond, what holds there
constexpr double kLargest = 1e300;
constexpr ArimaOrder kCarriedForward{.p = 0, .d = 1, .q = 0, .constant = false};

class ArimaPredictor final : public Predictor {
 public:
  ArimaPredictor(bool non_negative, bool frozen) : non_negative_(non_negative), frozen_(frozen) {}
  [[nodiscard]] std::string_view name() const override { return frozen_ ? "arima_frozen" : "arima"; }

  void observe(double value) override {
    if (!std::isfinite(value)) {
      if (!state_.window.empty()) take(std::numeric_limits<double>::quiet_NaN());
      return;
    }
    value = std::clamp(value, -kLargest, kLargest);
    state_.last = value;
    if (!frozen_) begin_episode(value);
    take(value);
    if (state_.fit_now || due()) refit();
  }

  [[nodiscard]] std::vector<Prediction> predict(std::span<const std::size_t> horizons, std::span<const double> levels) const override {
    std::vector<Prediction> out(horizons.size());
    for (Prediction& prediction : out) prediction.quantiles.assign(levels.size(), 0.0);
    if (!state_.filter || horizons.empty()) return out;
    const std::size_t farthest = std::clamp<std::size_t>(*std::max_element(horizons.begin(), horizons.end()), 1, kFarthest);
    const std::vector<double> means = state_.filter->forecast(farthest);
    const std::vector<double> variances = levels.empty() ? std::vector<double>(farthest) : state_.filter->forecast_variances(farthest);
    for (std::size_t i = 0; i < horizons.size(); ++i) {
      const std::size_t step = std::clamp<std::size_t>(horizons[i], 1, farthest) - 1;
      out[i].mean = in_range(believable(means[step]));
      const double deviation = std::min(std::sqrt(variances[step] * state_.monitor.realised_noise()), kLargest);
      for (std::size_t k = 0; k < levels.size(); ++k) {
        const double quantile = out[i].mean + (deviation > 0 ? deviation * standard_normal_quantile(levels[k]) : 0.0);
        out[i].quantiles[k] = in_range(quantile);
      }
    }
    return out;
  }

  void save(StateWriter& writer) const override;
  Result<void> restore(StateReader& reader) override;
  [[nodiscard]] std::unique_ptr<Predictor> clone() const override { return std::make_unique<ArimaPredictor>(*this); }

 private:
  struct State {
    std::vector<double> window;  ///< NaN where there was a gap; starts with a value
    double last = 0;
    std::size_t zeros = 0;     ///< in a row until now
    std::size_t known = 0;     ///< values of this episode
    std::size_t selected = 0;  ///< values since the order was chosen
    std::size_t estimated = 0;
    bool fit_now = false;
    ArimaFit fit;
    std::optional<ArimaFilter> filter;
    ArimaMonitor monitor;
  };

  /// Zeros in a row are another regime than load: neither is learned from in the other.
  void begin_episode(double value) {
    const bool was_idle = state_.zeros >= kIdleRun;
    state_.zeros = value == 0 ? state_.zeros + 1 : 0;
    const bool idle = state_.zeros >= kIdleRun;
    if (idle == was_idle) return;
    state_.window.assign(idle ? kIdleRun - 1 : 0, 0.0);
    state_.known = state_.window.size();
    state_.fit_now = true;
  }

  void take(double value) {
    if (state_.window.size() == kWindow) {
      state_.window.erase(state_.window.begin());
      const auto first = std::find_if(state_.window.begin(), state_.window.end(), [](double v) { return std::isfinite(v); });
      state_.window.erase(state_.window.begin(), first);
    }
    state_.window.push_back(value);
    if (state_.filter) {
      const ArimaFilter::Innovation innovation = state_.filter->step(value);
      if (std::isfinite(innovation.error) && std::isfinite(innovation.variance)) state_.monitor.take(innovation.error, innovation.variance);
    }
    if (std::isnan(value)) return;
    ++state_.known;
    ++state_.selected;
    ++state_.estimated;
  }

  /// The longer the history, the less one more value changes of what was estimated from it.
  [[nodiscard]] bool due() const {
    if (!state_.filter || state_.known < kFrozenAt) return true;
    return state_.estimated >= std::clamp<std::size_t>(state_.known / 8, 1, kLongestEstimate) || selection_due();
  }
  [[nodiscard]] bool selection_due() const {
    if (frozen_) return state_.known <= kFrozenAt;
    if (state_.known <= kFrozenAt || state_.fit_now) return true;
    const std::size_t interval = std::clamp<std::size_t>(state_.known / 3, 3, kLongestSelection);
    return state_.selected >= interval || (state_.monitor.drifted() && state_.selected >= std::min(kSelectionPause, interval));
  }

  void refit() {
    const bool select = selection_due();
    if (select) {
      state_.fit = auto_arima(state_.window, kConditionalAbove);
      // What never changed is carried forward: the same forecasts, but its first change is followed at once.
      if (state_.fit.noise == 0 && state_.fit.order.d == 0) state_.fit = estimate_arima(state_.window, kCarriedForward);
      state_.selected = 0;
    } else {
      state_.fit = estimate_arima(state_.window, state_.fit.order);
    }
    state_.estimated = 0;
    state_.fit_now = false;
    ArimaFilter filter(state_.fit.coefficients);
    if (!filter.valid()) {
      state_.fit = estimate_arima(state_.window, kCarriedForward);
      filter = ArimaFilter(state_.fit.coefficients);
    }
    for (const double value : state_.window) filter.step(value);
    state_.filter = std::move(filter);
    if (select) {
      state_.monitor.new_order(state_.fit.noise);
    } else {
      state_.monitor.new_estimate(state_.fit.noise);
    }
  }

  /// A trend that leaves what was ever seen by more than its whole range is no longer believed.
  [[nodiscard]] double believable(double forecast) const {
    if (std::isnan(forecast)) return state_.last;
    double low = state_.last;
    double high = state_.last;
    for (const double value : state_.window) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const double range = high - low;
    return std::clamp(forecast, low - range, high + range);
  }
  [[nodiscard]] double in_range(double value) const { return std::clamp(value, non_negative_ ? 0.0 : -kLargest, kLargest); }
  [[nodiscard]] const char* tag() const { return frozen_ ? "arima_frozen/1" : "arima/1"; }

  bool non_negative_;
  bool frozen_;
  State state_;
};

void ArimaPredictor::save(StateWriter& writer) const {
  writer.tag(tag());
  writer.numbers(state_.window);
  writer.number(state_.last);
  for (const std::size_t count : {state_.zeros, state_.known, state_.selected, state_.estimated}) {
    writer.integer(static_cast<std::int64_t>(count));
  }
  writer.integer(state_.filter ? 1 : 0);
  if (!state_.filter) return;
  const ArimaCoefficients& model = state_.fit.coefficients;
  writer.integer(static_cast<std::int64_t>(model.differences));
  writer.integer(state_.fit.order.constant ? 1 : 0);
  writer.number(model.constant);
  writer.number(state_.fit.noise);
  for (const Lags* lags : {&model.process.ar, &model.process.ma}) writer.numbers({lags->values().begin(), lags->values().end()});
  state_.filter->save(writer);
  state_.monitor.save(writer);
}

Result<void> ArimaPredictor::restore(StateReader& reader) {
  state_ = {};
  State state;
  reader.tag(tag());
  state.window = reader.numbers();
  if (state.window.size() > kWindow || (!state.window.empty() && std::isnan(state.window.front()))) {
    reader.reject("a window that starts with a value and holds no more than it may");
  }
  if (std::any_of(state.window.begin(), state.window.end(), [](double value) { return std::isinf(value); })) {
    reader.reject("values that are not infinite");
  }
  state.last = reader.number();
  if (!std::isfinite(state.last)) reader.reject("a finite last value");
  for (std::size_t* count : {&state.zeros, &state.known, &state.selected, &state.estimated}) {
    const std::int64_t value = reader.integer();
    if (value < 0) reader.reject("a count of at least 0");
    *count = static_cast<std::size_t>(std::max<std::int64_t>(value, 0));
  }
  if (reader.integer() != 0) {
    ArimaCoefficients& model = state.fit.coefficients;
    const std::int64_t differences = reader.integer();
    if (differences < 0 || differences > static_cast<std::int64_t>(kMaxArimaDifferences)) reader.reject("0 to 2 differences");
    model.differences = reader.ok() ? static_cast<std::size_t>(differences) : 0;
    const bool constant = reader.integer() != 0;
    model.constant = reader.number();
    state.fit.noise = reader.number();
    if (!(state.fit.noise >= 0) || !std::isfinite(state.fit.noise)) reader.reject("a finite noise of at least 0");
    for (Lags* lags : {&model.process.ar, &model.process.ma}) {
      const std::vector<double> values = reader.numbers();
      const bool good = std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
      if (values.size() > kMaxArimaLags || !good) reader.reject("up to 5 finite coefficients");
      *lags = Lags::of(values);
    }
    state.fit.order = {.p = model.process.ar.count, .d = model.differences, .q = model.process.ma.count, .constant = constant};
    ArimaFilter filter(model);
    if (!filter.valid()) reader.reject("coefficients of a stationary process");
    filter.restore(reader);
    state.monitor.restore(reader);
    state.filter = std::move(filter);
  }
  FLEXPERT_TRY(reader.result());
  state_ = std::move(state);
  return {};
}

}  // namespace

std::unique_ptr<Predictor> make_arima_predictor(const PredictorOptions& options) {
  return std::make_unique<ArimaPredictor>(options.non_negative, false);
}

std::unique_ptr<Predictor> make_frozen_arima_predictor(const PredictorOptions& options) {
  return std::make_unique<ArimaPredictor>(options.non_negative, true);
}

}  // namespace flexpert::forecast
