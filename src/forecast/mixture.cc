#include "forecast/mixture.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "forecast/mixture_horizon.h"

namespace flexpert::forecast {

namespace {

constexpr double kLargest = 1e290;
constexpr std::size_t kLongestHorizon = 4096;
constexpr std::size_t kWidestGap = 13;  // from one followed horizon to the next, as a factor

/// The horizons whose forecasts are followed up: the next 1, 3 and 6 steps, and what ten minutes, half an hour and an hour are.
std::vector<std::size_t> followed_horizons(double step_s) {
  std::vector<std::size_t> out = {1, 3, 6};
  for (const double span_s : {600.0, 1800.0, 3600.0}) {
    const auto steps = static_cast<std::size_t>(std::clamp(std::nearbyint(span_s / step_s), 1.0, static_cast<double>(kLongestHorizon)));
    if (std::find(out.begin(), out.end(), steps) == out.end()) out.push_back(steps);
  }
  std::sort(out.begin(), out.end());
  for (std::size_t i = 1; i < out.size(); ++i) {
    if (out[i] <= kWidestGap * out[i - 1]) continue;
    const double middle = std::sqrt(static_cast<double>(out[i]) * static_cast<double>(out[i - 1]));
    out.insert(out.begin() + static_cast<std::ptrdiff_t>(i), static_cast<std::size_t>(middle));
  }
  return out;
}

class Mixture final : public Predictor {
 public:
  explicit Mixture(const PredictorOptions& options) : options_(options), members_(options.step_s) {
    for (const std::size_t horizon : followed_horizons(options.step_s)) horizons_.emplace_back(horizon, options.non_negative);
  }

  [[nodiscard]] std::string_view name() const override { return "mixture"; }

  void observe(double value) override {
    ++now_;
    const bool known = std::isfinite(value);
    if (known) value = std::clamp(value, -kLargest, kLargest);
    for (MixtureHorizon& horizon : horizons_) horizon.learn(now_, value);
    if (known) {
      members_.observe(value);
    } else {
      members_.skip();
    }
    if (!members_.started()) return;
    for (MixtureHorizon& horizon : horizons_) horizon.expect(now_, members_);
  }

  [[nodiscard]] std::vector<Prediction> predict(std::span<const std::size_t> horizons, std::span<const double> levels) const override {
    std::vector<Prediction> out(horizons.size());
    for (std::size_t i = 0; i < horizons.size(); ++i) {
      if (members_.started()) {
        out[i] = at(std::max<std::size_t>(horizons[i], 1), levels);
      } else {
        out[i].quantiles.assign(levels.size(), 0.0);
      }
    }
    return out;
  }

  void save(StateWriter& writer) const override {
    writer.tag("mixture/2");
    writer.number(options_.step_s);
    writer.integer(now_);
    members_.save(writer);
    for (const MixtureHorizon& horizon : horizons_) horizon.save(writer);
  }

  Result<void> restore(StateReader& reader) override {
    Mixture read(options_);
    reader.tag("mixture/2");
    if (reader.number() != options_.step_s) reader.reject("the state of a predictor with the same step");
    read.now_ = reader.integer();
    if (read.now_ < -1 || read.now_ > (std::int64_t{1} << 52)) reader.reject("a count of steps");
    read.members_.restore(reader);
    for (MixtureHorizon& horizon : read.horizons_) horizon.restore(reader);
    if (auto result = reader.result(); !result) {
      *this = Mixture(options_);
      return result;
    }
    *this = std::move(read);
    return {};
  }

  [[nodiscard]] std::unique_ptr<Predictor> clone() const override { return std::make_unique<Mixture>(*this); }

 private:
  /// The followed horizons around one that is asked for, and how far it lies between them.
  struct Between {
    const MixtureHorizon* low;
    const MixtureHorizon* high;
    double share;
  };

  [[nodiscard]] Between between(std::size_t horizon) const {
    const auto high = std::find_if(horizons_.begin(), horizons_.end(), [horizon](const auto& one) { return one.horizon() >= horizon; });
    if (high == horizons_.end()) return {&horizons_.back(), &horizons_.back(), 0};
    if (high->horizon() == horizon) return {&*high, &*high, 0};
    const MixtureHorizon& low = *(high - 1);
    const double share = std::log(static_cast<double>(horizon) / static_cast<double>(low.horizon())) /
                         std::log(static_cast<double>(high->horizon()) / static_cast<double>(low.horizon()));
    return {&low, &*high, share};
  }

  [[nodiscard]] Prediction at(std::size_t horizon, std::span<const double> levels) const {
    const Between around = between(horizon);
    const auto predictions = members_.predict(horizon);
    const auto mixed = [&around](double low, double high) { return around.share > 0 ? low + around.share * (high - low) : low; };
    const double mean = mixed(around.low->mean(predictions), around.high->mean(predictions));
    const double level = MixtureHorizon::level_of(mean, predictions[0], members_.usual_level());
    const double scale = mixed(around.low->error_scale(level), around.high->error_scale(level)) *
                         std::sqrt(std::max(1.0, static_cast<double>(horizon) / static_cast<double>(around.high->horizon())));
    Prediction out;
    out.mean = in_range(mean);
    const std::vector<double> low = around.low->conformal().bounds(levels);
    const std::vector<double> high = around.share > 0 ? around.high->conformal().bounds(levels) : low;
    for (std::size_t i = 0; i < levels.size(); ++i) out.quantiles.push_back(in_range(mean + scale * mixed(low[i], high[i])));
    return out;
  }

  [[nodiscard]] double in_range(double value) const { return std::clamp(value, options_.non_negative ? 0.0 : -kLargest, kLargest); }

  PredictorOptions options_;
  std::int64_t now_ = -1;
  MemberSet members_;
  std::vector<MixtureHorizon> horizons_;
};

}  // namespace

std::unique_ptr<Predictor> make_mixture_predictor(const PredictorOptions& options) { return std::make_unique<Mixture>(options); }

}  // namespace flexpert::forecast
