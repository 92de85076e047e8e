#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "crypto/digest.h"
#include "security/jwt_maker.h"
#include "security/scene.h"

/// After everything else: what was written down, and who may read it.
namespace flexpert::bench::security {

void secret_cases(Suite& suite, Scene& scene) {
  const std::string prompt = "the-prompt-that-nobody-may-log";
  const std::string jwt = sign(R"({"alg":"RS256","kid":"rsa-1"})", R"({"sub":"marker-of-a-token"})", "RS256", scene.rsa_pem);
  attack(scene.api, request("POST", kChat, scene.alice, chat("m-one", prompt)));
  attack(scene.api, request("POST", kChat, scene.alice, chat("m-two", prompt)));
  attack(scene.api, request("POST", kChat, scene.alice, "{\"model\":\"m-one\",\"x\":" + prompt));
  attack(scene.api, request("POST", kChat, "fx-guess-that-nobody-may-log", chat("m-one")));
  attack(scene.api, request("POST", kChat, jwt, chat("m-one")));
  attack(scene.api, request("POST", std::string(kChat) + "?api_key=key-in-a-query", scene.alice, chat("m-one")));
  attack(scene.api, request("GET", "/path-of-a-client-with-fx-secret", scene.alice, ""));
  attack(scene.api, request("POST", kChat, scene.alice, chat("m-one"), "User-Agent: agent\x1b-x\r\n"));
  // Two turns of the log's flush: the access log has what came before the answer to the second.
  for (int i = 0; i < 15; ++i) Wire(scene.api).receive(1, Millis(150));
  const std::string written = scene.everything_written();
  const std::string metrics = [&] {
    const WireOutcome outcome = attack(scene.probes, request("GET", "/metrics", "", ""));
    return outcome.answers.empty() ? std::string() : outcome.answers[0].body;
  }();
  const std::string status = [&] {
    const WireOutcome outcome = attack(scene.admin, request("GET", "/admin/v1/status", scene.root, ""));
    return outcome.answers.empty() ? std::string() : outcome.answers[0].body;
  }();
  suite.run("secrets: there are logs to look into", [&]() -> std::string {
    if (written.find("/v1/chat/completions") == std::string::npos) return "the access log is empty";
    return metrics.empty() || status.empty() ? "no metrics or no status" : "";
  });
  const std::vector<std::pair<std::string, std::string>> secrets{
      {"alice's key", scene.alice},
      {"bob's key", scene.bob},
      {"root's key", scene.root},
      {"a revoked key", scene.revoked},
      {"half of alice's key", scene.alice.substr(0, 24)},
      {"the digest of alice's key", crypto::sha256_hex(scene.alice)},
      {"a guessed key", "guess-that-nobody-may-log"},
      {"a token", jwt},
      {"the signature of a token", jwt.substr(jwt.rfind('.') + 1)},
      {"what an unverified token says", "marker-of-a-token"},
      {"the pool's secret", "pool-secret-of-the-scene"},
      {"a prompt", prompt},
      {"an answer", "answer 1"},
      {"a query", "key-in-a-query"},
      {"a path of the client's own", "path-of-a-client"},
      {"a bearer", "Bearer"},
      {"a raw escape", "\x1b"},
  };
  for (const auto& [name, text] : secrets) {
    suite.run("secrets: " + name + " is in no log", [&, text = text]() -> std::string { return written.find(text) == std::string::npos ? "" : "it is"; });
    suite.run("secrets: " + name + " is not in the metrics", [&, text = text]() -> std::string { return metrics.find(text) == std::string::npos ? "" : "it is"; });
    suite.run("secrets: " + name + " is not in the status", [&, text = text]() -> std::string { return status.find(text) == std::string::npos ? "" : "it is"; });
  }
  for (const std::string file : {"pepper", "internal.secret", "keys.db"}) {
    suite.run("secrets: " + file + " is for its owner only", [&]() -> std::string {
      struct stat found {};
      if (::stat((scene.folder + "/" + file).c_str(), &found) != 0) return "it is not there";
      return (found.st_mode & 077) == 0 ? "" : fmt::format("mode {:o}", found.st_mode & 0777);
    });
  }
  suite.run("secrets: the key store holds no key", [&]() -> std::string {
    std::string bytes;
    for (const char* name : {"/keys.db", "/keys.db-wal"}) {
      std::ifstream file(scene.folder + name, std::ios::binary);
      bytes.append(std::istreambuf_iterator<char>(file), {});
    }
    if (bytes.find("acme") == std::string::npos) return "nor anything else";
    return bytes.find(scene.alice.substr(3)) == std::string::npos && bytes.find(crypto::sha256_hex(scene.alice)) == std::string::npos ? "" : "it does";
  });
  suite.run("secrets: `keys list` shows no key", [&]() -> std::string {
    const std::string list = scene.run("keys list -c " + scene.folder + "/gateway.yaml");
    if (list.find("acme") == std::string::npos) return "nor anything else";
    return list.find(scene.alice.substr(3, 20)) == std::string::npos ? "" : "it does";
  });
  suite.run("secrets: every denial is in the audit log", [&]() -> std::string {
    return written.find("\"denied\"") != std::string::npos && written.find("\"authentication_failed\"") != std::string::npos ? "" : "they are not";
  });
  suite.run("secrets: nothing malformed ever reached a backend", [&]() -> std::string { return scene.plain.malformed() + scene.ours.malformed(); });
}

}  // namespace flexpert::bench::security
