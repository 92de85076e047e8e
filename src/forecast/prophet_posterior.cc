#include "forecast/prophet_posterior.h"

#include <algorithm>
#include <cmath>

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include "forecast/prophet_descent.h"

namespace flexpert::forecast {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr double kTrendPrior = 5;
constexpr double kChangePrior = 0.05;
constexpr double kSeasonPrior = 10;
constexpr double kLeastSigma = 1e-9;
constexpr int kRounds = 200;
constexpr double kConverged = 1e-9;  // relative change of the noise

/// Minimises x'Gx/2 - c'x + lambda * sum of |x_j| over the penalised j.
class FeatureSignSearch {
 public:
  FeatureSignSearch(const MatrixXd& quadratic, const VectorXd& linear, double lambda, Eigen::Index first, Eigen::Index last)
      : quadratic_(quadratic), linear_(linear), lambda_(lambda), first_(first), last_(last) {}

  /// Starts from `x`, where most signs are right already.
  void run(VectorXd& x) const {
    const auto n = x.size();
    VectorXd sign = VectorXd::Zero(n);
    for (Eigen::Index j = first_; j < last_; ++j) sign(j) = x(j) > 0 ? 1 : x(j) < 0 ? -1 : 0;
    for (Eigen::Index step = 0; step < 10 * n; ++step) {
      settle(x, sign);
      const VectorXd slope = quadratic_ * x - linear_;
      Eigen::Index enters = -1;
      double steepest = lambda_ * (1 + 1e-10);
      for (Eigen::Index j = first_; j < last_; ++j) {
        if (sign(j) != 0 || std::abs(slope(j)) <= steepest) continue;
        steepest = std::abs(slope(j));
        enters = j;
      }
      if (enters < 0) return;
      sign(enters) = slope(enters) > 0 ? -1 : 1;
    }
  }

 private:
  [[nodiscard]] bool penalised(Eigen::Index j) const { return j >= first_ && j < last_; }

  [[nodiscard]] double objective(const VectorXd& x) const {
    double out = 0.5 * x.dot(quadratic_ * x) - linear_.dot(x);
    for (Eigen::Index j = first_; j < last_; ++j) out += lambda_ * std::abs(x(j));
    return out;
  }

  /// Moves to the minimum over the features in use, dropping those that reach 0 on the way.
  void settle(VectorXd& x, VectorXd& sign) const {
    for (Eigen::Index round = 0; round < 3 * x.size(); ++round) {
      std::vector<Eigen::Index> used;
      for (Eigen::Index j = 0; j < x.size(); ++j) {
        if (!penalised(j) || sign(j) != 0) used.push_back(j);
      }
      const auto size = static_cast<Eigen::Index>(used.size());
      MatrixXd inner(size, size);
      VectorXd right(size);
      for (Eigen::Index a = 0; a < size; ++a) {
        const Eigen::Index i = used[static_cast<std::size_t>(a)];
        right(a) = linear_(i) - lambda_ * sign(i);
        for (Eigen::Index b = 0; b < size; ++b) inner(a, b) = quadratic_(i, used[static_cast<std::size_t>(b)]);
      }
      const VectorXd solved = inner.llt().solve(right);
      VectorXd target = VectorXd::Zero(x.size());
      for (Eigen::Index a = 0; a < size; ++a) target(used[static_cast<std::size_t>(a)]) = solved(a);
      if (!target.allFinite()) return;

      std::vector<double> crossings;
      for (const Eigen::Index j : used) {
        if (penalised(j) && sign(j) * target(j) < 0 && x(j) != target(j)) crossings.push_back(x(j) / (x(j) - target(j)));
      }
      if (crossings.empty()) {
        x = target;
        return;
      }
      crossings.push_back(1);
      VectorXd best = x;
      double least = HUGE_VAL;
      for (const double share : crossings) {
        VectorXd candidate = x + share * (target - x);
        for (const Eigen::Index j : used) {
          if (penalised(j) && std::abs(candidate(j)) < 1e-15) candidate(j) = 0;
        }
        const double value = objective(candidate);
        if (!(value < least)) continue;
        least = value;
        best = candidate;
      }
      x = best;
      for (Eigen::Index j = first_; j < last_; ++j) sign(j) = x(j) > 0 ? 1 : x(j) < 0 ? -1 : 0;
    }
  }

