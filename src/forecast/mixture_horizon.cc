#include "forecast/mixture_horizon.h"

#include <algorithm>
#include <cmath>

#include "forecast/member_rounding.h"

namespace flexpert::forecast {

namespace {

constexpr std::size_t kFollowed = 6;  // forecasts of one horizon that are followed up at a time, about
constexpr double kChangeShare = 0.03;
constexpr double kQuickShare = 0.12;
constexpr double kSlowShare = 0.02;
constexpr double kFirstError = 0.1;   // of the value, before any error is known

/// Errors of loads grow with the level, less than in proportion.
double level_root(double level) { return std::sqrt(std::abs(level)); }

double share_of(double share, std::int64_t count) { return std::max(share, 1 / static_cast<double>(count + 1)); }

}  // namespace

MixtureHorizon::MixtureHorizon(std::size_t horizon, bool non_negative)
    : horizon_(horizon),
      stride_(static_cast<std::int64_t>(std::max<std::size_t>(1, horizon / kFollowed))),
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

double MixtureHorizon::error_scale(double mean, double last) const {
  if (settled_ == 0) return kFirstError * std::abs(last) * std::sqrt(static_cast<double>(horizon_));
  return std::max(error_slow_, 0.5 * (error_quick_ + error_slow_)) * level_root(std::max(std::abs(mean), std::abs(last)));
}

void MixtureHorizon::learn(std::int64_t now, double value) {
  while (!pending_.empty() && pending_.front().due <= now) {
    if (pending_.front().due == now && std::isfinite(value)) {
      settle(pending_.front(), value);
    } else {
      conformal_.drop();
    }
    pending_.pop_front();
  }
}

void MixtureHorizon::settle(const Pending& pending, double value) {
  if (pending.unit > 0) {
    const double outcome = (value - pending.base) / pending.unit;
    weights_.learn(pending.shares, std::clamp((pending.mean - pending.base) / pending.unit, -1000.0, 1000.0), outcome);
    regression_.learn(std::span(pending.shares).subspan(1, kMembers - 1), outcome);
  }
  std::array<bool, Conformal::kLevels.size()> above{};
  for (std::size_t i = 0; i < above.size(); ++i) {
    const double bound = pending.mean + pending.scale * pending.bounds[i];
    above[i] = value > (non_negative_ ? std::max(0.0, bound) : bound);
  }
  const double error = value - pending.mean;
  conformal_.resolve(pending.scale > 0 ? error / pending.scale : error > 0 ? 3.0 : error < 0 ? -3.0 : 0.0, above);
  const double root = level_root(std::max(std::abs(pending.mean), std::abs(pending.base)));
  const double relative = std::abs(error) / (root > 0 ? root : std::max(1e-6, level_root(value)));
  error_quick_ += share_of(kQuickShare, settled_) * (relative - error_quick_);
  error_slow_ += share_of(kSlowShare, settled_) * (relative - error_slow_);
  change_ += share_of(kChangeShare, settled_) * (std::abs(value - pending.base) - change_);
  ++settled_;
}

void MixtureHorizon::expect(std::int64_t now, const MemberSet& members) {
  if (now % stride_ != 0) return;
  const std::array<double, kMembers> predictions = members.predict(horizon_);
  Pending& pending = pending_.emplace_back();
  pending.due = now + static_cast<std::int64_t>(horizon_);
  pending.base = predictions[0];
  pending.unit = change_;
  pending.shares = shares(predictions);
  pending.mean = mean(predictions);
  pending.scale = error_scale(pending.mean, pending.base);
  pending.bounds = conformal_.bounds();
  conformal_.issued();
}

void MixtureHorizon::save(StateWriter& writer) const {
  for (const double value : {change_, error_quick_, error_slow_}) writer.number(value);
  writer.integer(settled_);
  weights_.save(writer);
  regression_.save(writer);
  conformal_.save(writer);
  writer.integer(static_cast<std::int64_t>(pending_.size()));
  for (const Pending& pending : pending_) {
    writer.integer(pending.due);
    for (const double value : {pending.base, pending.unit, pending.mean, pending.scale}) writer.number(value);
    for (const double value : pending.shares) writer.number(value);
    for (const double value : pending.bounds) writer.number(value);
  }
}

void MixtureHorizon::restore(StateReader& reader) {
  const auto read = [&reader] {
    const double value = reader.number();
    if (!std::isfinite(value)) reader.reject("a finite number");
    return value;
  };
  change_ = read();
  error_quick_ = read();
  error_slow_ = read();
  settled_ = reader.integer();
  if (settled_ < 0 || change_ < 0 || error_quick_ < 0 || error_slow_ < 0) reader.reject("counts and sizes that are not negative");
  weights_.restore(reader);
  regression_.restore(reader);
  conformal_.restore(reader);
  const std::int64_t count = reader.integer();
  if (count < 0 || count > static_cast<std::int64_t>(2 * kFollowed)) reader.reject("a count of forecasts to follow up");
  pending_.clear();
  for (std::int64_t i = 0; reader.ok() && i < count; ++i) {
    Pending& pending = pending_.emplace_back();
    pending.due = reader.integer();
    for (double* value : {&pending.base, &pending.unit, &pending.mean, &pending.scale}) *value = read();
    for (double& value : pending.shares) value = read();
    for (double& value : pending.bounds) value = read();
  }
}

}  // namespace flexpert::forecast
