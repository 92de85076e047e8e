#include <algorithm>
#include <cmath>
#include <limits>

#include "forecast/holt_winters.h"
#include "forecast/holt_winters_descent.h"

namespace flexpert::forecast {
namespace {

constexpr double kLeastWeight = 0x1.0p-26;
constexpr double kLeastDamping = 0.8;
constexpr double kMostDamping = 0.995;
constexpr double kInside = 1e-4;

/// n values from `from` to `to`, both included.
std::vector<double> spaced(double from, double to, std::size_t n) {
  std::vector<double> out(n, from);
  for (std::size_t i = 1; i < n; ++i) out[i] = from + static_cast<double>(i) * ((to - from) / static_cast<double>(n - 1));
  if (n > 1) out.back() = to;
  return out;
}

/// The sum of squared one-step errors, over plain arrays: it is called some ten thousand times a fit.
class SquaredErrors {
 public:
  SquaredErrors(const SmoothingShape& shape, std::span<const double> values) : shape_(shape), values_(values) {}

  double operator()(const SmoothingParameters& p) {
    double level = p.level;
    double trend = p.trend;
    const double alpha = p.level_weight;
    const double beta = p.trend_weight;
    const double gamma = p.season_weight;
    const double phi = shape_.trend ? p.damping : 0;
    const bool additive = shape_.season == Season::kAdditive;
    const bool seasonal = shape_.season != Season::kNone;
    if (seasonal) season_.assign(p.season.begin(), p.season.end());
    std::size_t at = 0;
    double sse = 0;
    for (double value : values_) {
      const double base = shape_.trend ? level + phi * trend : level;
      const double season = seasonal ? season_[at] : 0;
      const double expected = !seasonal ? base : additive ? base + season : base * season;
      if (std::isnan(value)) {
        value = expected;
      } else {
        sse += (value - expected) * (value - expected);
      }
      const double before = level;
      if (!seasonal) {
        level = alpha * value + (1 - alpha) * base;
      } else if (additive) {
        level = alpha * value - alpha * season + (1 - alpha) * base;
        season_[at] = gamma * value - gamma * base + (1 - gamma) * season;
      } else {
        level = alpha * value / season + (1 - alpha) * base;
        season_[at] = gamma * value / base + (1 - gamma) * season;
      }
      trend = beta * (level - before) + (1 - beta) * phi * trend;
      if (seasonal && ++at == season_.size()) at = 0;
    }
    return sse;
  }

 private:
  const SmoothingShape& shape_;
  std::span<const double> values_;
  std::vector<double> season_;
};

/// Weights within [0, 1]^3 freely: those of the trend as a share of alpha, those of the season as a share of 1 - alpha.
struct Packing {
  const SmoothingShape& shape;

  [[nodiscard]] std::vector<double> pack(const SmoothingParameters& p) const {
    std::vector<double> out = {(p.level_weight - kLeastWeight) / (1 - 2 * kLeastWeight)};
    if (shape.trend) out.push_back(p.trend_weight / p.level_weight);
    if (shape.season != Season::kNone) out.push_back(p.season_weight / (1 - p.level_weight));
    out.push_back(p.level);
    if (shape.trend) out.push_back(p.trend);
    if (shape.damped) out.push_back(p.damping);
    out.insert(out.end(), p.season.begin(), p.season.end());
    return out;
  }

  [[nodiscard]] SmoothingParameters unpack(const std::vector<double>& x) const {
    SmoothingParameters p;
    std::size_t at = 0;
    p.level_weight = kLeastWeight + x[at++] * (1 - 2 * kLeastWeight);
    if (shape.trend) p.trend_weight = x[at++] * p.level_weight;
    if (shape.season != Season::kNone) p.season_weight = x[at++] * (1 - p.level_weight);
    p.level = x[at++];
    if (shape.trend) p.trend = x[at++];
    if (shape.damped) p.damping = x[at++];
    p.season.assign(x.begin() + static_cast<std::ptrdiff_t>(at), x.end());
    return p;
  }

