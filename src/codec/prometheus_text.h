#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

/// The Prometheus exposition text format, 0.0.4 and OpenMetrics 1.0: what GET /metrics answers. Pure.
namespace flexpert::codec {

/// One series at one moment. Histograms and summaries come as their _bucket, _sum and _count series, under those names.
struct PrometheusSample {
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;  ///< in the order given, each name once
  double value = 0;                                         ///< may be NaN or infinite
  std::optional<std::int64_t> timestamp_ms;                 ///< Unix time, where the text has one

  /// Returns the value of a label, or null.
  [[nodiscard]] const std::string* label(std::string_view name_wanted) const;
};

struct PrometheusTextLimits {
  std::size_t max_samples = 200'000;     ///< that are kept
  std::size_t max_line_bytes = 64 * 1024;
  std::size_t max_labels = 128;          ///< of one sample
};

struct PrometheusTextOptions {
  PrometheusTextLimits limits;
  bool openmetrics = false;  ///< timestamps are seconds with a fraction, not whole milliseconds
  /// Only samples whose name it accepts are kept; all are checked. Unset: all are kept.
  std::function<bool(std::string_view)> wanted;
};

/// Reads a whole exposition. HELP, TYPE, UNIT and other comments are skipped, exemplars too; "# EOF" ends it. Errors:
/// kInvalidArgument "line 12: ..." for what the format does not allow, kResourceExhausted for what is over the limits.
Result<std::vector<PrometheusSample>> decode_prometheus_text(std::string_view text, const PrometheusTextOptions& options = {});

}  // namespace flexpert::codec
