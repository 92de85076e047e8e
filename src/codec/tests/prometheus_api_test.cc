#include "codec/prometheus_api.h"

#include <cmath>

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

std::string error_of(std::string_view json) {
  const auto result = decode_prometheus_answer(json);
  return result ? "no error" : result.error().message;
}

TEST(PrometheusApi, ReadsAVector) {
  const auto answer = decode_prometheus_answer(
      R"({"status":"success","data":{"resultType":"vector","result":[
      {"metric":{"__name__":"up","instance":"a:1"},"value":[1700000000.25,"1"]},
      {"metric":{},"value":[1700000000,"NaN"]},{"metric":{},"value":[1700000000,"+Inf"]},{"metric":{},"value":[1,"-Inf"]}]},
      "warnings":["slow"],"infos":["metric might not be a counter"]})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->kind, PrometheusAnswer::Kind::kVector);
  ASSERT_EQ(answer->series.size(), 4U);
  EXPECT_EQ(*answer->series[0].label("instance"), "a:1");
  EXPECT_EQ(answer->series[0].points[0], (PrometheusPoint{1700000000.25, 1}));
  EXPECT_TRUE(std::isnan(answer->series[1].points[0].value));
  EXPECT_EQ(answer->series[2].points[0].value, INFINITY);
  EXPECT_EQ(answer->series[3].points[0].value, -INFINITY);
  EXPECT_EQ(answer->warnings.size(), 2U);
}

TEST(PrometheusApi, ReadsAScalarAndAMatrix) {
  const auto scalar = decode_prometheus_answer(R"({"status":"success","data":{"resultType":"scalar","result":[1.5,"2.5e3"]}})");
  ASSERT_TRUE(scalar) << scalar.error().message;
  EXPECT_EQ(scalar->series[0].points[0], (PrometheusPoint{1.5, 2500}));
  const auto matrix = decode_prometheus_answer(
      R"({"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"1"],[2,"4"]]}]}})");
  ASSERT_TRUE(matrix) << matrix.error().message;
  EXPECT_EQ(matrix->series[0].points, (std::vector<PrometheusPoint>{{1, 1}, {2, 4}}));
}

TEST(PrometheusApi, ARefusedQueryIsPrometheusOwnMessage) {
  const auto answer = decode_prometheus_answer(R"({"status":"error","errorType":"bad_data","error":"parse error: unexpected end"})");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(answer.error().message, "Prometheus refused the query: bad_data: parse error: unexpected end");
}

TEST(PrometheusApi, NativeHistogramsAreLeftOutWithAWarning) {
  const auto answer = decode_prometheus_answer(
      R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"3"}]},{"metric":{},"value":[1,"3"]}]}})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->series.size(), 1U);
  ASSERT_EQ(answer->warnings.size(), 1U);
  EXPECT_TRUE(answer->warnings[0].starts_with("1 native histograms"));
}

TEST(PrometheusApi, MistakesNameTheField) {
  const struct Case {
    std::string_view json;
    std::string_view message;
  } cases[] = {
      {"", "Prometheus' answer: not JSON"},
      {"[]", "Prometheus' answer: the body: must be a JSON object"},
      {R"({"status":"fine"})", "Prometheus' answer: status: must be"},
      {R"({"status":"error"})", "Prometheus' answer: error: must be a string"},
      {R"({"status":"success"})", "Prometheus' answer: data: must be an object"},
      {R"({"status":"success","data":{"resultType":"string","result":[1,"x"]}})", "Prometheus' answer: data.resultType: must be scalar"},
      {R"({"status":"success","data":{"resultType":"vector","result":{}}})", "Prometheus' answer: data.result: must be a list"},
      {R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}})", "Prometheus' answer: data.result[0].value: must be there"},
      {R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1]}]}})",
       "Prometheus' answer: data.result[0].value: must be [seconds"},
      {R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,2]}]}})",
       "Prometheus' answer: data.result[0].value[1]: must be a string"},
      {R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"two"]}]}})",
       "Prometheus' answer: data.result[0].value[1]: must be a number"},
      {R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":1},"value":[1,"2"]}]}})",
       "Prometheus' answer: data.result[0].metric.a: must be a string"},
      {R"({"status":"success","warnings":[1],"data":{"resultType":"vector","result":[]}})", "Prometheus' answer: warnings: must be a list"},
  };
  for (const Case& c : cases) EXPECT_TRUE(error_of(c.json).starts_with(c.message)) << c.json << ": " << error_of(c.json);
}

}  // namespace
}  // namespace flexpert::codec
