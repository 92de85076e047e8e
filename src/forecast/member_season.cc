#include "forecast/member_season.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "forecast/member_rounding.h"

namespace flexpert::forecast {

MemberSeason::MemberSeason(double step_s, double period_s, double bucket_s, double blend)
    : steps_per_bucket_(std::max(1.0, bucket_s / step_s)), blend_(blend) {
  const double width_s = steps_per_bucket_ * step_s;
  buckets_ = static_cast<std::int64_t>(std::nearbyint(std::min(period_s / width_s, 1e6)));
  if (buckets_ >= 4) shape_.assign(static_cast<std::size_t>(buckets_), std::numeric_limits<double>::quiet_NaN());
}

std::int64_t MemberSeason::bucket_of(std::int64_t index) const {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(index) / steps_per_bucket_));
}

std::size_t MemberSeason::slot(std::int64_t bucket) const { return static_cast<std::size_t>(((bucket % buckets_) + buckets_) % buckets_); }

void MemberSeason::observe(std::int64_t index, double value) {
  if (shape_.empty()) return;
  const std::int64_t bucket = bucket_of(index);
  if (bucket != open_) {
    close();
    open_ = bucket;
  }
  sum_ += value;
  count_ += 1;
}

void MemberSeason::close() {
  if (held_ >= 0) {
    double& seen = shape_[slot(held_)];
    seen = rounded_digits(std::isnan(seen) ? held_mean_ : seen + blend_ * (held_mean_ - seen));
  }
  held_ = count_ > 0 ? open_ : -1;
  held_mean_ = count_ > 0 ? sum_ / count_ : 0;
  sum_ = count_ = 0;
}

std::optional<double> MemberSeason::at(std::int64_t index) const {
  if (shape_.empty()) return std::nullopt;
  const double place = (static_cast<double>(index) + 0.5) / steps_per_bucket_ - 0.5;
  const double low = std::floor(place);
  const double share = place - low;
  const double before = shape_[slot(static_cast<std::int64_t>(low))];
  if (std::isnan(before)) return std::nullopt;
  if (share <= 0) return before;
  const double after = shape_[slot(static_cast<std::int64_t>(low) + 1)];
  if (std::isnan(after)) return std::nullopt;
  return before + share * (after - before);
}

void MemberSeason::save(StateWriter& writer) const {
  writer.integer(open_);
  writer.number(sum_);
  writer.number(count_);
  writer.integer(held_);
  writer.number(held_mean_);
  writer.numbers(shape_);
}

void MemberSeason::restore(StateReader& reader) {
  open_ = reader.integer();
  sum_ = reader.number();
  count_ = reader.number();
  held_ = reader.integer();
  held_mean_ = reader.number();
  std::vector<double> shape = reader.numbers();
  const bool known = std::none_of(shape.begin(), shape.end(), [](double value) { return std::isinf(value); });
  if (shape.size() != shape_.size() || !known) return reader.reject("the shape of a season of this step");
  if (open_ < -1 || held_ < -1 || open_ > (std::int64_t{1} << 52) || held_ > open_) return reader.reject("ascending buckets");
  if (!std::isfinite(sum_) || !std::isfinite(held_mean_) || !(count_ >= 0)) return reader.reject("finite sums of a season");
  shape_ = std::move(shape);
}

}  // namespace flexpert::forecast
