#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "security/scene.h"

/// Who a request says that it comes from, beside its credential, must not matter; internal fields never pass.
namespace flexpert::bench::security {
namespace {

std::string normal(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return text;
}

struct Target {
  std::string path;
  std::string body;
};

std::vector<Target> targets() {
  return {{std::string(kChat), chat("m-one")},
          {"/v1/completions", R"({"model":"m-one","prompt":"hello"})"},
          {"/v1/embeddings", R"({"model":"m-one","input":"hello"})"},
          {"/tokenize", R"({"model":"m-one","prompt":"hello"})"}};
}

const std::vector<std::string> kInternalSpellings{
    "X-Flexpert-Grant",   "x-flexpert-grant", "X-FLEXPERT-GRANT", "X_Flexpert_Grant",   "X-Flexpert_Grant",  "x_flexpert-grant",
    "X-Flexpert-Tenant",  "X-Flexpert-Roles", "X-Flexpert-Model", "X-Flexpert-Experts", "X-Flexpert-Policy", "X-Flexpert-Anything-Else",
};

/// What other gateways let clients steer with.
const std::vector<std::string> kIdentityFields{
    "X-User", "X-User-Id", "X-Tenant", "X-Tenant-Id", "X-Role", "X-Roles", "X-Groups", "X-Forwarded-User", "X-Forwarded-Email", "X-Remote-User",
    "Remote-User", "X-Auth-Request-User", "X-Authenticated-Userid", "X-Consumer-Username", "X-Model", "X-Model-Name", "X-Gateway-Model-Name",
    "X-Expert-Groups", "X-Experts", "X-Expert-Ids", "X-Routing-Key", "X-Worker-Id", "X-Target-Endpoint", "X-SMG-Target-Worker", "OpenAI-Organization",
    "OpenAI-Project", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP",
    "X-Client-Cert", "X-SSL-Client-Verify", "Cookie", "X-Priority", "X-Data-Parallel-Rank"};

}  // namespace

void spoofing_cases(Suite& suite, Scene& scene) {
  for (const Target& target : targets()) {
    for (const std::string& name : kInternalSpellings) {
      suite.run(fmt::format("spoofing: {} on {} does not pass", name, target.path), [&] {
        return taken(scene, request("POST", target.path, scene.alice, target.body, name + ": EVIL\r\n"), [&](const Seen& seen) -> std::string {
          if (normal(seen.head).find("evil") != std::string::npos) return "its value reached the backend";
          return normal(seen.head).find(normal(name)) == std::string::npos ? "" : "the field reached the backend";
        });
      });
    }
    suite.run("spoofing: two credentials on " + target.path + " are refused", [&] {
      return refused(scene, request("POST", target.path, scene.alice, target.body, "X-Api-Key: EVIL-CREDENTIAL\r\n"), {400, 401});
    });
    for (const std::string field : {"Authorization", "Proxy-Authorization", "X-Expert-Access-Token", "Connection"}) {
      suite.run(fmt::format("spoofing: {} of the client is not passed on from {}", field, target.path), [&] {
        const std::string more = field == "Authorization" ? "" : fmt::format("{}: {}\r\n", field, field == "Connection" ? "X-EVIL" : "EVIL-CREDENTIAL");
        return taken(scene, request("POST", target.path, scene.alice, target.body, more), [&](const Seen& seen) -> std::string {
          if (seen.head.find(scene.alice) != std::string::npos) return "the client's key reached the backend";
          return normal(seen.head).find("evil") == std::string::npos ? "" : "its value reached the backend";
        });
      });
    }
  }
  for (const std::string& field : kIdentityFields) {
    suite.run("spoofing: " + field + " opens no model", [&] {
      const std::string value = field == "X-Original-URL" || field == "X-Rewrite-URL" ? "/metrics" : "bob; m-two; beta; premium; secret";
      return refused(scene, request("POST", kChat, scene.alice, chat("m-two"), fmt::format("{}: {}\r\n", field, value)), {403, 404});
    });
    suite.run("spoofing: " + field + " is no credential", [&] {
      return refused(scene, request("POST", kChat, "", chat("m-one"), fmt::format("{}: {}\r\n", field, "bob")), {401});
    });
  }
  for (const std::string model : {"m-two", "m-experts"}) {
    suite.run("rights: the model " + model + " is not for alice", [&] { return refused(scene, request("POST", kChat, scene.alice, chat(model)), {403, 404}); });
    suite.run("rights: " + model + " is not in alice's list", [&]() -> std::string {
      const WireOutcome outcome = attack(scene.api, request("GET", "/v1/models", scene.alice, ""));
      if (outcome.status() != 200) return fmt::format("status {}", outcome.status());
      return outcome.answers[0].body.find(model) == std::string::npos ? "" : "it is";
    });
    suite.run("rights: " + model + " by its path is not there for alice", [&] {
      return refused(scene, request("GET", "/v1/models/" + model, scene.alice, ""), {404});
    });
    suite.run("rights: a model that is not for alice looks like none at all: " + model, [&]() -> std::string {
      const WireOutcome forbidden = attack(scene.api, request("POST", kChat, scene.alice, chat(model)));
      const WireOutcome missing = attack(scene.api, request("POST", kChat, scene.alice, chat("m-nothing")));
      std::string body = forbidden.answers.empty() ? "" : forbidden.answers[0].body;
      if (const std::size_t at = body.find(model); at != std::string::npos) body.replace(at, model.size(), "m-nothing");
      return !missing.answers.empty() && body == missing.answers[0].body ? "" : "the answers differ: " + body;
    });
  }
  suite.run("rights: bob may use m-two", [&] { return taken(scene, request("POST", kChat, scene.bob, chat("m-two"))); });
  suite.run("rights: our own server gets a signed grant of ours", [&] {
    return taken(scene, request("POST", kChat, scene.bob, chat("m-experts"), "X-Flexpert-Grant: v1.EVIL.EVIL\r\n"), [](const Seen& seen) -> std::string {
      if (count_fields(seen.head, "X-Flexpert-Grant") != 1) return "not exactly one grant";
      return seen.field("X-Flexpert-Grant").find("EVIL") == std::string::npos ? "" : "it is the client's";
    });
  });
  suite.run("rights: another engine gets no grant", [&] {
    return taken(scene, request("POST", kChat, scene.bob, chat("m-one")),
                 [](const Seen& seen) -> std::string { return count_fields(seen.head, "X-Flexpert-Grant") == 0 ? "" : "it got one"; });
  });
  suite.run("rights: who may not use every expert does not reach an engine that cannot mask", [&] {
    return refused(scene, request("POST", kChat, scene.carol, chat("m-masked")), {403});
  });
}

}  // namespace flexpert::bench::security
