#include "gateway/request_trace.h"

#include <gtest/gtest.h>

#include "codec/http1_view.h"
#include "http/server.h"

namespace flexpert::gateway {
namespace {

constexpr std::string_view kClient = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A request's head with the views into a text that stays.
struct Head {
  explicit Head(std::string_view fields) : text(fmt::format("POST /v1/completions HTTP/1.1\r\nHost: x\r\n{}\r\n", fields)) {
    EXPECT_EQ(codec::Http1HeadReader().read(text, view), codec::Http1HeadOutcome::kHead);
  }
  std::string text;
  codec::Http1RequestView view;
};

class RequestTraceTest : public ::testing::Test {
 protected:
  std::string attempt(const Head& head) {
    std::string lines;
    trace.begin_attempt(lines, head.view, "server-0", now, rng);
    return lines;
  }
  net::EventLoop loop;
  telemetry::Registry registry;
  Rng rng{3};
  RequestTrace trace;
  TimePoint now{std::chrono::hours(1)};
};

TEST_F(RequestTraceTest, ContinuesTheClientsTraceWithSpansOfItsOwn) {
  const Head head(fmt::format("traceparent: {}\r\ntracestate: a=1,b=2\r\n", kClient));
  trace.begin(head.view, nullptr, rng);
  EXPECT_EQ(trace.trace_id(), "0af7651916cd43dd8448eb211c80319c");
  const std::string first = attempt(head);
  const std::string second = attempt(head);
  EXPECT_TRUE(first.starts_with("traceparent: 00-0af7651916cd43dd8448eb211c80319c-")) << first;
  EXPECT_TRUE(first.ends_with("-01\r\ntracestate: a=1,b=2\r\n")) << first;
  EXPECT_NE(first, second);
  EXPECT_EQ(first.find("b7ad6b7169203331"), std::string::npos);
}

TEST_F(RequestTraceTest, StartsATraceWhereTheClientsIsMissingOrBad) {
  for (const std::string_view fields : {"", "traceparent: 00-x\r\ntracestate: a=1\r\n", "tracestate: a=1\r\n"}) {
    const Head head(fields);
    trace.begin(head.view, nullptr, rng);
    const std::string lines = attempt(head);
    EXPECT_TRUE(lines.starts_with(fmt::format("traceparent: 00-{}-", trace.trace_id()))) << lines;
    EXPECT_TRUE(lines.ends_with("-00\r\n")) << lines;
  }
}

TEST_F(RequestTraceTest, ABadStateIsNotPassedOn) {
  const Head head(fmt::format("traceparent: {}\r\ntracestate: A=1\r\n", kClient));
  trace.begin(head.view, nullptr, rng);
  EXPECT_EQ(attempt(head).find("tracestate"), std::string::npos);
}

TEST_F(RequestTraceTest, SampledRequestsReachTheCollector) {
  std::vector<std::string> bodies;
  http::Server collector(loop, {}, [&](const http::Request& request, http::Responder responder) {
    EXPECT_EQ(request.target, "/v1/traces");
    bodies.push_back(request.body);
    responder.respond(http::json_response(200, "{}"));
  });
  const auto address = collector.listen(*net::Address::parse("127.0.0.1:0"));
  ASSERT_TRUE(address);
  TraceExport exporter(loop, {.url = "http://" + address->to_string(), .share = 0}, registry);
  const Head sampled(fmt::format("traceparent: {}\r\n", kClient));
  const Head other("");
  for (const Head* head : {&sampled, &other}) {
    trace.begin(head->view, &exporter, rng);
    attempt(*head);
    now += Seconds(1);
    trace.end_attempt(0, "connect", now);
    attempt(*head);
    trace.end_attempt(200, "", now);
    trace.end({.path = "/v1/completions", .status = 200}, now - Seconds(2), now, 1'700'000'000'000);
  }
  exporter.flush();
  const TimePoint give_up = SystemClock().now() + Seconds(5);
  const auto exported = [&] { return registry.text().find("flexpert_gateway_spans_total{outcome=\"exported\"} 3") != std::string::npos; };
  while (!exported() && SystemClock().now() < give_up) {
    loop.run_once(Milliseconds(20));
    exporter.flush();
  }
  EXPECT_TRUE(exported());
  ASSERT_EQ(bodies.size(), 1U);
  EXPECT_NE(bodies[0].find(R"("startTimeUnixNano":"1699999998000000000","endTimeUnixNano":"1700000000000000000")"), std::string::npos) << bodies[0];
  EXPECT_NE(bodies[0].find(R"("parentSpanId":"b7ad6b7169203331")"), std::string::npos);
  EXPECT_NE(bodies[0].find(R"("http.request.resend_count")"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::gateway
