#include "telemetry/trace_context.h"

#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "telemetry/hex.h"

namespace flexpert::telemetry {
namespace {

constexpr std::string_view kGood = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(Traceparent, ReadsAndWritesTheSame) {
  const auto context = parse_traceparent(kGood);
  ASSERT_TRUE(context);
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(context->trace_id[0], 0x0a);
  EXPECT_EQ(context->span_id[7], 0x31);
  EXPECT_EQ(traceparent(*context), kGood);
}

TEST(Hex, WritesEveryByteAndNoMore) {
  for (unsigned value = 0; value < 256; ++value) {
    std::string text(32, '.');
    put_hex(std::array<std::uint8_t, 3>{static_cast<std::uint8_t>(value), 0xa9, 1}, text.data());
    EXPECT_EQ(text, fmt::format("{:02x}a901", value) + std::string(26, '.'));
    std::array<std::uint8_t, 12> twelve{};
    twelve.fill(static_cast<std::uint8_t>(value));
    put_hex(twelve, text.data());
    EXPECT_EQ(text.substr(20), fmt::format("{0:02x}{0:02x}........", value));
  }
}

TEST(Traceparent, UnknownFlagsAreNotPassedOn) {
  EXPECT_EQ(traceparent(*parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff")), kGood);
  EXPECT_FALSE(parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02")->sampled);
}

TEST(Traceparent, RefusesWhatTheStandardRefuses) {
  for (const std::string_view bad : {
           std::string_view(""),
           std::string_view("00"),
           std::string_view("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),      // version ff
           std::string_view("00-00000000000000000000000000000000-b7ad6b7169203331-01"),      // no trace
           std::string_view("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"),      // no span
           std::string_view("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"),      // upper case
           std::string_view("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"),       // short
           std::string_view("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"), // version 00 has no more
           std::string_view("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 "),
           std::string_view("00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
           std::string_view("0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
           std::string_view("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x"),
       })
    EXPECT_FALSE(parse_traceparent(bad)) << bad;
}

TEST(Traceparent, TakesLaterVersionsByWhatTheyHaveInCommon) {
  EXPECT_TRUE(parse_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  const auto later = parse_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes");
  ASSERT_TRUE(later);
  EXPECT_EQ(traceparent(*later), kGood);
}

TEST(Traceparent, IdsAreNewAndTheSameSeedMakesTheSame) {
  Rng rng(4);
  std::set<SpanId> spans;
  const TraceContext trace = new_trace(true, rng);
  for (int i = 0; i < 1000; ++i) {
    const TraceContext child = child_of(trace, rng);
    EXPECT_EQ(child.trace_id, trace.trace_id);
    EXPECT_TRUE(child.sampled);
    spans.insert(child.span_id);
  }
  EXPECT_EQ(spans.size(), 1000U);
  Rng again(4);
  EXPECT_EQ(new_trace(true, again), trace);
  EXPECT_EQ(parse_traceparent(traceparent(trace)), trace);
}

TEST(Tracestate, TakesTheStandardsForm) {
  EXPECT_TRUE(valid_tracestate("rojo=00f067aa0ba902b7"));
  EXPECT_TRUE(valid_tracestate("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
  EXPECT_TRUE(valid_tracestate("a=1 , b=2,\t1tenant@sys=x y"));
  EXPECT_TRUE(valid_tracestate("a=1,,b=2"));
}

TEST(Tracestate, RefusesEverythingElse) {
  for (const std::string_view bad : {"", ",", "a", "A=1", "a=", "a=1,a=2", "a=1=2", "1a=1", "a@1=1", "@a=1", "a@=1", "a=b\x01", "a=\xc3\xbc", "a b=1"})
    EXPECT_FALSE(valid_tracestate(bad)) << bad;
  std::string many = "k0=v";
  for (int i = 1; i < 33; ++i) many += fmt::format(",k{}=v", i);
  EXPECT_FALSE(valid_tracestate(many));
  EXPECT_FALSE(valid_tracestate("a=" + std::string(511, 'x')));
  EXPECT_FALSE(valid_tracestate(std::string(257, 'a') + "=1"));
}

}  // namespace
}  // namespace flexpert::telemetry
