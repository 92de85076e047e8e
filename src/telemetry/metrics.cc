#include "telemetry/metrics.h"

#include <mutex>
#include <unordered_map>
#include <utility>

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

struct Registry::Impl {
  // Merge: asking for the same family twice returns it instead of throwing.
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  std::mutex mutex;  ///< guards the maps and what was written out of histograms; cells stay where they are
  std::unordered_map<prometheus::Counter*, CounterCell> counters;
  std::unordered_map<prometheus::Gauge*, GaugeCell> gauges;
  struct KeptHistogram {
    explicit KeptHistogram(const std::vector<double>& bounds) : cell(bounds), written(cell.buckets()) {}
    HistogramCell cell;
    std::vector<std::uint64_t> written;
    double written_sum = 0;
  };
  std::unordered_map<prometheus::Histogram*, KeptHistogram> histograms;

  /// Brings the library's series up to the cells.
  void write_out() {
    const std::lock_guard lock(mutex);
    for (auto& [series, cell] : counters)
      if (const double more = cell.value() - series->Value(); more > 0) series->Increment(more);
    for (auto& [series, cell] : gauges) series->Set(cell.value.load(std::memory_order_relaxed));
    for (auto& [series, kept] : histograms) {
      std::vector<double> more(kept.written.size());
      for (std::size_t i = 0; i < more.size(); ++i) {
        const std::uint64_t count = kept.cell.count(i);
        more[i] = static_cast<double>(count - std::exchange(kept.written[i], count));
      }
      const double sum = kept.cell.sum();
      series->ObserveMultiple(more, sum - std::exchange(kept.written_sum, sum));
    }
  }
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter Registry::counter(const std::string& name, const std::string& help, const Labels& labels) {
  auto* const series = &prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(to_prometheus(labels));
  const std::lock_guard lock(impl_->mutex);
  Counter handle;
  handle.cell_ = &impl_->counters[series];
  return handle;
}

Gauge Registry::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  auto* const series = &prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(to_prometheus(labels));
  const std::lock_guard lock(impl_->mutex);
  Gauge handle;
  handle.cell_ = &impl_->gauges[series];
  return handle;
}

Histogram Registry::histogram(const std::string& name, const std::string& help, const std::vector<double>& upper_bounds,
                              const Labels& labels) {
  auto* const series = &prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry).Add(to_prometheus(labels), upper_bounds);
  const std::lock_guard lock(impl_->mutex);
  Histogram handle;
  handle.cell_ = &impl_->histograms.try_emplace(series, upper_bounds).first->second.cell;
  return handle;
}

void Registry::remove_gauge(const std::string& name, const Labels& labels) {
  auto& family = prometheus::BuildGauge().Name(name).Register(impl_->registry);
  if (!family.Has(to_prometheus(labels))) return;
  auto* const series = &family.Add(to_prometheus(labels));
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->gauges.erase(series);
  }
  family.Remove(series);
}

std::string Registry::text() const {
  impl_->write_out();
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
