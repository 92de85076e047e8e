#include "forecast/member_set.h"

#include <algorithm>
#include <cmath>

namespace flexpert::forecast {

namespace {

constexpr double kDay = 86400;
constexpr std::array kSmoothingShares = {0.6, 0.25};
constexpr double kQuickAlpha = 0.7, kQuickBeta = 0.3, kQuickDamping = 0.8;
constexpr double kSlowAlpha = 0.4, kSlowBeta = 0.05, kSlowDamping = 0.97;
constexpr double kAboveShare = 0.5;   // of the newest difference from yesterday
constexpr double kRatioShare = 0.4;   // of the newest value in a ratio of levels
constexpr double kMostRatio = 20;     // a shape is not blown up by more
constexpr double kChangeShare = 0.05;
constexpr double kUsualShare = 0.005;
constexpr double kMostChange = 8;     // changes beyond count as this many usual ones
constexpr std::size_t kPath = 48;     // steps after which an autoregression on changes has settled

double finite(double value, double otherwise) { return std::isfinite(value) ? value : otherwise; }

}  // namespace

void MemberSet::Holt::observe(double value, double alpha, double beta, double damping) {
  const double expected = level + damping * trend;
  const double before = level;
  level = expected + alpha * (value - expected);
  trend = beta * (level - before) + (1 - beta) * damping * trend;
}

double MemberSet::Holt::predict(std::size_t horizon, double damping) const {
  return level + trend * damping * (1 - std::pow(damping, static_cast<double>(horizon))) / (1 - damping);
}

void MemberSet::Ratio::observe(double value, double expected, double share) {
  const double known = shape == 0 && values == 0 ? 1 : share;
  values += known * (value - values);
  shape += known * (expected - shape);
}

MemberSet::MemberSet(double step_s)
    : autoregression_(kLags, 20, 1000),
      yesterday_(step_s, kDay, 600, 1),
      day_(step_s, kDay, 600, 0.4),
      week_(step_s, 7 * kDay, 1800, 0.7) {}

void MemberSet::start(double value) {
  seen_ = true;
  last_ = value;
  usual_level_ = std::abs(value);
  smooth_.fill(value);
  quick_ = {value, 0};
  slow_ = {value, 0};
}

void MemberSet::observe(double value) {
  ++index_;
  if (!seen_) start(value);
  usual_level_ += std::max(kUsualShare, 1 / static_cast<double>(index_ + 1)) * (std::abs(value) - usual_level_);
  const double change = value - last_;
  if (change_scale_ > 0) {
    std::array<double, kLags> features{};
    for (std::size_t i = 0; i < kLags; ++i) features[i] = std::clamp(changes_[i] / change_scale_, -kMostChange, kMostChange);
    autoregression_.learn(features, change / change_scale_);
  }
  change_scale_ = change_scale_ > 0 ? change_scale_ + kChangeShare * (std::abs(change) - change_scale_) : std::abs(change);
  std::copy_backward(changes_.begin(), changes_.end() - 1, changes_.end());
  changes_[0] = change;
  for (std::size_t i = 0; i < kSmoothings; ++i) smooth_[i] += kSmoothingShares[i] * (value - smooth_[i]);
  quick_.observe(value, kQuickAlpha, kQuickBeta, kQuickDamping);
  slow_.observe(value, kSlowAlpha, kSlowBeta, kSlowDamping);
  yesterday_.observe(index_, value);
  day_.observe(index_, value);
  week_.observe(index_, value);
  if (const auto expected = yesterday_.at(index_)) {
    above_yesterday_ += (knows_yesterday_ ? kAboveShare : 1.0) * (value - *expected - above_yesterday_);
    knows_yesterday_ = true;
  }
  if (const auto expected = day_.at(index_)) day_ratio_.observe(value, *expected, kRatioShare);
  if (const auto expected = week_.at(index_)) week_ratio_.observe(value, *expected, kRatioShare);
  last_ = value;
}

void MemberSet::skip() {
  ++index_;
  std::copy_backward(changes_.begin(), changes_.end() - 1, changes_.end());
  changes_[0] = 0;
}

double MemberSet::autoregression(std::size_t horizon) const {
  if (!(change_scale_ > 0)) return last_;
  std::array<double, kLags> features{};
  for (std::size_t i = 0; i < kLags; ++i) features[i] = std::clamp(changes_[i] / change_scale_, -kMostChange, kMostChange);
  double sum = 0;
  for (std::size_t step = 0; step < std::min(horizon, kPath); ++step) {
    const double next = std::clamp(autoregression_.predict(features), -kMostChange, kMostChange);
    sum += next;
    std::copy_backward(features.begin(), features.end() - 1, features.end());
    features[0] = next;
  }
  return last_ + sum * change_scale_;
}

double MemberSet::scaled_shape(const MemberSeason& season, const Ratio& ratio, std::size_t horizon) const {
  const auto then = season.at(index_ + static_cast<std::int64_t>(horizon));
  if (!then || !(std::abs(ratio.shape) > 0)) return last_;
  return *then * std::clamp(ratio.values / ratio.shape, -kMostRatio, kMostRatio);
}

std::array<double, kMembers> MemberSet::predict(std::size_t horizon) const {
  const auto then = knows_yesterday_ ? yesterday_.at(index_ + static_cast<std::int64_t>(horizon)) : std::nullopt;
  std::array<double, kMembers> out = {last_,
                                      smooth_[0],
                                      smooth_[1],
                                      quick_.predict(horizon, kQuickDamping),
                                      slow_.predict(horizon, kSlowDamping),
                                      autoregression(horizon),
                                      then ? *then + above_yesterday_ : last_,
                                      scaled_shape(day_, day_ratio_, horizon),
                                      scaled_shape(week_, week_ratio_, horizon)};
  for (double& value : out) value = finite(value, last_);
  return out;
}

void MemberSet::save(StateWriter& writer) const {
  writer.integer(index_);
  writer.integer(seen_ ? 1 : 0);
  writer.integer(knows_yesterday_ ? 1 : 0);
  for (const double value : {last_, usual_level_, quick_.level, quick_.trend, slow_.level, slow_.trend, change_scale_, above_yesterday_,
                             day_ratio_.values, day_ratio_.shape, week_ratio_.values, week_ratio_.shape})
    writer.number(value);
  for (const double value : smooth_) writer.number(value);
  for (const double value : changes_) writer.number(value);
  autoregression_.save(writer);
  yesterday_.save(writer);
  day_.save(writer);
  week_.save(writer);
}

void MemberSet::restore(StateReader& reader) {
  index_ = reader.integer();
  if (index_ < -1 || index_ > (std::int64_t{1} << 52)) reader.reject("a count of steps");
  seen_ = reader.integer() != 0;
  knows_yesterday_ = reader.integer() != 0;
  const auto read = [&reader](double& value) {
    value = reader.number();
    if (!std::isfinite(value)) reader.reject("a finite number");
  };
  for (double* value : {&last_, &usual_level_, &quick_.level, &quick_.trend, &slow_.level, &slow_.trend, &change_scale_, &above_yesterday_,
                        &day_ratio_.values, &day_ratio_.shape, &week_ratio_.values, &week_ratio_.shape})
    read(*value);
  for (double& value : smooth_) read(value);
  for (double& value : changes_) read(value);
  autoregression_.restore(reader);
  yesterday_.restore(reader);
  day_.restore(reader);
  week_.restore(reader);
}

}  // namespace flexpert::forecast
