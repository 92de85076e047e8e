#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

/// Answers of Prometheus' HTTP API, /api/v1/query and /api/v1/query_range. Pure.
namespace flexpert::codec {

/// One value and when it holds.
struct PrometheusPoint {
  double unix_s = 0;
  double value = 0;  ///< may be NaN or infinite

  bool operator==(const PrometheusPoint&) const = default;
};

struct PrometheusSeries {
  std::vector<std::pair<std::string, std::string>> labels;  ///< __name__ among them, if there is one
  std::vector<PrometheusPoint> points;                      ///< one in a vector or scalar

  [[nodiscard]] const std::string* label(std::string_view name) const;
};

struct PrometheusAnswer {
  enum class Kind { kScalar, kVector, kMatrix } kind = Kind::kVector;
  std::vector<PrometheusSeries> series;  ///< exactly one, without labels, of a scalar
  std::vector<std::string> warnings;     ///< "warnings" and "infos" together
};

/// Errors: kFailedPrecondition with Prometheus' own errorType and message where it refused the query; kInvalidArgument
/// naming the field for a body of another form; kResourceExhausted over 10,000 series or 1,000,000 points. Series that hold
/// only native histograms are left out, with a warning.
Result<PrometheusAnswer> decode_prometheus_answer(std::string_view json);

}  // namespace flexpert::codec
