#include "forecast/seasonal_naive_predictor.h"

#include "forecast/residual_predictor.h"

namespace flexpert::forecast {
namespace {

constexpr double kDayS = 86400;
constexpr std::size_t kMostBins = 720;  // keeps the saved text within its bound

/// A day in bins of one step, or of several where a day has more than 720: the mean of a bin when it was last passed.
struct SeasonalNaive {
  static constexpr std::string_view kName = "seasonal_naive";
  std::size_t steps_a_bin = 1;
  std::size_t steps_a_day = 1;
  std::vector<double> bins;  // in the order they were first passed; NaN: nothing was seen in it
  std::size_t at = 0;        // the step of the day that comes next
  std::size_t in_bin = 0;    // values of this pass in the current bin
  double last = 0;
  bool seen = false;

  explicit SeasonalNaive(double step_s) {
    const double steps = std::clamp(std::round(kDayS / step_s), 1.0, kDayS * 1000);
    steps_a_day = static_cast<std::size_t>(steps);
    steps_a_bin = (steps_a_day + kMostBins - 1) / kMostBins;
  }

  void pass(double value, bool known) {
    const std::size_t bin = at / steps_a_bin;
    if (at % steps_a_bin == 0) in_bin = 0;
    if (bin == bins.size()) bins.push_back(std::nan(""));
    if (known) {
      ++in_bin;
      bins[bin] = in_bin == 1 ? value : bins[bin] + (value - bins[bin]) / static_cast<double>(in_bin);
      last = value;
      seen = true;
    }
    at = (at + 1) % steps_a_day;
  }
  void observe(double value) { pass(value, true); }
  void skip() { pass(0, false); }
  [[nodiscard]] bool started() const { return seen; }
  [[nodiscard]] double forecast(std::size_t horizon) const {
    const std::size_t step = (at + (horizon - 1) % steps_a_day) % steps_a_day;
    const std::size_t bin = step / steps_a_bin;
    return bin < bins.size() && std::isfinite(bins[bin]) ? bins[bin] : last;
  }
  void save(StateWriter& writer) const {
    writer.numbers(bins);
    writer.integer(static_cast<std::int64_t>(at));
    writer.integer(static_cast<std::int64_t>(in_bin));
    writer.number(last);
    writer.integer(seen ? 1 : 0);
  }
  void restore(StateReader& reader) {
    bins = reader.numbers();
    const std::int64_t saved_at = reader.integer();
    const std::int64_t saved_in_bin = reader.integer();
    last = reader.number();
    seen = reader.integer() != 0;
    if (saved_at < 0 || static_cast<std::uint64_t>(saved_at) >= steps_a_day) return reader.reject("a step within the day");
    if (saved_in_bin < 0 || static_cast<std::uint64_t>(saved_in_bin) > steps_a_bin) return reader.reject("a count within the bin");
    at = static_cast<std::size_t>(saved_at);
    in_bin = static_cast<std::size_t>(saved_in_bin);
    const std::size_t all = (steps_a_day + steps_a_bin - 1) / steps_a_bin;
    if (bins.size() > all || bins.size() < (at + steps_a_bin - 1) / steps_a_bin) reader.reject("the bins passed");
  }
};

}  // namespace

std::unique_ptr<Predictor> make_seasonal_naive_predictor(const PredictorOptions& options) {
  return std::make_unique<ResidualPredictor<SeasonalNaive>>(SeasonalNaive(options.step_s), options.non_negative);
}

}  // namespace flexpert::forecast
