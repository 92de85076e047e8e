#include <chrono>

#include <fmt/format.h>

#include "security/scene.h"

/// Oversized input and slow clients. The scene's limits: head 32 KiB and 1 s, body 1 MiB, 1 s between pieces and 1 KiB/s after 10 s, idle 3 s.
namespace flexpert::bench::security {
namespace {

std::string head(const Scene& scene, const std::string& fields) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{}\r\n", kChat, scene.alice, fields);
}

/// Sends a piece every 100 ms and tells after how long the other side had enough; 0: never.
Millis patience(Wire& wire, std::string_view piece, int times) {
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) {
    if (!wire.send(piece)) break;
    const WireOutcome outcome = wire.receive(1, Millis(100));
    if (outcome.closed || !outcome.answers.empty()) return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - began);
  }
  return Millis(0);
}

std::string within(Millis taken, int low, int high) {
  if (taken.count() == 0) return "never";
  return taken.count() >= low && taken.count() <= high ? "" : fmt::format("after {} ms", taken.count());
}

}  // namespace

void size_and_time_cases(Suite& suite, Scene& scene) {
  const std::string body = chat("m-one");
  const std::string length = fmt::format("Content-Length: {}\r\n", body.size());
  suite.run("size: a field of 40 KiB", [&] { return refused(scene, head(scene, "X: " + std::string(40'000, 'x') + "\r\n" + length) + body, {431}); });
  suite.run("size: a field name of 40 KiB", [&] { return refused(scene, head(scene, std::string(40'000, 'x') + ": x\r\n" + length) + body, {400, 431}); });
  suite.run("size: 5,000 small fields", [&] {
    std::string fields;
    for (int i = 0; i < 5000; ++i) fields += "X: y\r\n";
    return refused(scene, head(scene, fields + length) + body, {431});
  });
  suite.run("size: 200 fields", [&] {
    std::string fields;
    for (int i = 0; i < 200; ++i) fields += fmt::format("X-{}: y\r\n", i);
    return refused(scene, head(scene, fields + length) + body, {431});
  });
  suite.run("size: a target of 40 KiB", [&] { return refused(scene, request("POST", "/" + std::string(40'000, 'x'), scene.alice, body), {414, 431}); });
  suite.run("size: a query of 40 KiB", [&] { return refused(scene, request("POST", std::string(kChat) + "?" + std::string(40'000, 'x'), scene.alice, body), {414, 431}); });
  suite.run("size: a start line without end", [&] { return refused(scene, std::string(70'000, 'x'), {0, 400, 414, 431, 501}); });
  suite.run("size: line ends without end", [&] { return refused(scene, [] { std::string ends; for (int i = 0; i < 40'000; ++i) ends += "\r\n"; return ends; }(), {0, 400, 431}); });
  suite.run("size: a body of 1 MiB and one byte is refused by its Content-Length", [&] { return refused(scene, head(scene, "Content-Length: 1048577\r\n"), {413}); });
  suite.run("size: 100 GB are refused by their Content-Length", [&] { return refused(scene, head(scene, "Content-Length: 100000000000\r\n"), {413}); });
  suite.run("size: 2^63 are refused by their Content-Length", [&] { return refused(scene, head(scene, "Content-Length: 9223372036854775808\r\n"), {400, 413}); });
  suite.run("size: chunks are counted", [&] {
    std::string bytes = head(scene, "Transfer-Encoding: chunked\r\n");
    for (int i = 0; i < 40; ++i) bytes += "8000\r\n" + std::string(0x8000, ' ') + "\r\n";
    return refused(scene, bytes, {413});
  });
  suite.run("size: a chunk is refused by its size", [&] { return refused(scene, head(scene, "Transfer-Encoding: chunked\r\n") + "7fffffffffffffff\r\n", {400, 413}); });
  suite.run("size: a million chunks of one byte", [&] {
    std::string bytes = head(scene, "Transfer-Encoding: chunked\r\n");
    for (int i = 0; i < 1'100'000; ++i) bytes += "1\r\n \r\n";
    return refused(scene, bytes, {0, 413});
  });
  suite.run("size: a body of 1 MiB passes whole", [&] {
    std::string big = chat("m-one", std::string(1'000'000, 'x'));
    return taken(scene, request("POST", kChat, scene.alice, big), [&](const Seen& seen) -> std::string { return seen.body == big ? "" : "it was changed"; });
  });
  suite.run("size: 300,000 keys", [&]() -> std::string {
    std::string keys = R"({"model":"m-one")";
    for (int i = 0; i < 60'000; ++i) keys += fmt::format(",\"k{}\":{}", i, i);
    keys += "}";
    scene.reached();
    const auto began = std::chrono::steady_clock::now();
    const WireOutcome outcome = attack(scene.api, request("POST", kChat, scene.alice, keys));
    const auto took = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - began);
    if (outcome.status() != 200 && outcome.status() != 400 && outcome.status() != 413) return fmt::format("status {}", outcome.status());
    return took < Millis(2000) ? "" : fmt::format("it took {} ms", took.count());
  });

  suite.run("slow: a head that never ends is given up", [&] {
    Wire wire(scene.api);
    wire.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n");
    return within(patience(wire, "X: y\r\n", 60), 500, 4000);
  });
  suite.run("slow: a head of one byte is given up", [&] {
    Wire wire(scene.api);
    wire.send("P");
    return within(patience(wire, "", 60), 500, 4000);
  });
  suite.run("slow: a body that stops is given up", [&] {
    Wire wire(scene.api);
    wire.send(head(scene, "Content-Length: 1000\r\n") + "{");
    return within(patience(wire, "", 60), 500, 5000);
  });
  suite.run("slow: a body of ten bytes a second is given up", [&] {
    Wire wire(scene.api);
    wire.send(head(scene, "Content-Length: 100000\r\n") + "{");
    return within(patience(wire, " ", 150), 500, 13'000);
  });
  suite.run("slow: chunks of one byte are given up", [&] {
    Wire wire(scene.api);
    wire.send(head(scene, "Transfer-Encoding: chunked\r\n"));
    return within(patience(wire, "1\r\n \r\n", 150), 500, 13'000);
  });
  suite.run("slow: a connection that says nothing is closed", [&] {
    Wire wire(scene.api);
    return within(patience(wire, "", 100), 500, 8000);
  });
  suite.run("slow: a kept connection that says nothing more is closed", [&]() -> std::string {
    Wire wire(scene.api);
    wire.send(request("GET", "/v1/models", scene.alice, ""));
    if (wire.receive().status() != 200) return "no answer";
    const WireOutcome outcome = wire.receive(1, Millis(8000));
    return outcome.closed ? "" : "it is open";
  });
  suite.run("slow: 300 such clients do not keep others out", [&]() -> std::string {
    std::vector<std::unique_ptr<Wire>> wires;
    for (int i = 0; i < 300; ++i) {
      wires.push_back(std::make_unique<Wire>(scene.api));
      wires.back()->send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n");
    }
    return taken(scene, request("POST", kChat, scene.alice, body));
  });
  suite.run("slow: no slow client reached a backend", [&]() -> std::string { return scene.reached().empty() ? "" : "one did"; });
  suite.run("slow: a client that leaves in its body reaches no backend", [&]() -> std::string {
    scene.reached();
    {
      Wire wire(scene.api);
      wire.send(head(scene, length) + body.substr(0, 10));
    }
    const std::string problem = taken(scene, request("POST", kChat, scene.alice, chat("m-one", "after")), [](const Seen& seen) -> std::string {
      return seen.body.find("after") != std::string::npos ? "" : "another one did";
    });
    return problem;
  });
  suite.run("the gateway is alive after all that", [&]() -> std::string { return scene.gateway_alive() ? "" : "it is gone"; });
}

}  // namespace flexpert::bench::security
