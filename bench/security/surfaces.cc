#include <fmt/format.h>

#include "security/scene.h"

/// Each listener serves its own paths only, and no spelling of a path opens another.
namespace flexpert::bench::security {

void surface_cases(Suite& suite, Scene& scene) {
  for (const std::string path : {"/metrics", "/health", "/ready", "/healthz", "/admin", "/admin/v1/status", "/internal/fleet", "/internal/experts", "/internal/register",
                                 "/internal/resources", "/internal/gateway-report", "/debug/pprof", "/server-status", "/.env", "/config", "/api/v1/placement"}) {
    for (const bool with_key : {true, false}) {
      suite.run(fmt::format("surface: {} is not on the API listener, {}", path, with_key ? "with a key" : "without one"), [&] {
        return refused(scene, request("GET", path, with_key ? scene.root : "", ""), {401, 404});
      });
    }
  }
  for (const std::string path : {"//v1/models", "/v1//models", "/v1/./models", "/v1/../v1/models", "/v1/models/", "/v1%2fmodels", "/%76%31/models", "/V1/models",
                                 "/v1/models;x=1", "/v1/models/../../metrics", "/v1/models%00", "/v1/models/..%2f..%2fmetrics", "/v1/models/%2e%2e"}) {
    suite.run(fmt::format("surface: {} is not the list of models", path), [&]() -> std::string {
      const WireOutcome outcome = attack(scene.api, request("GET", path, scene.alice, ""));
      if (outcome.status() == 200) return "it was answered 200";
      return outcome.status() == 404 || outcome.status() == 400 ? "" : fmt::format("status {}", outcome.status());
    });
  }
  for (const std::string path : {"/v1/chat/completions/", "/v1/chat//completions", "/v1/chat/completions%20", "/v1/chat/completions/../completions", "/V1/Chat/Completions",
                                 "/v1/chat/completions.json", "/v1/responses", "/v1/files", "/generate", "/completion", "/api/generate", "/v1/audio/speech"}) {
    suite.run(fmt::format("surface: POST {} reaches no backend", path), [&] {
      return refused(scene, request("POST", path, scene.alice, chat("m-one")), {400, 404});
    });
  }
  for (const std::string method : {"GET", "PUT", "DELETE", "PATCH", "HEAD"}) {
    suite.run(fmt::format("surface: {} on chat completions reaches no backend", method), [&] {
      return refused(scene, request(method, kChat, scene.alice, method == "PUT" ? chat("m-one") : ""), {405});
    });
  }
  for (const std::string path : {"/v1/chat/completions", "/v1/completions", "/v1/models", "/route", "/admin/v1/status", "/internal/register"}) {
    suite.run(fmt::format("surface: {} is not on the probes' listener", path), [&]() -> std::string {
      scene.reached();
      const WireOutcome outcome = attack(scene.probes, request(path == "/v1/models" ? "GET" : "POST", path, scene.alice, chat("m-one")));
      if (!scene.reached().empty()) return "a backend got it";
      return outcome.status() == 404 || outcome.status() == 405 ? "" : fmt::format("status {}", outcome.status());
    });
    if (path == "/admin/v1/status" || path == "/internal/register") continue;
    suite.run(fmt::format("surface: {} is not on the admin listener", path), [&]() -> std::string {
      scene.reached();
      const WireOutcome outcome = attack(scene.admin, request(path == "/v1/models" ? "GET" : "POST", path, scene.root, chat("m-one")));
      if (!scene.reached().empty()) return "a backend got it";
      return outcome.status() >= 400 ? "" : fmt::format("status {}", outcome.status());
    });
  }
  for (const std::string& key : std::vector<std::string>{"", "fx-bad", scene.alice, scene.bob}) {
    suite.run(fmt::format("surface: the admin status is not for {}", key.empty() ? "nobody" : key == scene.alice ? "alice" : key == scene.bob ? "bob" : "a bad key"),
              [&]() -> std::string {
                const WireOutcome outcome = attack(scene.admin, request("GET", "/admin/v1/status", key, ""));
                return outcome.status() == 401 || outcome.status() == 403 ? "" : fmt::format("status {}", outcome.status());
              });
    suite.run(fmt::format("surface: a reload is not for {}", key.empty() ? "nobody" : key == scene.alice ? "alice" : key == scene.bob ? "bob" : "a bad key"),
              [&]() -> std::string {
                const WireOutcome outcome = attack(scene.admin, request("POST", "/admin/v1/reload", key, "{}"));
                return outcome.status() == 401 || outcome.status() == 403 ? "" : fmt::format("status {}", outcome.status());
              });
  }
  suite.run("surface: the admin status is for root", [&]() -> std::string {
    const WireOutcome outcome = attack(scene.admin, request("GET", "/admin/v1/status", scene.root, ""));
    return outcome.status() == 200 ? "" : fmt::format("status {}", outcome.status());
  });
  suite.run("surface: an answer names no version of ours", [&]() -> std::string {
    const WireOutcome outcome = attack(scene.api, request("GET", "/nothing", "", ""));
    return !outcome.answers.empty() && outcome.answers[0].field("Server").empty() && outcome.answers[0].field("X-Powered-By").empty() ? "" : "it does";
  });
  suite.run("surface: a 404 does not repeat the path as HTML", [&]() -> std::string {
    const WireOutcome outcome = attack(scene.api, request("GET", "/%3Cscript%3Ealert(1)%3C/script%3E", "", ""));
    if (outcome.answers.empty()) return "no answer";
    if (outcome.answers[0].field("Content-Type").find("json") == std::string::npos) return "not JSON";
    return outcome.answers[0].body.find("<script>") == std::string::npos ? "" : "it does";
  });
}

}  // namespace flexpert::bench::security
