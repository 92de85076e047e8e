#include "forecast/warm_start.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "forecast/evaluation_field.h"

namespace flexpert::forecast {

namespace {
constexpr double kDay = 86400;
constexpr double kMostValues = 1048576;
constexpr double kSame = 1e-9;
}  // namespace

std::vector<double> resampled(std::span<const double> series, double from_step_s, double to_step_s) {
  const double ratio = to_step_s / from_step_s;
  if (std::abs(ratio - 1) < kSame) return {series.begin(), series.end()};
  const double newest = static_cast<double>(series.size()) / ratio;
  const auto count = static_cast<std::size_t>(std::floor(std::min(newest + kSame, kMostValues)));
  std::vector<double> out(count, std::numeric_limits<double>::quiet_NaN());
  // New steps are counted backwards from the end, so that the newest value stays the newest.
  for (std::size_t back = 0; back < count; ++back) {
    const double end = static_cast<double>(series.size()) - static_cast<double>(back) * ratio;
    const double begin = std::max(0.0, end - ratio);
    double& value = out[count - 1 - back];
    if (ratio < 1) {
      const double place = std::clamp((begin + end) / 2 - 0.5, 0.0, static_cast<double>(series.size()) - 1);
      const auto low = static_cast<std::size_t>(place);
      const std::size_t high = std::min(low + 1, series.size() - 1);
      const double share = place - static_cast<double>(low);
      value = share > 0 ? series[low] + share * (series[high] - series[low]) : series[low];
      continue;
    }
    double sum = 0;
    double weight = 0;
    for (auto i = static_cast<std::size_t>(begin + kSame); i < series.size() && static_cast<double>(i) < end - kSame; ++i) {
      const double part = std::min(end, static_cast<double>(i) + 1) - std::max(begin, static_cast<double>(i));
      if (!std::isfinite(series[i]) || !(part > 0)) continue;
      sum += part * series[i];
      weight += part;
    }
    if (weight > 0) value = sum / weight;
  }
  return out;
}

void warm_start(Predictor& predictor, std::span<const double> series) {
  for (const double value : series) predictor.observe(value);
}

Result<void> warm_start(Predictor& predictor, std::span<const double> series, const WarmStart& how) {
  const auto positive = [](double value) { return std::isfinite(value) && value > 0; };
  if (!positive(how.series_step_s))
    return fail(ErrorCode::kInvalidArgument, "series_step_s must be a positive number of seconds, not {}", how.series_step_s);
  if (!positive(how.predictor_step_s))
    return fail(ErrorCode::kInvalidArgument, "predictor_step_s must be a positive number of seconds, not {}", how.predictor_step_s);
  if (!positive(how.scale)) return fail(ErrorCode::kInvalidArgument, "scale must be a positive number, not {}", how.scale);
  if (!std::isfinite(how.pause_s) || how.pause_s < 0)
    return fail(ErrorCode::kInvalidArgument, "pause_s must be a number of seconds from 0, not {}", how.pause_s);
  for (const double value : resampled(series, how.series_step_s, how.predictor_step_s)) predictor.observe(value * how.scale);
  const double gaps = std::min(std::nearbyint(std::fmod(how.pause_s, kDay) / how.predictor_step_s), kMostValues);
  for (double i = 0; i < gaps; ++i) predictor.observe(std::numeric_limits<double>::quiet_NaN());
  return {};
}

std::string write_predictor(const Predictor& predictor, const PredictorOptions& options) {
  StateWriter writer;
  writer.tag("flexpert-predictor/1");
  writer.text(options.name);
  writer.number(options.step_s);
  writer.integer(options.non_negative ? 1 : 0);
  predictor.save(writer);
  return writer.take();
}

Result<StoredPredictor> read_predictor(std::string_view text) {
  StateReader reader(text);
  StoredPredictor out;
  reader.tag("flexpert-predictor/1");
  out.options.name = reader.text();
  out.options.step_s = reader.number();
  out.options.non_negative = reader.integer() != 0;
  FLEXPERT_TRY(reader.result());
  FLEXPERT_ASSIGN(out.predictor, make_contestant(out.options));
  FLEXPERT_TRY(out.predictor->restore(reader));
  if (!reader.at_end()) reader.reject("the end of the text");
  FLEXPERT_TRY(reader.result());
  return out;
}

}  // namespace flexpert::forecast
