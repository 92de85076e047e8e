#include "forecast/conformal.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "forecast/member_rounding.h"

namespace flexpert::forecast {

namespace {

constexpr std::size_t kScores = 100;
constexpr double kGain = 1.1;        // logits of level for one miss too many
constexpr double kMostExcess = 200;  // misses at long horizons come many at a time
constexpr double kMostSpare = 12;    // a series at rest lies below any bound: that is no reason for low ones later
constexpr double kMostShift = 10;
constexpr double kTail = 0.6;        // scores for each logit beyond the largest
constexpr double kLargestScore = 6;  // beyond it the growing usual error widens the bounds, not the score as well
constexpr std::size_t kMostOutstanding = 90;

// What errors look like before any is known: quantiles of a Laplace distribution of mean absolute value 1.
constexpr std::array kPrior = {-2.3, -1.2, -0.7, -0.35, 0.0, 0.35, 0.7, 1.2, 2.3};

double logit(double p) { return std::log(p / (1 - p)); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

std::vector<double> Conformal::sorted_scores() const {
  std::vector<double> sorted = scores_;
  const std::size_t prior = scores_.size() >= 4 * kPrior.size() ? 0 : kPrior.size() - scores_.size() / 4;
  // The middle of the prior goes last: its tails are what few scores cannot tell.
  for (std::size_t i = 0; i < prior; ++i) sorted.push_back(kPrior[i % 2 == 0 ? i / 2 : kPrior.size() - 1 - i / 2]);
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

double Conformal::score_at(double odds, const std::vector<double>& sorted) const {
  const double n = static_cast<double>(sorted.size());
  const double place = logistic(odds) * (n + 1) - 1;
  if (place <= 0) return sorted.front() + kTail * std::min(0.0, odds - logit(1 / (n + 1)));
  if (place >= n - 1) return sorted.back() + kTail * std::max(0.0, odds - logit(n / (n + 1)));
  const auto low = static_cast<std::size_t>(place);
  return sorted[low] + (place - static_cast<double>(low)) * (sorted[low + 1] - sorted[low]);
}

double Conformal::steering(std::size_t level) const {
  double excess = excess_[level];
  const std::size_t before = expected_.size() - (issued_now_ ? 1 : 0);
  for (std::size_t i = 0; i < before; ++i) excess += expected_[i][level];
  return std::clamp(kGain * excess, -kMostShift, kMostShift);
}

double Conformal::steered(double level) const {
  const auto above = static_cast<std::size_t>(std::upper_bound(kLevels.begin(), kLevels.end(), level) - kLevels.begin());
  double shift = 0;
  if (above == 0) {
    shift = steering(0);
  } else if (above == kLevels.size()) {
    shift = steering(kLevels.size() - 1);
  } else {
    const double share = (level - kLevels[above - 1]) / (kLevels[above] - kLevels[above - 1]);
    shift = (1 - share) * steering(above - 1) + share * steering(above);
  }
  return logit(std::clamp(level, 1e-6, 1 - 1e-6)) + shift;
}

std::vector<double> Conformal::bounds(std::span<const double> levels) const {
  const std::vector<double> sorted = sorted_scores();
  std::vector<double> out;
  for (const double level : levels) {
    const double score = rounded_share(score_at(steered(level), sorted));
    out.push_back(out.empty() ? score : std::max(score, out.back()));
  }
  return out;
}

Conformal::Bounds Conformal::bounds() const {
  const std::vector<double> all = bounds(kLevels);
  Bounds out{};
  std::copy(all.begin(), all.end(), out.begin());
  return out;
}

void Conformal::issued() {
  if (expected_.size() == kMostOutstanding) drop();
  Bounds expected{};
  for (std::size_t i = 0; i < kLevels.size(); ++i) expected[i] = rounded_share(kLevels[i] - logistic(steered(kLevels[i])));
  expected_.push_back(expected);
  issued_now_ = true;
}

void Conformal::drop() {
  if (expected_.empty()) return;
  expected_.erase(expected_.begin());
  if (expected_.empty()) issued_now_ = false;
}

void Conformal::resolve(double score, const std::array<bool, kLevels.size()>& above, bool keep) {
  drop();
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    const double now = excess_[i] + (above[i] ? 1.0 : 0.0) - (1 - kLevels[i]);
    const bool upper = kLevels[i] >= 0.5;
    excess_[i] = rounded_share(std::clamp(now, upper ? -kMostSpare : -kMostExcess, upper ? kMostExcess : kMostSpare));
  }
  if (!keep) return;
  const double kept = rounded_share(std::clamp(score, -kLargestScore, kLargestScore));
  if (scores_.size() < kScores) {
    scores_.push_back(kept);
  } else {
    scores_[next_] = kept;
    next_ = (next_ + 1) % kScores;
  }
}

void Conformal::save(StateWriter& writer) const {
  writer.numbers(scores_);
  writer.integer(static_cast<std::int64_t>(next_));
  for (const double value : excess_) writer.number(value);
  writer.integer(issued_now_ ? 1 : 0);
  writer.integer(static_cast<std::int64_t>(expected_.size()));
  for (const Bounds& expected : expected_)
    for (const double value : expected) writer.number(value);
}

void Conformal::restore(StateReader& reader) {
  const auto finite = [&reader](double value) {
    if (!std::isfinite(value)) reader.reject("a finite number");
    return value;
  };
  scores_ = reader.numbers();
  for (const double score : scores_) finite(score);
  const std::int64_t next = reader.integer();
  if (scores_.size() > kScores || next < 0 || next >= static_cast<std::int64_t>(kScores)) reader.reject("scores and a place among them");
  next_ = static_cast<std::size_t>(next);
  for (double& value : excess_) value = finite(reader.number());
  issued_now_ = reader.integer() != 0;
  const std::int64_t outstanding = reader.integer();
  if (issued_now_ && outstanding == 0) reader.reject("bounds that were issued");
  if (outstanding < 0 || outstanding > static_cast<std::int64_t>(kMostOutstanding)) reader.reject("a count of outstanding bounds");
  expected_.clear();
  for (std::int64_t i = 0; reader.ok() && i < outstanding; ++i)
    for (double& value : expected_.emplace_back()) value = finite(reader.number());
}

}  // namespace flexpert::forecast
