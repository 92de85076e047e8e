#include "forecast/moving_average_predictor.h"

#include "forecast/residual_predictor.h"

namespace flexpert::forecast {
namespace {

struct MovingAverage {
  static constexpr std::string_view kName = "moving_average";
  std::size_t window = 10;
  std::vector<double> values;

  void observe(double value) {
    if (values.size() == window) values.erase(values.begin());
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
    if (values.size() > window) reader.reject("at most as many values as the window has");
  }
};

}  // namespace

std::unique_ptr<Predictor> make_moving_average_predictor(const PredictorOptions& options) {
  return std::make_unique<ResidualPredictor<MovingAverage>>(MovingAverage{options.window == 0 ? 10 : options.window, {}}, options.non_negative);
}

}  // namespace flexpert::forecast
