#include "scaling/sla_evidence.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace flexpert::scaling {
namespace {

constexpr std::uint64_t kYoung = 40;      // intervals
constexpr double kYoungHeadroom = 1.3;    // over what was carried, while young
constexpr double kMost = 2.5;             // times what was carried, whatever was learned
constexpr double kDistrust = 0.2;         // share of a capacity that does not count at twice what was carried
constexpr std::uint32_t kInARow = 2;      // intervals in which the queue went the same way, until that means something
constexpr double kNoticeable = 0.05;      // of an interval's requests: a queue
constexpr double kFade = 1.002;           // an interval that holds: where requests piled up is forgotten in hours

}  // namespace

double LoadEvidence::share_of(const Load& load, const perf::EngineModel& model) const {
  const double saturated = model.saturation({load.isl, load.osl}, role_);
  return saturated > 0 ? load.rate / saturated : 0;
}

double LoadEvidence::as(const Load& load, const perf::EngineModel& model, perf::Workload workload) const {
  return load.rate > 0 ? share_of(load, model) * model.saturation(workload, role_) : 0;
}

void LoadEvidence::settled(const perf::IntervalMeans& seen, bool held, const perf::EngineModel& model) {
  ++intervals_;
  if (!held) {
    newest_ = {};
    return;
  }
  const Load now{seen.requests_per_s / seen.instances, seen.isl, seen.osl};
  const bool first = carried_.rate <= 0;
  const Load& lesser = newest_.rate > 0 && share_of(newest_, model) < share_of(now, model) ? newest_ : now;
  if (first || (newest_.rate > 0 && share_of(lesser, model) > share_of(carried_, model))) carried_ = lesser;
  newest_ = now;
  broken_.rate *= kFade;
  if (share_of(carried_, model) >= share_of(broken_, model)) broken_ = {};
}

void LoadEvidence::queue(double queued, double interval_s, const perf::IntervalMeans& load, bool all_ready, double share,
                         const perf::EngineModel* model) {
  const double noticeable = std::max(1.0, kNoticeable * load.requests_per_s * interval_s);
  growing_ = all_ready && queued > queued_ + noticeable ? std::min(growing_ + 1, kInARow) : 0;
  shrinking_ = load.instances == ready_ && queued + noticeable < queued_ ? std::min(shrinking_ + 1, kInARow) : 0;
  queued_ = queued;
  ready_ = load.instances;
  if (model == nullptr) return;
  const Load now{load.requests_per_s / load.instances, load.isl, load.osl};
  const Load carried{now.rate * share, load.isl, load.osl};
  if (shrinking_ >= kInARow && share_of(carried, *model) > share_of(carried_, *model)) carried_ = carried;
  if (!piles_up()) return;
  if (broken_.rate <= 0 || share_of(now, *model) < share_of(broken_, *model)) broken_ = now;
  if (share_of(carried_, *model) >= share_of(broken_, *model)) carried_ = broken_;
}

bool LoadEvidence::young() const { return intervals_ < kYoung; }
bool LoadEvidence::piles_up() const { return growing_ >= kInARow; }

double LoadEvidence::carried(const perf::EngineModel& model, perf::Workload workload) const { return as(carried_, model, workload); }

double LoadEvidence::trusted(double capacity, const perf::EngineModel& model, perf::Workload workload) const {
  const double seen = carried(model, workload);
  if (seen <= 0) return capacity;
  if (young()) return kYoungHeadroom * seen;
  if (capacity <= seen) return capacity;
  // Where x = capacity * (1 - kDistrust * (x / seen - 1)): an instance this full is as far beyond what was seen as x is.
  return std::min(capacity * (1 + kDistrust) / (1 + kDistrust * capacity / seen), kMost * seen);
}

double LoadEvidence::broken(const perf::EngineModel& model, perf::Workload workload) const {
  return broken_.rate > 0 ? as(broken_, model, workload) : std::numeric_limits<double>::infinity();
}

void LoadEvidence::save(StateWriter& writer) const {
  writer.tag("load-evidence/1");
  writer.integer(static_cast<std::int64_t>(intervals_));
  for (const Load& load : {newest_, carried_, broken_}) writer.numbers({load.rate, load.isl, load.osl});
  writer.number(queued_);
  writer.number(ready_);
  writer.integer(growing_);
  writer.integer(shrinking_);
}

void LoadEvidence::restore(StateReader& reader) {
  LoadEvidence read(role_);
  reader.tag("load-evidence/1");
  const auto amount = [&](double value) {
    if (!std::isfinite(value) || value < 0) reader.reject("finite numbers of what instances carried, at least 0");
    return value;
  };
  read.intervals_ = static_cast<std::uint64_t>(std::max<std::int64_t>(0, reader.integer()));
  for (Load* load : {&read.newest_, &read.carried_, &read.broken_}) {
    const std::vector<double> values = reader.numbers();
    if (values.size() == 3) *load = {amount(values[0]), amount(values[1]), amount(values[2])};
    else reader.reject("three numbers of a load");
  }
  read.queued_ = amount(reader.number());
  read.ready_ = amount(reader.number());
  for (std::uint32_t* count : {&read.growing_, &read.shrinking_})
    *count = static_cast<std::uint32_t>(std::clamp<std::int64_t>(reader.integer(), 0, kInARow));
  *this = reader.ok() ? read : LoadEvidence(role_);
}

}  // namespace flexpert::scaling
