#pragma once

namespace flexpert::forecast {

/// Returns the value that a standard normal variable is below with probability `level` in (0, 1), to about 1e-12; levels
/// outside are taken as the nearest inside.
double standard_normal_quantile(double level);

}  // namespace flexpert::forecast
