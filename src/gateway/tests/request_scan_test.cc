#include "gateway/request_scan.h"

#include <memory>

#include <gtest/gtest.h>
#include <simdjson.h>

#include "base/rng.h"
#include "gateway/body_splice.h"

namespace flexpert::gateway {
namespace {

class RequestScan : public ::testing::Test {
 protected:
  /// Returns why `body` is refused; empty if it is not.
  std::string refusal(const std::string& body) {
    text = body;
    const auto refused = scanner.scan(text, fields);
    return refused ? refused->message : "";
  }
  std::string spliced() {
    std::string out;
    for (const std::string_view part : splice.parts()) out += part;
    EXPECT_EQ(out.size(), splice.size());
    return out;
  }

  RequestScanner scanner;
  ScannedRequest fields;
  std::string text;
  BodySplice splice;
};

TEST_F(RequestScan, FindsWhatTheGatewayReadsAndWhereItStands) {
  EXPECT_EQ(refusal(R"( {"messages" : [{"role":"user","content":"hi"}], "model":"m/1", "stream" : true,"max_tokens":12 , "seed":-5})"), "");
  EXPECT_EQ(fields.model, "m/1");
  EXPECT_TRUE(fields.stream);
  EXPECT_EQ(fields.max_tokens, 12U);
  EXPECT_EQ(fields.model_at.in(text), "\"m/1\"");
  EXPECT_EQ(fields.max_tokens_at.in(text), "12");
  EXPECT_EQ(fields.seed_at.in(text), "-5");
  EXPECT_EQ(fields.prompt_at.in(text), R"([{"role":"user","content":"hi"}])");
  EXPECT_FALSE(fields.temperature_at.there());
}

TEST_F(RequestScan, TextInsidePromptsCountsForNothing) {
  EXPECT_EQ(refusal(R"({"messages":[{"role":"user","content":"\"model\":\"evil\",\"user\":\"root\"","model":"x","stream":true,"max_tokens":9}],)"
                    R"("metadata":{"model":"y","user":"z","stream":true},"model":"real"})"), "");
  EXPECT_EQ(fields.model, "real");
  EXPECT_FALSE(fields.stream);
  EXPECT_FALSE(fields.user_at.there());
  EXPECT_FALSE(fields.max_tokens);
}

TEST_F(RequestScan, AFieldGivenTwiceIsRefusedHoweverItIsSpelt) {
  EXPECT_EQ(refusal(R"({"model":"a","model":"a"})"), "model: given twice");
  EXPECT_EQ(refusal(R"({"model":"a","mod\u0065l":"b"})"), "model: given twice");
  EXPECT_EQ(refusal(R"({"model":"a","user":"u","user":"v"})"), "user: given twice");
  EXPECT_EQ(refusal(R"({"model":"a","max_tokens":1,"max_tokens":1})"), "max_tokens: given twice");
  EXPECT_EQ(refusal(R"({"model":"a","stream_options":{"include_usage":true,"include_usage":false}})"), "stream_options.include_usage: given twice");
  EXPECT_EQ(refusal(R"({"model":"a","x":1,"x":2})"), "");
}

TEST_F(RequestScan, WrongTypesAreNamed) {
  EXPECT_EQ(refusal(R"({"model":5})"), "model: must be a non-empty string");
  EXPECT_EQ(refusal(R"({"model":""})"), "model: must be a non-empty string");
  EXPECT_EQ(refusal(R"({"model":["m"]})"), "model: must be a non-empty string");
  EXPECT_EQ(refusal(R"({"model":"\ud800"})"), "model: must be a non-empty string");
  EXPECT_EQ(refusal(R"({"model":"m","stream":1})"), "stream: must be true or false");
  EXPECT_EQ(refusal(R"({"model":"m","stream":[]})"), "stream: must be true or false");
  EXPECT_EQ(refusal(R"({"model":"m","stream_options":[]})"), "stream_options: must be an object");
  EXPECT_EQ(refusal(R"({"model":"m","stream_options":{"include_usage":1}})"), "stream_options.include_usage: must be true or false");
  EXPECT_EQ(refusal(R"({"model":"m","stream_options":{"include_usage":[true]}})"), "stream_options.include_usage: must be true or false");
  EXPECT_EQ(refusal(R"({"stream":true})"), "model: missing; name one of GET /v1/models");
}

