#include "codec/http1.h"

#include <gtest/gtest.h>

#include "codec/tests/http1_messages.h"

namespace flexpert::codec {
namespace {

/// What a parser makes of some bytes: its events in words.
struct Outcome {
  std::string events;
  std::string body;
  int status = 0;
  bool operator==(const Outcome&) const = default;
};

template <class Parser>
Outcome run(Parser& parser, std::string_view input, std::size_t piece) {
  Outcome outcome;
  while (!input.empty()) {
    std::string_view part = input.substr(0, piece);
    input.remove_prefix(part.size());
    while (true) {
      const Http1Step step = parser.next(part);
      part.remove_prefix(step.consumed);
      if (step.event == Http1Event::kNeedMore) {
        EXPECT_TRUE(part.empty());
        break;
      }
      if (step.event == Http1Event::kHead) outcome.events += "head ";
      if (step.event == Http1Event::kBody) outcome.body += step.bytes;
      if (step.event == Http1Event::kEnd) outcome.events += "end ";
      if (step.event == Http1Event::kError) {
        outcome.status = parser.error().status;
        return outcome;
      }
    }
  }
  if (parser.finish() == Http1Event::kEnd) outcome.events += "end ";
  if (parser.finish() == Http1Event::kError) outcome.status = -1;  // broke off
  return outcome;
}

/// Parses in one piece and in pieces of every small size; all must agree.
Outcome request(std::string_view input, Http1Limits limits = {}) {
  Http1RequestMessages whole(limits);
  const Outcome outcome = run(whole, input, input.size());
  for (std::size_t piece = 1; piece < 8; ++piece) {
    Http1RequestMessages parser(limits);
    EXPECT_EQ(run(parser, input, piece).events, outcome.events) << input << " cut every " << piece;
  }
  return outcome;
}

Outcome response(std::string_view input, bool answers_head = false) {
  Http1ResponseMessages whole;
  whole.set_answers_head(answers_head);
  const Outcome outcome = run(whole, input, input.size());
  for (std::size_t piece = 1; piece < 8; ++piece) {
    Http1ResponseMessages parser;
    parser.set_answers_head(answers_head);
    EXPECT_EQ(run(parser, input, piece), outcome) << input << " cut every " << piece;
  }
  return outcome;
}

const std::string kHost = "Host: x\r\n";
std::string post(const std::string& fields, const std::string& body = "") { return "POST / HTTP/1.1\r\n" + kHost + fields + "\r\n" + body; }

TEST(Http1Request, ReadsMethodTargetAndFields) {
  Http1RequestMessages parser;
  const std::string input = "PUT /a/b?c=%20d HTTP/1.1\r\nHost: example.org:80\r\nX-Empty:\r\nX-Spaces: \t a b \t\r\n\r\n";
  const Http1Step step = parser.next(input);
  ASSERT_EQ(step.event, Http1Event::kHead);
  EXPECT_EQ(step.consumed, input.size());
  const Http1RequestView& head = parser.head();
  EXPECT_EQ(head.method, "PUT");
  EXPECT_EQ(head.target, "/a/b?c=%20d");
  ASSERT_EQ(head.fields.size(), 3U);
  EXPECT_EQ(head.fields[0].name, "Host");
  EXPECT_EQ(head.fields[0].value, "example.org:80");
  EXPECT_EQ(head.fields[1].value, "");
  EXPECT_EQ(head.fields[2].value, "a b");
  EXPECT_EQ(head.framing, Http1Framing::kNone);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.expects_continue);
}

TEST(Http1Request, FramesBodies) {
  EXPECT_EQ(request(post("Content-Length: 3\r\n", "abc")), (Outcome{"head end ", "abc", 0}));
  EXPECT_EQ(request(post("Content-Length: 0\r\n")), (Outcome{"head end ", "", 0}));
  EXPECT_EQ(request(post("Transfer-Encoding: CHUNKED\r\n", "3\r\nabc\r\nA;n=v;q=\"a\\\"b\"\r\n0123456789\r\n000\r\nT: v\r\n\r\n")),
            (Outcome{"head end ", "abc0123456789", 0}));
  EXPECT_EQ(request(post("Content-Length: 3\r\n", "abc") + "\r\n" + post("Content-Length: 1\r\n", "d") + "OPTIONS * HTTP/1.1\r\n" + kHost + "\r\n"),
            (Outcome{"head end head end head end ", "abcd", 0}));
}

TEST(Http1Request, KnowsWhetherTheConnectionGoesOn) {
  const auto keeps = [](const std::string& text) {
    Http1RequestMessages parser;
    EXPECT_EQ(parser.next(text).event, Http1Event::kHead) << text;
    return parser.head().keep_alive;
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: x\r\nConnection: te, Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"));
}

TEST(Http1Request, AnAbsoluteTargetIsItsPathWhereItNamesTheHostOfHost) {
  const auto target = [](const std::string& line, const std::string& host) {
    Http1RequestMessages parser;
    EXPECT_EQ(parser.next(line + " HTTP/1.1\r\nA: b\r\nHost: " + host + "\r\n\r\n").event, Http1Event::kHead) << line;
    return std::string(parser.head().target);
  };
  EXPECT_EQ(target("GET http://x/a?b=c", "x"), "/a?b=c");
  EXPECT_EQ(target("POST HTTPS://Api.Example.org:8443/a", "api.example.ORG:8443"), "/a");
  EXPECT_EQ(target("GET http://[::1]:80//", "[::1]:80"), "//");
  EXPECT_EQ(target("GET http://x", "x"), "/");
  EXPECT_EQ(request("GET http://x/ HTTP/1.0\r\n\r\n").status, 0);
  EXPECT_EQ(request("\r\nGET http://x/ HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: y\r\nExpect: 100-continue\r\n\r\n").events, "head end head end ");
}

TEST(Http1Request, RefusesDataAfterTheLastMessage) {
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"), (Outcome{"head end ", "", 400}));
}

struct Bad {
  const char* why;
  std::string input;
  int status;
};

void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.why; }

class Http1BadRequest : public testing::TestWithParam<Bad> {};

TEST_P(Http1BadRequest, IsRefused) {
  const Outcome outcome = request(GetParam().input);
  EXPECT_EQ(outcome.status, GetParam().status) << GetParam().why;
  EXPECT_EQ(outcome.events.find("end"), std::string::npos) << GetParam().why;
}

const std::string kGet = "GET / HTTP/1.1\r\n";

INSTANTIATE_TEST_SUITE_P(
    Heads, Http1BadRequest,
    testing::Values(
        Bad{"line folding", kGet + "Host: x\r\nA: b\r\n c\r\n\r\n", 400}, Bad{"folding with a tab", kGet + "Host: x\r\nA: b\r\n\tc\r\n\r\n", 400},
        Bad{"white space before the first field", kGet + " Host: x\r\n\r\n", 400}, Bad{"bare LF", "GET / HTTP/1.1\nHost: x\n\n", 400},
        Bad{"bare LF after a field", kGet + "Host: x\nA: b\r\n\r\n", 400}, Bad{"bare CR in a value", kGet + "Host: x\r\nA: b\rC: d\r\n\r\n", 400},
        Bad{"two CR", kGet + "Host: x\r\r\n\r\n", 400}, Bad{"NUL in a value", kGet + "Host: x\r\nA: b" + std::string(1, '\0') + "\r\n\r\n", 400},
        Bad{"DEL in a value", kGet + "Host: x\r\nA: \x7f\r\n\r\n", 400}, Bad{"space before the colon", kGet + "Host : x\r\n\r\n", 400},
        Bad{"space in a name", kGet + "Host: x\r\nA b: c\r\n\r\n", 400}, Bad{"empty name", kGet + "Host: x\r\n: c\r\n\r\n", 400},
        Bad{"no colon", kGet + "Host: x\r\nnothing\r\n\r\n", 400}, Bad{"non-ASCII name", kGet + "Host: x\r\nN\xc3\xa4me: c\r\n\r\n", 400},
        Bad{"no Host", kGet + "\r\n", 400}, Bad{"two Hosts", kGet + "Host: x\r\nHost: x\r\n\r\n", 400}, Bad{"empty Host", kGet + "Host:\r\n\r\n", 400},
        Bad{"Host with a path", kGet + "Host: x/y\r\n\r\n", 400}, Bad{"Host with user", kGet + "Host: a@b\r\n\r\n", 400},
        Bad{"two spaces", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400}, Bad{"no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"space in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400}, Bad{"fragment", "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"control in the target", "GET /a\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400}, Bad{"raw UTF-8 in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"bad percent", "GET /%2 HTTP/1.1\r\nHost: x\r\n\r\n", 400}, Bad{"absolute form of another host", "GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"absolute form without Host", "GET http://x/ HTTP/1.1\r\n\r\n", 400}, Bad{"absolute form with a user", "GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"absolute form without a host", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400}, Bad{"a scheme alone", "GET http:// HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"one slash", "GET http:/x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400}, Bad{"another scheme", "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"absolute form with a port that Host has not", "GET http://x:80/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"absolute form with a query and no path", "GET http://x?a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"absolute form with a fragment", "GET http://x/a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"absolute form and two Hosts", "GET http://x/ HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
        Bad{"two content types", kGet + kHost + "Content-Type: a/b\r\nX: y\r\nCONTENT-TYPE: a/b\r\n\r\n", 400},
        Bad{"two content codings", kGet + kHost + "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n\r\n", 400},
        Bad{"length with an underscore", post("Content_Length: 3\r\n", "abc"), 400}, Bad{"chunked with an underscore", post("TRANSFER_Encoding: chunked\r\n", "0\r\n\r\n"), 400},
        Bad{"star without OPTIONS", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400}, Bad{"control in the method", "G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"unknown method", "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501}, Bad{"CONNECT", "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 501},
        Bad{"lower-case method", "get / HTTP/1.1\r\nHost: x\r\n\r\n", 501}, Bad{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        Bad{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505}, Bad{"HTTP/0.9", "GET /\r\n", 400}, Bad{"long version", "GET / HTTP/1.11\r\nHost: x\r\n\r\n", 400},
        Bad{"lower-case version", "GET / http/1.1\r\nHost: x\r\n\r\n", 400}, Bad{"two empty lines first", "\r\n\r\n" + kGet + kHost + "\r\n", 400},
        Bad{"unknown expectation", kGet + kHost + "Expect: 200-ok\r\n\r\n", 417}, Bad{"bad Connection", kGet + kHost + "Connection: a b\r\n\r\n", 400},
        Bad{"TLS", "\x16\x03\x01\x02\x01\x01\xfc\x03\x03\r\n", 400}, Bad{"cut in the head", kGet + "Host: x\r\n", -1}));

INSTANTIATE_TEST_SUITE_P(
    Framing, Http1BadRequest,
    testing::Values(
        Bad{"two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abc"), 400},
        Bad{"two equal lengths", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400},
        Bad{"list of lengths", post("Content-Length: 3, 3\r\n", "abc"), 400}, Bad{"signed length", post("Content-Length: +3\r\n", "abc"), 400},
        Bad{"negative length", post("Content-Length: -1\r\n"), 400}, Bad{"hexadecimal length", post("Content-Length: 0x3\r\n", "abc"), 400},
        Bad{"empty length", post("Content-Length:\r\n"), 400}, Bad{"spaced length", post("Content-Length: 1 2\r\n"), 400},
        Bad{"huge length", post("Content-Length: 18446744073709551617\r\n", "a"), 400},
        Bad{"length and chunked", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
        Bad{"chunked and length", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), 400},
        Bad{"gzip", post("Transfer-Encoding: gzip\r\n"), 501}, Bad{"gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
        Bad{"three codings", post("Transfer-Encoding: gzip ,deflate\t,Chunked\r\n", "0\r\n\r\n"), 501},
        Bad{"identity, chunked", post("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"), 400},
        Bad{"chunked, chunked", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400},
        Bad{"chunked, gzip", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), 400},
        Bad{"comma, chunked", post("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"), 400}, Bad{"chunked, comma", post("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"), 400},
        Bad{"gzip with a parameter, chunked", post("Transfer-Encoding: gzip;q=1, chunked\r\n", "0\r\n\r\n"), 400},
        Bad{"chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 400},
        Bad{"identity", post("Transfer-Encoding: identity\r\n"), 400}, Bad{"chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
        Bad{"empty coding", post("Transfer-Encoding:\r\n"), 400}, Bad{"vertical tab before chunked", post("Transfer-Encoding: \x0b" "chunked\r\n", "0\r\n\r\n"), 400},
        Bad{"quoted chunked", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 400},
        Bad{"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        Bad{"length cut short", post("Content-Length: 4\r\n", "abc"), -1}));

const std::string kChunked = "Transfer-Encoding: chunked\r\n";

INSTANTIATE_TEST_SUITE_P(
    Chunks, Http1BadRequest,
    testing::Values(
        Bad{"no size", post(kChunked, "\r\nabc\r\n0\r\n\r\n"), 400}, Bad{"not hexadecimal", post(kChunked, "g\r\n"), 400},
        Bad{"signed", post(kChunked, "-1\r\n"), 400}, Bad{"prefix 0x", post(kChunked, "0x3\r\nabc\r\n0\r\n\r\n"), 400},
        Bad{"too many digits", post(kChunked, "1000000000000000\r\n"), 400}, Bad{"space after the size", post(kChunked, "3 \r\nabc\r\n0\r\n\r\n"), 400},
        Bad{"space before the size", post(kChunked, " 3\r\nabc\r\n0\r\n\r\n"), 400}, Bad{"bare LF after the size", post(kChunked, "3\nabc\r\n0\r\n\r\n"), 400},
        Bad{"bare LF in an extension", post(kChunked, "3;a\nabc\r\n0\r\n\r\n"), 400}, Bad{"empty extension", post(kChunked, "3;\r\nabc\r\n0\r\n\r\n"), 400},
        Bad{"extension without value", post(kChunked, "3;a=\r\nabc\r\n0\r\n\r\n"), 400}, Bad{"open quote", post(kChunked, "3;a=\"b\r\nabc\r\n0\r\n\r\n"), 400},
        Bad{"long extension", post(kChunked, "3;" + std::string(2000, 'a') + "\r\nabc\r\n0\r\n\r\n"), 400},
        Bad{"chunk longer than its size", post(kChunked, "3\r\nabcd\r\n0\r\n\r\n"), 400}, Bad{"chunk shorter", post(kChunked, "4\r\nabc\r\n0\r\n\r\n"), 400},
        Bad{"bare LF after the data", post(kChunked, "3\r\nabc\n0\r\n\r\n"), 400}, Bad{"bare CR after the data", post(kChunked, "3\r\nabc\r0\r\n\r\n"), 400},
        Bad{"no last chunk", post(kChunked, "3\r\nabc\r\n"), -1}, Bad{"no end of trailers", post(kChunked, "0\r\n"), -1},
        Bad{"length as a trailer", post(kChunked, "0\r\nContent-Length: 5\r\n\r\n"), 400},
        Bad{"length with an underscore as a trailer", post(kChunked, "0\r\nContent_length: 5\r\n\r\n"), 400}, Bad{"folded trailer", post(kChunked, "0\r\nA: b\r\n c\r\n\r\n"), 400}));

TEST(Http1Request, BoundsTheHeadAndItsFields) {
  const Http1Limits limits{.max_head_bytes = 100, .max_fields = 3};
  const std::string start = "GET / HTTP/1.1\r\nHost: x\r\n";  // 25 bytes
  EXPECT_EQ(request(start + "A: " + std::string(68, 'a') + "\r\n\r\n", limits).status, 0) << "exactly 100 bytes";
  EXPECT_EQ(request(start + "A: " + std::string(69, 'a') + "\r\n\r\n", limits).status, 431);
  EXPECT_EQ(request(std::string(101, 'G'), limits).status, 431);
  EXPECT_EQ(request(start + "A: b\r\nA: b\r\n\r\n", limits).status, 0);
  EXPECT_EQ(request(start + "A: b\r\nA: b\r\nA: b\r\n\r\n", limits).status, 431);
  EXPECT_EQ(request("POST / HTTP/1.1\r\nHost: x\r\n" + kChunked + "\r\n0\r\nT: " + std::string(100, 'a') + "\r\n\r\n", limits).status, 431);
}

TEST(Http1Response, FramesBodies) {
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 404\r\nContent-Length: 0\r\n\r\n"), (Outcome{"head end head end ", "ok", 0}));
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), (Outcome{"head end ", "ok", 0}));
  EXPECT_EQ(response("HTTP/1.0 200 OK\r\n\r\nto the end"), (Outcome{"head end ", "to the end", 0}));
  EXPECT_EQ(response("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), (Outcome{"head end head end ", "", 0}));
  EXPECT_EQ(response("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), (Outcome{"head end head end ", "x", 0}));
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true), (Outcome{"head end ", "", 0}));
}

TEST(Http1Response, RefusesWhatItCannotTrust) {
  for (const std::string bad :
       {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n", "HTTP/1.1 200\tOK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 200 O\x01K\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}) {
    const Outcome outcome = response(bad);
    EXPECT_GE(outcome.status, 400) << bad;
    EXPECT_EQ(outcome.events.find("end"), std::string::npos) << bad;
  }
}

TEST(Http1Response, AMessageThatBreaksOffIsAnError) {
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), (Outcome{"head ", "ab", -1}));
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"), (Outcome{"head ", "ab", -1}));
  EXPECT_EQ(response("HTTP/1.1 2"), (Outcome{"", "", -1}));
}

TEST(Http1Writer, WritesWhatTheParserReads) {
  std::string head;
  append_http1_request_line(head, "POST", "/p?q");
  append_http1_field(head, "Host", "x");
  append_http1_field(head, "X-Bad", "a\r\nInjected: b\0c");
  append_http1_field(head, "Bad Name", "v");
  append_http1_field(head, "Transfer-Encoding", "chunked");
  head += "\r\n" + http1_chunk_prefix(26) + std::string(26, 'z') + "\r\n" + std::string(kHttp1LastChunk);
  EXPECT_NE(head.find("1a\r\n"), std::string::npos);
  Http1RequestMessages parser;
  EXPECT_EQ(run(parser, head, head.size()), (Outcome{"head end ", std::string(26, 'z'), 0}));
  EXPECT_EQ(parser.head().fields.size(), 3U);
  EXPECT_EQ(parser.head().fields[1].value, "a  Injected: b");
  std::string status;
  append_http1_status_line(status, 503, "Service Unavailable");
  EXPECT_EQ(status, "HTTP/1.1 503 Service Unavailable\r\n");
}

TEST(Http1Request, TellsWhetherItIsInsideAMessage) {
  Http1RequestMessages parser;
  EXPECT_FALSE(parser.in_message());
  EXPECT_EQ(parser.finish(), Http1Event::kNeedMore) << "nothing had begun";
  parser.next("G");
  EXPECT_TRUE(parser.in_message());
  parser.next("ET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(parser.next("").event, Http1Event::kEnd);
  EXPECT_FALSE(parser.in_message());
}

}  // namespace
}  // namespace flexpert::codec
