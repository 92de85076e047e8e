#include "codec/sse.h"

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

std::vector<SseEvent> parse(std::string_view text, std::size_t step = 0) {
  SseParser parser;
  std::vector<SseEvent> events;
  if (step == 0) step = std::max<std::size_t>(text.size(), 1);
  for (; !text.empty(); text.remove_prefix(std::min(step, text.size()))) EXPECT_TRUE(parser.feed(text.substr(0, step), events));
  return events;
}

std::vector<std::string> data_of(std::string_view text, std::size_t step = 0) {
  std::vector<std::string> all;
  for (const SseEvent& event : parse(text, step)) all.push_back(event.data);
  return all;
}

using Strings = std::vector<std::string>;

TEST(Sse, ReadsTheSameEventsWhateverTheLineEndAndTheCut) {
  const Strings expected = {"one", "two\nlines", "", "last"};
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    std::string text;
    for (const char* line : {"data: one", "", ": comment", "data:two", "data: lines", "", "", "data", "", "data: last", ""}) text += line + end;
    for (std::size_t step = 0; step <= 8; ++step) EXPECT_EQ(data_of(text, step), expected) << "cut every " << step;
  }
}

TEST(Sse, ReadsTypeIdAndRetry) {
  const auto events = parse("event: ping\nid: 7\nretry: 1500\ndata: a\n\ndata: b\nretry: x\n\nid\ndata: c\n\n");
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].type, "ping");
  EXPECT_EQ(events[0].id, "7");
  EXPECT_EQ(events[0].retry_ms, 1500U);
  EXPECT_EQ(events[1].type, "message");
  EXPECT_EQ(events[1].id, "7") << "the id stays";
  EXPECT_FALSE(events[1].retry_ms);
  EXPECT_EQ(events[2].id, "");
}

TEST(Sse, RemovesOneSpaceOnlyAndSkipsAByteOrderMark) {
  EXPECT_EQ(data_of("\xEF\xBB\xBF" "data:  two spaces\n\n"), Strings{" two spaces"});
  EXPECT_EQ(data_of("data:{\"a\": \"b:c\"}\n\n", 1), Strings{"{\"a\": \"b:c\"}"});
}

TEST(Sse, AnEventWithoutDataOrWithoutItsEndIsNotDelivered) {
  EXPECT_TRUE(parse("event: x\n\n").empty());
  EXPECT_TRUE(parse("data: cut").empty());
  EXPECT_TRUE(parse("data: cut\n").empty());
  EXPECT_TRUE(parse("dat: unknown\n\n").empty());
}

TEST(Sse, RefusesAnEventOverItsBoundAndEverythingAfter) {
  SseParser parser(100);
  std::vector<SseEvent> events;
  EXPECT_TRUE(parser.feed("data: ok\n\n", events));
  EXPECT_TRUE(parser.feed("data: " + std::string(80, 'x') + "\n", events));
  const auto over = parser.feed("data: " + std::string(80, 'x') + "\n", events);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, ErrorCode::kResourceExhausted);
  EXPECT_FALSE(parser.feed("\n\n", events));
  EXPECT_EQ(events.size(), 1U);
}

TEST(Sse, WritesWhatItReads) {
  for (const std::string data : {"", "plain", "two\nlines", "ends in newline\n", "\n\n", "{\"x\":1}"}) {
    std::string text;
    append_sse_comment(text, "keep\nalive");
    append_sse_event(text, data, "ty\npe", "4\r2");
    const auto events = parse(text, 3);
    ASSERT_EQ(events.size(), 1U) << text;
    EXPECT_EQ(events[0].data, data);
    EXPECT_EQ(events[0].type, "type");
    EXPECT_EQ(events[0].id, "42");
  }
  std::string done;
  append_sse_event(done, "[DONE]");
  EXPECT_EQ(done, "data: [DONE]\n\n");
}

}  // namespace
}  // namespace flexpert::codec
