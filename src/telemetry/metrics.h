#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "telemetry/metric_cells.h"

namespace flexpert::telemetry {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Handles to one time series each. Cheap to copy, safe from any thread, valid as long as their Registry. The functions that end in
/// _alone cost less, for series that one thread writes.
class Counter {
 public:
  void add() const { cell_->whole.fetch_add(1, std::memory_order_relaxed); }
  void add(double amount) const { cell_->add(amount); }
  void add_alone() const { add_alone_to<std::uint64_t>(cell_->whole, 1); }
  [[nodiscard]] double value() const { return cell_->value(); }

 private:
  friend class Registry;
  CounterCell* cell_ = nullptr;
};

class Gauge {
 public:
  void set(double value) const { cell_->value.store(value, std::memory_order_relaxed); }
  void add(double amount) const { add_to(cell_->value, amount); }
  void add_alone(double amount) const { add_alone_to(cell_->value, amount); }
  [[nodiscard]] double value() const { return cell_->value.load(std::memory_order_relaxed); }

 private:
  friend class Registry;
  GaugeCell* cell_ = nullptr;
};

class Histogram {
 public:
  void observe(double value) const { cell_->observe(value); }
  void observe_alone(double value) const { cell_->observe_alone(value); }

 private:
  friend class Registry;
  HistogramCell* cell_ = nullptr;
};

/// The metrics of one process: make the handles once, keep them, and write them all out with text().
/// Names follow Prometheus (unit suffix, _total on counters). Asking twice for the same name and labels gives the
/// same series. Thread-safe.
class Registry {
 public:
  Registry();
  ~Registry();
  Counter counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram histogram(const std::string& name, const std::string& help, const std::vector<double>& upper_bounds, const Labels& labels = {});
  /// Removes one series of a gauge family (for series that come and go); unknown ones are ignored.
  void remove_gauge(const std::string& name, const Labels& labels);
  /// Returns everything in the Prometheus text format, with the process's own CPU time, memory and start.
  [[nodiscard]] std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Upper bounds in seconds for latencies from 1 ms to 60 s.
std::vector<double> latency_bounds_s();

}  // namespace flexpert::telemetry
