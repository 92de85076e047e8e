#include "workload/load_record.h"

#include <algorithm>

namespace flexpert::workload {

namespace {

bool matches(const RecordFilter& filter, double at_s, std::uint32_t phase) {
  return (!filter.phase || *filter.phase == phase) && (!filter.from_s || at_s >= *filter.from_s) && (!filter.until_s || at_s < *filter.until_s);
}

/// Samples are ascending in time: the first that may match.
std::vector<TimedSample>::const_iterator first_at(const std::vector<TimedSample>& samples, double from_s) {
  return std::lower_bound(samples.begin(), samples.end(), from_s, [](const TimedSample& sample, double at) { return sample.at_s < at; });
}

Samples select(const std::vector<TimedSample>& samples, const RecordFilter& filter) {
  Samples selected;
  for (auto sample = filter.from_s ? first_at(samples, *filter.from_s) : samples.begin(); sample != samples.end(); ++sample)
    if (matches(filter, sample->at_s, sample->phase)) selected.add(sample->ms);
  return selected;
}

}  // namespace

void LoadRecord::add_outcome(RequestOutcome outcome) {
  if (!outcome.failure.empty()) ++failures_[outcome.failure];
  outcomes_.push_back(std::move(outcome));
}

LoadFigures LoadRecord::figures(const RecordFilter& filter) const {
  LoadFigures figures;
  for (const RequestOutcome& outcome : outcomes_) {
    if (!matches(filter, outcome.finished_at_s, outcome.phase)) continue;
    ++figures.requests;
    figures.failed += outcome.failure.empty() ? 0 : 1;
    figures.tokens += outcome.tokens;
  }
  for (const TimedSample& missed : not_sent_) figures.not_sent += matches(filter, missed.at_s, missed.phase) ? 1 : 0;
  const Samples ttft = select(ttft_, filter);
  const Samples itl = select(itl_, filter);
  figures.ttft_p50_ms = ttft.percentile(50);
  figures.ttft_p95_ms = ttft.percentile(95);
  figures.itl_p50_ms = itl.percentile(50);
  figures.itl_p95_ms = itl.percentile(95);
  figures.itl_samples = itl.count();
  return figures;
}

double LoadRecord::tokens_per_s(double until_s, double window_s) const {
  if (!(window_s > 0)) return 0;
  std::size_t count = 0;
  for (const auto* samples : {&ttft_, &itl_})
    for (auto sample = first_at(*samples, until_s - window_s); sample != samples->end() && sample->at_s <= until_s; ++sample) ++count;
  return static_cast<double>(count) / window_s;
}

}  // namespace flexpert::workload
