#include "forecast/exponential_predictor.h"

#include <array>

#include "forecast/residual_predictor.h"

namespace flexpert::forecast {
namespace {

/// Smooths with several factors side by side and answers with the one whose recent one-step errors were the smallest.
struct Exponential {
  static constexpr std::string_view kName = "exponential";
  static constexpr std::array<double, 8> kFactors = {0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95};
  static constexpr double kForget = 0.02;  // errors count over about the last 50 steps
  std::array<double, kFactors.size()> levels{};
  std::array<double, kFactors.size()> errors{};
  bool seen = false;

  void observe(double value) {
    if (!seen) levels.fill(value);
    seen = true;
    for (std::size_t i = 0; i < kFactors.size(); ++i) {
      errors[i] += kForget * (std::abs(value - levels[i]) - errors[i]);
      levels[i] = kFactors[i] * value + (1 - kFactors[i]) * levels[i];
    }
  }
  void skip() {}
  [[nodiscard]] bool started() const { return seen; }
  [[nodiscard]] double forecast(std::size_t /*horizon*/) const {
    std::size_t best = 0;
    for (std::size_t i = 1; i < kFactors.size(); ++i) {
      if (errors[i] <= errors[best]) best = i;
    }
    return levels[best];
  }
  void save(StateWriter& writer) const {
    writer.integer(seen ? 1 : 0);
    for (const double level : levels) writer.number(level);
    for (const double error : errors) writer.number(error);
  }
  void restore(StateReader& reader) {
    seen = reader.integer() != 0;
    for (double& level : levels) level = reader.number();
    for (double& error : errors) error = reader.number();
  }
};

}  // namespace

std::unique_ptr<Predictor> make_exponential_predictor(const PredictorOptions& options) {
  return std::make_unique<ResidualPredictor<Exponential>>(Exponential{}, options.non_negative);
}

}  // namespace flexpert::forecast