  const MatrixXd& quadratic_;
  const VectorXd& linear_;
  double lambda_;
  Eigen::Index first_;
  Eigen::Index last_;
};

}  // namespace

ProphetPosterior::Mode ProphetPosterior::maximise(std::span<const double> values, std::size_t changes) const {
  const auto rows = static_cast<Eigen::Index>(values.size());
  const auto width = static_cast<Eigen::Index>(features_);
  const Eigen::Map<const RowMajor> features(matrix_.data(), rows, width);
  const Eigen::Map<const VectorXd> y(values.data(), rows);
  MatrixXd gram(width, width);
  gram.setZero();
  gram.selfadjointView<Eigen::Lower>().rankUpdate(features.transpose());
  gram.triangularView<Eigen::StrictlyUpper>() = gram.transpose();
  const VectorXd against = features.transpose() * y;
  const auto first = Eigen::Index{2};
  const auto last = first + static_cast<Eigen::Index>(changes);
  VectorXd precision(width);
  for (Eigen::Index j = 0; j < width; ++j) {
    precision(j) = j < first ? 1 / (kTrendPrior * kTrendPrior) : j < last ? 0 : 1 / (kSeasonPrior * kSeasonPrior);
  }

  const auto n = static_cast<double>(rows);
  VectorXd weights = VectorXd::Zero(width);
  double sigma = 0.1;
  for (int round = 0; round < kRounds; ++round) {
    const double variance = sigma * sigma;
    MatrixXd quadratic = gram;
    quadratic.diagonal() += variance * precision;
    quadratic.diagonal().array() += 1e-13;
    FeatureSignSearch(quadratic, against, variance / kChangePrior, first, last).run(weights);
    const double squares = (y - features * weights).squaredNorm();
    // d/d sigma of n log sigma + squares / (2 sigma^2) + 2 sigma^2 is 0.
    const double next = std::max(kLeastSigma, std::sqrt(2 * squares / (n + std::sqrt(n * n + 16 * squares))));
    const bool done = std::abs(next - sigma) <= kConverged * sigma;
    sigma = next;
    if (done) break;
  }
  return {std::vector<double>(weights.begin(), weights.end()), sigma};
}

ProphetPosterior::Mode ProphetPosterior::descend(std::span<const double> values, std::size_t changes) const {
  const auto rows = static_cast<Eigen::Index>(values.size());
  const auto width = static_cast<Eigen::Index>(features_);
  const MatrixXd features = Eigen::Map<const RowMajor>(matrix_.data(), rows, width);
  const Eigen::Map<const VectorXd> y(values.data(), rows);
  const auto n = static_cast<double>(rows);
  const auto first = Eigen::Index{2};
  const auto last = first + static_cast<Eigen::Index>(changes);
  // The negative log posterior over the weights and the logarithm of the noise.
  const Slope slope = [&](const VectorXd& x, VectorXd& gradient) {
    const double log_sigma = x(width);
    const double variance = std::exp(2 * log_sigma);
    const VectorXd residual = y - features * x.head(width);
    const double squares = residual.squaredNorm();
    double out = n * log_sigma + squares / (2 * variance) + 2 * variance;
    gradient.resize(width + 1);
    gradient.head(width) = -(features.transpose() * residual) / variance;
    for (Eigen::Index j = 0; j < width; ++j) {
      if (j >= first && j < last) {
        out += std::abs(x(j)) / kChangePrior;
        gradient(j) += (x(j) > 0 ? 1 : x(j) < 0 ? -1 : 0) / kChangePrior;
      } else {
        const double prior = j < first ? kTrendPrior : kSeasonPrior;
        out += x(j) * x(j) / (2 * prior * prior);
        gradient(j) += x(j) / (prior * prior);
      }
    }
    gradient(width) = n - squares / variance + 4 * variance;
    return out;
  };
  VectorXd start = VectorXd::Zero(width + 1);
  start(0) = values.back() - values.front();
  start(1) = values.front();
  const VectorXd found = descend_like_stan(slope, start);
  return {std::vector<double>(found.begin(), found.end() - 1), std::exp(found(width))};
}

}  // namespace flexpert::forecast