TEST_F(RequestScan, WhatIsNotJsonToItsLastByteIsRefused) {
  for (const std::string bad : {R"({"model":"m"}})", R"({"model":"m"} {})", R"({"model":"m",})", R"({"model":"m" "x":1})", R"({"model" "m"})", R"({"model":"m")",
                                R"({"model":"m","x":[1,]})", R"({"model":"m","x":01})", R"({"model":"m","x":1.})", R"({"model":"m","x":.5})",
                                R"({"model":"m","x":+1})", R"({"model":"m","x":1e})", R"({"model":"m","x":tru})", R"({"model":"m","x":nulll})",
                                R"({"model":"m","x":"\x"})", R"({"model":"m","x":"\u12g4"})", "{\"model\":\"m\",\"x\":\"a\nb\"}", R"({"model":"m","x":"a)",
                                "{\"model\":\"\xff\"}", "{\"model\":\"\xed\xa0\x80\"}", "{\"model\":\"m\",\"x\":1\"a\"}", R"({"model":"m","x":'a'})",
                                R"({model:"m"})", R"({"model":"m","x":{1:2}})", R"({"model":"m","x":[1 2]})", R"({"model":"m","x":NaN})", "\xef\xbb\xbf{}", ""})
    EXPECT_NE(refusal(bad).find("JSON"), std::string::npos) << bad << ": " << refusal(bad);
  EXPECT_EQ(refusal("[]"), "the body must be a JSON object");
  EXPECT_EQ(refusal(R"("model")"), "the body must be a JSON object");
}

TEST_F(RequestScan, WhatIsSaidFirstDoesNotDependOnWhereItStands) {
  EXPECT_EQ(refusal("{\"model\":5,\"x\":\"\x01\"}"), "the body is not valid JSON: a string has a control character");
  EXPECT_EQ(refusal("{\"model\":5,,\"\xff\"}"), "the body is not valid JSON: it is not UTF-8");
  EXPECT_EQ(refusal(R"({"model":"m","x":[1})"), "the body is not valid JSON: a comma or the end of an object or list was expected");
  EXPECT_EQ(refusal(R"({"model":"m","x":{})"), "the body is not valid JSON: it breaks off");
  EXPECT_EQ(refusal(R"({"model":"m","x"})"), "the body is not valid JSON: a key without a colon");
  EXPECT_EQ(refusal(R"({"model":"m","x")"), "the body is not valid JSON: a key without a colon");
  EXPECT_EQ(refusal(R"({"model":"m","x":tru})"), "the body is not valid JSON: a value is none");
  EXPECT_EQ(refusal(R"({"model":"m"} x)"), "the body is not valid JSON: something stands behind its end");
  EXPECT_EQ(refusal(" \n"), "the body is not valid JSON: it is empty");
}

