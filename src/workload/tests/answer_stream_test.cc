#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "workload/answer_stream.h"

namespace flexpert::workload {
namespace {

const std::string kWhole =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"So 2\"},\"finish_reason\":null}]}\n\n"
    ": a comment\r\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" + 3\"},\"finish_reason\":null}]}\r\n\r\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5}}\n\n"
    "data: [DONE]\n\n";

std::vector<std::string> pieces_of(AnswerStream& stream, const std::string& bytes, std::size_t step) {
  std::vector<std::string> pieces;
  for (std::size_t i = 0; i < bytes.size(); i += step)
    stream.feed(std::string_view(bytes).substr(i, step), [&](std::string_view text) { pieces.emplace_back(text); });
  return pieces;
}

TEST(AnswerStream, ReadsAWholeAnswerHoweverItIsCut) {
  for (const std::size_t step : {1UL, 7UL, 100000UL}) {
    AnswerStream stream;
    EXPECT_EQ(pieces_of(stream, kWhole, step), (std::vector<std::string>{"So 2", " + 3"}));
    EXPECT_EQ(stream.problem(), "");
    EXPECT_EQ(stream.text(), "So 2 + 3");
    EXPECT_EQ(stream.tokens(), 5U);
    EXPECT_EQ(stream.finish_reason(), "stop");
  }
}

TEST(AnswerStream, ReadsTextCompletionsAndCountsPiecesWithoutUsage) {
  AnswerStream stream;
  pieces_of(stream, "data: {\"choices\":[{\"text\":\"a\",\"finish_reason\":null}]}\n\ndata: {\"choices\":[{\"text\":\"b\",\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n", 3);
  EXPECT_EQ(stream.problem(), "");
  EXPECT_EQ(stream.text(), "ab");
  EXPECT_EQ(stream.tokens(), 2U);
}

TEST(AnswerStream, AnyCutIsAProblem) {
  const std::size_t done = kWhole.find("data: [DONE]");
  for (std::size_t length = 0; length < done + 12; ++length) {
    AnswerStream stream;
    pieces_of(stream, kWhole.substr(0, length), 100000);
    EXPECT_NE(stream.problem(), "") << length;
  }
}

TEST(AnswerStream, SaysWhatTheServerReported) {
  AnswerStream stream;
  pieces_of(stream, "data: {\"error\":{\"message\":\"out of blocks\"}}\n\ndata: [DONE]\n\n", 100);
  EXPECT_NE(stream.problem().find("out of blocks"), std::string::npos);
  AnswerStream broken;
  pieces_of(broken, "data: {\"choices\":\n\n", 100);
  EXPECT_NE(broken.problem().find("JSON"), std::string::npos);
  AnswerStream cancelled;
  pieces_of(cancelled, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}\n\ndata: [DONE]\n\n", 100);
  EXPECT_NE(cancelled.problem().find("error"), std::string::npos);
}

TEST(AnswerStream, BoundsALineWithoutAnEnd) {
  AnswerStream stream;
  const std::string much(100000, 'x');
  for (int i = 0; i < 20; ++i) stream.feed(much, [](std::string_view) {});
  EXPECT_NE(stream.problem().find("1 MiB"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::workload
