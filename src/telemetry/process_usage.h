#pragma once

namespace flexpert::telemetry {

/// What this process has used so far, as Prometheus clients name it.
struct ProcessUsage {
  double cpu_seconds = 0;          ///< user and system, all threads
  double resident_bytes = 0;
  double start_time_unix_s = 0;
};

/// Reads it; zeroes where /proc does not tell.
ProcessUsage read_process_usage();

}  // namespace flexpert::telemetry
