#include <optional>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "security/scene.h"

/// Upstreams that answer what two readers could read in two ways, too much, too little, or nothing: the client sees one answer and its
/// true end, and the next request is answered as if nothing had been.
namespace flexpert::bench::security {
namespace {

enum class Want {
  kTaken,    ///< the client gets 200 and exactly the body "fine"
  kRefused,  ///< the client gets an error of the gateway's
  kCut,      ///< the client gets no whole answer, and the connection ends
};

struct Case {
  std::string name;
  std::string bytes;
  Want want;
  Said::Then then = Said::Then::kGoesOn;
  bool stream = false;
};

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
const std::string kBody = "{\"fine\":1}";
const std::string kLength = "Content-Length: 10\r\n";
const std::string kChunked = "Transfer-Encoding: chunked\r\n";
const std::string kChunk = "a\r\n" + kBody + "\r\n";
const std::string kEnd = "0\r\n\r\n";
const std::string kEvil = "HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nEVIL";
const std::string kEvents = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
const std::string kEvent = "data: {\"fine\":1}\n\n";

std::string chunk(const std::string& data) { return fmt::format("{:x}\r\n{}\r\n", data.size(), data); }

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::vector<Case> heads() {
  using enum Want;
  const std::string good = kLength + "\r\n" + kBody;
  const auto refused = [&](const std::string& name, const std::string& head) { return Case{name, head + good + kEvil, kRefused}; };
  return {
      {"good: a length", kOk + good, kTaken},
      {"good: chunked", kOk + kChunked + "\r\n" + kChunk + kEnd, kTaken},
      {"good: until the end", kOk + "\r\n" + kBody, kTaken, Said::Then::kEnds},
      {"good: HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n" + kBody, kTaken, Said::Then::kEnds},
      {"good: no reason", "HTTP/1.1 200\r\n" + good, kTaken},
      {"good: interim answers first",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Evil: 1\r\n\r\n" + kOk + good, kTaken},
      {"good: chunk extensions and trailers are dropped",
       kOk + kChunked + "\r\na;x=EVIL\r\n" + kBody + "\r\n0\r\nX-Evil: 1\r\n\r\n", kTaken},
      {"good: internal and hop-by-hop fields are dropped",
       kOk + "X-Flexpert-Evil: 1\r\nX_Flexpert_Evil: 1\r\nConnection: X-Evil\r\nX-Evil: 1\r\nUpgrade: EVIL\r\nProxy-Authenticate: EVIL\r\n" +
           good,
       kTaken},
      {"a second answer behind the first", kOk + good + kEvil, kTaken},
      {"a second answer behind a chunked one", kOk + kChunked + "\r\n" + kChunk + kEnd + kEvil, kTaken},
      refused("length and chunked", kOk + kChunked),
      refused("two lengths", kOk + "Content-Length: 4\r\n"),
      refused("two equal lengths", kOk + kLength),
      refused("a fold", kOk + "X: a\r\n b\r\n"),
      refused("a space before the first field", "HTTP/1.1 200 OK\r\n X: a\r\n"),
      refused("a space before a colon", kOk + "X : a\r\n"),
      refused("no colon", kOk + "X\r\n"),
      refused("no name", kOk + ": a\r\n"),
      refused("a line that ends in LF", kOk + "X: a\n"),
      refused("a CR in a value", kOk + "X: a\rb\r\n"),
      refused("a NUL in a value", kOk + std::string("X: \0\r\n", 6)),
      refused("an underscore in a field of framing", kOk + "Transfer_Encoding: chunked\r\n"),
      refused("a CR in the reason", "HTTP/1.1 200 O\rK\r\n"),
      refused("a status of two digits", "HTTP/1.1 20 OK\r\n"),
      refused("a status of four digits", "HTTP/1.1 2000 OK\r\n"),
      refused("status 600", "HTTP/1.1 600 OK\r\n"),
      refused("status 099", "HTTP/1.1 099 OK\r\n"),
      refused("a negative status", "HTTP/1.1 -20 OK\r\n"),
      refused("HTTP/2.0", "HTTP/2.0 200 OK\r\n"),
      refused("another protocol", "ICY 200 OK\r\n"),
      refused("an empty line first", "\r\n" + kOk),
      refused("two spaces", "HTTP/1.1  200 OK\r\n"),
      refused("a switch of protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n" + kOk),
      refused("an interim answer with a body", "HTTP/1.1 100 Continue\r\n" + kChunked + "\r\n" + kOk),
      refused("a list of lengths", kOk + "Content-Length: 10, 10\r\n\r\n" + kBody),
      refused("a negative length", kOk + "Content-Length: -1\r\n\r\n" + kBody),
      refused("a length over 64 bits", kOk + "Content-Length: 18446744073709551626\r\n\r\n" + kBody),
      refused("an empty length", kOk + "Content-Length:\r\n\r\n" + kBody),
      refused("identity", kOk + "Transfer-Encoding: identity\r\n\r\n" + kBody),
      refused("gzip, chunked", kOk + "Transfer-Encoding: gzip, chunked\r\n\r\n" + kChunk + kEnd),
      refused("chunked twice", kOk + kChunked + kChunked + "\r\n" + kChunk + kEnd),
      refused("chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\n" + kChunked + "\r\n" + kChunk + kEnd),
      refused("fields without end", kOk + repeated("X: y\r\n", 20'000)),
      refused("a line without end", kOk + "X: " + std::string(200'000, 'y') + "\r\n"),
      {"only LF", "HTTP/1.1 200 OK\nContent-Length: 10\n\n" + kBody, kRefused},
      {"no head", kBody + "\r\n\r\n", kRefused},
      {"nothing", "", kRefused, Said::Then::kEnds},
      {"nothing, and a reset", "", kRefused, Said::Then::kResets},
      {"half a head", kOk, kRefused, Said::Then::kEnds},
      {"an interim answer and nothing", "HTTP/1.1 100 Continue\r\n\r\n", kRefused, Said::Then::kEnds},
  };
}

std::vector<Case> bodies() {
  using enum Want;
  const std::string begun = kOk + kChunked + "\r\n" + kChunk;
  const std::string events = kEvents + kChunked + "\r\n" + chunk(kEvent);
  const auto shorter = [](std::size_t bytes) {
    return kEvents + fmt::format("Content-Length: {}\r\n\r\n", kEvent.size() + bytes) + kEvent;
  };
  const auto cut = [](const std::string& name, const std::string& bytes, Said::Then then = Said::Then::kGoesOn) {
    return Case{name, bytes, kCut, then};
  };
  const auto broken = [](const std::string& name, const std::string& bytes, Said::Then then) {
    return Case{"stream: " + name, bytes, kCut, then, true};
  };
  return {
      cut("shorter than its length", kOk + "Content-Length: 11\r\n\r\n" + kBody, Said::Then::kEnds),
      cut("shorter than its length, and a reset", kOk + "Content-Length: 99\r\n\r\n" + kBody, Said::Then::kResets),
      cut("no last chunk", begun, Said::Then::kEnds),
      cut("no line behind the last chunk", begun + "0\r\n", Said::Then::kEnds),
      cut("the end in a chunk", begun + "ff\r\nEV", Said::Then::kEnds),
      cut("a chunk of size -1", begun + "-1\r\n"),
      cut("a chunk of size 0x4", begun + "0x4\r\nEVIL\r\n" + kEnd),
      cut("a chunk over 64 bits", begun + "ffffffffffffffffff\r\n"),
      cut("a chunk size that ends in LF", begun + "4\nfine\r\n" + kEnd),
      cut("a chunk longer than it says", begun + "4\r\nfines\r\n" + kEnd),
      cut("a chunk size with a space", begun + "4 \r\nfine\r\n" + kEnd),
      cut("a length as a trailer", begun + "0\r\nContent-Length: 4\r\n\r\n" + kEvil),
      cut("trailers without end", begun + "0\r\n" + repeated("X: y\r\n", 20'000)),
      {"stream: good", events + chunk("data: [DONE]\n\n") + kEnd, kTaken, Said::Then::kGoesOn, true},
      {"stream: a second answer behind it", events + chunk("data: [DONE]\n\n") + kEnd + kEvil, kTaken, Said::Then::kGoesOn, true},
      broken("no last chunk", events, Said::Then::kEnds),
      broken("a reset", events, Said::Then::kResets),
      broken("a chunk that is none", events + "EVIL\r\n", Said::Then::kGoesOn),
      broken("the end in an event", events + chunk("data: {\"fi"), Said::Then::kEnds),
      broken("shorter than its length by one byte", shorter(1), Said::Then::kEnds),
      broken("shorter than its length by less than an error needs", shorter(40), Said::Then::kEnds),
      broken("shorter than its length by much", shorter(4000), Said::Then::kResets),
      broken("until the end, without its last event", kEvents + "\r\n" + kEvent, Said::Then::kEnds),
  };
}

bool evil(const WireOutcome& outcome) {
  std::string all = outcome.rest;
  for (const WireAnswer& answer : outcome.answers) all += answer.head + answer.body;
  for (const char* word : {"EVIL", "X-Evil", "flexpert-evil", "Flexpert_Evil", "Flexpert-Evil"})
    if (all.find(word) != std::string::npos) return true;
  return false;
}

std::string problem_with(const Case& one, const WireOutcome& outcome) {
  if (evil(outcome)) return fmt::format("the client got what it must not: {:?}", outcome.rest.substr(0, 100));
  switch (one.want) {
    case Want::kTaken:
      if (outcome.answers.size() != 1 || outcome.status() != 200)
        return fmt::format("{} answers, status {}", outcome.answers.size(), outcome.status());
      if (one.stream || outcome.answers.front().body == kBody) return {};
      return fmt::format("another body: {:?}", outcome.answers.front().body.substr(0, 100));
    case Want::kRefused:
      if (outcome.answers.size() == 1 && outcome.status() >= 502 && outcome.status() <= 504) return {};
      return fmt::format("status {}", outcome.status());
    case Want::kCut:
      if (!outcome.answers.empty()) return fmt::format("looks whole, status {}", outcome.status());
      if (one.stream && outcome.rest.find("\"stream_broken\"") == std::string::npos) return "the stream does not say that it broke";
      return outcome.closed ? "" : "the connection is still open";
  }
  return {};
}

/// A server that was given up comes back with the next probe; until then it is 503.
std::string next_request_is_answered(Scene& scene, const std::string& bytes) {
  for (int tries = 0; tries < 100; ++tries) {
    const WireOutcome outcome = attack(scene.api, bytes);
    if (outcome.status() == 503) {
      std::this_thread::sleep_for(Millis(100));
      continue;
    }
    if (outcome.status() != 200 || evil(outcome) || outcome.answers.front().body.find("answer ") == std::string::npos)
      return fmt::format("the next request got status {}: {:?}", outcome.status(), outcome.rest.substr(0, 100));
    return {};
  }
  return "the server did not come back";
}

}  // namespace

void answer_cases(Suite& suite, Scene& scene) {
  int number = 0;
  for (const auto& cases : {heads(), bodies()}) {
    for (const Case& one : cases) {
      suite.run("upstream's answer: " + one.name, [&]() -> std::string {
        const std::string prompt = fmt::format("answer {}", ++number);  // nothing comes from the cache
        scene.plain.say(Said{one.bytes, one.then});
        const std::string body = chat("m-one", prompt, one.stream ? R"(,"stream":true)" : "");
        const WireOutcome outcome = attack(scene.api, request("POST", kChat, scene.alice, body), 2, Millis(300));
        scene.plain.say(std::nullopt);
        const std::string after = next_request_is_answered(scene, request("POST", kChat, scene.alice, chat("m-one", prompt + " again")));
        const std::string problem = problem_with(one, outcome);
        return problem.empty() ? after : problem;
      });
    }
  }
  scene.reached();
}

}  // namespace flexpert::bench::security
