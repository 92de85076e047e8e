#include "telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <fmt/format.h>

#include "telemetry/process_usage.h"

namespace flexpert::telemetry {
namespace {

prometheus::Labels to_prometheus(const Labels& labels) { return {labels.begin(), labels.end()}; }

}  // namespace

void Counter::add(double amount) const { static_cast<prometheus::Counter*>(series_)->Increment(amount); }
double Counter::value() const { return static_cast<prometheus::Counter*>(series_)->Value(); }
void Gauge::set(double value) const { static_cast<prometheus::Gauge*>(series_)->Set(value); }
void Gauge::add(double amount) const { static_cast<prometheus::Gauge*>(series_)->Increment(amount); }
double Gauge::value() const { return static_cast<prometheus::Gauge*>(series_)->Value(); }
void Histogram::observe(double value) const { static_cast<prometheus::Histogram*>(series_)->Observe(value); }

struct Registry::Impl {
  // Merge: asking for the same family twice returns it instead of throwing.
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter Registry::counter(const std::string& name, const std::string& help, const Labels& labels) {
  Counter handle;
  handle.series_ = &prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(to_prometheus(labels));
  return handle;
}

Gauge Registry::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  Gauge handle;
  handle.series_ = &prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(to_prometheus(labels));
  return handle;
}

Histogram Registry::histogram(const std::string& name, const std::string& help, const std::vector<double>& upper_bounds,
                              const Labels& labels) {
  Histogram handle;
  handle.series_ = &prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry).Add(to_prometheus(labels), upper_bounds);
  return handle;
}

void Registry::remove_gauge(const std::string& name, const Labels& labels) {
  auto& family = prometheus::BuildGauge().Name(name).Register(impl_->registry);
  if (family.Has(to_prometheus(labels))) family.Remove(&family.Add(to_prometheus(labels)));
}

std::string Registry::text() const {
  const ProcessUsage usage = read_process_usage();
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect()) +
         fmt::format("# HELP process_cpu_seconds_total User and system CPU time.\n# TYPE process_cpu_seconds_total counter\n"
                     "process_cpu_seconds_total {}\n"
                     "# HELP process_resident_memory_bytes Resident memory.\n# TYPE process_resident_memory_bytes gauge\n"
                     "process_resident_memory_bytes {}\n"
                     "# HELP process_start_time_seconds Start since the Unix epoch.\n# TYPE process_start_time_seconds gauge\n"
                     "process_start_time_seconds {}\n",
                     usage.cpu_seconds, usage.resident_bytes, usage.start_time_unix_s);
}

std::vector<double> latency_bounds_s() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 30, 60};
}

}  // namespace flexpert::telemetry
