#pragma once

#include <cstddef>
#include <span>

namespace flexpert::forecast {

/// The test of Kwiatkowski, Phillips, Schmidt and Shin (1992) that a series is stationary around a level.
struct KpssTest {
  double statistic = 0;  ///< NaN for a constant series
  double p_value = 1;    ///< interpolated in the published table and so within [0.01, 0.1]; NaN with the statistic
};

/// Tests a series of at least 2 finite values, with autocovariances up to `lags` under Bartlett's weights.
KpssTest kpss_level_test(std::span<const double> series, std::size_t lags);

/// Returns the lags of Schwert's rule, ceil(12 (n/100)^(1/4)), at most n - 1: statsmodels' "legacy".
std::size_t kpss_legacy_lags(std::size_t n);

/// Returns how often to difference the series, 0 to `max_differences`, until the test at 5 % with trunc(3 sqrt(n) / 13)
/// lags calls it stationary or it is constant: forecast::ndiffs of R. Values that are not finite are left out.
std::size_t differences_by_kpss(std::span<const double> series, std::size_t max_differences);

}  // namespace flexpert::forecast
