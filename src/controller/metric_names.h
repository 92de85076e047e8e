#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "codec/prometheus_text.h"
#include "config/pools_config.h"

/// Which metrics of an engine make up ours. One table serves scraping and Prometheus.
namespace flexpert::controller {

/// Names that every source uses; see docs/reference/metrics-sources.md.
namespace metric {
inline constexpr std::string_view kRequests = "requests_per_s";
inline constexpr std::string_view kIsl = "isl";
inline constexpr std::string_view kOsl = "osl";
inline constexpr std::string_view kTtft = "ttft_s";
inline constexpr std::string_view kItl = "itl_s";
inline constexpr std::string_view kDuration = "duration_s";
inline constexpr std::string_view kInFlight = "in_flight";
inline constexpr std::string_view kQueued = "queued";
inline constexpr std::string_view kRemainingTokens = "remaining_tokens";
inline constexpr std::string_view kKv = "kv";
inline constexpr std::string_view kCpu = "cpu";
inline constexpr std::string_view kGpu = "gpu";
inline constexpr std::string_view kConcurrency = "concurrency";  ///< made of in_flight and queued
inline constexpr std::string_view kUtilisation = "utilisation";  ///< made of gpu, kv, cpu, unless configured
}  // namespace metric

/// Series of one name, and the label values that they must have.
struct SeriesSelector {
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;

  [[nodiscard]] bool matches(const codec::PrometheusSample& sample) const;
  bool operator==(const SeriesSelector&) const = default;
};

/// One way to compute a metric.
struct MetricFormula {
  enum class Kind {
    kGauge,       ///< a, as it is; or a / b where both are levels
    kRate,        ///< growth of the counter a in a second
    kMean,        ///< growth of a over growth of b: a mean over the interval
  } kind = Kind::kGauge;
  SeriesSelector a;
  std::optional<SeriesSelector> b;

  bool operator==(const MetricFormula&) const = default;
};

/// How values of several instances become one of the pool.
enum class MetricAcross {
  kSum,   ///< added: requests, in flight, queued
  kMean,  ///< mean over instances: shares such as kv and gpu
  kRatio  ///< growths of all over growths of all: kMean formulas
};

/// A metric of ours: the first formula counts whose series are there.
struct MetricRule {
  std::vector<MetricFormula> formulas;
  MetricAcross across = MetricAcross::kSum;

  bool operator==(const MetricRule&) const = default;
};

using MetricRules = std::map<std::string, MetricRule>;

/// Reads what `sensors.names` holds for one of our names:
///   FORMULA [or FORMULA ...];  FORMULA = SERIES | SERIES / SERIES | rate(SERIES);  SERIES = NAME | NAME{label="value",...}
/// A single SERIES of a name that is a mean (isl, osl, ttft_s, itl_s, duration_s) is a histogram: its _sum over its _count.
/// A single SERIES of requests_per_s is a counter, of everything else a gauge. Errors: kInvalidArgument.
Result<MetricRule> parse_metric_rule(std::string_view our_name, std::string_view text);

/// Returns the rules for an engine with `names` over its own. An empty text takes a name away. Errors name the field
/// ("sensors.names.kv: ..."), or the engine with those that are known.
Result<MetricRules> rules_for(const std::string& engine, const std::map<std::string, std::string>& names);

/// The engines that have a table.
std::vector<std::string> known_engines();

/// PromQL for a rule. `selector` is label matchers without braces, `window` a PromQL duration. Sums, means and shares are
/// by instance where `by_instance`.
struct MetricQuery {
  std::string value;
  std::string age;   ///< seconds since the oldest of the newest samples behind it
};
MetricQuery promql_for(const MetricRule& rule, const std::string& selector, const std::string& window, bool by_instance);

}  // namespace flexpert::controller
