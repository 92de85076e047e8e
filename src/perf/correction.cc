#include "perf/correction.h"

#include <algorithm>
#include <cmath>

namespace flexpert::perf {

void Correction::observe(double observed_s, double expected_s) {
  if (!(observed_s > 0) || !(expected_s > 0) || !std::isfinite(observed_s) || !std::isfinite(expected_s)) return;
  newest_ratio_ = observed_s / expected_s;
  const double clamped = std::clamp(newest_ratio_, options_.low, options_.high);
  factor_ = seen_ ? factor_ + options_.smoothing * (clamped - factor_) : clamped;
  seen_ = true;
}

void Correction::save(StateWriter& writer) const {
  writer.tag("correction/1");
  writer.number(factor_);
  writer.number(newest_ratio_);
  writer.integer(seen_ ? 1 : 0);
}

void Correction::restore(StateReader& reader) {
  reader.tag("correction/1");
  factor_ = reader.number();
  newest_ratio_ = reader.number();
  seen_ = reader.integer() != 0;
  if (reader.ok() && !(factor_ > 0 && std::isfinite(factor_))) reader.reject("a positive correction factor");
  if (!reader.ok()) *this = Correction(options_);
}

}  // namespace flexpert::perf
