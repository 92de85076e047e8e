#include "controller/metric_names.h"

#include <gtest/gtest.h>

namespace flexpert::controller {
namespace {

MetricRule rule(std::string_view name, std::string_view text) {
  auto parsed = parse_metric_rule(name, text);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? *parsed : MetricRule{};
}

TEST(MetricNames, EveryEngineHasATableThatReads) {
  EXPECT_EQ(known_engines(), (std::vector<std::string>{"flexpert", "vllm", "sglang", "llamacpp", "dynamo"}));
  for (const std::string& engine : known_engines()) {
    const auto rules = rules_for(engine, {});
    ASSERT_TRUE(rules) << engine << ": " << rules.error().message;
    EXPECT_TRUE(rules->contains("in_flight") && rules->contains("queued") && rules->contains("itl_s")) << engine;
  }
}

TEST(MetricNames, ASingleNameMeansWhatOursIs) {
  EXPECT_EQ(rule("ttft_s", "h").formulas[0], (MetricFormula{MetricFormula::Kind::kMean, {"h_sum", {}}, SeriesSelector{"h_count", {}}}));
  EXPECT_EQ(rule("requests_per_s", "c_total").formulas[0].kind, MetricFormula::Kind::kRate);
  EXPECT_EQ(rule("kv", "g").formulas[0].kind, MetricFormula::Kind::kGauge);
  EXPECT_EQ(rule("kv", "g").across, MetricAcross::kMean);
  EXPECT_EQ(rule("queued", "g").across, MetricAcross::kSum);
  EXPECT_EQ(rule("mine", "rate(c_total)").formulas[0].kind, MetricFormula::Kind::kRate);
}

TEST(MetricNames, LabelsAlternativesAndQuotientsAreRead) {
  const MetricRule read = rule("isl", "a:b{x=\"1\", y=\"z w\"} / c or d");
  ASSERT_EQ(read.formulas.size(), 2U);
  EXPECT_EQ(read.formulas[0].a, (SeriesSelector{"a:b", {{"x", "1"}, {"y", "z w"}}}));
  EXPECT_EQ(read.formulas[0].b->name, "c");
  EXPECT_EQ(read.formulas[1].a.name, "d_sum");
  EXPECT_TRUE(read.formulas[0].a.matches({"a:b", {{"y", "z w"}, {"x", "1"}, {"q", ""}}, 0, {}}));
  EXPECT_FALSE(read.formulas[0].a.matches({"a:b", {{"x", "1"}}, 0, {}}));
}

TEST(MetricNames, ConfiguredNamesGoOverTheEngines) {
  const auto rules = rules_for("vllm", {{"kv", "my_kv"}, {"gpu", "DCGM_FI_DEV_GPU_UTIL"}, {"cpu", ""}});
  ASSERT_TRUE(rules) << rules.error().message;
  EXPECT_EQ(rules->at("kv").formulas[0].a.name, "my_kv");
  EXPECT_TRUE(rules->contains("gpu"));
  EXPECT_FALSE(rules->contains("cpu"));
}

TEST(MetricNames, MistakesNameTheField) {
  EXPECT_EQ(rules_for("vlm", {}).error().message, "sensors.engine: must be one of flexpert, vllm, sglang, llamacpp, dynamo: \"vlm\"");
  for (const std::string text : {"1a", "a b", "a /", "rate(a", "a{x}", "a{x=\"1\"", "a{x=\"1", "a or", "a + b", "a or rate(b)", "{x=\"1\"}"}) {
    const auto rules = rules_for("vllm", {{"mine", text}});
    ASSERT_FALSE(rules) << text;
    EXPECT_TRUE(rules.error().message.starts_with("sensors.names.mine: ")) << rules.error().message;
  }
}

TEST(MetricNames, PromqlTakesSelectorWindowAndInstances) {
  EXPECT_EQ(promql_for(rule("requests_per_s", "c_total"), "job=\"x\"", "15000ms", true).value, "sum by (instance) (rate(c_total{job=\"x\"}[15000ms]))");
  EXPECT_EQ(promql_for(rule("isl", "h{a=\"b\"}"), "job=\"x\"", "1s", false).value,
            "sum (increase(h_sum{job=\"x\",a=\"b\"}[1s])) / sum (increase(h_count{job=\"x\",a=\"b\"}[1s]))");
  const MetricQuery kv = promql_for(rule("kv", "a or b"), "", "1s", true);
  EXPECT_EQ(kv.value, "avg by (instance) (a) or avg by (instance) (b)");
  EXPECT_EQ(kv.age, "time() - min by (instance) (timestamp(a)) or time() - min by (instance) (timestamp(b))");
}

}  // namespace
}  // namespace flexpert::controller
