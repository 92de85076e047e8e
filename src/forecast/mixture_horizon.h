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
/// the usual error, and the calibration of its bounds. Of long horizons only some forecasts are
/// followed up: about 6 at a time of the members, about 30 of the bounds.
class MixtureHorizon {
 public:
  MixtureHorizon(std::size_t horizon, bool non_negative);

  [[nodiscard]] std::size_t horizon() const { return horizon_; }
  /// Learns from the forecast that was made for step `now`, if one was; NaN is a gap.
  void learn(std::int64_t now, double value);
  /// Remembers the forecast made at step `now` for `horizon()` steps later.
  void expect(std::int64_t now, const MemberSet& members);
  /// Returns the mean at any horizon near this one, with this one's weights.
  [[nodiscard]] double mean(const std::array<double, kMembers>& predictions) const;
  /// Returns the usual error at this horizon of a forecast of that level.
  [[nodiscard]] double error_scale(double level) const;
  /// The level of a forecast that its usual error is taken for: also where a load rests, one that it usually has counts.
  [[nodiscard]] static double level_of(double mean, double last, double usual);
  [[nodiscard]] const Conformal& conformal() const { return conformal_; }

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  static constexpr std::size_t kExperts = kMembers + 1;  ///< the last one is the regression

  /// What the members said about a step to come, as changes from `base` in multiples of `unit`.
  struct Lesson {
    std::int64_t due = 0;
    double base = 0;
    double unit = 0;
    double blended = 0;
    std::array<double, kExperts> shares{};
  };
  /// The bounds in force for a step to come.
  struct Issued {
    std::int64_t due = 0;
    bool scored = false;  ///< its error is remembered, not only counted
    double mean = 0;
    double level = 0;     ///< that the usual error is taken for
    double scale = 0;     ///< usual error
    Conformal::Bounds bounds{};
  };
  [[nodiscard]] std::array<double, kExperts> shares(const std::array<double, kMembers>& predictions) const;
  void learn_from(const Lesson& lesson, double value);
  void resolve(const Issued& issued, double value);

  std::size_t horizon_;
  std::int64_t bound_stride_;   ///< steps between bounds that are followed up
  std::int64_t lesson_stride_;  ///< a multiple of that
  bool non_negative_;
  double change_ = 0;        ///< mean absolute change over the horizon, of few and of many lessons
  double usual_change_ = 0;
  double error_quick_ = 0;   ///< mean absolute error relative to level_root(), of few and of many forecasts
  double error_slow_ = 0;
  std::int64_t lessons_ = 0;  ///< learned from
  std::int64_t errors_ = 0;   ///< known
  MixtureWeights weights_;
  MemberRegression regression_;
  Conformal conformal_;
  std::deque<Lesson> lessons_open_;
  std::deque<Issued> issued_;
};

}  // namespace flexpert::forecast
