#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/state_text.h"
#include "forecast/member_regression.h"
#include "forecast/member_season.h"

namespace flexpert::forecast {

/// How many members predict on their own; the first is the last value.
inline constexpr std::size_t kMembers = 9;

/// The members of the mixture that know one series, each a few numbers of state: last value, three exponential smoothings,
/// damped Holt with short and long memory, autoregression on changes, yesterday's changes from the present level, the mean
/// day's shape and last week's at the present ratio. Single-threaded.
class MemberSet {
 public:
  explicit MemberSet(double step_s);

  void observe(double value);
  /// Lets a step pass whose value is unknown.
  void skip();
  [[nodiscard]] bool started() const { return seen_; }
  [[nodiscard]] double last() const { return last_; }
  /// Returns the mean absolute value of a long time (some 200 steps).
  [[nodiscard]] double usual_level() const { return usual_level_; }
  /// Predicts `horizon` steps ahead. Precondition: started().
  [[nodiscard]] std::array<double, kMembers> predict(std::size_t horizon) const;

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  static constexpr std::size_t kLags = 5;
  static constexpr std::size_t kSmoothings = 2;

  struct Holt {
    double level = 0;
    double trend = 0;
    void observe(double value, double alpha, double beta, double damping);
    [[nodiscard]] double predict(std::size_t horizon, double damping) const;
  };
  /// The mean of recent values and of what a season said about the same steps.
  struct Ratio {
    double values = 0;
    double shape = 0;
    void observe(double value, double expected, double share);
  };
  void start(double value);
  [[nodiscard]] double autoregression(std::size_t horizon) const;
  [[nodiscard]] double scaled_shape(const MemberSeason& season, const Ratio& ratio, std::size_t horizon) const;

  std::int64_t index_ = -1;  ///< of the newest step
  bool seen_ = false;
  double last_ = 0;
  double usual_level_ = 0;
  std::array<double, kSmoothings> smooth_{};
  Holt quick_;
  Holt slow_;
  std::array<double, kLags> changes_{};  ///< in units of `change_scale_` when they are used; the newest first
  double change_scale_ = 0;
  MemberRegression autoregression_;
  MemberSeason yesterday_;
  MemberSeason day_;
  MemberSeason week_;
  double above_yesterday_ = 0;
  bool knows_yesterday_ = false;
  Ratio day_ratio_;
  Ratio week_ratio_;
};

}  // namespace flexpert::forecast
