#include "gateway/load_report_meter.h"

#include <gtest/gtest.h>

namespace flexpert::gateway {
namespace {

AnswerMeter metered(std::string_view text, std::size_t cut = 1000) {
  AnswerMeter meter;
  while (!text.empty()) {
    meter.feed(text.substr(0, cut));
    text.remove_prefix(std::min(cut, text.size()));
  }
  return meter;
}

const std::string kStream =
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"Say \\\"content\\\": \\\"x\\\"\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\": \"\\n\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
const std::string kUsage =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\": 345,\"total_tokens\":357,"
    "\"completion_tokens_details\":{\"reasoning_tokens\":7}}}\n\ndata: [DONE]\n\n";

TEST(AnswerMeter, CountsPiecesOfTextHoweverTheBytesAreCut) {
  for (std::size_t cut = 1; cut < 60; ++cut) EXPECT_EQ(metered(kStream, cut).pieces(), 3U) << cut;
}

TEST(AnswerMeter, ReadsUsageHoweverTheBytesAreCut) {
  EXPECT_FALSE(metered(kStream).completion_tokens());
  for (std::size_t cut = 1; cut < 60; ++cut) {
    const AnswerMeter meter = metered(kStream + kUsage, cut);
    EXPECT_EQ(meter.prompt_tokens(), 12U) << cut;
    EXPECT_EQ(meter.completion_tokens(), 345U) << cut;
  }
}

TEST(AnswerMeter, ReadsAWholeAnswer) {
  const AnswerMeter meter = metered("{\n \"choices\": [{\"text\": \"a b c\"}],\n \"usage\": {\"prompt_tokens\": 4, \"completion_tokens\": 9}\n}");
  EXPECT_EQ(meter.prompt_tokens(), 4U);
  EXPECT_EQ(meter.completion_tokens(), 9U);
}

TEST(AnswerMeter, TheLastUsageOfAWholeAnswerCountsWhereverItStands) {
  const std::string usage = R"("usage" : {"completion_tokens":9,"prompt_tokens": 4,"completion_tokens_details":{"reasoning_tokens":1}})";
  const std::string early = R"("usage":{"prompt_tokens":1,"completion_tokens":2})";
  for (std::size_t filling = 0; filling < 3000; filling += filling < 200 ? 1 : 97) {
    const std::string text = R"("text":")" + std::string(filling, ':') + "\"";
    for (const std::string& answer :
         {"{" + text + "," + usage + "}", "{" + usage + "," + text + "}", "{" + early + "," + text + "," + usage + "}\n"}) {
      const AnswerMeter meter = metered(answer, answer.size());
      EXPECT_EQ(meter.prompt_tokens(), 4U) << answer;
      EXPECT_EQ(meter.completion_tokens(), 9U) << answer;
    }
  }
}

TEST(AnswerMeter, HalfAUsageLeavesThePiecesToCount) {
  const AnswerMeter meter = metered(R"({"usage":{"completion_tokens":null,"prompt_tokens":7},"choices":[{"text":"a"},{"text":"b"}]})");
  EXPECT_EQ(meter.prompt_tokens(), 7U);
  EXPECT_FALSE(meter.completion_tokens());
  EXPECT_EQ(meter.pieces(), 2U);
}

TEST(AnswerMeter, IsNotFooledByWhatTextSays) {
  const AnswerMeter meter = metered(R"({"choices":[{"text":"\"usage\":{\"completion_tokens\":99}"}],"content_filter":"no","text_offset":[1]})");
  EXPECT_EQ(meter.pieces(), 1U);
  EXPECT_FALSE(meter.completion_tokens());
  const AnswerMeter told =
      metered(R"({"usage":{"prompt_tokens":3,"completion_tokens":2},"text":"\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":99}"})");
  EXPECT_EQ(told.prompt_tokens(), 3U);
  EXPECT_EQ(told.completion_tokens(), 2U);
}

TEST(AnswerMeter, NumbersAreBoundedAndBrokenEventsSpoilNoOther) {
  const AnswerMeter meter = metered("data: {\"content\":\"unfinished\ndata: {\"completion_tokens\":99999999999999999999999999\n");
  EXPECT_EQ(meter.pieces(), 1U);
  EXPECT_LT(*meter.completion_tokens(), 100'000'000'000U);
}

}  // namespace
}  // namespace flexpert::gateway
