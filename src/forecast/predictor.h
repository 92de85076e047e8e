#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/state_text.h"

namespace flexpert::forecast {

/// What is expected so many steps ahead. Bounds hold one value for each level asked for, never decreasing with the level.
struct Prediction {
  double mean = 0;
  std::vector<double> quantiles;
};

/// Predicts one series of equally spaced values from what it has seen. Deterministic; single-threaded; copies by clone().
class Predictor {
 public:
  virtual ~Predictor() = default;
  /// Returns the name that make_predictor() knows it by.
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Takes the value of the next step. NaN or infinity is a gap: time passes, nothing is learned.
  virtual void observe(double value) = 0;
  /// Predicts at each horizon (steps ahead, >= 1, ascending) with quantiles at `levels` (in (0, 1), ascending). Before the
  /// first value: 0 with quantiles 0. Never NaN or infinite.
  [[nodiscard]] virtual std::vector<Prediction> predict(std::span<const std::size_t> horizons, std::span<const double> levels) const = 0;
  /// Writes everything that later predictions depend on; restore() continues bit for bit. At most 32 KiB of text.
  virtual void save(StateWriter& writer) const = 0;
  /// Reads what save() wrote into a predictor made with the same options. On an error it is as new.
  virtual Result<void> restore(StateReader& reader) = 0;
  [[nodiscard]] virtual std::unique_ptr<Predictor> clone() const = 0;
};

struct PredictorOptions {
  std::string name = "mixture";  ///< one of predictor_names()
  double step_s = 60;            ///< time between two values: tells how many steps a day has
  bool non_negative = true;      ///< predictions below 0 become 0: right for loads
  std::size_t window = 0;        ///< values that it goes by, 2 to kLargestWindow; 0: its own choice
};

inline constexpr std::size_t kLargestWindow = 1024;

/// "constant", "moving_average", "exponential", "holt", "holt_winters", "arima", "prophet", "kalman", "seasonal_naive",
/// "mixture"; the default is "mixture".
const std::vector<std::string>& predictor_names();

/// Errors: kInvalidArgument naming the field: an unknown name (with those known), a step that is not positive, a window out
/// of range.
Result<std::unique_ptr<Predictor>> make_predictor(const PredictorOptions& options);

}  // namespace flexpert::forecast
