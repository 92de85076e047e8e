#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/state_text.h"
#include "forecast/conformal.h"
#include "forecast/member_regression.h"
#include "forecast/member_set.h"
#include "forecast/mixture_weights.h"

namespace flexpert::forecast {

/// What the mixture knows about one horizon: weights of the members and of a regression on them, the usual size of a change,
/// the usual error, and the calibration of its bounds. Of long horizons only some forecasts are followed up.
class MixtureHorizon {
 public:
  MixtureHorizon(std::size_t horizon, bool non_negative);

  [[nodiscard]] std::size_t horizon() const { return horizon_; }
  /// Learns from the forecast that was made for step `now`, if one was; NaN is a gap.
  void learn(std::int64_t now, double value);
  /// Remembers the forecast made at step `now` for `horizon()` steps later.
  void expect(std::int64_t now, const MemberSet& members);
  /// Returns the mean at any horizon near this one, with this one's weights. `change`: the usual change until then.
  [[nodiscard]] double mean(const std::array<double, kMembers>& predictions) const;
  /// Returns the usual error at this horizon around a forecast.
  [[nodiscard]] double error_scale(double mean, double last) const;
  [[nodiscard]] const Conformal& conformal() const { return conformal_; }

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  static constexpr std::size_t kExperts = kMembers + 1;  ///< the last one is the regression

  struct Pending {
    std::int64_t due = 0;
    double base = 0;   ///< the value that shares are changes from
    double unit = 0;   ///< that shares are multiples of
    double mean = 0;
    double scale = 0;  ///< usual error when it was made
    std::array<double, kExperts> shares{};
    Conformal::Bounds bounds{};
  };
  [[nodiscard]] std::array<double, kExperts> shares(const std::array<double, kMembers>& predictions) const;
  void settle(const Pending& pending, double value);

  std::size_t horizon_;
  std::int64_t stride_;
  bool non_negative_;
  double change_ = 0;        ///< mean absolute change over the horizon
  double error_quick_ = 0;   ///< mean absolute error relative to level_root(), of few and of many forecasts
  double error_slow_ = 0;
  std::int64_t settled_ = 0;
  MixtureWeights weights_;
  MemberRegression regression_;
  Conformal conformal_;
  std::deque<Pending> pending_;
};

}  // namespace flexpert::forecast
