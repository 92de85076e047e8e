#include "forecast/arma_likelihood.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace flexpert::forecast {
namespace {

constexpr double kSettled = 1e-13;
using Row = std::array<double, kMaxArimaLags + 2>;

ArmaErrors unusable(std::size_t count) { return {.squares = std::numeric_limits<double>::infinity(), .log_variances = 0, .count = count}; }

}  // namespace

ArmaErrors exact_errors(const ArmaProcess& process, std::span<const double> series, double mean) {
  const std::size_t r = process.state_size();
  const StateCovariance start = stationary_covariance(process);
  if (!start.valid) return unusable(series.size());
  Row phi{};
  Row theta{};
  std::copy_n(process.ar.at.begin(), process.ar.count, phi.begin());
  theta[0] = 1;
  std::copy_n(process.ma.at.begin(), process.ma.count, theta.begin() + 1);
  std::array<Row, kMaxArimaLags + 2> covariance{};  // the row and column after the last stay 0
  for (std::size_t i = 0; i < r; ++i) std::copy_n(start.at[i].begin(), r, covariance[i].begin());
  Row state{};
  Row gain{};
  double variance = 0;
  double log_variance = 0;
  bool settled = false;
  ArmaErrors out{.squares = 0, .log_variances = 0, .count = series.size()};
  for (const double value : series) {
    if (!settled) {
      variance = covariance[0][0];
      if (!(variance > 0)) return unusable(series.size());
      log_variance = std::log(variance);
      for (std::size_t i = 0; i < r; ++i) gain[i] = phi[i] * variance + covariance[i + 1][0];
      double change = 0;
      const Row first = covariance[0];
      for (std::size_t i = 0; i < r; ++i) {
        for (std::size_t j = i; j < r; ++j) {
          const double next = phi[i] * phi[j] * variance + phi[i] * first[j + 1] + phi[j] * first[i + 1] + covariance[i + 1][j + 1] +
                              theta[i] * theta[j] - gain[i] * gain[j] / variance;
          change = std::max(change, std::abs(next - covariance[i][j]));
          covariance[i][j] = next;
        }
      }
      for (std::size_t i = 0; i < r; ++i) {
        for (std::size_t j = 0; j < i; ++j) covariance[i][j] = covariance[j][i];
        gain[i] /= variance;
      }
      settled = change < kSettled * variance;
    }
    const double error = value - mean - state[0];
    out.squares += error * error / variance;
    out.log_variances += log_variance;
    const double head = state[0];
    for (std::size_t i = 0; i < r; ++i) state[i] = phi[i] * head + state[i + 1] + gain[i] * error;
  }
  return out;
}

ArmaErrors conditional_errors(const ArmaProcess& process, std::span<const double> series, double mean) {
  const std::size_t p = process.ar.count;
  const std::size_t q = process.ma.count;
  std::array<double, kMaxArimaLags + 1> shocks{};  // the latest first
  ArmaErrors out;
  for (std::size_t t = p; t < series.size(); ++t) {
    double error = series[t] - mean;
    for (std::size_t j = 0; j < p; ++j) error -= process.ar.at[j] * (series[t - 1 - j] - mean);
    for (std::size_t j = 0; j < q; ++j) error -= process.ma.at[j] * shocks[j];
    for (std::size_t j = q; j > 1; --j) shocks[j - 1] = shocks[j - 2];
    shocks[0] = error;
    out.squares += error * error;
    ++out.count;
  }
  return out;
}

}  // namespace flexpert::forecast
