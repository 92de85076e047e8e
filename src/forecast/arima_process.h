#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace flexpert::forecast {

inline constexpr std::size_t kMaxArimaLags = 5;
inline constexpr std::size_t kMaxArimaDifferences = 2;

/// Up to five coefficients of lags 1, 2, ...
struct Lags {
  std::size_t count = 0;
  std::array<double, kMaxArimaLags> at{};

  static Lags of(std::span<const double> values);
  [[nodiscard]] std::span<const double> values() const { return {at.data(), count}; }
};

/// w_t = ar_1 w_(t-1) + ... + e_t + ma_1 e_(t-1) + ..., e of variance 1.
struct ArmaProcess {
  Lags ar;
  Lags ma;
  /// Returns the size of its state in Harvey's form, max(p, q + 1).
  [[nodiscard]] std::size_t state_size() const { return ar.count > ma.count ? ar.count : ma.count + 1; }
};

/// How a series is modelled: `constant` is a mean without differences and a drift per step with one; with two there is none.
struct ArimaOrder {
  std::size_t p = 0;
  std::size_t d = 0;
  std::size_t q = 0;
  bool constant = false;
  friend bool operator==(const ArimaOrder&, const ArimaOrder&) = default;
};

/// Returns the autoregression with these partial autocorrelations (Durbin, Levinson; Monahan 1984).
Lags lags_from_partials(const Lags& partials);
/// Returns the partial autocorrelations of an autoregression; they are within (-1, 1) exactly if it is stationary.
Lags partials_from_lags(const Lags& lags);

/// Returns whether every root of 1 - c_1 z - c_2 z^2 - ... is farther than `radius` from 0.
bool roots_beyond(const Lags& lags, double radius);

/// Returns the invertible moving average with the same autocovariances up to their scale: roots inside the unit circle turn
/// to the outside.
Lags invertible_moving_average(const Lags& ma);

/// The covariance of a stationary process' state in Harvey's form, row by row; `size` x `size` entries are used.
struct StateCovariance {
  static constexpr std::size_t kSize = kMaxArimaLags + 1;
  using Row = std::array<double, kSize>;
  std::size_t size = 0;
  std::array<Row, kSize> at{};
  bool valid = false;  ///< false where the process is too near to not being stationary to be solved
};
StateCovariance stationary_covariance(const ArmaProcess& process);

/// Computes only the first row of it: the covariances with the series itself. False where the whole would not be valid.
bool stationary_first_row(const ArmaProcess& process, StateCovariance::Row& row);

}  // namespace flexpert::forecast
