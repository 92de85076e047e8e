#include "forecast/prophet_posterior.h"

#include <algorithm>
#include <cmath>

#include <Eigen/Core>

#include "forecast/prophet_descent.h"
#include "forecast/prophet_sign_search.h"

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
    search_feature_signs(quadratic, against, {variance / kChangePrior, first, last}, weights);
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
