#include "telemetry/process_usage.h"

#include <time.h>
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

/// Finer than the clock ticks of /proc.
double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

ProcessUsage read_process_usage() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  // proc(5): after the name, field 3 (state) comes first; 22 is starttime, 24 rss.
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  double start = 0;
  double virtual_bytes = 0;
  double pages = 0;
  fields >> start >> virtual_bytes >> pages;
  if (!fields) return {};
  static const double booted = boot_time();
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return {cpu_seconds(), pages * static_cast<double>(sysconf(_SC_PAGESIZE)), booted + start / ticks};
}

}  // namespace flexpert::telemetry
