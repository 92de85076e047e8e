#include "flexpert/log_setup.h"

#include "base/log.h"

namespace flexpert::app {

void configure_log(const std::string& level, std::string_view process_name) {
  log::Level least = log::Level::kInfo;
  if (level == "debug") least = log::Level::kDebug;
  if (level == "warn") least = log::Level::kWarn;
  if (level == "error") least = log::Level::kError;
  if (level == "off") least = log::Level::kOff;
  log::configure(least, process_name);
}

}  // namespace flexpert::app