/// Bodies in memory of their own, changed here and there: every way of reading strings says the same, and takes no more than another parser.
TEST_F(RequestScan, EveryWayOfReadingSaysTheSameAndTakesNothingButJson) {
  const std::string good = R"({"model":"m\u00e9", "stream":true,"stream_options":{"include_usage":true},"max_tokens":64,"temperature":0.7,"n":1e0,)"
                           R"("messages":[{"role":"system","content":"You are \"helpful\", é and 中."},{"role":"user","content":")" +
                           std::string(150, 'x') + R"(\\ \n \u4e2d\u6587"},{}, [ ], null,false,-1.5E+3]} )";
  ASSERT_EQ(refusal(good), "");
  const std::vector<std::string> parts{"{", "}", "[", "]", ":", ",", " ", "\"", "\\", "0", "-", ".", "e", "\n", "\x01", "\xc3", "null", "\"a\":1", std::string(64, 'y')};
  std::vector<std::unique_ptr<RequestScanner>> scanners;
  for (const StringReading way : {StringReading::kPlain, StringReading::kAvx2, StringReading::kAvx512})
    if (can_read_strings(way)) scanners.push_back(std::make_unique<RequestScanner>(way));
  simdjson::dom::parser parser;
  Rng rng(11);
  for (std::size_t round = 0; round < 10'000; ++round) {
    std::string body = good;
    if (round < good.size()) {
      body.resize(round);
    } else {
      for (std::uint64_t i = rng.below(3); i > 0; --i) body.replace(rng.below(body.size()), rng.below(3), parts[rng.below(parts.size())]);
    }
    const auto copy = std::make_unique<char[]>(body.size());
    body.copy(copy.get(), body.size());
    const std::string said = refusal(body);
    for (const auto& each : scanners) {
      ScannedRequest found;
      const auto refused = each->scan({copy.get(), body.size()}, found);
      ASSERT_EQ(refused ? refused->message : "", said) << body;
      if (refused) continue;
      ASSERT_EQ(found.model, fields.model);
      ASSERT_EQ(found.prompt_at.end, fields.prompt_at.end);
      ASSERT_EQ(found.max_tokens, fields.max_tokens);
    }
    ASSERT_TRUE(said != "" || parser.parse(body).error() == simdjson::SUCCESS) << body;
  }
}

TEST_F(RequestScan, SixtyFourLevelsAreTakenAndNoMore) {
  const auto nested = [](std::size_t levels) { return R"({"model":"m","x":)" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}"; };
  EXPECT_EQ(refusal(nested(64)), "");
  EXPECT_NE(refusal(nested(65)).find("nested too deeply"), std::string::npos);
  EXPECT_NE(refusal(nested(100000)).find("nested too deeply"), std::string::npos);
}

TEST_F(RequestScan, ABodyOfMegabytesIsScannedLikeASmallOne) {
  const std::string prompt(3 << 20, 'x');
  EXPECT_EQ(refusal(R"({"prompt":")" + prompt + R"(","model":"m\u00e9\ud83d\ude00"})"), "");
  EXPECT_EQ(fields.model, "m\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_EQ(fields.prompt_at.end - fields.prompt_at.begin, prompt.size() + 2);
  EXPECT_EQ(refusal(R"({"model":"m"})"), "");
}

TEST_F(RequestScan, SplicesReplaceScalarsAndLeaveTheRestAsItCame) {
  ASSERT_EQ(refusal(R"({ "max_tokens" : 900,"model":"big", "messages":[ ] })"), "");
  splice.reset(text);
  EXPECT_FALSE(splice.edited());
  EXPECT_EQ(spliced(), text);
  splice.replace_model(fields, "sm\"all");
  splice.cap_max_tokens(fields, 64);
  EXPECT_EQ(spliced(), R"({ "max_tokens" : 64,"model":"sm\"all", "messages":[ ] })");
}

TEST_F(RequestScan, ACapIsPutInWhereThereIsNoneAndHoldsForEverySpellingOfALimit) {
  const auto capped = [&](const std::string& body) {
    EXPECT_EQ(refusal(body), "");
    splice.reset(text);
    splice.cap_max_tokens(fields, 10);
    return spliced();
  };
  EXPECT_EQ(capped(R"({"model":"m"})"), R"({"max_tokens":10,"model":"m"})");
  EXPECT_EQ(capped(R"({"model":"m","max_tokens":7})"), R"({"model":"m","max_tokens":7})");
  EXPECT_EQ(capped(R"({"model":"m","max_tokens":null,"max_completion_tokens":1e9})"), R"({"model":"m","max_tokens":10,"max_completion_tokens":10})");
  EXPECT_EQ(capped(R"({"model":"m","max_completion_tokens":99999999999999999999})"), R"({"model":"m","max_completion_tokens":10})");
}

}  // namespace
}  // namespace flexpert::gateway
