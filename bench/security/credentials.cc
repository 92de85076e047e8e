#include <fmt/format.h>

#include "crypto/digest.h"
#include "security/scene.h"

/// API keys: what is let in, and that a refusal tells nothing.
namespace flexpert::bench::security {
namespace {

std::string raw(std::string_view fields, std::string_view target = kChat) {
  const std::string body = chat("m-one");
  return fmt::format("POST {} HTTP/1.1\r\nHost: gateway.test\r\n{}Content-Length: {}\r\n\r\n{}", target, fields, body.size(), body);
}

std::string turned(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

}  // namespace

void credential_cases(Suite& suite, Scene& scene) {
  const std::string key = scene.alice;
  const auto bearer = [](const std::string& text) { return "Authorization: Bearer " + text + "\r\n"; };
  suite.run("keys: a good one", [&] { return taken(scene, raw(bearer(key))); });
  suite.run("keys: the scheme without case", [&] { return taken(scene, raw("Authorization: bEaReR " + key + "\r\n")); });
  suite.run("keys: in x-api-key", [&] { return taken(scene, raw("x-api-key: " + key + "\r\n")); });

  std::string last_changed = key;
  last_changed.back() = last_changed.back() == 'A' ? 'E' : 'A';
  const std::string digest = crypto::sha256_hex(key);
  const std::vector<std::pair<std::string, std::string>> bad{
      {"none", ""},
      {"an empty field", "Authorization:\r\n"},
      {"an empty bearer", "Authorization: Bearer \r\n"},
      {"no scheme", "Authorization: " + key + "\r\n"},
      {"the scheme Basic", "Authorization: Basic " + key + "\r\n"},
      {"the scheme Digest", "Authorization: Digest username=\"alice\"\r\n"},
      {"the scheme Negotiate", "Authorization: Negotiate abc\r\n"},
      {"another key of the right form", bearer("fx-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")},
      {"the last character changed", bearer(last_changed)},
      {"one character short", bearer(key.substr(0, key.size() - 1))},
      {"one character more", bearer(key + "A")},
      {"letters turned", bearer(turned(key))},
      {"without its prefix", bearer(key.substr(3))},
      {"padding behind", bearer(key + "=")},
      {"a quote behind", bearer(key + "'")},
      {"in quotes", bearer("\"" + key + "\"")},
      {"a comma and another", bearer(key + ", Bearer " + scene.bob)},
      {"two in one field", bearer(key + " " + scene.bob)},
      {"percent-encoded", bearer("fx%2d" + key.substr(3))},
      {"the digest of it", bearer(digest)},
      {"the digest with the prefix", bearer("fx-" + digest.substr(0, 43))},
      {"SQL", bearer("fx-' OR '1'='1")},
      {"a wildcard", bearer("*")},
      {"a path", bearer("../../../../etc/passwd")},
      {"16 KiB of it", bearer(std::string(16'000, 'A'))},
      {"revoked", bearer(scene.revoked)},
      {"expired", bearer(scene.expired)},
      {"in a cookie", "Cookie: key=" + key + "\r\n"},
      {"in Proxy-Authorization", "Proxy-Authorization: Bearer " + key + "\r\n"},
      {"in X-Authorization", "X-Authorization: Bearer " + key + "\r\n"},
      {"with an underscore for the hyphen", "x_api_key: " + key + "\r\n"},
  };
  for (const auto& [name, fields] : bad)
    suite.run("keys: " + name, [&, fields = fields] { return refused(scene, raw(fields), {400, 401, 431}); });
  suite.run("keys: two Authorization fields, good and bad", [&] { return refused(scene, raw(bearer(key) + bearer("fx-bad")), {400, 401}); });
  suite.run("keys: two Authorization fields, bad and good", [&] { return refused(scene, raw(bearer("fx-bad") + bearer(key)), {400, 401}); });
  suite.run("keys: two Authorization fields of two people", [&] { return refused(scene, raw(bearer(key) + bearer(scene.bob)), {400, 401}); });
  suite.run("keys: one in each field, of two people", [&] { return refused(scene, raw(bearer(key) + "x-api-key: " + scene.bob + "\r\n"), {400, 401}); });
  suite.run("keys: in the query", [&] { return refused(scene, raw("", std::string(kChat) + "?api_key=" + key), {401}); });
  suite.run("keys: a refusal reads the same for unknown, revoked and expired ones", [&]() -> std::string {
    const auto text = [&](const std::string& of) {
      const WireOutcome outcome = attack(scene.api, raw(bearer(of)));
      return outcome.answers.empty() ? std::string("nothing") : fmt::format("{} {}", outcome.status(), outcome.answers[0].body);
    };
    const std::string unknown = text("fx-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    if (text(scene.revoked) != unknown) return "revoked: " + text(scene.revoked);
    return text(scene.expired) == unknown ? "" : "expired: " + text(scene.expired);
  });
  suite.run("keys: a refusal names how to authenticate and not what was sent", [&]() -> std::string {
    const WireOutcome outcome = attack(scene.api, raw(bearer("fx-very-secret-guess")));
    if (outcome.status() != 401) return fmt::format("status {}", outcome.status());
    if (outcome.answers[0].field("WWW-Authenticate").find("Bearer") == std::string::npos) return "no WWW-Authenticate";
    return outcome.answers[0].body.find("very-secret") == std::string::npos ? "" : "it repeats what was sent";
  });
  suite.run("keys: refused before the body is there", [&]() -> std::string {
    Wire wire(scene.api);
    wire.send(fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer fx-bad\r\nContent-Length: 1000000\r\n\r\n", kChat));
    const WireOutcome outcome = wire.receive();
    return outcome.status() == 401 ? "" : fmt::format("status {}", outcome.status());
  });
  suite.run("keys: a new one is good at once, and revoking it ends it", [&]() -> std::string {
    const std::string made = scene.run("keys create -c " + scene.folder + "/gateway.yaml --tenant acme --role basic --name brief --json");
    const std::size_t at = made.find("fx-");
    const std::size_t id = made.find("key_");
    if (at == std::string::npos || id == std::string::npos) return "not made: " + made;
    const std::string text = made.substr(at, 46);
    int status = 0;
    for (int i = 0; i < 100 && status != 200; ++i) status = attack(scene.api, raw(bearer(text))).status();  // until the reload
    for (int i = 0; i < 300 && status != 200; ++i) {
      attack(scene.api, "", 1, Millis(20));
      status = attack(scene.api, raw(bearer(text))).status();
    }
    if (status != 200) return fmt::format("status {} when new", status);
    scene.run("keys revoke -c " + scene.folder + "/gateway.yaml " + made.substr(id, made.find('"', id) - id));
    for (int i = 0; i < 300 && status != 401; ++i) {
      attack(scene.api, "", 1, Millis(20));
      status = attack(scene.api, raw(bearer(text))).status();
    }
    return status == 401 ? "" : fmt::format("status {} when revoked", status);
  });
}

}  // namespace flexpert::bench::security
