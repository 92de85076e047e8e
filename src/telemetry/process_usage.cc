#include "telemetry/process_usage.h"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace flexpert::telemetry {
namespace {

/// Seconds since the epoch at which the machine started.
double boot_time() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  return 0;
}

}  // namespace

ProcessUsage read_process_usage() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  // proc(5): after the name, field 3 (state) comes first; 14 and 15 are utime and stime, 22 starttime, 24 rss.
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  for (int field = 16; field < 22; ++field) fields >> skipped;
  double start = 0;
  double virtual_bytes = 0;
  double pages = 0;
  fields >> start >> virtual_bytes >> pages;
  if (!fields) return {};
  static const double booted = boot_time();
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return {(user + system) / ticks, pages * static_cast<double>(sysconf(_SC_PAGESIZE)), booted + start / ticks};
}

}  // namespace flexpert::telemetry