  void bounds(BoxProblem& problem, std::size_t size) const {
    problem.lower.assign(size, -std::numeric_limits<double>::infinity());
    problem.upper.assign(size, std::numeric_limits<double>::infinity());
    const std::size_t weights = 1 + (shape.trend ? 1U : 0U) + (shape.season != Season::kNone ? 1U : 0U);
    for (std::size_t i = 0; i < weights; ++i) {
      problem.lower[i] = 0;
      problem.upper[i] = 1;
    }
    if (shape.season == Season::kMultiplicative) {
      problem.lower[weights] = 0;
      for (std::size_t i = size - shape.period; i < size; ++i) problem.lower[i] = 0;
    }
    if (!shape.damped) return;
    problem.lower[weights + 2] = kLeastDamping;
    problem.upper[weights + 2] = kMostDamping;
  }
};

/// Sets the weights to the best of a grid, its starts and damping as they are; the first of equals.
void search_grid(const SmoothingShape& shape, SquaredErrors& errors, SmoothingParameters& p) {
  const bool seasonal = shape.season != Season::kNone;
  const std::size_t n = 87 / (1 + (shape.trend ? 1U : 0U) + (seasonal ? 1U : 0U));
  SmoothingParameters best = p;
  double least = std::numeric_limits<double>::infinity();
  bool first = true;
  for (const double alpha : spaced(0.005, 0.995, n)) {
    const auto points = [n](double share) { return static_cast<std::size_t>(std::ceil(static_cast<double>(n) * std::sqrt(share))); };
    const std::vector<double> betas = shape.trend ? spaced(0, alpha, points(alpha)) : std::vector<double>{0};
    const std::vector<double> gammas = seasonal ? spaced(0, 1 - alpha, points(1 - alpha)) : std::vector<double>{0};
    for (const double gamma : gammas) {
      for (const double beta : betas) {
        p.level_weight = alpha;
        p.trend_weight = beta;
        p.season_weight = gamma;
        const double sse = errors(p);
        if (!first && !(sse < least)) continue;
        if (sse < least) least = sse;
        first = false;
        best = p;
      }
    }
  }
  p = best;
}

double inside(double value, double lower, double upper) {
  if (value <= lower) return lower + kInside * (upper - lower);
  if (value >= upper) return upper - kInside * (upper - lower);
  return value;
}

}  // namespace

Result<SmoothingFit> fit_smoothing(const SmoothingShape& shape, std::span<const double> values) {
  const bool seasonal = shape.season != Season::kNone;
  const std::size_t least = seasonal ? std::max(2 * shape.period, 10 + 2 * (shape.period / 2)) : 3;
  if (seasonal && shape.period < 2) return fail(ErrorCode::kInvalidArgument, "period: a season has 2 steps at least, not {}", shape.period);
  if (values.size() < least) return fail(ErrorCode::kInvalidArgument, "values: {} of them are too few, {} needed", values.size(), least);
  const std::size_t start = std::min(values.size(), seasonal ? std::max<std::size_t>(5 * shape.period, least) : 10);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i < start && !std::isfinite(values[i])) return fail(ErrorCode::kInvalidArgument, "values: number {} is missing at the start", i);
    if (shape.season == Season::kMultiplicative && values[i] <= 0) {
      return fail(ErrorCode::kInvalidArgument, "values: number {} is {}; a multiplicative season needs values above 0", i, values[i]);
    }
  }
  SquaredErrors errors(shape, values);
  SmoothingParameters p = initial_smoothing(shape, values);
  p.damping = shape.damped ? 0.99 : 1;
  search_grid(shape, errors, p);
  p.level_weight = inside(p.level_weight, 0, 1);
  if (shape.trend) p.trend_weight = inside(p.trend_weight, 0, 1);
  if (seasonal) p.season_weight = inside(p.season_weight, 0, 1);
  const Packing packing{shape};
  BoxProblem problem;
  problem.value = [&](const std::vector<double>& x) { return errors(packing.unpack(x)); };
  const std::vector<double> from = packing.pack(p);
  packing.bounds(problem, from.size());
  return run_smoothing(shape, packing.unpack(descend_in_box(problem, from)), values);
}

}  // namespace flexpert::forecast
