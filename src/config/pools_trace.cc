#include "config/pools_trace.h"

#include <memory>
#include <utility>

#include "codec/series_csv.h"
#include "config/file_bytes.h"

namespace flexpert::config {
namespace {

constexpr double kEarliestUnixS = 946'684'800;  // 2000: smaller times count from the beginning of the file
constexpr double kLatestUnixS = 1e11;           // larger ones are milliseconds that nobody named so

}  // namespace

void read_trace(SectionReader& forecast, ProblemList& problems, scaling::ForecastOptions& out) {
  std::string path;
  codec::SeriesOptions options;
  double scale = 0;
  forecast.text("trace", path);
  forecast.text("trace_column", options.column);
  forecast.number("trace_scale", {0, 1e9, true}, scale);
  for (const char* key : {"trace_column", "trace_scale"}) {
    if (forecast.value(key) != nullptr && forecast.value("trace") == nullptr)
      problems.add(forecast.line_of(key), forecast.path_of(key), "it is given without a trace", "beside trace: FILE");
  }
  if (path.empty()) return;
  const auto refuse = [&](const std::string& what) {
    problems.add(forecast.line_of("trace"), forecast.path_of("trace"), what,
                 "a file of requests/s, one line `t_s,value` for each time (flexpert forecast reads the same)");
  };
  const auto bytes = read_file_bytes(path);
  if (!bytes) return refuse(bytes.error().message);
  auto series = codec::parse_series_csv(*bytes, options);
  if (!series) return refuse(series.error().message);
  scaling::LoadTrace trace;
  trace.step_s = series->step_s;
  trace.scale = scale > 0 ? scale : series->column == "req_per_min" ? 1.0 / 60 : 1;
  const double end = series->start_s + static_cast<double>(series->values.size()) * series->step_s;
  if (series->start_s >= kEarliestUnixS && end <= kLatestUnixS) trace.end_unix_s = end;
  trace.values = std::move(series->values);
  out.trace = std::make_shared<const scaling::LoadTrace>(std::move(trace));
}

}  // namespace flexpert::config
