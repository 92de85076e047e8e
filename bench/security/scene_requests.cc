#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "security/scene.h"

namespace flexpert::bench::security {

void Suite::run(const std::string& name, const std::function<std::string()>& check) {
  if (!only_.empty() && name.find(only_) == std::string::npos) return;
  ++total_;
  const std::string problem = check();
  if (problem.empty()) ++held_;
  if (!problem.empty()) fmt::print("FAILS {}: {}\n", name, problem);
  if (problem.empty() && verbose_) fmt::print("holds {}\n", name);
}

std::string chat(std::string_view model, std::string_view prompt, std::string_view more) {
  return fmt::format(R"({{"model":"{}","messages":[{{"role":"user","content":"{}"}}]{}}})", model, prompt, more);
}

std::string request(std::string_view method, std::string_view target, std::string_view key, std::string_view body, std::string_view fields) {
  std::string bytes = fmt::format("{} {} HTTP/1.1\r\nHost: gateway.test\r\n", method, target);
  if (!key.empty()) bytes += fmt::format("Authorization: Bearer {}\r\n", key);
  bytes += fields;
  if (!body.empty()) bytes += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
  return bytes + "\r\n" + std::string(body);
}

std::string refused(Scene& scene, std::string_view bytes, const std::vector<int>& statuses, std::string_view why) {
  scene.reached();
  const WireOutcome outcome = attack(scene.api, bytes);
  const std::vector<Seen> seen = scene.reached();
  if (!seen.empty()) return fmt::format("a backend got {:?}", seen.front().line() + " " + seen.front().body.substr(0, 120));
  if (std::find(statuses.begin(), statuses.end(), outcome.status()) == statuses.end())
    return fmt::format("status {} instead of {}{}", outcome.status(), fmt::join(statuses, " or "), outcome.closed ? ", closed" : "");
  if (!why.empty() && !outcome.answers.empty() && outcome.answers.front().body.find(why) == std::string::npos)
    return fmt::format("the answer does not say {:?}: {}", why, outcome.answers.front().body.substr(0, 200));
  return {};
}

std::string taken(Scene& scene, std::string_view bytes, const std::function<std::string(const Seen&)>& look) {
  scene.reached();
  const WireOutcome outcome = attack(scene.api, bytes);
  const std::vector<Seen> seen = scene.reached();
  if (outcome.status() != 200)
    return fmt::format("status {}: {}", outcome.status(), outcome.answers.empty() ? "" : outcome.answers.front().body.substr(0, 200));
  if (seen.size() != 1) return fmt::format("{} requests reached a backend", seen.size());
  return look ? look(seen.front()) : std::string();
}

}  // namespace flexpert::bench::security
