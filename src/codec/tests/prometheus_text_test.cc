#include "codec/prometheus_text.h"

#include <cmath>

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

std::string error_of(std::string_view text, const PrometheusTextOptions& options = {}) {
  const auto result = decode_prometheus_text(text, options);
  return result ? "no error" : result.error().message;
}

TEST(PrometheusText, ReadsNamesLabelsValuesAndTimestamps) {
  const auto samples = decode_prometheus_text(
      "# HELP vllm:num_requests_running Running.\n"
      "# TYPE vllm:num_requests_running gauge\n"
      "vllm:num_requests_running{model_name=\"a \\\"b\\\"\\\\\\n\",engine=\"0\"} 3.0\n"
      "\n"
      "plain_total 1.5e3 1700000000123\r\n"
      "  spaced \t{ le = \"+Inf\" , } +Inf\n");
  ASSERT_TRUE(samples) << samples.error().message;
  ASSERT_EQ(samples->size(), 3U);
  EXPECT_EQ((*samples)[0].name, "vllm:num_requests_running");
  EXPECT_EQ(*(*samples)[0].label("model_name"), "a \"b\"\\\n");
  EXPECT_EQ((*samples)[0].label("le"), nullptr);
  EXPECT_EQ((*samples)[1].value, 1500);
  EXPECT_EQ((*samples)[1].timestamp_ms, 1'700'000'000'123);
  EXPECT_EQ((*samples)[2].value, INFINITY);
}

TEST(PrometheusText, ReadsEverySpecialValue) {
  const auto samples = decode_prometheus_text("a NaN\nb -Inf\nc +Inf\nd inf\ne -1.5\nf +2\ng 0x0\n");
  EXPECT_FALSE(samples);
  const auto good = decode_prometheus_text("a NaN\nb -Inf\nc +Inf\nd nan\ne -1.5\nf +2");
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_TRUE(std::isnan((*good)[0].value));
  EXPECT_EQ((*good)[1].value, -INFINITY);
  EXPECT_TRUE(std::isnan((*good)[3].value));
  EXPECT_EQ((*good)[4].value, -1.5);
  EXPECT_EQ((*good)[5].value, 2);
}

TEST(PrometheusText, OpenMetricsHasSecondsExemplarsAndAnEnd) {
  PrometheusTextOptions options;
  options.openmetrics = true;
  const auto samples = decode_prometheus_text(
      "# TYPE a histogram\n# UNIT a seconds\n"
      "a_bucket{le=\"1.0\"} 7 1700000000.5 # {trace_id=\"x y\"} 0.67 1700000000\n"
      "a_count 7 # {} 1\n"
      "# EOF\nthis is not read\n",
      options);
  ASSERT_TRUE(samples) << samples.error().message;
  ASSERT_EQ(samples->size(), 2U);
  EXPECT_EQ((*samples)[0].timestamp_ms, 1'700'000'000'500);
  EXPECT_EQ((*samples)[1].value, 7);
}

TEST(PrometheusText, TakesNamesInQuotes) {
  const auto samples = decode_prometheus_text("{\"my.metric\",\"a.b\"=\"c\",d=\"e\"} 4\n");
  ASSERT_TRUE(samples) << samples.error().message;
  EXPECT_EQ((*samples)[0].name, "my.metric");
  EXPECT_EQ(*(*samples)[0].label("a.b"), "c");
}

TEST(PrometheusText, KeepsOnlyWhatIsWantedAndChecksTheRest) {
  PrometheusTextOptions options;
  options.wanted = [](std::string_view name) { return name == "b"; };
  const auto samples = decode_prometheus_text("a 1\nb{x=\"1\"} 2\nc 3\n", options);
  ASSERT_TRUE(samples);
  ASSERT_EQ(samples->size(), 1U);
  EXPECT_EQ((*samples)[0].value, 2);
  EXPECT_EQ(error_of("b 2\na x\n", options), "line 2: the value must be a number, NaN, +Inf or -Inf: \"x\"");
}

TEST(PrometheusText, WhatIsQuotedFromBinaryDataIsPrintable) {
  EXPECT_EQ(error_of("a \x1b[2J\xff\n"), "line 1: the value must be a number, NaN, +Inf or -Inf: \"?[2J?\"");
}

TEST(PrometheusText, MistakesAreNamedWithTheirLine) {
  const struct Case {
    std::string_view text;
    std::string_view message;
  } cases[] = {
      {"a 1\n1a 2\n", "line 2: a metric name must begin with a letter"},
      {"a\n", "line 1: a value is missing"},
      {"a{x=\"1\" 2\n", "line 1: ',' or '}' must follow a label"},
      {"a{x=\"1\"", "line 1: '}' is missing after the labels"},
      {"a{x=1} 2\n", "line 1: the value of label x must be in quotes"},
      {"a{x=\"1} 2\n", "line 1: a closing quote is missing"},
      {"a{x=\"\\t\"} 2\n", "line 1: \\t is no escape"},
      {"a{x=\"1\",x=\"2\"} 2\n", "line 1: label x is given twice"},
      {"a{=\"1\"} 2\n", "line 1: a label name must begin with a letter"},
      {"a{\"x\"} 2\n", "line 1: '=' must follow the label name x"},
      {"{x=\"1\"} 2\n", "line 1: a metric name is missing"},
      {"a 1 2 3\n", "line 1: nothing may follow the timestamp: \"3\""},
      {"a 1 soon\n", "line 1: the timestamp must be a number: \"soon\""},
      {"a 1 1e300\n", "line 1: the timestamp must be a number"},
      {"a +-1\n", "line 1: the value must be a number"},
      {"a nan(3)\n", "line 1: the value must be a number"},
      {"<html>\n", "line 1: a metric name must begin with a letter"},
  };
  for (const Case& c : cases) EXPECT_TRUE(error_of(c.text).starts_with(c.message)) << c.text << ": " << error_of(c.text);
}

TEST(PrometheusText, SizesAreBounded) {
  PrometheusTextOptions options;
  options.limits = {.max_samples = 2, .max_line_bytes = 40, .max_labels = 2};
  EXPECT_EQ(error_of("a 1\nb 1\n# c\n", options), "no error");
  EXPECT_EQ(error_of("a 1\nb 1\nc 1\n", options), "line 3: over 2 samples");
  EXPECT_EQ(error_of("a{a=\"1\",b=\"1\",c=\"1\"} 1\n", options), "line 1: over 2 labels");
  EXPECT_EQ(error_of(std::string(41, 'a') + " 1", options), "line 1: over 40 bytes");
}

}  // namespace
}  // namespace flexpert::codec
