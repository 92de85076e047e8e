#pragma once

namespace flexpert::perf {

/// Returns the value below which a standard normal variable lies with probability `p` in (0, 1), to 1e-9 or better.
double normal_quantile(double p);

}  // namespace flexpert::perf
