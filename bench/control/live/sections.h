#pragma once

#include <string>

#include "base/result.h"
#include "figures.h"
#include "net/event_loop.h"

namespace flexpert::bench {

struct LiveSetup {
  net::EventLoop& loop;
  std::string program;
  std::string model;
  std::string journals;  ///< a folder where the journals of the runs are kept
};

/// How much more four instances serve than one.
Result<void> measure_pace(const LiveSetup& setup, Figures& figures);
/// Traffic that rises and falls: attainment and instance-seconds of the SLA policy, of HPA and of a static peak.
Result<void> measure_policies_with_prometheus(const LiveSetup& setup, Figures& figures);
Result<void> measure_policies_with_scraping(const LiveSetup& setup, Figures& figures);
/// Two hundred scale-downs under load.
Result<void> measure_drains(const LiveSetup& setup, Figures& figures);
/// Prometheus is killed in the middle of a run.
Result<void> measure_sensor_loss(const LiveSetup& setup, Figures& figures);
/// The controller is killed while it scales.
Result<void> measure_restarts(const LiveSetup& setup, Figures& figures);
/// An instance that never becomes ready.
Result<void> measure_never_ready(const LiveSetup& setup, Figures& figures);

}  // namespace flexpert::bench
