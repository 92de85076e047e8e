#include "http/message.h"

#include <gtest/gtest.h>

namespace flexpert::http {
namespace {

TEST(Headers, NamesCompareWithoutCase) {
  Headers headers;
  headers.add("Content-Type", "a");
  headers.add("X-Many", "1");
  headers.add("x-many", "2");
  EXPECT_EQ(headers.find("content-TYPE"), "a");
  EXPECT_EQ(headers.find("X-MANY"), "1");
  headers.set("X-many", "3");
  EXPECT_EQ(headers.find("x-many"), "3");
  EXPECT_EQ(headers.fields().size(), 2U);
  headers.remove("CONTENT-type");
  EXPECT_FALSE(headers.find("Content-Type"));
}

TEST(Message, PathIsTheTargetWithoutItsQuery) {
  Request request;
  request.target = "/a/b?c=d?e";
  EXPECT_EQ(request.path(), "/a/b");
  request.target = "/plain";
  EXPECT_EQ(request.path(), "/plain");
}

TEST(Message, OpenAiErrorEscapesAndHasNulls) {
  const Response response = openai_error(404, "no \"such\" model\n", "invalid_request_error", {}, "model_not_found");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.find("content-type"), "application/json");
  EXPECT_EQ(response.body,
            R"({"error":{"message":"no \"such\" model\n","type":"invalid_request_error","param":null,"code":"model_not_found"}})");
}

TEST(Message, ReasonPhrases) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(429), "Too Many Requests");
  EXPECT_EQ(reason_phrase(299), "Status");
}

}  // namespace
}  // namespace flexpert::http
