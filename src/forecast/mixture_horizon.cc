#include "forecast/mixture_horizon.h"

#include <algorithm>
#include <cmath>

#include "forecast/member_rounding.h"

namespace flexpert::forecast {

namespace {

constexpr std::size_t kLessons = 6;  // of one horizon open at a time, about
constexpr std::size_t kIssued = 30;   // bounds of one horizon open at a time, at most
constexpr double kUnseenScore = 3;    // of an error where none was expected
constexpr double kChangeShare = 0.03;
constexpr double kUsualChangeShare = 0.005;
constexpr double kMostImportance = 10;
constexpr double kRestingLevel = 0.1;  // of the usual one: what a load at rest is likely to err like
constexpr double kQuickShare = 0.12;
constexpr double kSlowShare = 0.02;
constexpr double kFirstError = 0.1;   // of the value, before any error is known

/// Errors of loads grow with the level, less than in proportion.
double level_root(double level) { return std::sqrt(std::abs(level)); }

double share_of(double share, std::int64_t count) { return std::max(share, 1 / static_cast<double>(count + 1)); }

}  // namespace

MixtureHorizon::MixtureHorizon(std::size_t horizon, bool non_negative)
    : horizon_(horizon),
      bound_stride_(static_cast<std::int64_t>((horizon + kIssued - 1) / kIssued)),
      lesson_stride_(bound_stride_ * std::max<std::int64_t>(1, static_cast<std::int64_t>(horizon / kLessons) / bound_stride_)),
      non_negative_(non_negative),
      weights_(kExperts),
      regression_(kMembers - 1, 30, 1500) {}

std::array<double, MixtureHorizon::kExperts> MixtureHorizon::shares(const std::array<double, kMembers>& predictions) const {
  std::array<double, kExperts> out{};
  if (!(change_ > 0)) return out;
  for (std::size_t i = 1; i < kMembers; ++i) out[i] = rounded_share(std::clamp((predictions[i] - predictions[0]) / change_, -5.0, 5.0));
  out[kMembers] = rounded_share(std::clamp(regression_.predict(std::span(out).subspan(1, kMembers - 1)), -5.0, 5.0));
  return out;
}

double MixtureHorizon::mean(const std::array<double, kMembers>& predictions) const {
  const double blended = weights_.blend(shares(predictions));
  const double value = predictions[0] + blended * change_;
  return non_negative_ ? std::max(0.0, value) : value;
}

double MixtureHorizon::level_of(double mean, double last, double usual) {
  return std::max({std::abs(mean), std::abs(last), kRestingLevel * usual});
}

double MixtureHorizon::error_scale(double level) const {
  if (errors_ == 0) return kFirstError * level * std::sqrt(static_cast<double>(horizon_));
  return std::max(error_slow_, 0.5 * (error_quick_ + error_slow_)) * level_root(level);
}

void MixtureHorizon::learn(std::int64_t now, double value) {
  conformal_.advance();
  for (; !lessons_open_.empty() && lessons_open_.front().due <= now; lessons_open_.pop_front())
    if (std::isfinite(value)) learn_from(lessons_open_.front(), value);
  for (; !issued_.empty() && issued_.front().due <= now; issued_.pop_front()) {
    if (std::isfinite(value)) {
      resolve(issued_.front(), value);
    } else {
      conformal_.drop();
    }
  }
}

void MixtureHorizon::learn_from(const Lesson& lesson, double value) {
  if (lesson.unit > 0) {
    const double outcome = (value - lesson.base) / lesson.unit;
    const double importance = usual_change_ > 0 ? std::min(lesson.unit / usual_change_, kMostImportance) : 1;
    weights_.learn(lesson.shares, lesson.blended, outcome, importance);
    regression_.learn(std::span(lesson.shares).subspan(1, kMembers - 1), outcome);
  }
  const double change = std::abs(value - lesson.base);
  change_ += share_of(kChangeShare, lessons_) * (change - change_);
  usual_change_ += share_of(kUsualChangeShare, lessons_) * (change - usual_change_);
  ++lessons_;
}

void MixtureHorizon::resolve(const Issued& issued, double value) {
  std::array<bool, Conformal::kLevels.size()> above{};
  for (std::size_t i = 0; i < above.size(); ++i) {
    const double bound = issued.mean + issued.scale * issued.bounds[i];
    above[i] = value > (non_negative_ ? std::max(0.0, bound) : bound);
  }
  const double error = value - issued.mean;
  const double score = issued.scale > 0 ? error / issued.scale : error > 0 ? kUnseenScore : error < 0 ? -kUnseenScore : 0.0;
  conformal_.resolve(score, above, issued.scored);
  const double root = level_root(issued.level > 0 ? issued.level : value);
  const double relative = root > 0 ? std::abs(error) / root : 0;
  error_quick_ += share_of(kQuickShare, errors_) * (relative - error_quick_);
  error_slow_ += share_of(kSlowShare, errors_) * (relative - error_slow_);
  ++errors_;
}

void MixtureHorizon::expect(std::int64_t now, const MemberSet& members) {
  const bool lesson_due = now % lesson_stride_ == 0;
  if (!lesson_due && now % bound_stride_ != 0) return;
  const std::array<double, kMembers> predictions = members.predict(horizon_);
  const std::int64_t due = now + static_cast<std::int64_t>(horizon_);
  if (lesson_due) {
    Lesson& lesson = lessons_open_.emplace_back();
    lesson.due = due;
    lesson.base = rounded_digits(predictions[0]);
    lesson.unit = change_;
    lesson.shares = shares(predictions);
    lesson.blended = rounded_share(weights_.blend(lesson.shares));
  }
  Issued& issued = issued_.emplace_back();
  issued.due = due;
  issued.scored = lesson_due;
  issued.mean = rounded_digits(mean(predictions));
  issued.level = rounded_digits(level_of(issued.mean, predictions[0], members.usual_level()));
  issued.scale = rounded_digits(error_scale(issued.level));
  issued.bounds = conformal_.bounds();
  conformal_.issued();
}

void MixtureHorizon::save(StateWriter& writer) const {
  for (const double value : {change_, usual_change_, error_quick_, error_slow_}) writer.number(value);
  writer.integer(lessons_);
  writer.integer(errors_);
  weights_.save(writer);
  regression_.save(writer);
  conformal_.save(writer);
  writer.integer(static_cast<std::int64_t>(lessons_open_.size()));
  for (const Lesson& lesson : lessons_open_) {
    writer.integer(lesson.due);
    for (const double value : {lesson.base, lesson.unit, lesson.blended}) writer.number(value);
    for (const double value : lesson.shares) writer.number(value);
  }
  writer.integer(static_cast<std::int64_t>(issued_.size()));
  for (const Issued& issued : issued_) {
    writer.integer(issued.due);
    writer.integer(issued.scored ? 1 : 0);
    for (const double value : {issued.mean, issued.level, issued.scale}) writer.number(value);
    for (const double value : issued.bounds) writer.number(value);
  }
}

void MixtureHorizon::restore(StateReader& reader) {
  const auto read = [&reader] {
    const double value = reader.number();
    if (!std::isfinite(value)) reader.reject("a finite number");
    return value;
  };
  const auto count = [&reader](std::size_t most) {
    const std::int64_t value = reader.integer();
    if (value < 0 || value > static_cast<std::int64_t>(most)) reader.reject("a count of open forecasts");
    return reader.ok() ? value : 0;
  };
  for (double* value : {&change_, &usual_change_, &error_quick_, &error_slow_}) *value = read();
  lessons_ = reader.integer();
  errors_ = reader.integer();
  if (lessons_ < 0 || errors_ < 0 || change_ < 0 || usual_change_ < 0 || error_quick_ < 0 || error_slow_ < 0) reader.reject("counts and sizes from 0");
  weights_.restore(reader);
  regression_.restore(reader);
  conformal_.restore(reader);
  lessons_open_.clear();
  for (std::int64_t i = count(2 * kLessons); i > 0 && reader.ok(); --i) {
    Lesson& lesson = lessons_open_.emplace_back();
    lesson.due = reader.integer();
    for (double* value : {&lesson.base, &lesson.unit, &lesson.blended}) *value = read();
    for (double& value : lesson.shares) value = read();
  }
  issued_.clear();
  for (std::int64_t i = count(kIssued + 1); i > 0 && reader.ok(); --i) {
    Issued& issued = issued_.emplace_back();
    issued.due = reader.integer();
    issued.scored = reader.integer() != 0;
    for (double* value : {&issued.mean, &issued.level, &issued.scale}) *value = read();
    for (double& value : issued.bounds) value = read();
  }
}

}  // namespace flexpert::forecast
