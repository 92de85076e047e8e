#include "telemetry/otlp.h"

#include <vector>

#include <gtest/gtest.h>

namespace flexpert::telemetry {
namespace {

/// A collector that answers when told.
struct Collector {
  SpanExporter::Sink sink() {
    return [this](std::string body, SpanExporter::Sent sent) {
      bodies.push_back(std::move(body));
      waiting.push_back(std::move(sent));
    };
  }
  void answer(bool taken) {
    auto sent = std::move(waiting.front());
    waiting.erase(waiting.begin());
    sent(taken);
  }
  std::vector<std::string> bodies;
  std::vector<SpanExporter::Sent> waiting;
};

RequestSpan a_request() {
  RequestSpan request;
  request.context = *parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  request.start_unix_ns = 1'700'000'000'000'000'000;
  request.end_unix_ns = 1'700'000'001'000'000'000;
  return request;
}

AccessRecord a_record() { return {.request_id = "r-1", .method = "POST", .path = "/v1/completions", .model = "m\"", .status = 503, .reason = "overloaded"}; }

TEST(SpanExporter, WritesOtlpJson) {
  Collector collector;
  SpanExporter exporter({.instance = "gw-0"}, collector.sink());
  RequestSpan request = a_request();
  request.parent = SpanId{1, 2, 3, 4, 5, 6, 7, 8};
  const AttemptSpan attempt{.span_id = {9, 9, 9, 9, 9, 9, 9, 9}, .start_unix_ns = 5, .end_unix_ns = 7, .upstream = "server-0", .status = 0, .error = "connect"};
  request.attempts = {&attempt, 1};
  exporter.add(a_record(), request);
  EXPECT_TRUE(collector.bodies.empty());
  exporter.flush();
  ASSERT_EQ(collector.bodies.size(), 1U);
  EXPECT_EQ(collector.bodies[0],
            R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"flexpert-gateway"}},)"
            R"({"key":"service.instance.id","value":{"stringValue":"gw-0"}}]},"scopeSpans":[{"scope":{"name":"flexpert"},"spans":[)"
            R"({"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","parentSpanId":"0102030405060708","kind":2,)"
            R"("name":"POST /v1/completions","startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000001000000000","attributes":[)"
            R"({"key":"http.request.method","value":{"stringValue":"POST"}},{"key":"http.route","value":{"stringValue":"/v1/completions"}},)"
            R"({"key":"http.response.status_code","value":{"intValue":"503"}},{"key":"http.request.body.size","value":{"intValue":"0"}},)"
            R"({"key":"http.response.body.size","value":{"intValue":"0"}},{"key":"gen_ai.request.model","value":{"stringValue":"m\""}},)"
            R"({"key":"flexpert.request_id","value":{"stringValue":"r-1"}},{"key":"flexpert.queue_us","value":{"intValue":"0"}},)"
            R"({"key":"flexpert.ttft_us","value":{"intValue":"0"}},{"key":"error.type","value":{"stringValue":"overloaded"}}],"status":{"code":2}},)"
            R"({"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"0909090909090909","parentSpanId":"b7ad6b7169203331","kind":3,)"
            R"("name":"POST /v1/completions","startTimeUnixNano":"5","endTimeUnixNano":"7","attributes":[)"
            R"({"key":"http.request.method","value":{"stringValue":"POST"}},{"key":"server.address","value":{"stringValue":"server-0"}},)"
            R"({"key":"error.type","value":{"stringValue":"connect"}}],"status":{"code":2}}]}]}]})");
}

TEST(SpanExporter, OneBatchIsUnderWayAtATime) {
  Collector collector;
  SpanExporter exporter({}, collector.sink());
  exporter.add(a_record(), a_request());
  exporter.flush();
  exporter.add(a_record(), a_request());
  exporter.flush();
  EXPECT_EQ(collector.bodies.size(), 1U);
  EXPECT_EQ(exporter.waiting(), 1U);
  collector.answer(true);
  EXPECT_EQ(exporter.exported(), 1U);
  exporter.flush();
  EXPECT_EQ(collector.bodies.size(), 2U);
  collector.answer(false);
  EXPECT_EQ(exporter.dropped(), 1U);
}

TEST(SpanExporter, SendsAFullBatchByItself) {
  Collector collector;
  SpanExporter exporter({.batch_bytes = 4000}, collector.sink());
  for (int i = 0; i < 20; ++i) exporter.add(a_record(), a_request());
  EXPECT_EQ(collector.bodies.size(), 1U);
  collector.answer(true);
  EXPECT_EQ(collector.bodies.size(), 2U);
}

TEST(SpanExporter, WhatIsTooMuchIsDroppedAndCounted) {
  Collector collector;
  SpanExporter exporter({.batch_bytes = 4000, .max_waiting_bytes = 10'000}, collector.sink());
  for (int i = 0; i < 1000; ++i) exporter.add(a_record(), a_request());
  const std::size_t kept = exporter.waiting();
  EXPECT_EQ(collector.bodies.size(), 1U);
  EXPECT_GT(exporter.dropped(), 900U);
  collector.answer(true);
  collector.answer(true);
  EXPECT_EQ(exporter.exported() + exporter.dropped() + exporter.waiting(), 1000U);
  EXPECT_EQ(exporter.waiting(), 0U);
  EXPECT_GT(kept, 5U);
}

TEST(SpanExporter, AnAnswerAfterItsEndIsIgnored) {
  Collector collector;
  {
    SpanExporter exporter({}, collector.sink());
    exporter.add(a_record(), a_request());
    exporter.flush();
  }
  collector.answer(true);
  EXPECT_TRUE(collector.waiting.empty());
}

TEST(Sampling, FollowsTheClientAndElseTheShare) {
  Rng rng(2);
  TraceContext sampled;
  sampled.sampled = true;
  EXPECT_TRUE(is_sampled(sampled, 0, rng));
  EXPECT_FALSE(is_sampled(TraceContext{}, 0, rng));
  int taken = 0;
  for (int i = 0; i < 10'000; ++i) taken += is_sampled(std::nullopt, 0.1, rng) ? 1 : 0;
  EXPECT_NEAR(taken, 1000, 120);  // four standard deviations
}

}  // namespace
}  // namespace flexpert::telemetry
