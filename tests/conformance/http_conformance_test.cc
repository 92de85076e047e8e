#include <gtest/gtest.h>

#include "conformance/http_cases.h"

namespace flexpert::conformance {
namespace {

const std::vector<HttpCase>& cases() {
  static const std::vector<HttpCase> all = read_http_cases(FLEXPERT_SOURCE_DIR "/data/conformance/http/test");
  return all;
}

TEST(HttpConformance, TheSuiteIsWhole) {
  ASSERT_EQ(cases().size(), 251U);
  int refused = 0;
  int lenient = 0;
  for (const HttpCase& http_case : cases()) {
    refused += http_case.refused ? 1 : 0;
    lenient += http_case.lenient ? 1 : 0;
  }
  EXPECT_EQ(refused, 84);
  EXPECT_EQ(lenient, 37);
}

TEST(HttpConformance, NoCaseIsReadMoreLaxlyThanLlhttpReadsIt) {
  for (const HttpCase& http_case : cases())
    for (const std::size_t piece : {0, 1, 3}) EXPECT_NE(judge(http_case, piece).verdict, HttpVerdict::kLaxer) << http_case.name << ", pieces of " << piece;
}

TEST(HttpConformance, NorWhereAHostIsThereThatTheSuiteLeftOut) {
  for (const HttpCase& http_case : cases())
    for (const std::size_t piece : {0, 1}) EXPECT_NE(judge(with_host(http_case), piece).verdict, HttpVerdict::kLaxer) << http_case.name;
}

TEST(HttpConformance, WhatIsRefusedHasAReason) {
  for (const HttpCase& http_case : cases()) {
    const HttpJudgement judged = judge(http_case, 0);
    EXPECT_TRUE(judged.verdict != HttpVerdict::kStricter || !judged.reason.empty()) << http_case.name;
  }
}

TEST(HttpConformance, PlainMessagesAreTaken) {
  int taken = 0;
  for (const HttpCase& http_case : cases())
    if (!http_case.refused && judge(with_host(http_case), 0).verdict == HttpVerdict::kSame) ++taken;
  EXPECT_GE(taken, 90);
}

}  // namespace
}  // namespace flexpert::conformance
