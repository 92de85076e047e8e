#include "codec/routing_trace.h"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "codec/gzip.h"

namespace flexpert::codec {
namespace {

constexpr std::string_view kHeader = "request,dataset,category,row_index,prompt_tokens,decode_tokens,first_token,finished\n";

std::string index_of(std::string_view rows) { return std::string(kHeader) + std::string(rows); }

/// 3 tokens, 2 layers, top-2 of 8 experts, 2 requests.
const std::string kBytes = {0, 1, 2, 3, 4, 5, 6, 7, 1, 0, 7, 2};
const std::string kIndex = index_of("0,law,1,5,100,1,0,1\n1,maths,\"a,\"\"b\"\"\",6,90,2,1,0\n");

std::string message(std::string_view bytes, const std::string& index, const RoutingTraceShape& shape = {.top_k = 2}) {
  const auto trace = parse_routing_trace(bytes, index, shape);
  return trace ? "accepted" : trace.error().message;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(RoutingTrace, ReadsTokensLayersAndRequests) {
  const auto trace = parse_routing_trace(kBytes, kIndex, {.top_k = 2});
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->geometry, (ExpertGeometry{.layers = 2, .experts = 8}));
  EXPECT_EQ(trace->tokens(), 3u);
  EXPECT_EQ(trace->choice(1, 1)[0], 6);
  ASSERT_EQ(trace->requests.size(), 2u);
  EXPECT_EQ(trace->requests[1].topic, "maths");
  EXPECT_EQ(trace->requests[1].category, "a,\"b\"");
  EXPECT_EQ(trace->requests[1].first_token, 1u);
  EXPECT_EQ(trace->requests[1].tokens, 2u);
}

TEST(RoutingTrace, LayersGiveTopKAndGzipIsInflated) {
  const auto trace = parse_routing_trace(gzip(kBytes).value(), kIndex, {.layers = 2, .experts = 12});
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->top_k, 2u);
  EXPECT_EQ(trace->geometry.experts, 12u);
}

TEST(RoutingTrace, NamesGiveTopKAndTheIndex) {
  EXPECT_EQ(top_k_of_name("a/gptoss20b_decode_top4.u8.gz"), 4u);
  EXPECT_EQ(top_k_of_name("x.top6.u8"), 6u);
  EXPECT_EQ(top_k_of_name("x.u8.gz"), std::nullopt);
  EXPECT_EQ(top_k_of_name("laptop4.u8.gz"), std::nullopt);
  EXPECT_EQ(top_k_of_name("x_top0.u8"), std::nullopt);
  EXPECT_EQ(routing_index_name("a/gptoss20b_decode_top4.u8.gz"), "a/gptoss20b_decode_index.csv");
  EXPECT_EQ(routing_index_name("x.u8"), "x_index.csv");
}

TEST(RoutingTrace, ColumnsGoByTheirNames) {
  const auto trace = parse_routing_trace(kBytes, "first_token,extra,decode_tokens,dataset\r\n0,,3,law\r\n", {.top_k = 2});
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->requests[0].topic, "law");
  EXPECT_EQ(trace->requests[0].category, "");
}

TEST(RoutingTrace, RefusesAnIndexOfAnotherFile) {
  EXPECT_EQ(message(kBytes.substr(1), kIndex),
            "routing file: 11 bytes are no multiple of the index's 3 tokens x 0 layers x top-2 (0: unknown); is it the index of this "
            "file?");
  EXPECT_EQ(message(kBytes, kIndex, {.top_k = 2, .layers = 1}), "routing file: 12 bytes, but 3 tokens x 1 layers x top-2 take 6");
  EXPECT_EQ(message("", kIndex).substr(0, 35), "routing file: 0 bytes are no multip");
  EXPECT_EQ(message(kBytes, kIndex, {}), "routing file: the experts a token chooses (top-k) are not known; give them, or the layers");
}

TEST(RoutingTrace, RefusesRequestsThatLeaveGapsOrOverlap) {
  EXPECT_EQ(message(kBytes, index_of("0,law,1,5,100,1,0,1\n1,law,1,6,90,1,2,0\n")),
            "routing index line 3: first_token is 2, but the requests before it end at 1");
  EXPECT_EQ(message(kBytes, index_of("0,law,1,5,100,1,0,1\n1,law,1,6,90,3,0,0\n")),
            "routing index line 3: first_token is 0, but the requests before it end at 1");
}

TEST(RoutingTrace, RefusesRowsThatAreNotWhole) {
  EXPECT_EQ(message(kBytes, index_of("0,law,1\n")), "routing index line 2: 3 columns, the header has 8");
  EXPECT_EQ(message(kBytes, index_of("0,law,1,5,100,-3,0,1\n")), "routing index line 2: decode_tokens must be a whole number, got \"-3\"");
  EXPECT_EQ(message(kBytes, index_of("0,law,1,5,100,3,0x,1\n")), "routing index line 2: first_token must be a whole number, got \"0x\"");
  EXPECT_EQ(message(kBytes, index_of("0,,1,5,100,3,0,1\n")), "routing index line 2: the dataset (topic) is empty");
  EXPECT_EQ(message(kBytes, index_of("0,\"law,1,5,100,3,0,1\n")), "routing index line 2: a quote is not closed or not doubled");
  EXPECT_EQ(message(kBytes, index_of("0,law,1,5,100,18446744073709551615,0,1\n")),
            "routing index line 2: more than 4294967296 tokens in all");
  EXPECT_EQ(message(kBytes, index_of("")), "routing index: it names no tokens: 0 requests");
}

TEST(RoutingTrace, RefusesHeadersWithoutTheColumns) {
  EXPECT_EQ(message(kBytes, ""), "routing index: empty; it needs a header line with dataset,decode_tokens,first_token");
  EXPECT_EQ(message(kBytes, "dataset,first_token\n"),
            "routing index: no column decode_tokens; the header must name dataset, decode_tokens and first_token");
  EXPECT_EQ(message(kBytes, "dataset,dataset,decode_tokens,first_token\n"), "routing index: the header names column dataset twice");
}

TEST(RoutingTrace, RefusesChoicesThatNoModelMakes) {
  std::string twice = kBytes;
  twice[7] = 6;
  EXPECT_EQ(message(twice, kIndex), "routing file: token 1 layer 1 names expert 6 twice; are 2 layers and top-2 right?");
  EXPECT_EQ(message(kBytes, kIndex, {.top_k = 2, .experts = 7}), "routing file: token 1 layer 1 names expert 7, the model has 7");
}

TEST(RoutingTrace, RefusesMoreThanTheIndexCanExplain) {
  const std::string bomb = gzip(std::string(10'000'000, '\0')).value();
  EXPECT_EQ(message(bomb, kIndex), "gzip: the file holds more than the 6144 bytes allowed");
}

TEST(RoutingTrace, ReadsTheRecordedFile) {
  const std::string path = std::string(FLEXPERT_SOURCE_DIR) + "/data/routing/gptoss20b_decode_top4.u8.gz";
  const auto trace = parse_routing_trace(read_file(path), read_file(routing_index_name(path)), {.top_k = top_k_of_name(path).value()});
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->geometry, (ExpertGeometry{.layers = 24, .experts = 32}));
  EXPECT_EQ(trace->tokens(), 90619u);
  EXPECT_EQ(trace->requests.size(), 305u);
  EXPECT_EQ(trace->requests[4].topic, "gpqa_extended");
}

}  // namespace
}  // namespace flexpert::codec
