#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "forecast/predictor.h"
#include "forecast/residual_bounds.h"

namespace flexpert::forecast {

/// The largest magnitude that predictors take in and give out: values beyond it count as it.
inline constexpr double kLargestValue = 1e300;

/// A predictor made of a model that only knows point forecasts; bounds come from its own past errors. A Model has
/// `kName`, observe(value) (finite), skip() (a gap), started(), forecast(horizon), save(writer) and restore(reader); a
/// forecast that is not finite counts as the last value.
template <class Model>
class ResidualPredictor final : public Predictor {
 public:
  ResidualPredictor(Model as_new, bool non_negative) : as_new_(as_new), model_(std::move(as_new)), non_negative_(non_negative) {}

  [[nodiscard]] std::string_view name() const override { return Model::kName; }

  void observe(double value) override {
    if (std::isfinite(value)) {
      value = std::clamp(value, -kLargestValue, kLargestValue);
      bounds_.score(value);
      model_.observe(value);
      last_ = value;
    } else {
      bounds_.score(value);
      model_.skip();
    }
    if (model_.started()) bounds_.expect([this](std::size_t horizon) { return point(horizon); });
  }

  [[nodiscard]] std::vector<Prediction> predict(std::span<const std::size_t> horizons, std::span<const double> levels) const override {
    std::vector<Prediction> out(horizons.size());
    for (std::size_t i = 0; i < horizons.size(); ++i) {
      out[i].quantiles.assign(levels.size(), 0.0);
      if (!model_.started()) continue;
      out[i].mean = point(horizons[i]);
      if (levels.empty()) continue;
      out[i].quantiles = bounds_.offsets(horizons[i], levels);
      for (double& quantile : out[i].quantiles) quantile = in_range(out[i].mean + quantile);
    }
    return out;
  }

  void save(StateWriter& writer) const override {
    writer.tag(Model::kName);
    writer.number(last_);
    model_.save(writer);
    bounds_.save(writer);
  }

  Result<void> restore(StateReader& reader) override {
    model_ = as_new_;
    bounds_ = {};
    last_ = 0;
    Model model = as_new_;
    ResidualBounds bounds;
    reader.tag(Model::kName);
    const double last = reader.number();
    model.restore(reader);
    bounds.restore(reader);
    if (!std::isfinite(last)) reader.reject("a finite last value");
    FLEXPERT_TRY(reader.result());
    model_ = std::move(model);
    bounds_ = std::move(bounds);
    last_ = last;
    return {};
  }

  [[nodiscard]] std::unique_ptr<Predictor> clone() const override { return std::make_unique<ResidualPredictor>(*this); }

 private:
  [[nodiscard]] double in_range(double value) const { return std::clamp(value, non_negative_ ? 0.0 : -kLargestValue, kLargestValue); }
  [[nodiscard]] double point(std::size_t horizon) const {
    const double forecast = model_.forecast(horizon);
    return in_range(std::isnan(forecast) ? last_ : forecast);
  }

  Model as_new_;
  Model model_;
  ResidualBounds bounds_;
  double last_ = 0;
  bool non_negative_;
};

}  // namespace flexpert::forecast
