#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "base/state_text.h"
#include "forecast/arima_process.h"

namespace flexpert::forecast {

/// An ARIMA model with numbers in it. `constant` is the mean without differences and the drift per step with one.
struct ArimaCoefficients {
  ArmaProcess process;
  std::size_t differences = 0;
  double constant = 0;
};

/// The Kalman filter of an ARIMA model: Harvey's state of the differenced series behind one level for each difference, whose
/// start is unknown (variance `diffuse`, in the unit of `noise`). A missing value costs nothing: the state moves on.
class ArimaFilter {
 public:
  static constexpr std::size_t kStates = kMaxArimaLags + 1 + kMaxArimaDifferences;

  /// `noise` is the variance of the model's shocks.
  explicit ArimaFilter(const ArimaCoefficients& model, double noise = 1, double diffuse = 1e6);
  /// False where the process has no stationary start: nothing else may be called then.
  [[nodiscard]] bool valid() const { return valid_; }

  struct Innovation {
    double error = 0;     ///< NaN where the value was missing
    double variance = 0;  ///< of the prediction
  };
  /// Takes the next value, NaN for a gap.
  Innovation step(double value);

  /// Returns what is expected 1, 2, ... `steps` ahead.
  [[nodiscard]] std::vector<double> forecast(std::size_t steps) const;
  /// Returns the variances of those forecasts.
  [[nodiscard]] std::vector<double> forecast_variances(std::size_t steps) const;

  /// The state only: restore() belongs to a filter of the same model.
  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  using Vector = std::array<double, kStates>;
  using Matrix = std::array<Vector, kStates>;

  [[nodiscard]] double observed(const Vector& state) const;
  void advance(Vector& state) const;
  void advance(Matrix& covariance) const;
  [[nodiscard]] double prediction_variance(const Matrix& covariance) const;

  std::size_t d_;
  std::size_t r_;
  std::size_t n_;
  std::array<double, kMaxArimaLags + 1> phi_{};
  std::array<double, kMaxArimaLags + 1> theta_{};
  double constant_;
  double noise_;
  bool valid_ = false;
  Vector state_{};
  Matrix covariance_{};
};

}  // namespace flexpert::forecast
