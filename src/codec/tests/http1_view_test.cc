#include "codec/http1_view.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "base/rng.h"
#include "codec/tests/http1_compare.h"

namespace flexpert::codec {
namespace {

constexpr const char* kPost =
    "POST /v1/chat/completions?x=%20y HTTP/1.1\r\nHost: api.example.org:8000\r\nUser-Agent: OpenAI/JS 4.20.1\r\nAuthorization: Bearer sk-abc\r\n"
    "Content-Type: application/json\r\nX-Stainless-Retry-Count: 0\r\nContent-Length: 5\r\nx_FLEXPERT-grant: forged\r\n\r\n";

TEST(Http1HeadReader, ReadsInPlaceAndFindsKnownFields) {
  Http1HeadReader reader;
  Http1RequestView head;
  const std::string input = std::string(kPost) + "hello";
  ASSERT_EQ(reader.read(input, head), Http1HeadOutcome::kHead);
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path(), "/v1/chat/completions");
  EXPECT_EQ(head.find(Http1KnownField::kAuthorization), "Bearer sk-abc");
  EXPECT_EQ(head.find("x-stainless-RETRY-count"), "0");
  EXPECT_EQ(head.find(Http1KnownField::kInternal), "forged");
  EXPECT_EQ(head.find(Http1KnownField::kTe).data(), nullptr);
  EXPECT_EQ(head.framing, Http1Framing::kLength);
  EXPECT_EQ(head.content_length, 5U);
  EXPECT_EQ(input.substr(head.size), "hello");
  EXPECT_GE(head.target.data(), input.data());
  EXPECT_LT(head.target.data(), input.data() + input.size());
}

TEST(Http1HeadReader, GoesOnWhenTheBufferGrowsAndMoves) {
  const std::string input = kPost;
  Http1HeadReader reader;
  Http1RequestView head;
  std::vector<std::string> buffers;  // each at an address of its own
  for (std::size_t size = 0; size < input.size(); ++size) {
    buffers.push_back(input.substr(0, size));
    ASSERT_EQ(reader.read(buffers.back(), head), Http1HeadOutcome::kNeedMore) << size;
  }
  buffers.clear();
  ASSERT_EQ(reader.read(input, head), Http1HeadOutcome::kHead);
  EXPECT_EQ(head.method.data(), input.data());
  EXPECT_EQ(head.find(Http1KnownField::kHost), "api.example.org:8000");
  const std::string moved = input;
  http1_rebase(head, input.data(), moved.data());
  EXPECT_EQ(head.method.data(), moved.data());
  EXPECT_EQ(head.find(Http1KnownField::kUserAgent), "OpenAI/JS 4.20.1");
}

TEST(Http1HeadReader, TellsAWrongLineBeforeTheHeadIsOver) {
  Http1HeadReader reader;
  Http1RequestView head;
  EXPECT_EQ(reader.read("GET / HTTP/1.1\r\nHost : x\r\n", head), Http1HeadOutcome::kError);
  EXPECT_EQ(reader.error().status, 400);
  reader.reset();
  EXPECT_EQ(reader.read("BREW / HTTP/1.1\r\n", head), Http1HeadOutcome::kError);
  EXPECT_EQ(reader.error().status, 501);
  reader.reset();
  EXPECT_EQ(reader.read("GET / HTTP/1.1\r\nHost: x\r\n\r\n", head), Http1HeadOutcome::kHead);
}

TEST(Http1HeadReader, KeepsTheMemoryOfItsFields) {
  Http1HeadReader reader;
  Http1RequestView head;
  ASSERT_EQ(reader.read(kPost, head), Http1HeadOutcome::kHead);
  const Http1FieldView* const fields = head.fields.data();
  reader.reset();
  ASSERT_EQ(reader.read("GET / HTTP/1.1\r\nHost: x\r\n\r\n", head), Http1HeadOutcome::kHead);
  EXPECT_EQ(head.fields.data(), fields);
  EXPECT_EQ(head.find(Http1KnownField::kContentLength).data(), nullptr);
}

TEST(Http1KnownFields, KnowsEveryNameInAnyCase) {
  const std::vector<std::pair<std::string, Http1KnownField>> names = {
      {"host", Http1KnownField::kHost}, {"connection", Http1KnownField::kConnection}, {"content-length", Http1KnownField::kContentLength},
      {"content-type", Http1KnownField::kContentType}, {"transfer-encoding", Http1KnownField::kTransferEncoding}, {"expect", Http1KnownField::kExpect},
      {"authorization", Http1KnownField::kAuthorization}, {"accept", Http1KnownField::kAccept}, {"accept-encoding", Http1KnownField::kAcceptEncoding},
      {"content-encoding", Http1KnownField::kContentEncoding}, {"user-agent", Http1KnownField::kUserAgent}, {"traceparent", Http1KnownField::kTraceparent},
      {"tracestate", Http1KnownField::kTracestate}, {"retry-after", Http1KnownField::kRetryAfter}, {"cache-control", Http1KnownField::kCacheControl},
      {"date", Http1KnownField::kDate}, {"server", Http1KnownField::kServer}, {"keep-alive", Http1KnownField::kKeepAlive}, {"upgrade", Http1KnownField::kUpgrade},
      {"te", Http1KnownField::kTe}, {"trailer", Http1KnownField::kTrailer}, {"proxy-connection", Http1KnownField::kProxyConnection},
      {"proxy-authenticate", Http1KnownField::kProxyAuthenticate}, {"proxy-authorization", Http1KnownField::kProxyAuthorization},
      {"x-forwarded-for", Http1KnownField::kXForwardedFor}, {"x-request-id", Http1KnownField::kXRequestId}, {"x-api-key", Http1KnownField::kXApiKey}};
  EXPECT_EQ(names.size() + 3, static_cast<std::size_t>(Http1KnownField::kCount));
  for (const auto& [name, known] : names) {
    std::string upper = name;
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(http1_known_field(name), known) << name;
    EXPECT_EQ(http1_known_field(upper), known) << upper;
    for (std::size_t i = 0; i < name.size(); ++i) {  // one bit from it is another name
      std::string near = name;
      near[i] = static_cast<char>(near[i] ^ (name[i] == '-' ? 0x20 : 0x01));
      EXPECT_NE(http1_known_field(near), known) << near;
      near[i] = static_cast<char>(name[i] == '-' ? '_' : name[i] ^ 0x40);
      EXPECT_NE(http1_known_field(near), known) << near;
    }
  }
}

TEST(Http1KnownFields, InternalNamesAreKnownInEverySpelling) {
  for (const char* name : {"X-Flexpert-Grant", "x-flexpert-grant", "X_FLEXPERT_GRANT", "x-Flexpert_any", "XFlexpert", "X.Flexpert-a", "_x-flexpert", "X-Flex-Pert-A"})
    EXPECT_EQ(http1_known_field(name), Http1KnownField::kInternal) << name;
  for (const char* name : {"X-Flexper", "X-Expert", "Flexpert", "Y-Flexpert", "X-Request", "x"})
    EXPECT_EQ(http1_known_field(name), Http1KnownField::kOther) << name;
}

TEST(Http1KnownFields, NamesOfFramingWithAnUnderscoreAreNotThoseOfFraming) {
  for (const char* name : {"Content_Length", "transfer_encoding", "CONTENT_LENGTH", "Transfer_Encoding"})
    EXPECT_EQ(http1_known_field(name), Http1KnownField::kFramingLookalike) << name;
  for (const char* name : {"Content_Type", "Content.Length", "Content_Lengt", "Content_Lengths", "Transfer_Encodinq"})
    EXPECT_EQ(http1_known_field(name), Http1KnownField::kOther) << name;
}

/// Changes a message here and there: bytes swapped for interesting ones, pieces doubled, cut out or put elsewhere.
std::string mutated(std::string text, Rng& rng) {
  constexpr std::array<char, 20> kInteresting = {'\r', '\n', ' ', '\t', ':', '\0', '%', ',', ';', '-', '_', '0', '9', 'a', 'A', '\x7f', '\x80', '"', '=', '/'};
  for (std::uint64_t edits = rng.below(4); edits > 0 && !text.empty(); --edits) {
    const std::size_t at = rng.below(text.size());
    const std::size_t size = 1 + rng.below(std::min<std::size_t>(24, text.size() - at));
    switch (rng.below(5)) {
      case 0: text[at] = kInteresting[rng.below(kInteresting.size())]; break;
      case 1: text.insert(at, 1, kInteresting[rng.below(kInteresting.size())]); break;
      case 2: text.erase(at, size); break;
      case 3: text.insert(rng.below(text.size()), text.substr(at, size)); break;
      default: text[at] = static_cast<char>(rng.below(256)); break;
    }
  }
  return text;
}

template <class Messages, class Reference>
void expect_same(const std::string& input, std::size_t piece, bool answers_head = false) {
  constexpr Http1Limits kLimits{.max_head_bytes = 360, .max_fields = 8};
  Messages messages(kLimits);
  Reference expected(kLimits);
  if constexpr (requires { expected.set_answers_head(true); }) {
    messages.set_answers_head(answers_head);
    expected.set_answers_head(answers_head);
  }
  ASSERT_EQ(http1_outcome(messages, input, [&] { return piece; }), http1_outcome(expected, input, [&] { return input.size(); })) << "cut every " << piece << ": " << input;
}

TEST(Http1HeadReader, AgreesWithTheReferenceOnMutatedRequests) {
  const std::vector<std::string> seeds = {
      std::string(kPost) + "hello", "\r\nGET /a HTTP/1.0\r\nConnection: keep-alive, x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;n=v;q=\"a\\\"b\"\r\n0123456789\r\n000\r\nT: v\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\tbbbb  \r\n\r\nGET",
      "GET http://api.example.org/a?b HTTP/1.1\r\nAccept: */*\r\nHost: api.example.org\r\nContent-Type: a\r\nContent_Type: b\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\nContent-Encoding: gzip\r\n\r\n0\r\nContent-Digest: v\r\n\r\n"};
  Rng rng(7);
  for (int i = 0; i < 12'000; ++i) {
    const std::string input = mutated(seeds[rng.below(seeds.size())], rng);
    expect_same<Http1RequestMessages, reference::Http1RequestParser>(input, i % 3 == 0 ? input.size() + 1 : 1 + rng.below(40));
  }
}

TEST(Http1HeadReader, AgreesWithTheReferenceOnMutatedResponses) {
  const std::vector<std::string> seeds = {
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "HTTP/1.0 200 OK\r\nServer: s\r\n\r\nto the end",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"};
  Rng rng(8);
  for (int i = 0; i < 8'000; ++i) {
    const std::string input = mutated(seeds[rng.below(seeds.size())], rng);
    expect_same<Http1ResponseMessages, reference::Http1ResponseParser>(input, i % 3 == 0 ? input.size() + 1 : 1 + rng.below(40), i % 4 == 0);
  }
}

}  // namespace
}  // namespace flexpert::codec
