#include "forecast/arima_predictor.h"

#include <algorithm>
#include <cmath>

#include "forecast/normal_quantile.h"

namespace flexpert::forecast {
namespace {

class ArimaPredictor final : public Predictor {
 public:
  ArimaPredictor(const PredictorOptions& options, bool frozen) : non_negative_(options.non_negative), frozen_(frozen) {}
  [[nodiscard]] std::string_view name() const override { return frozen_ ? "arima_frozen" : "arima"; }

  void observe(double value) override {
    if (!std::isfinite(value)) return;
    if (seen_) {
      const double delta = value - last_;
      variance_ += 0.1 * (delta * delta - variance_);
    }
    last_ = value;
    seen_ = true;
  }

  [[nodiscard]] std::vector<Prediction> predict(std::span<const std::size_t> horizons, std::span<const double> levels) const override {
    std::vector<Prediction> out;
    for (const std::size_t horizon : horizons) {
      Prediction prediction{.mean = last_, .quantiles = {}};
      const double sigma = std::sqrt(variance_ * static_cast<double>(horizon));
      for (const double level : levels) prediction.quantiles.push_back(last_ + sigma * standard_normal_quantile(level));
      if (non_negative_) {
        prediction.mean = std::max(0.0, prediction.mean);
        for (double& q : prediction.quantiles) q = std::max(0.0, q);
      }
      out.push_back(std::move(prediction));
    }
    return out;
  }

  void save(StateWriter& writer) const override {
    writer.tag("arima/0");
    writer.integer(seen_ ? 1 : 0);
    writer.number(last_);
    writer.number(variance_);
  }
  Result<void> restore(StateReader& reader) override {
    reader.tag("arima/0");
    const bool seen = reader.integer() != 0;
    const double last = reader.number();
    const double variance = reader.number();
    seen_ = reader.ok() && seen;
    last_ = reader.ok() ? last : 0;
    variance_ = reader.ok() ? variance : 0;
    return reader.result();
  }
  [[nodiscard]] std::unique_ptr<Predictor> clone() const override { return std::make_unique<ArimaPredictor>(*this); }

 private:
  bool non_negative_;
  bool frozen_;
  bool seen_ = false;
  double last_ = 0;
  double variance_ = 0;
};

}  // namespace

std::unique_ptr<Predictor> make_arima_predictor(const PredictorOptions& options) { return std::make_unique<ArimaPredictor>(options, false); }
std::unique_ptr<Predictor> make_frozen_arima_predictor(const PredictorOptions& options) {
  return std::make_unique<ArimaPredictor>(options, true);
}

}  // namespace flexpert::forecast
