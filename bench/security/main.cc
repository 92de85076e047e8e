#include <csignal>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "common/figures.h"
#include "security/scene.h"

/// usage: flexpert_bench_security FLEXPERT [--list] [PART OF A NAME]
int main(int argc, char** argv) {
  using namespace flexpert;
  using namespace flexpert::bench::security;
  if (argc < 2) {
    fmt::print(stderr, "usage: {} FLEXPERT [--list] [PART OF A CASE'S NAME]\n", argv[0]);
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  bench::Figures figures("gateway-security", "named attacks on a real gateway, each judged by its answer and by what reached the backends behind it");
  Suite suite;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--list") == 0) {
      suite.verbose();
    } else {
      suite.only(argv[i]);
    }
  }
  auto scene = Scene::start(argv[1]);
  if (!scene) {
    fmt::print(stderr, "gateway-security: {}\n", scene.error().message);
    return figures.verdict(false);
  }
  for (const auto cases : {spoofing_cases, credential_cases, jwt_cases, body_cases, surface_cases, cache_cases, registration_cases, smuggling_cases, answer_cases,
                           size_and_time_cases, secret_cases})
    cases(suite, **scene);
  figures.note("cases", suite.total(), "named cases");
  figures.hold("held", suite.held(), "cases", fmt::format("{} (all), at least 300", suite.total()), suite.held() == suite.total() && suite.total() >= 300);
  return figures.verdict(true);
}
