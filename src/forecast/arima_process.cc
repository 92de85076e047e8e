#include "forecast/arima_process.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <utility>

namespace flexpert::forecast {
namespace {

using Complex = std::complex<double>;
constexpr std::size_t kEquations = kMaxArimaLags + 1;

/// The roots of 1 + c_1 z + ... + c_n z^n, c_n not 0, by Durand and Kerner's iteration on the reversed polynomial.
std::array<Complex, kMaxArimaLags> roots_of(const Lags& lags) {
  const std::size_t n = lags.count;
  std::array<Complex, kMaxArimaLags> inverse;
  for (std::size_t i = 0; i < n; ++i) inverse[i] = std::pow(Complex(0.4, 0.9), static_cast<double>(i));
  for (int iteration = 0; iteration < 500; ++iteration) {
    double moved = 0;
    for (std::size_t i = 0; i < n; ++i) {
      Complex value = 1;
      for (std::size_t k = 0; k < n; ++k) value = value * inverse[i] + lags.at[k];
      Complex product = 1;
      for (std::size_t k = 0; k < n; ++k) {
        if (k != i) product *= inverse[i] - inverse[k];
      }
      if (std::abs(product) < 1e-300) product = 1e-300;
      const Complex step = value / product;
      inverse[i] -= step;
      moved = std::max(moved, std::abs(step));
    }
    if (moved < 1e-14) break;
  }
  for (std::size_t i = 0; i < n; ++i) inverse[i] = 1.0 / inverse[i];
  return inverse;
}

/// Solves the first `n` equations by elimination with pivots; false where there is no unique answer.
bool solve(std::array<std::array<double, kEquations>, kEquations>& a, std::array<double, kEquations>& b, std::size_t n) {
  for (std::size_t column = 0; column < n; ++column) {
    std::size_t pivot = column;
    for (std::size_t row = column + 1; row < n; ++row) {
      if (std::abs(a[row][column]) > std::abs(a[pivot][column])) pivot = row;
    }
    if (!(std::abs(a[pivot][column]) > 1e-300)) return false;
    std::swap(a[pivot], a[column]);
    std::swap(b[pivot], b[column]);
    for (std::size_t row = column + 1; row < n; ++row) {
      const double factor = a[row][column] / a[column][column];
      for (std::size_t k = column; k < n; ++k) a[row][k] -= factor * a[column][k];
      b[row] -= factor * b[column];
    }
  }
  for (std::size_t row = n; row-- > 0;) {
    for (std::size_t k = row + 1; k < n; ++k) b[row] -= a[row][k] * b[k];
    b[row] /= a[row][row];
  }
  return true;
}

}  // namespace

Lags Lags::of(std::span<const double> values) {
  Lags out;
  out.count = std::min(values.size(), kMaxArimaLags);
  std::copy_n(values.begin(), out.count, out.at.begin());
  return out;
}

Lags lags_from_partials(const Lags& partials) {
  Lags lags = partials;
  for (std::size_t k = 1; k < partials.count; ++k) {
    const Lags before = lags;
    for (std::size_t i = 0; i < k; ++i) lags.at[i] = before.at[i] - partials.at[k] * before.at[k - 1 - i];
  }
  return lags;
}

Lags partials_from_lags(const Lags& lags) {
  Lags partials = lags;
  for (std::size_t k = lags.count; k-- > 1;) {
    const Lags before = partials;
    const double last = before.at[k];
    for (std::size_t i = 0; i < k; ++i) partials.at[i] = (before.at[i] + last * before.at[k - 1 - i]) / (1 - last * last);
  }
  return partials;
}

bool roots_beyond(const Lags& lags, double radius) {
  Lags scaled = lags;
  double power = 1;
  for (std::size_t i = 0; i < lags.count; ++i) scaled.at[i] *= (power *= radius);
  const Lags partials = partials_from_lags(scaled);
  return std::all_of(partials.values().begin(), partials.values().end(), [](double partial) { return std::abs(partial) < 1; });
}

Lags invertible_moving_average(const Lags& ma) {
  Lags trimmed = ma;
  while (trimmed.count > 0 && trimmed.at[trimmed.count - 1] == 0) --trimmed.count;
  if (trimmed.count == 0) return ma;
  const std::array<Complex, kMaxArimaLags> roots = roots_of(trimmed);
  bool turned = false;
  std::array<Complex, kMaxArimaLags + 1> polynomial{};
  polynomial[0] = 1;
  for (std::size_t i = 0; i < trimmed.count; ++i) {
    const bool inside = std::abs(roots[i]) < 1;
    turned = turned || inside;
    const Complex root = inside ? 1.0 / roots[i] : roots[i];
    for (std::size_t k = i + 1; k > 0; --k) polynomial[k] -= polynomial[k - 1] / root;
  }
  if (!turned) return ma;
  Lags out;
  out.count = ma.count;
  for (std::size_t i = 0; i < trimmed.count; ++i) out.at[i] = polynomial[i + 1].real();
  return out;
}

bool stationary_first_row(const ArmaProcess& process, StateCovariance::Row& row) {
  const std::size_t p = process.ar.count;
  const std::size_t q = process.ma.count;
  const std::size_t r = process.state_size();
  std::array<double, kEquations> theta{};
  theta[0] = 1;
  for (std::size_t j = 0; j < q; ++j) theta[j + 1] = process.ma.at[j];
  const std::array<double, kMaxArimaLags>& phi = process.ar.at;
  std::array<double, kEquations> psi{};  // the effect of a shock after so many steps
  for (std::size_t j = 0; j < r; ++j) {
    psi[j] = theta[j];
    for (std::size_t i = 0; i < std::min(j, p); ++i) psi[j] += phi[i] * psi[j - 1 - i];
  }
  // Autocovariances g: g_k - sum phi_i g_|k-i| = sum over j >= k of theta_j psi_(j-k).
  std::array<std::array<double, kEquations>, kEquations> equations{};
  std::array<double, kEquations> g{};
  for (std::size_t k = 0; k <= p; ++k) {
    equations[k][k] += 1;
    for (std::size_t i = 1; i <= p; ++i) equations[k][k > i ? k - i : i - k] -= phi[i - 1];
    for (std::size_t j = k; j <= q; ++j) g[k] += theta[j] * psi[j - k];
  }
  if (!solve(equations, g, p + 1) || !(g[0] > 0) || !std::isfinite(g[0])) return false;
  row.fill(0);
  row[0] = g[0];
  for (std::size_t j = 1; j < r; ++j) {
    for (std::size_t k = j; k < p; ++k) row[j] += phi[k] * g[1 + k - j];
    for (std::size_t k = j; k <= q; ++k) row[j] += theta[k] * psi[k - j];
  }
  return true;
}

StateCovariance stationary_covariance(const ArmaProcess& process) {
  const std::size_t r = process.state_size();
  StateCovariance out;
  out.size = r;
  out.valid = stationary_first_row(process, out.at[0]);
  if (!out.valid) return out;
  StateCovariance::Row phi{};
  StateCovariance::Row theta{};
  std::copy_n(process.ar.at.begin(), process.ar.count, phi.begin());
  theta[0] = 1;
  std::copy_n(process.ma.at.begin(), process.ma.count, theta.begin() + 1);
  // The rows after the first from P = T P T' + R R', upwards.
  for (std::size_t j = 1; j < r; ++j) out.at[j][0] = out.at[0][j];
  auto entry = [&](std::size_t i, std::size_t j) { return i < r && j < r ? out.at[i][j] : 0.0; };
  for (std::size_t i = r; i-- > 1;) {
    for (std::size_t j = i; j < r; ++j) {
      const double from_first = phi[i] * phi[j] * out.at[0][0] + phi[i] * entry(0, j + 1) + phi[j] * entry(0, i + 1);
      out.at[i][j] = out.at[j][i] = from_first + entry(i + 1, j + 1) + theta[i] * theta[j];
    }
  }
  return out;
}

}  // namespace flexpert::forecast
