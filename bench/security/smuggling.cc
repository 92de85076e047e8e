#include <fmt/format.h>

#include "security/scene.h"

/// Request smuggling and everything else that two HTTP parsers could read in two ways.
namespace flexpert::bench::security {
namespace {

struct Payload {
  std::string name;
  std::string fields;       ///< raw lines after Host and Authorization
  std::string body;         ///< raw bytes behind the head
  bool good = false;        ///< a request that must be taken, exactly once and with the plain body
};

const std::string kBody = chat("m-one", "plain");
const std::string kHidden = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";

std::string length(const std::string& body) { return fmt::format("Content-Length: {}\r\n", body.size()); }
std::string chunk(const std::string& data) { return fmt::format("{:x}\r\n{}\r\n", data.size(), data); }
const std::string kChunked = chunk(kBody) + "0\r\n\r\n";
const std::string kTe = "Transfer-Encoding: chunked\r\n";

std::vector<Payload> framing() {
  const std::string both = length(kChunked);
  const std::string plain = length(kBody);
  const auto te = [](const std::string& value) { return "Transfer-Encoding: " + value + "\r\n"; };
  return {
      {"good: Content-Length", plain, kBody, true},
      {"good: chunked", kTe, kChunked, true},
      {"good: chunked in capitals", te("CHUNKED"), kChunked, true},
      {"good: chunked in many pieces", kTe, chunk(kBody.substr(0, 7)) + chunk(kBody.substr(7)) + "0\r\n\r\n", true},
      {"good: chunk sizes with zeros before", kTe, fmt::format("000{:X}\r\n{}\r\n000\r\n\r\n", kBody.size(), kBody), true},
      {"good: a trailer field is dropped", kTe, chunk(kBody) + "0\r\nX-Trailer: EVIL\r\n\r\n", true},
      {"CL.TE", length(kBody + kHidden) + kTe, "0\r\n\r\n" + kHidden},
      {"TE.CL", kTe + "Content-Length: 4\r\n", chunk(kHidden) + "0\r\n\r\n"},
      {"CL.TE, CL first", both + kTe, kChunked},
      {"CL.TE, TE first", kTe + both, kChunked},
      {"CL.0", "Content-Length: 0\r\n" + kTe, kChunked + kHidden},
      {"TE twice", kTe + kTe, kChunked},
      {"TE.TE with identity second", kTe + te("identity"), kChunked},
      {"TE.TE with identity first", te("identity") + kTe, kChunked},
      {"TE: identity", te("identity") + plain, kBody},
      {"TE: chunked, identity", te("chunked, identity"), kChunked},
      {"TE: identity, chunked", te("identity, chunked"), kChunked},
      {"TE: gzip, chunked", te("gzip, chunked"), kChunked},
      {"TE: chunked, chunked", te("chunked, chunked"), kChunked},
      {"TE: xchunked", te("xchunked") + both, kChunked},
      {"TE: chunkedx", te("chunkedx") + both, kChunked},
      {"TE: empty", te("") + both, kChunked},
      {"TE: comma", te(",chunked") + both, kChunked},
      {"TE: quoted", te("\"chunked\"") + both, kChunked},
      {"TE: parameter", te("chunked;q=1") + both, kChunked},
      {"TE: vertical tab", te("\x0b""chunked") + both, kChunked},
      {"TE: no-break space", te("\xa0""chunked") + both, kChunked},
      {"TE: NUL behind", te(std::string("chunked\0", 8)) + both, kChunked},
      {"TE: space before the colon", "Transfer-Encoding : chunked\r\n" + both, kChunked},
      {"TE: tab before the colon", "Transfer-Encoding\t: chunked\r\n" + both, kChunked},
      {"TE: space before the name", " Transfer-Encoding: chunked\r\n" + both, kChunked},
      {"TE: folded", "Transfer-Encoding:\r\n chunked\r\n" + both, kChunked},
      {"TE: behind a bare LF", "X: y\nTransfer-Encoding: chunked\r\n" + both, kChunked},
      {"TE: behind a bare CR", "X: y\rTransfer-Encoding: chunked\r\n" + both, kChunked},
      {"TE: an underscore in the name", "Transfer_Encoding: chunked\r\n", kChunked},
      {"TE: an underscore in the name, beside a length", "Transfer_Encoding: chunked\r\n" + plain, kBody},
      {"CL: an underscore in the name, beside a length", plain + "content_length: 5\r\n", kBody},
      {"TE: NUL in the name", std::string("Transfer\0-Encoding: chunked\r\n", 29) + both, kChunked},
      {"TE: high byte in the name", "Transfer-Encoding\xff: chunked\r\n" + both, kChunked},
      {"CL twice, different", plain + "Content-Length: 5\r\n", kBody},
      {"CL twice, equal", plain + plain, kBody},
      {"CL list", fmt::format("Content-Length: {0}, {0}\r\n", kBody.size()), kBody},
      {"CL with plus", fmt::format("Content-Length: +{}\r\n", kBody.size()), kBody},
      {"CL negative", "Content-Length: -1\r\n", kBody},
      {"CL hexadecimal", fmt::format("Content-Length: {:#x}\r\n", kBody.size()), kBody},
      {"CL with a point", fmt::format("Content-Length: {}.0\r\n", kBody.size()), kBody},
      {"CL with letters", fmt::format("Content-Length: {}a\r\n", kBody.size()), kBody},
      {"CL with an inner space", "Content-Length: 1 0\r\n", kBody},
      {"CL empty", "Content-Length: \r\n", kBody},
      {"CL over 64 bits", "Content-Length: 18446744073709551617\r\n", kBody},
      {"CL of 400 digits", "Content-Length: " + std::string(400, '1') + "\r\n", kBody},
      {"CL: space before the colon", fmt::format("Content-Length : {}\r\n", kBody.size()), kBody},
      {"CL: full-width digits", "Content-Length: \xef\xbc\x91\r\n", kBody},
      {"chunk size negative", kTe, "-1\r\n" + kBody},
      {"chunk size with 0x", kTe, fmt::format("0x{:x}\r\n{}\r\n0\r\n\r\n", kBody.size(), kBody)},
      {"chunk size over 64 bits", kTe, fmt::format("1000000000000000{:x}\r\n{}\r\n0\r\n\r\n", kBody.size(), kBody)},
      {"chunk size empty", kTe, "\r\n" + kBody + "\r\n0\r\n\r\n"},
      {"chunk size with a space before", kTe, " " + chunk(kBody) + "0\r\n\r\n"},
      {"chunk size ends in LF", kTe, fmt::format("{:x}\n{}\r\n0\r\n\r\n", kBody.size(), kBody)},
      {"chunk size ends in CR", kTe, fmt::format("{:x}\r{}\r\n0\r\n\r\n", kBody.size(), kBody)},
      {"chunk ends in LF", kTe, fmt::format("{:x}\r\n{}\n0\r\n\r\n", kBody.size(), kBody)},
      {"chunk longer than it says", kTe, fmt::format("{:x}\r\n{}XY\r\n0\r\n\r\n", kBody.size(), kBody)},
      {"chunk extension with a bare LF", kTe, fmt::format("{:x};a\nb\r\n{}\r\n0\r\n\r\n", kBody.size(), kBody)},
      {"chunk extension with a bare CR", kTe, fmt::format("{:x};a\rb\r\n{}\r\n0\r\n\r\n", kBody.size(), kBody)},
      {"chunk extension with a NUL", kTe, fmt::format("{:x};a", kBody.size()) + std::string("\0\r\n", 3) + kBody + "\r\n0\r\n\r\n"},
      {"chunk extension without end", kTe, "1;" + std::string(70'000, 'a')},
      {"last chunk followed by LF", kTe, chunk(kBody) + "0\n\n"},
      {"trailer without a colon", kTe, chunk(kBody) + "0\r\nnothing\r\n\r\n"},
      {"trailer folded", kTe, chunk(kBody) + "0\r\nX: a\r\n b\r\n\r\n"},
      {"trailers without end", kTe, chunk(kBody) + "0\r\n" + std::string(80'000, 'a')},
  };
}

std::vector<Payload> heads() {
  const std::string plain = length(kBody);
  return {
      {"a field without a colon", "Nonsense\r\n" + plain, kBody},
      {"a field without a name", ": value\r\n" + plain, kBody},
      {"a name with a space", "X Y: value\r\n" + plain, kBody},
      {"a name with a slash", "X/Y: value\r\n" + plain, kBody},
      {"a name in brackets", "[X]: value\r\n" + plain, kBody},
      {"a value with a NUL", std::string("X: a\0b\r\n", 8) + plain, kBody},
      {"a value with a bare CR", "X: a\rb\r\n" + plain, kBody},
      {"a value with an escape", "X: a\x1b[31m\r\n" + plain, kBody},
      {"a value with DEL", "X: a\x7f\r\n" + plain, kBody},
      {"a line that ends in LF", "X: a\n" + plain, kBody},
      {"a folded value", "X: a\r\n b\r\n" + plain, kBody},
      {"two content types", "Content-Type: application/json\r\nContent-Type: text/plain\r\n" + plain, kBody},
      {"two content codings", "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n" + plain, kBody},
      {"a second Host", "Host: other.test\r\n" + plain, kBody},
      {"good: Connection names a field of framing", "Connection: Content-Length\r\n" + plain, kBody, true},
      {"good: Connection names Authorization", "Connection: keep-alive, Authorization\r\n" + plain, kBody, true},
      {"Upgrade to h2c is not followed (good)", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n" + plain, kBody, true},
      {"Expect: nonsense", "Expect: 200-ok\r\n" + plain, kBody},
      {"Content-Encoding: gzip", "Content-Encoding: gzip\r\n" + plain, kBody},
      {"Content-Encoding: gzip, chunked", "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", kChunked},
  };
}

/// Start lines: the whole first line, with Host and Authorization behind it.
std::vector<std::pair<std::string, std::string>> lines() {
  return {
      {"HTTP/0.9", "POST /v1/chat/completions\r\n"},
      {"HTTP/1.2", "POST /v1/chat/completions HTTP/1.2\r\n"},
      {"HTTP/2.0", "POST /v1/chat/completions HTTP/2.0\r\n"},
      {"HTTP/11", "POST /v1/chat/completions HTTP/11\r\n"},
      {"http in small letters", "POST /v1/chat/completions http/1.1\r\n"},
      {"HTTP/1.1 with a byte behind", "POST /v1/chat/completions HTTP/1.1x\r\n"},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"two spaces", "POST  /v1/chat/completions HTTP/1.1\r\n"},
      {"a tab for a space", "POST\t/v1/chat/completions\tHTTP/1.1\r\n"},
      {"a space before", " POST /v1/chat/completions HTTP/1.1\r\n"},
      {"a space behind", "POST /v1/chat/completions HTTP/1.1 \r\n"},
      {"a line that ends in LF", "POST /v1/chat/completions HTTP/1.1\n"},
      {"a method in small letters", "post /v1/chat/completions HTTP/1.1\r\n"},
      {"TRACE", "TRACE /v1/chat/completions HTTP/1.1\r\n"},
      {"CONNECT", "CONNECT gateway.test:80 HTTP/1.1\r\n"},
      {"a method of its own", "SMUGGLE /v1/chat/completions HTTP/1.1\r\n"},
      {"an absolute target", "POST http://other.test/v1/chat/completions HTTP/1.1\r\n"},
      {"an absolute target of our host, with a user", "POST http://u@gateway.test/v1/chat/completions HTTP/1.1\r\n"},
      {"an absolute target of our host, with a port", "POST http://gateway.test:80/v1/chat/completions HTTP/1.1\r\n"},
      {"an absolute target with a file", "POST file:///etc/passwd HTTP/1.1\r\n"},
      {"a target without a slash", "POST v1/chat/completions HTTP/1.1\r\n"},
      {"a target with a fragment", "POST /v1/chat/completions#x HTTP/1.1\r\n"},
      {"a target with a space", "POST /v1/chat/completions ?x HTTP/1.1\r\n"},
      {"a target with a raw CR", "POST /v1/chat/completions\r HTTP/1.1\r\n"},
      {"a target with a NUL", std::string("POST /v1/chat/completions\0 HTTP/1.1\r\n", 37)},
      {"a target with a high byte", "POST /v1/chat/completions\xff HTTP/1.1\r\n"},
      {"a target with half an escape", "POST /v1/chat/completions%4 HTTP/1.1\r\n"},
      {"a target with a backslash", "POST \\v1\\chat\\completions HTTP/1.1\r\n"},
      {"an asterisk", "POST * HTTP/1.1\r\n"},
      {"nothing but line ends", "\r\n\r\n\r\n\r\n"},
      {"TLS on the plain port", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)},
      {"SSH", "SSH-2.0-OpenSSH_9.2\r\n"},
  };
}

}  // namespace

void smuggling_cases(Suite& suite, Scene& scene) {
  const std::string start = fmt::format("POST {} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {}\r\n", kChat, scene.alice);
  for (const auto& payloads : {framing(), heads()}) {
    for (const Payload& payload : payloads) {
      suite.run("smuggling: " + payload.name, [&]() -> std::string {
        scene.reached();
        const WireOutcome outcome = attack(scene.api, start + payload.fields + "\r\n" + payload.body + kHidden, 2, Millis(1500));
        const std::vector<Seen> seen = scene.reached();
        if (!scene.plain.malformed().empty()) return fmt::format("a backend got bytes that are no request: {:?}", scene.plain.malformed().substr(0, 100));
        for (const Seen& one : seen) {
          if (one.body != kBody) return fmt::format("a backend got another body: {:?}", one.body.substr(0, 100));
          if (one.head.find("EVIL") != std::string::npos) return "a trailer field became a field";
        }
        if (payload.good) {
          if (seen.size() != 1 || outcome.status() != 200) return fmt::format("status {}, {} requests reached a backend", outcome.status(), seen.size());
          return {};
        }
        if (!seen.empty()) return "a backend got it";
        if (outcome.status() < 400 && !outcome.closed) return fmt::format("status {}, and the connection is open", outcome.status());
        // Where the framing was clear the connection goes on: what stands behind is another request, which needs a key of its own.
        return outcome.answers.size() > 1 && outcome.answers[1].status != 401 ? fmt::format("what stood behind it got {}", outcome.answers[1].status) : "";
      });
    }
  }
  for (const auto& [name, line] : lines()) {
    suite.run("start line: " + name, [&, line = line]() -> std::string {
      return refused(scene, line + start.substr(start.find("Host")) + length(kBody) + "\r\n" + kBody, {0, 400, 404, 405, 414, 501, 505});
    });
  }
  for (const std::string host : {"", "a b", "a@b", "a/b", "a,b", "[::1", "a:99999", "a:b", "a\\b", "<script>"}) {
    suite.run(fmt::format("Host is {:?}", host), [&]() -> std::string {
      return refused(scene, fmt::format("POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{}\r\n{}", kChat, host, scene.alice, length(kBody), kBody),
                     {400});
    });
  }
  suite.run("an absolute target that names the host of Host reaches the backend as its path", [&] {
    std::string bytes = request("POST", "http://Gateway.test/v1/chat/completions?a=b", scene.alice, kBody);
    return taken(scene, bytes, [](const Seen& seen) { return seen.line().starts_with("POST /v1/chat/completions") ? "" : seen.line(); });
  });
  suite.run("no Host", [&] {
    return refused(scene, fmt::format("POST {} HTTP/1.1\r\nAuthorization: Bearer {}\r\n{}\r\n{}", kChat, scene.alice, length(kBody), kBody), {400});
  });
  suite.run("a pipelined second request has to show its own key", [&]() -> std::string {
    scene.reached();
    const std::string bytes = request("POST", kChat, scene.alice, kBody) + request("POST", kChat, "", kBody);
    const WireOutcome outcome = attack(scene.api, bytes, 2);
    if (outcome.answers.size() != 2 || outcome.answers[0].status != 200 || outcome.answers[1].status != 401)
      return fmt::format("{} answers, first {}", outcome.answers.size(), outcome.status());
    return scene.reached().size() == 1 ? "" : "the second one reached a backend";
  });
}

}  // namespace flexpert::bench::security
