#include "codec/prometheus_api.h"

#include <charconv>
#include <cmath>

#include <simdjson.h>

namespace flexpert::codec {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kMaxSeries = 10'000;
constexpr std::size_t kMaxPoints = 1'000'000;
constexpr std::size_t kMaxWarnings = 100;

std::unexpected<Error> wrong(std::string_view field, std::string_view wanted) {
  return fail(ErrorCode::kInvalidArgument, "Prometheus' answer: {}: must be {}", field, wanted);
}

Result<double> value_of(std::string_view text, std::string_view field) {
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  double value = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (code != std::errc{} || end != digits.data() + digits.size() || digits.find('(') != std::string_view::npos)
    return wrong(field, fmt::format("a number, NaN, +Inf or -Inf in quotes: \"{}\"", text.substr(0, 60)));
  return value;
}

/// [unix seconds, "value"]
Result<PrometheusPoint> read_point(const dom::element& element, const std::string& field) {
  dom::array pair;
  if (element.get(pair) != simdjson::SUCCESS || pair.size() != 2) return wrong(field, "[seconds, \"value\"]");
  PrometheusPoint point;
  std::string_view text;
  if (pair.at(0).get(point.unix_s) != simdjson::SUCCESS || !std::isfinite(point.unix_s)) return wrong(field + "[0]", "seconds since 1970");
  if (pair.at(1).get(text) != simdjson::SUCCESS) return wrong(field + "[1]", "a string");
  FLEXPERT_ASSIGN(point.value, value_of(text, field + "[1]"));
  return point;
}

Result<void> read_metric(const dom::object& object, PrometheusSeries& series, const std::string& field) {
  dom::object metric;
  if (object["metric"].get(metric) != simdjson::SUCCESS) return wrong(field + ".metric", "an object of labels");
  for (const dom::key_value_pair label : metric) {
    std::string_view value;
    if (label.value.get(value) != simdjson::SUCCESS) return wrong(fmt::format("{}.metric.{}", field, label.key), "a string");
    series.labels.emplace_back(label.key, value);
  }
  return {};
}

/// Reads the series of a vector or matrix.
Result<void> read_series(const dom::array& result, PrometheusAnswer& answer) {
  const bool matrix = answer.kind == PrometheusAnswer::Kind::kMatrix;
  std::size_t points = 0;
  std::size_t histograms = 0;
  std::size_t index = 0;
  for (const dom::element element : result) {
    const std::string field = fmt::format("data.result[{}]", index++);
    if (index > kMaxSeries)
      return fail(ErrorCode::kResourceExhausted, "Prometheus' answer: over {} series; aggregate in the query, as with sum()", kMaxSeries);
    dom::object object;
    if (element.get(object) != simdjson::SUCCESS) return wrong(field, "an object");
    PrometheusSeries series;
    FLEXPERT_TRY(read_metric(object, series, field));
    dom::element held;
    if (object[matrix ? "values" : "value"].get(held) != simdjson::SUCCESS) {
      if (object[matrix ? "histograms" : "histogram"].get(held) != simdjson::SUCCESS)
        return wrong(fmt::format("{}.{}", field, matrix ? "values" : "value"), "there");
      ++histograms;
      continue;
    }
    if (!matrix) {
      FLEXPERT_ASSIGN(PrometheusPoint point, read_point(held, field + ".value"));
      series.points.push_back(point);
    } else {
      dom::array values;
      if (held.get(values) != simdjson::SUCCESS) return wrong(field + ".values", "a list");
      std::size_t at = 0;
      for (const dom::element value : values) {
        if (++points > kMaxPoints)
          return fail(ErrorCode::kResourceExhausted, "Prometheus' answer: over {} points; ask for less time or larger steps", kMaxPoints);
        FLEXPERT_ASSIGN(PrometheusPoint point, read_point(value, fmt::format("{}.values[{}]", field, at++)));
        series.points.push_back(point);
      }
    }
    answer.series.push_back(std::move(series));
  }
  if (histograms > 0) answer.warnings.push_back(fmt::format("{} native histograms are left out; take histogram_sum() or histogram_count()", histograms));
  return {};
}

Result<void> read_texts(const dom::object& root, const char* field, std::vector<std::string>& out) {
  dom::array texts;
  const auto error = root[field].get(texts);
  if (error == simdjson::NO_SUCH_FIELD) return {};
  if (error != simdjson::SUCCESS) return wrong(field, "a list of strings");
  for (const dom::element element : texts) {
    std::string_view text;
    if (element.get(text) != simdjson::SUCCESS) return wrong(field, "a list of strings");
    if (out.size() < kMaxWarnings) out.emplace_back(text.substr(0, 1000));
  }
  return {};
}

}  // namespace

const std::string* PrometheusSeries::label(std::string_view name) const {
  for (const auto& [key, value] : labels)
    if (key == name) return &value;
  return nullptr;
}

Result<PrometheusAnswer> decode_prometheus_answer(std::string_view json) {
  dom::parser parser;
  dom::element document;
  if (const auto error = parser.parse(json.data(), json.size()).get(document); error != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidArgument, "Prometheus' answer: not JSON: {}", simdjson::error_message(error));
  dom::object root;
  if (document.get(root) != simdjson::SUCCESS) return wrong("the body", "a JSON object");
  std::string_view status;
  if (root["status"].get(status) != simdjson::SUCCESS) return wrong("status", "\"success\" or \"error\"");
  if (status == "error") {
    std::string_view type;
    std::string_view message;
    if (root["error"].get(message) != simdjson::SUCCESS) return wrong("error", "a string");
    if (root["errorType"].get(type) != simdjson::SUCCESS) type = "error";
    return fail(ErrorCode::kFailedPrecondition, "Prometheus refused the query: {}: {}", type, message.substr(0, 1000));
  }
  if (status != "success") return wrong("status", "\"success\" or \"error\"");
  PrometheusAnswer answer;
  FLEXPERT_TRY(read_texts(root, "warnings", answer.warnings));
  FLEXPERT_TRY(read_texts(root, "infos", answer.warnings));
  dom::object data;
  std::string_view kind;
  dom::element result;
  if (root["data"].get(data) != simdjson::SUCCESS) return wrong("data", "an object");
  if (data["resultType"].get(kind) != simdjson::SUCCESS) return wrong("data.resultType", "a string");
  if (data["result"].get(result) != simdjson::SUCCESS) return wrong("data.result", "there");
  if (kind == "scalar") {
    answer.kind = PrometheusAnswer::Kind::kScalar;
    FLEXPERT_ASSIGN(const PrometheusPoint point, read_point(result, "data.result"));
    answer.series.push_back({{}, {point}});
    return answer;
  }
  if (kind != "vector" && kind != "matrix")
    return fail(ErrorCode::kInvalidArgument, "Prometheus' answer: data.resultType: must be scalar, vector or matrix: \"{}\"", kind.substr(0, 60));
  answer.kind = kind == "matrix" ? PrometheusAnswer::Kind::kMatrix : PrometheusAnswer::Kind::kVector;
  dom::array series;
  if (result.get(series) != simdjson::SUCCESS) return wrong("data.result", "a list");
  FLEXPERT_TRY(read_series(series, answer));
  return answer;
}

}  // namespace flexpert::codec
