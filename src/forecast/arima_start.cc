#include "forecast/arima_start.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace flexpert::forecast {
namespace {

constexpr double kLeastNoise = 1e-10;
constexpr double kSingular = 1e-14;  // of the largest singular value
constexpr int kMostSweeps = 60;

using Column = std::vector<double>;

double dot(const Column& a, const Column& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

void rotate(Column& a, Column& b, double cosine, double sine) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double kept = a[i];
    a[i] = cosine * kept - sine * b[i];
    b[i] = sine * kept + cosine * b[i];
  }
}

/// The least-squares answer of the smallest size, so that equal columns share their weight: by the singular values, which
/// rotations that make all columns orthogonal leave as their lengths (Hestenes 1958).
Column solve_least_squares(std::vector<Column> columns, const Column& target) {
  const std::size_t n = columns.size();
  std::vector<Column> turns(n, Column(n, 0.0));
  for (std::size_t i = 0; i < n; ++i) turns[i][i] = 1;
  bool turned = true;
  for (int sweep = 0; sweep < kMostSweeps && turned; ++sweep) {
    turned = false;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = i + 1; j < n; ++j) {
        const double product = dot(columns[i], columns[j]);
        const double a = dot(columns[i], columns[i]);
        const double b = dot(columns[j], columns[j]);
        if (!(std::abs(product) > 1e-16 * std::sqrt(a * b))) continue;
        turned = true;
        const double slope = (b - a) / (2 * product);
        const double tangent = std::copysign(1.0, slope) / (std::abs(slope) + std::sqrt(1 + slope * slope));
        const double cosine = 1 / std::sqrt(1 + tangent * tangent);
        rotate(columns[i], columns[j], cosine, cosine * tangent);
        rotate(turns[i], turns[j], cosine, cosine * tangent);
      }
    }
  }
  double largest = 0;
  for (const Column& column : columns) largest = std::max(largest, dot(column, column));
  Column answer(n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    const double square = dot(columns[i], columns[i]);
    if (!(square > kSingular * kSingular * largest)) continue;
    const double weight = dot(columns[i], target) / square;
    for (std::size_t k = 0; k < n; ++k) answer[k] += weight * turns[i][k];
  }
  return answer;
}

/// What the columns do not explain of the target.
Column residual_of(const std::vector<Column>& columns, const Column& weights, Column target) {
  for (std::size_t k = 0; k < columns.size(); ++k) {
    for (std::size_t i = 0; i < target.size(); ++i) target[i] -= weights[k] * columns[k][i];
  }
  return target;
}

/// The values of `series` from `first` - `lag` on, as many as there are from `first` on to `end`; 0 before its start.
Column lagged(std::span<const double> series, std::size_t first, std::size_t end, std::size_t lag) {
  Column out(end - first, 0.0);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (first + i >= lag) out[i] = series[first + i - lag];
  }
  return out;
}

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
  const std::size_t n = series.size();
  const std::size_t longer = 2 * q;
  const std::size_t first = std::max(longer + q, p);
  if (p + q == 0) {
    const double squares = std::inner_product(series.begin(), series.end(), series.begin(), 0.0);
    start.noise = series.empty() ? 1.0 : std::max(squares / static_cast<double>(n), kLeastNoise);
    return start;
  }
  if (n <= first) return start;
  Column shocks;  // of the values from `longer` on
  if (q > 0) {
    std::vector<Column> past;
    for (std::size_t lag = 1; lag <= longer; ++lag) past.push_back(lagged(series, longer, n, lag));
    const Column target = lagged(series, longer, n, 0);
    shocks = residual_of(past, solve_least_squares(past, target), target);
  }
  std::vector<Column> columns;
  for (std::size_t lag = 1; lag <= p; ++lag) columns.push_back(lagged(series, first, n, lag));
  for (std::size_t lag = 1; lag <= q; ++lag) columns.push_back(lagged(shocks, first - longer, n - longer, lag));
  const Column target = lagged(series, first, n, 0);
  const Column weights = solve_least_squares(columns, target);
  if (!std::all_of(weights.begin(), weights.end(), [](double weight) { return std::isfinite(weight); })) return start;
  std::copy_n(weights.begin(), p, start.process.ar.at.begin());
  std::copy_n(weights.begin() + static_cast<std::ptrdiff_t>(p), q, start.process.ma.at.begin());
  constexpr double kRadius = 1 + 1e-10;
  Lags negated = start.process.ma;
  for (double& weight : negated.at) weight = -weight;
  if (!roots_beyond(start.process.ar, kRadius)) start.process.ar.at.fill(0);
  if (!roots_beyond(negated, kRadius)) start.process.ma.at.fill(0);
  const Column left = residual_of(columns, weights, target);
  if (left.size() <= std::max<std::size_t>(1, q)) return start;
  double squares = 0;
  for (std::size_t i = q; i < left.size(); ++i) squares += left[i] * left[i];
  start.noise = std::max(squares / static_cast<double>(left.size() - q), kLeastNoise);
  return start;
}

}  // namespace flexpert::forecast
