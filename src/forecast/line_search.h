#pragma once

namespace flexpert::forecast {

/// The line search of Moré and Thuente (1994): looks for a step that lowers the value enough (1e-3 of the slope) and
/// flattens the slope to 0.9 of the first. Call propose() for the step to try, evaluate there, tell() the outcome, until
/// done().
class LineSearch {
 public:
  /// `value` and `slope` (below 0) are those at step 0.
  LineSearch(double value, double slope, double first_step, double largest_step);
  [[nodiscard]] double step() const { return step_; }
  [[nodiscard]] bool done() const { return done_; }
  /// Takes value and slope at step(); sets the next step or ends the search there.
  void tell(double value, double slope);

 private:
  struct Point {
    double step = 0;
    double value = 0;
    double slope = 0;
  };
  void choose(Point& best, Point& other, const Point& now);

  double value_at_zero_;
  double slope_at_zero_;
  double largest_;
  double step_;
  Point best_;
  Point other_;
  bool bracketed_ = false;
  bool first_stage_ = true;
  bool done_ = false;
  double width_;
  double width_before_;
  double lowest_;
  double highest_;
};

}  // namespace flexpert::forecast
