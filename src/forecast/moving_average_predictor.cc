#include "forecast/moving_average_predictor.h"

#include "forecast/residual_predictor.h"

namespace flexpert::forecast {
namespace {

struct MovingAverage {
  static constexpr std::string_view kName = "moving_average";
  static constexpr std::size_t kWindow = 10;
  std::vector<double> values;

  void observe(double value) {
    if (values.size() == kWindow) values.erase(values.begin());
    values.push_back(value);
  }
  void skip() {}
  [[nodiscard]] bool started() const { return !values.empty(); }
  [[nodiscard]] double forecast(std::size_t /*horizon*/) const {
    double mean = 0;
    for (std::size_t i = 0; i < values.size(); ++i) mean += (values[i] - mean) / static_cast<double>(i + 1);
    return mean;
  }
  void save(StateWriter& writer) const { writer.numbers(values); }
  void restore(StateReader& reader) {
    values = reader.numbers();
    if (values.size() > kWindow) reader.reject("at most 10 values");
  }
};

}  // namespace

std::unique_ptr<Predictor> make_moving_average_predictor(const PredictorOptions& options) {
  return std::make_unique<ResidualPredictor<MovingAverage>>(MovingAverage{}, options.non_negative);
}

}  // namespace flexpert::forecast
