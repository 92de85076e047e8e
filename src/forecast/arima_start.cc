#include "forecast/arima_start.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <Eigen/Dense>

namespace flexpert::forecast {
namespace {

constexpr double kLeastNoise = 1e-10;

/// The least-squares answer of the smallest size: equal columns share their weight.
Eigen::VectorXd solve_least_squares(const Eigen::MatrixXd& columns, const Eigen::VectorXd& target) {
  if (columns.rows() == 0 || columns.cols() == 0) return Eigen::VectorXd::Zero(columns.cols());
  Eigen::CompleteOrthogonalDecomposition<Eigen::MatrixXd> decomposition;
  decomposition.setThreshold(1e-14);
  decomposition.compute(columns);
  return decomposition.solve(target);
}

double at_or_zero(const Eigen::VectorXd& values, Eigen::Index index) { return index >= 0 && index < values.size() ? values[index] : 0.0; }

double variance_of(std::span<const double> series) {
  if (series.empty()) return 1;
  const double mean = std::accumulate(series.begin(), series.end(), 0.0) / static_cast<double>(series.size());
  double sum = 0;
  for (const double value : series) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(series.size());
}

}  // namespace

ArmaStart regress_arma(std::span<const double> series, std::size_t p, std::size_t q) {
  ArmaStart start;
  start.process.ar.count = p;
  start.process.ma.count = q;
  start.noise = std::max(variance_of(series), kLeastNoise);
  const std::size_t longer = 2 * q;
  const std::size_t first = std::max(longer + q, p);
  if (p + q == 0) {
    const double squares = std::inner_product(series.begin(), series.end(), series.begin(), 0.0);
    start.noise = series.empty() ? 1.0 : std::max(squares / static_cast<double>(series.size()), kLeastNoise);
    return start;
  }
  if (series.size() <= first) return start;
  const Eigen::Map<const Eigen::VectorXd> y(series.data(), static_cast<Eigen::Index>(series.size()));
  Eigen::VectorXd shocks;
  if (q > 0) {
    const auto k = static_cast<Eigen::Index>(longer);
    Eigen::MatrixXd past(y.size() - k, k);
    for (Eigen::Index lag = 1; lag <= k; ++lag) past.col(lag - 1) = y.segment(k - lag, y.size() - k);
    shocks = y.tail(y.size() - k) - past * solve_least_squares(past, y.tail(y.size() - k));
  }
  const auto r = static_cast<Eigen::Index>(first);
  const Eigen::Index rows = y.size() - r;
  Eigen::MatrixXd columns(rows, static_cast<Eigen::Index>(p + q));
  for (Eigen::Index row = 0; row < rows; ++row) {
    for (std::size_t lag = 1; lag <= p; ++lag) {
      columns(row, static_cast<Eigen::Index>(lag - 1)) = at_or_zero(y, r + row - static_cast<Eigen::Index>(lag));
    }
    for (std::size_t lag = 1; lag <= q; ++lag) {
      const Eigen::Index at = r + row - static_cast<Eigen::Index>(longer + lag);
      columns(row, static_cast<Eigen::Index>(p + lag - 1)) = at_or_zero(shocks, at);
    }
  }
  const Eigen::VectorXd weights = solve_least_squares(columns, y.tail(rows));
  const Eigen::VectorXd left = y.tail(rows) - columns * weights;
  if (!weights.allFinite()) return start;
  for (std::size_t i = 0; i < p; ++i) start.process.ar.at[i] = weights[static_cast<Eigen::Index>(i)];
  for (std::size_t i = 0; i < q; ++i) start.process.ma.at[i] = weights[static_cast<Eigen::Index>(p + i)];
  constexpr double kRadius = 1 + 1e-10;
  Lags negated = start.process.ma;
  for (double& weight : negated.at) weight = -weight;
  if (!roots_beyond(start.process.ar, kRadius)) start.process.ar.at.fill(0);
  if (!roots_beyond(negated, kRadius)) start.process.ma.at.fill(0);
  if (rows > static_cast<Eigen::Index>(std::max<std::size_t>(1, q))) {
    const auto counted = rows - static_cast<Eigen::Index>(q);
    start.noise = std::max(left.tail(counted).squaredNorm() / static_cast<double>(counted), kLeastNoise);
  }
  return start;
}

}  // namespace flexpert::forecast
