#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "codec/prometheus_api.h"
#include "config/pools_config.h"
#include "controller/metric_names.h"
#include "controller/pool_sensors.h"
#include "controller/pool_sensors_reading.h"
#include "net/event_loop.h"
#include "web_client/web_client.h"

namespace flexpert::controller {

/// Asks a Prometheus server for the figures of pools, again and again. What it once said grows old while it cannot be
/// reached; nothing is made up. Belongs to the loop's thread.
class PrometheusSource {
 public:
  struct Pool {
    PoolId id;
    MetricRules rules;                            ///< of its engine
    std::map<std::string, std::string> queries;   ///< ours, or a policy's name -> PromQL, instead of the rule's
    std::string selector;
  };
  struct Options {
    config::PrometheusConfig server;
    Duration interval = Seconds(15);              ///< that means and rates are taken over
    Duration period = Seconds(7);                 ///< between two rounds
    std::vector<Pool> pools;
  };

  /// Errors: an URL that is none, a token file that cannot be read.
  static Result<std::unique_ptr<PrometheusSource>> create(net::EventLoop& loop, const Clock& clock, web_client::WebClient& client,
                                                          Options options);
  ~PrometheusSource();
  PrometheusSource(const PrometheusSource&) = delete;
  PrometheusSource& operator=(const PrometheusSource&) = delete;

  /// Who a pool's instances are: series whose `instance` label is one's address are its own.
  void set_instances(const PoolId& pool, const std::vector<SensedInstance>& instances);
  /// What is known of a pool as of now. Conditions: "prometheus_unreachable", "prometheus_query_failed", "metric_missing",
  /// "metric_invalid".
  [[nodiscard]] SourceReading read(const PoolId& pool) const;

 private:
  struct Metric;
  struct PoolState;
  struct Job {
    PoolState* pool = nullptr;
    std::size_t metric = 0;
    bool age = false;
  };
  PrometheusSource(net::EventLoop& loop, const Clock& clock, web_client::WebClient& client, Options options);
  void round();
  void pump();
  void took(const Job& job, Result<web_client::WebAnswer> answer);
  void settle(Metric& metric, TimePoint now);
  void read_metric(const PoolState& pool, const Metric& metric, SourceReading& reading) const;

  net::EventLoop& loop_;
  const Clock& clock_;
  web_client::WebClient& client_;
  Options options_;
  std::string url_;
  std::string token_;
  std::vector<std::unique_ptr<PoolState>> pools_;
  std::deque<Job> waiting_;
  std::map<web_client::WebClient::RequestId, bool> under_way_;
  net::TimerId timer_ = 0;
  std::optional<TimePoint> reached_;       ///< when it last answered at all
  std::string unreachable_;                ///< why it did not, the newest time; empty: it did
};

}  // namespace flexpert::controller
