#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "controller/metric_names.h"
#include "controller/metric_window.h"
#include "controller/pool_sensors.h"
#include "controller/pool_sensors_reading.h"
#include "http/client.h"
#include "net/event_loop.h"

namespace flexpert::controller {

/// GET /metrics of each instance of one pool, again and again: counters as growth over the interval (also of instances
/// that are gone since), levels as they are, each with its age. Belongs to the loop's thread.
class ScrapeSource {
 public:
  struct Options {
    MetricRules rules;
    Duration interval = Seconds(15);   ///< that means and rates are taken over
    Duration period = Seconds(5);      ///< between two rounds
    Duration timeout = Seconds(4);     ///< of one answer
    std::size_t max_answer_bytes = 16 << 20;
  };

  ScrapeSource(net::EventLoop& loop, const Clock& clock, http::Client& client, Options options);
  ~ScrapeSource();
  ScrapeSource(const ScrapeSource&) = delete;
  ScrapeSource& operator=(const ScrapeSource&) = delete;

  /// Who there is. Ready, warm and draining instances are asked; one that was seen starting counts from zero.
  void set_instances(const std::vector<SensedInstance>& instances);
  /// What is known as of now. Pool values are as old as the oldest of the ready instances' newest answers.
  [[nodiscard]] SourceReading read() const;

 private:
  struct Target;
  void round();
  void ask(Target& target);
  void took(const InstanceId& id, std::uint64_t asked, Result<std::string> body);
  Result<void> take(Target& target, const std::string& body, TimePoint at);
  void read_instances(SourceReading& reading, std::optional<TimePoint>& oldest, TimePoint now) const;
  void read_growth(SourceReading& reading, TimePoint oldest, TimePoint now) const;
  void read_levels(SourceReading& reading, TimePoint oldest, TimePoint now) const;

  net::EventLoop& loop_;
  const Clock& clock_;
  http::Client& client_;
  Options options_;
  std::map<std::string, std::size_t> first_counter_;  ///< of each rule that has counters; a mean's second follows
  std::size_t counters_ = 0;
  std::map<InstanceId, std::unique_ptr<Target>> targets_;
  std::vector<std::unique_ptr<Target>> gone_;          ///< whose growth still lies within the interval
  std::map<std::string, LevelWindow> levels_;          ///< sums over instances, of in_flight and queued
  net::TimerId timer_ = 0;
  std::shared_ptr<ScrapeSource*> self_;                ///< what answers hold, weakly
};

}  // namespace flexpert::controller
