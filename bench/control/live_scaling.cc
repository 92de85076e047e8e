// Pools of real processes, scaled live: what instances at a set pace are worth, traffic that rises and falls under several
// policies with Prometheus and without, scale-downs under load, and what happens when parts are killed.
#include <cstdio>
#include <filesystem>
#include <string_view>

#include "figures.h"
#include "live/sections.h"

namespace flexpert::bench {
namespace {

struct Named {
  std::string_view name;
  Result<void> (*run)(const LiveSetup& setup, Figures& figures);
};

constexpr Named kSections[] = {
    {"pace", measure_pace},          {"prometheus", measure_policies_with_prometheus}, {"direct", measure_policies_with_scraping},
    {"drains", measure_drains},      {"sensor-loss", measure_sensor_loss},             {"restart", measure_restarts},
    {"never-ready", measure_never_ready},
};

int run(int argc, char** argv) {
  Figures figures("live-scaling",
                  "real `flexpert up` fleets, one pool of paced model servers; open-loop Poisson chats of 16 tokens over HTTP; wall-clock time");
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s FLEXPERT_PROGRAM MODEL_FOLDER JOURNAL_FOLDER [SECTION...]\n", argv[0]);
    return 2;
  }
  net::EventLoop loop;
  const LiveSetup setup{loop, argv[1], argv[2], argv[3]};
  std::error_code error;
  std::filesystem::create_directories(setup.journals, error);
  bool finished = true;
  for (const Named& section : kSections) {
    bool wanted = argc == 4;
    for (int i = 4; i < argc; ++i) wanted = wanted || section.name == argv[i];
    if (!wanted) continue;
    if (const auto done = section.run(setup, figures); !done) {
      finished = false;
      std::printf("%.*s: broken off: %s\n", static_cast<int>(section.name.size()), section.name.data(), done.error().message.c_str());
    }
  }
  return figures.verdict(finished);
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) { return flexpert::bench::run(argc, argv); }
