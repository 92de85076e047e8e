#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "codec/gateway_report.h"
#include "controller/metric_window.h"
#include "controller/pool_sensors_reading.h"

namespace flexpert::controller {

/// What all gateways report, put together: several are summed, one that stops reporting makes everything old and is then
/// forgotten; one that said it leaves only passes out of the interval. No clock, no I/O.
class GatewayReports {
 public:
  /// `interval`: that rates and means are taken over. A gateway that was silent for `forget_after` is gone.
  GatewayReports(Duration interval, Duration forget_after) : interval_(interval), forget_after_(forget_after) {}

  /// Takes a report that came at `now`; one older than what is known of the same boot is ignored. Returns the models of
  /// which the gateway began to hold requests.
  std::vector<std::string> take(const codec::GatewayReport& report, TimePoint now);

  /// One model's load over all gateways; its instances are servers by id. Values are as old as the most silent gateway's
  /// newest report. Conditions: "no_gateway_reports", "gateway_report_stale".
  [[nodiscard]] SourceReading read(const std::string& model, TimePoint now) const;
  /// The gateways themselves: requests of all models, connections and CPU; their instances are gateways by name.
  [[nodiscard]] SourceReading read_gateways(TimePoint now) const;
  /// Tells whether a gateway has reported and is not forgotten.
  [[nodiscard]] bool any(TimePoint now) const;

 private:
  struct Model {
    explicit Model(Duration interval);
    MetricWindow window;
    std::uint32_t in_flight = 0;
    std::uint32_t held = 0;
  };
  struct Gateway {
    explicit Gateway(Duration interval) : own(1, interval) {}
    std::uint64_t boot = 0;
    std::uint64_t sequence = 0;
    TimePoint heard;
    MetricWindow own;  ///< CPU seconds
    bool leaving = false;
    std::uint32_t connections = 0;
    std::map<std::string, Model> models;
    std::vector<codec::GatewayServerLoad> servers;
  };

  /// A model as one gateway knows it. `left`: the gateway is gone, what it counted passes by until now.
  struct Part {
    const Model* model = nullptr;
    bool left = false;
  };

  [[nodiscard]] bool counts(const Gateway& gateway, TimePoint now) const;
  [[nodiscard]] static bool left(const Gateway& gateway, TimePoint now);
  [[nodiscard]] static bool all_left(const std::vector<std::pair<const std::string*, const Gateway*>>& gateways, TimePoint now);
  [[nodiscard]] std::vector<std::pair<const std::string*, const Gateway*>> counted(TimePoint now, SourceReading& reading, TimePoint& oldest) const;
  void sum_up(const std::vector<Part>& parts, TimePoint oldest, TimePoint now, SourceReading& reading) const;

  Duration interval_;
  Duration forget_after_;
  std::map<std::string, Gateway> gateways_;
};

}  // namespace flexpert::controller
