#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"

namespace flexpert::forecast {

/// A periodic part: sines and cosines of `order` harmonics of a period.
struct Seasonality {
  double period_s = 0;
  std::size_t order = 0;
};

/// A curve fitted to a series: a piecewise linear trend and seasonalities (S. J. Taylor and B. Letham, "Forecasting at
/// scale", 2018). Times in seconds; scaled time runs from 0 at the first value to 1 at the last, scaled values to 1 at the
/// largest magnitude.
struct ProphetFit {
  double start_s = 0;
  double span_s = 1;
  double y_scale = 1;
  double k = 0;                      ///< growth per scaled time before the first changepoint
  double m = 0;                      ///< scaled value at the start
  std::vector<double> changepoints;  ///< scaled times
  std::vector<double> deltas;        ///< change of growth at each
  std::vector<Seasonality> seasonalities;
  std::vector<double> beta;  ///< sine and cosine of each harmonic, in units of y_scale
  double sigma_obs = 0;      ///< noise, in units of y_scale

  [[nodiscard]] double trend(double time_s) const;
  [[nodiscard]] double forecast(double time_s) const;
};

/// Returns the seasonalities that Prophet switches on: yearly (10 harmonics) from two years of data, weekly (3) from two
/// weeks, daily (4) from two days, each if some two neighbouring values are closer together than its period.
std::vector<Seasonality> automatic_seasonalities(std::span<const double> times_s);

/// Where the search for the curve ends.
enum class ProphetSearch {
  kAsProphet,  ///< where Prophet 1.0 stops: from 100 values on that is Stan's L-BFGS, a little short of the maximum; else kMaximum
  kMaximum,    ///< where the posterior is largest: exact, and some ten times as fast
};

/// Fits by maximum a posteriori with the priors of Prophet 1.0: 25 changepoints spread over the first 80 % of the values
/// with Laplace(0.05), growth and offset normal(5), seasonalities normal(10), noise half-normal(0.5). For a given noise the
/// problem is quadratic with absolute values, solved exactly by feature-sign search (Lee et al., "Efficient sparse coding
/// algorithms", 2006); the noise has a closed form given the residuals; the two alternate. That is the maximum, which Prophet's
/// own search stops short of by up to 1 % of the forecast on long series: by default this does as well. Times are Unix seconds (they set
/// the seasons' phase), ascending; values that are NaN are left out.
/// Errors: kInvalidArgument for fewer than 2 values, other lengths, times that do not ascend.
Result<ProphetFit> fit_prophet(std::span<const double> times_s, std::span<const double> values,
                               ProphetSearch search = ProphetSearch::kAsProphet);

}  // namespace flexpert::forecast
