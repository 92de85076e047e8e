#include <fmt/format.h>

#include "security/scene.h"

/// The cache, which the scene has on, never crosses a difference in rights.
namespace flexpert::bench::security {
namespace {

int number = 0;

/// A deterministic request that nobody sent before.
std::string fresh(const std::string& more = R"(,"temperature":0)", std::string_view model = "m-one") {
  return chat(model, fmt::format("cache case {}", ++number), more);
}

struct Pair {
  std::string first, second;  ///< whole requests
};

std::string content(const WireOutcome& outcome) { return outcome.answers.empty() ? "nothing" : outcome.answers[0].body; }

/// Sends both; `shared`: whether the second may be answered from the first.
std::string check(Scene& scene, const Pair& pair, bool shared) {
  scene.reached();
  const WireOutcome first = attack(scene.api, pair.first);
  const WireOutcome second = attack(scene.api, pair.second);
  const std::size_t reached = scene.reached().size();
  if (first.status() != 200 || second.status() != 200) return fmt::format("status {} and {}: {}", first.status(), second.status(), content(second).substr(0, 200));
  if (shared) return reached == 1 && content(first) == content(second) ? "" : fmt::format("{} requests reached a backend", reached);
  if (second.answers[0].field("X-Flexpert-Cache") == "hit") return "the second was a hit";
  return reached == 2 && content(first) != content(second) ? "" : fmt::format("{} requests reached a backend", reached);
}

}  // namespace

void cache_cases(Suite& suite, Scene& scene) {
  const auto post = [&](const std::string& key, const std::string& body, std::string_view fields = "") { return request("POST", kChat, key, body, fields); };
  const auto same_body = [&](const std::string& name, const std::string& a, const std::string& b, const std::string& body, bool shared) {
    suite.run("cache: " + name, [&] { return check(scene, {post(a, body), post(b, body)}, shared); });
  };
  same_body("the same caller, the same request: one computation", scene.alice, scene.alice, fresh(), true);
  same_body("two tenants", scene.alice, scene.dave, fresh(), false);
  same_body("two tenants, the other way round", scene.dave, scene.alice, fresh(), false);
  same_body("two tenants with the same role", scene.bob, scene.carol, fresh(), false);
  same_body("no temperature", scene.alice, scene.alice, fresh(""), false);
  same_body("temperature 1", scene.alice, scene.alice, fresh(R"(,"temperature":1)"), false);
  same_body("temperature a little over 0", scene.alice, scene.alice, fresh(R"(,"temperature":0.0001)"), false);
  const auto two = [&](const std::string& name, const std::string& first, const std::string& second, bool shared) {
    suite.run("cache: " + name, [&] { return check(scene, {post(scene.alice, first), post(scene.alice, second)}, shared); });
  };
  std::string body = fresh();
  std::string other = body;
  other.replace(other.find("cache case"), 10, "Cache case");
  two("one letter of difference", body, other, false);
  body = fresh();
  two("another max_tokens", body, body.substr(0, body.size() - 1) + R"(,"max_tokens":7})", false);
  body = fresh();
  two("a stop word more", body, body.substr(0, body.size() - 1) + R"(,"stop":["x"]})", false);
  body = fresh();
  two("tools more", body, body.substr(0, body.size() - 1) + R"(,"tools":[]})", false);
  body = fresh();
  two("another role of the message", body, [&] { std::string turned = body; turned.replace(turned.find("\"user\""), 6, "\"system\""); return turned; }(), false);
  body = fresh();
  two("a field that nobody knows", body, body.substr(0, body.size() - 1) + R"(,"x":1})", false);
  body = fresh();
  suite.run("cache: another endpoint", [&] {
    return check(scene, {post(scene.alice, body), request("POST", "/v1/completions", scene.alice, body)}, false);
  });
  body = fresh();
  suite.run("cache: no-store keeps nothing", [&] {
    return check(scene, {post(scene.alice, body, "Cache-Control: no-store\r\n"), post(scene.alice, body)}, false);
  });
  body = fresh();
  suite.run("cache: no-cache takes nothing", [&] { return check(scene, {post(scene.alice, body), post(scene.alice, body, "Cache-Control: no-cache\r\n")}, false); });
  for (const int status : {400, 429, 500, 503}) {
    suite.run(fmt::format("cache: a {} is not kept", status), [&, status]() -> std::string {
      const std::string failing = chat("m-one", fmt::format("reply:{} {}", status, ++number), R"(,"temperature":0)");
      attack(scene.api, post(scene.alice, failing));
      scene.reached();
      attack(scene.api, post(scene.alice, failing));
      return !scene.reached().empty() ? "" : "the second one reached no backend";
    });
  }
  suite.run("cache: who lost the right to a model gets no kept answer", [&] {
    const std::string kept = fresh(R"(,"temperature":0)", "m-two");
    attack(scene.api, post(scene.bob, kept));
    return refused(scene, post(scene.dave, kept), {403, 404});
  });
  suite.run("cache: a kept answer is not for somebody without a key", [&] {
    const std::string kept = fresh();
    attack(scene.api, post(scene.alice, kept));
    return refused(scene, post("", kept), {401});
  });
  suite.run("cache: a client cannot name the key of an entry", [&] {
    const std::string kept = fresh();
    return check(scene, {post(scene.alice, kept, "X-Flexpert-Cache-Key: 1\r\nIdempotency-Key: 1\r\n"), post(scene.dave, kept, "X-Flexpert-Cache-Key: 1\r\nIdempotency-Key: 1\r\n")}, false);
  });
}

}  // namespace flexpert::bench::security
