// Feeds arbitrary bytes to the reader of Prometheus' API answers: what it accepts has points of finite time in every series,
// and exactly one series in a scalar.
#include <cmath>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "codec/prometheus_api.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::codec;
  const auto answer = decode_prometheus_answer({reinterpret_cast<const char*>(data), size});
  if (!answer) {
    FLEXPERT_CHECK(answer.error().message.starts_with("Prometheus"), "an error that does not say whose");
    return 0;
  }
  const bool scalar = answer->kind == PrometheusAnswer::Kind::kScalar;
  FLEXPERT_CHECK(!scalar || answer->series.size() == 1, "a scalar with other than one series");
  for (const PrometheusSeries& series : answer->series) {
    FLEXPERT_CHECK(answer->kind == PrometheusAnswer::Kind::kMatrix || series.points.size() == 1, "a vector with other than one point");
    for (const PrometheusPoint& point : series.points) FLEXPERT_CHECK(std::isfinite(point.unix_s), "a point without a time");
  }
  return 0;
}
