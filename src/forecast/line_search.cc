#include "forecast/line_search.h"

#include <algorithm>
#include <cmath>

namespace flexpert::forecast {
namespace {
constexpr double kDecrease = 1e-3;
constexpr double kCurvature = 0.9;
constexpr double kWidthTolerance = 0.1;
}  // namespace

LineSearch::LineSearch(double value, double slope, double first_step, double largest_step)
    : value_at_zero_(value),
      slope_at_zero_(slope),
      largest_(largest_step),
      step_(first_step),
      best_{.step = 0, .value = value, .slope = slope},
      other_(best_),
      width_(largest_step),
      width_before_(2 * largest_step),
      lowest_(0),
      highest_(5 * first_step) {}

void LineSearch::tell(double value, double slope) {
  const double test_slope = kDecrease * slope_at_zero_;
  const double limit = value_at_zero_ + step_ * test_slope;
  if (first_stage_ && value <= limit && slope >= 0) first_stage_ = false;
  done_ = (bracketed_ && (step_ <= lowest_ || step_ >= highest_)) || (bracketed_ && highest_ - lowest_ <= kWidthTolerance * highest_) ||
          (step_ == largest_ && value <= limit && slope <= test_slope) || (step_ == 0 && (value > limit || slope >= test_slope)) ||
          (value <= limit && std::abs(slope) <= kCurvature * -slope_at_zero_);
  if (done_) return;

  if (first_stage_ && value <= best_.value && value > limit) {
    // The value fell, but not enough: the search goes on with the function less the required decrease.
    auto tilted = [](const Point& p, double by) { return Point{.step = p.step, .value = p.value + p.step * by, .slope = p.slope + by}; };
    Point best = tilted(best_, -test_slope);
    Point other = tilted(other_, -test_slope);
    choose(best, other, tilted({.step = step_, .value = value, .slope = slope}, -test_slope));
    best_ = tilted(best, test_slope);
    other_ = tilted(other, test_slope);
  } else {
    choose(best_, other_, {.step = step_, .value = value, .slope = slope});
  }
  if (bracketed_) {
    if (std::abs(other_.step - best_.step) >= 0.66 * width_before_) step_ = best_.step + 0.5 * (other_.step - best_.step);
    width_before_ = width_;
    width_ = std::abs(other_.step - best_.step);
    lowest_ = std::min(best_.step, other_.step);
    highest_ = std::max(best_.step, other_.step);
  } else {
    lowest_ = step_ + 1.1 * (step_ - best_.step);
    highest_ = step_ + 4.0 * (step_ - best_.step);
  }
  step_ = std::clamp(step_, 0.0, largest_);
  if (bracketed_ && (step_ <= lowest_ || step_ >= highest_ || highest_ - lowest_ <= kWidthTolerance * highest_)) step_ = best_.step;
}

// A safeguarded cubic or quadratic step between the best point, the other end and the present one.
void LineSearch::choose(Point& best, Point& other, const Point& now) {
  const bool turned = now.slope * (best.slope / std::abs(best.slope)) < 0;
  const double span = now.step - best.step;
  double next = 0;
  auto theta_of = [](const Point& a, const Point& b) { return 3 * (a.value - b.value) / (b.step - a.step) + a.slope + b.slope; };
  auto largest_of = [](double a, double b, double c) { return std::max({std::abs(a), std::abs(b), std::abs(c)}); };
  if (now.value > best.value) {
    const double theta = theta_of(best, now);
    const double scale = largest_of(theta, best.slope, now.slope);
    double gamma = scale * std::sqrt((theta / scale) * (theta / scale) - (best.slope / scale) * (now.slope / scale));
    if (now.step < best.step) gamma = -gamma;
    const double r = ((gamma - best.slope) + theta) / (((gamma - best.slope) + gamma) + now.slope);
    const double cubic = best.step + r * span;
    const double quadratic = best.step + ((best.slope / ((best.value - now.value) / span + best.slope)) / 2) * span;
    next = std::abs(cubic - best.step) < std::abs(quadratic - best.step) ? cubic : cubic + (quadratic - cubic) / 2;
    bracketed_ = true;
  } else if (turned) {
    const double theta = theta_of(best, now);
    const double scale = largest_of(theta, best.slope, now.slope);
    double gamma = scale * std::sqrt((theta / scale) * (theta / scale) - (best.slope / scale) * (now.slope / scale));
    if (now.step > best.step) gamma = -gamma;
    const double r = ((gamma - now.slope) + theta) / (((gamma - now.slope) + gamma) + best.slope);
    const double cubic = now.step + r * (best.step - now.step);
    const double secant = now.step + (now.slope / (now.slope - best.slope)) * (best.step - now.step);
    next = std::abs(cubic - now.step) > std::abs(secant - now.step) ? cubic : secant;
    bracketed_ = true;
  } else if (std::abs(now.slope) < std::abs(best.slope)) {
    const double theta = theta_of(best, now);
    const double scale = largest_of(theta, best.slope, now.slope);
    double gamma = scale * std::sqrt(std::max(0.0, (theta / scale) * (theta / scale) - (best.slope / scale) * (now.slope / scale)));
    if (now.step > best.step) gamma = -gamma;
    const double r = ((gamma - now.slope) + theta) / ((gamma + (best.slope - now.slope)) + gamma);
    double cubic = now.step > best.step ? highest_ : lowest_;
    if (r < 0 && gamma != 0) cubic = now.step + r * (best.step - now.step);
    const double secant = now.step + (now.slope / (now.slope - best.slope)) * (best.step - now.step);
    if (bracketed_) {
      next = std::abs(cubic - now.step) < std::abs(secant - now.step) ? cubic : secant;
      const double reach = now.step + 0.66 * (other.step - now.step);
      next = now.step > best.step ? std::min(reach, next) : std::max(reach, next);
    } else {
      next = std::abs(cubic - now.step) > std::abs(secant - now.step) ? cubic : secant;
      next = std::clamp(next, lowest_, highest_);
    }
  } else if (bracketed_) {
    const double theta = theta_of(now, other);
    const double scale = largest_of(theta, other.slope, now.slope);
    double gamma = scale * std::sqrt((theta / scale) * (theta / scale) - (other.slope / scale) * (now.slope / scale));
    if (now.step > other.step) gamma = -gamma;
    const double r = ((gamma - now.slope) + theta) / (((gamma - now.slope) + gamma) + other.slope);
    next = now.step + r * (other.step - now.step);
  } else {
    next = now.step > best.step ? highest_ : lowest_;
  }
  if (now.value > best.value) {
    other = now;
  } else {
    if (turned) other = best;
    best = now;
  }
  step_ = next;
}

}  // namespace flexpert::forecast
