// Any bytes as a configuration file: a checked configuration or an error, in bounded time and memory.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "config/fleet_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto config = flexpert::config::parse(text, "fuzz.yaml");
  if (!config) {
    FLEXPERT_CHECK(config.error().message.starts_with("fuzz.yaml:"), "an error must name the file");
    return 0;
  }
  FLEXPERT_CHECK(config->gateway.max_body_bytes >= 1024, "a checked value must be in its range");
  FLEXPERT_CHECK(!config->model || config->model->scaling.low <= config->model->scaling.high / 2, "thresholds must leave a gap");
  if (config->pools) {
    FLEXPERT_CHECK(flexpert::scaling::validate(config->pools->planner).has_value(), "pools must be checked as a whole");
    FLEXPERT_CHECK(config->pools->entries.size() == config->pools->planner.pools.size(), "every pool has its entry");
  }
  for (const auto& token : config->tokens) FLEXPERT_CHECK(token.sha256.size() == 64, "a digest has 64 digits");
  return 0;
}
