#include <fmt/format.h>

#include "security/scene.h"

/// Engines that register themselves: only with the secret, only where the networks allow it, and never where metadata lives.
namespace flexpert::bench::security {
namespace {

std::string announce(const std::string& secret, const std::string& url, const std::string& models = R"(["m-new"])") {
  return request("POST", "/internal/register", secret, fmt::format(R"({{"url":"{}","models":{}}})", url, models));
}

}  // namespace

void registration_cases(Suite& suite, Scene& scene) {
  const std::string secret = "pool-secret-of-the-scene-of-security";
  const std::string here = fmt::format("http://127.0.0.1:{}", scene.plain.port());
  const auto not_taken = [&](const std::string& bytes) -> std::string {
    const int before = scene.plain.connections();
    const WireOutcome outcome = attack(scene.admin, bytes);
    if (outcome.status() < 400) return fmt::format("status {}", outcome.status());
    if (outcome.status() >= 500) return fmt::format("status {}: {}", outcome.status(), outcome.answers[0].body);
    const int after = scene.plain.connections();
    return after <= before + 1 ? "" : "somebody connected there";  // a health check of the file's upstreams may come between
  };
  for (const std::string url :
       {"http://169.254.169.254", "http://169.254.169.254:80", "http://169.254.0.1:8000", "http://[fd00:ec2::254]:80", "http://[fe80::1]:8000", "http://100.100.100.200",
        "http://metadata.google.internal", "http://224.0.0.1:8000", "http://[ff02::1]:8000", "http://0.0.0.0:8000", "http://[::]:8000", "http://255.255.255.255:80",
        "http://[::ffff:169.254.169.254]:80", "http://2852039166", "http://0xa9fea9fe", "http://0251.0376.0251.0376", "http://169.254.169.254.", "http://8.8.8.8:8000",
        "http://10.1.2.3:8000", "http://192.168.1.1:8000", "http://[::1]:8000", "http://user:pass@127.0.0.1:8000", "http://127.0.0.1@169.254.169.254", "ftp://127.0.0.1",
        "file:///etc/passwd", "gopher://127.0.0.1:70", "unix:/run/docker.sock", "http://", "http://127.0.0.1:0", "http://127.0.0.1:99999", "http://127.0.0.1:8000/admin",
        "http://127.0.0.1:8000?x=1", "http://127.0.0.1:8000#x", "http://127.0.0.1:8000\\r\\nX: y", "//127.0.0.1:8000", "127.0.0.1:8000 ", "javascript:alert(1)",
        "http://127.1:8000", "http://0x7f.1:8000", "http://\\u0031\\u0036\\u0039.254.169.254"})
    suite.run(fmt::format("registration: {:?} is refused", url), [&] { return not_taken(announce(secret, url)); });
  for (const std::string wrong : {"", "pool-secret", "pool-secret-of-the-scene-of-securitY", "pool-secret-of-the-scene-of-security x", "*"})
    suite.run(fmt::format("registration: the secret {:?} is refused", wrong), [&] { return not_taken(announce(wrong, here)); });
  suite.run("registration: a caller's key is no pool secret", [&] { return not_taken(announce(scene.bob, here)); });
  suite.run("registration: not on the API listener", [&] { return refused(scene, announce(secret, here), {401, 404}); });
  for (const std::string models : {"null", "\"m-new\"", "[1]", "[\"\"]", "[\"*\"]", "{}"})
    suite.run("registration: models " + models + " are refused", [&] { return not_taken(announce(secret, here, models)); });
  suite.run("registration: an engine that does not prove the model gets nothing", [&]() -> std::string {
    const WireOutcome outcome = attack(scene.admin, announce(secret, here, R"(["m-unproven"])"));
    if (outcome.answers.empty()) return "no answer";
    scene.reached();
    for (int i = 0; i < 20; ++i) {
      attack(scene.api, "", 1, Millis(20));
      if (attack(scene.api, request("POST", kChat, scene.bob, chat("m-unproven")), 1, Millis(200)).status() == 200) return "it was served";
    }
    return scene.reached().empty() ? "" : "a request reached it";
  });
}

}  // namespace flexpert::bench::security
