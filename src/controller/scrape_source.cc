#include "controller/scrape_source.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/log.h"
#include "codec/prometheus_text.h"
#include "net/address.h"

namespace flexpert::controller {
namespace {

constexpr std::string_view kAccept = "text/plain;version=0.0.4";

/// What one instance's series say about a selector: their sum and how many there are.
struct Found {
  double sum = 0;
  std::size_t count = 0;
};

Found find(const std::vector<codec::PrometheusSample>& samples, const SeriesSelector& selector) {
  Found out;
  for (const codec::PrometheusSample& sample : samples) {
    if (!selector.matches(sample)) continue;
    out.sum += sample.value;
    ++out.count;
  }
  return out;
}

bool is_level(const MetricFormula& formula) { return formula.kind == MetricFormula::Kind::kGauge; }

}  // namespace

struct ScrapeSource::Target {
  Target(SensedInstance instance, std::size_t counters, Duration interval, TimePoint now)
      : what(std::move(instance)), window(counters, interval), known_since(now) {
    if (auto parsed = net::Address::parse(what.address)) address = std::move(*parsed);
    if (what.state == InstanceState::kStarting) began = now;
  }

  [[nodiscard]] bool asked_for() const {
    return address && (what.state == InstanceState::kReady || what.state == InstanceState::kWarm || what.state == InstanceState::kDraining);
  }

  SensedInstance what;
  std::optional<net::Address> address;
  MetricWindow window;
  TimedMap levels;
  std::map<std::string, std::size_t> chosen;   ///< formula of each rule, from its first answer on
  TimePoint known_since;                       ///< in a state in which it is asked
  std::optional<TimePoint> began;
  std::optional<TimePoint> answered;
  std::string error;                           ///< of the newest attempt
  std::vector<Reason> invalid;                 ///< in the newest answer
  // Of the attempt under way:
  std::optional<http::Client::RequestId> request;
  std::uint64_t attempt = 0;
  TimePoint asked_at;
  int status = 0;
  std::string body;
  bool too_long = false;
};

ScrapeSource::ScrapeSource(net::EventLoop& loop, const Clock& clock, http::Client& client, Options options)
    : loop_(loop), clock_(clock), client_(client), options_(std::move(options)), self_(std::make_shared<ScrapeSource*>(this)) {
  for (const auto& [name, rule] : options_.rules) {
    if (is_level(rule.formulas.front())) {
      if (rule.across == MetricAcross::kSum) levels_.emplace(name, LevelWindow(options_.interval));
      continue;
    }
    first_counter_[name] = counters_;
    counters_ += rule.formulas.front().b ? 2 : 1;
  }
  timer_ = loop_.call_after(Duration::zero(), [this] { round(); });
}

ScrapeSource::~ScrapeSource() {
  loop_.cancel(timer_);
  for (auto& [id, target] : targets_)
    if (target->request) client_.cancel(*target->request);
}

void ScrapeSource::set_instances(const std::vector<SensedInstance>& instances) {
  const TimePoint now = clock_.now();
  std::map<InstanceId, std::unique_ptr<Target>> kept;
  for (const SensedInstance& instance : instances) {
    const auto found = targets_.find(instance.id);
    // Another address is another process: its counters are its own.
    if (found == targets_.end() || !found->second || found->second->what.address != instance.address) {
      auto target = std::make_unique<Target>(instance, counters_, options_.interval, now);
      if (found != targets_.end() && found->second && found->second->what.address.empty()) target->began = found->second->began;
      kept.insert_or_assign(instance.id, std::move(target));
      continue;
    }
    Target& target = *found->second;
    if (!target.asked_for()) target.known_since = now;
    if (instance.state == InstanceState::kStarting && target.what.state != InstanceState::kStarting) target.began = now;
    target.what = instance;
    kept.insert_or_assign(instance.id, std::move(found->second));
  }
  for (auto& [id, target] : targets_) {
    if (!target) continue;
    if (target->request) client_.cancel(*target->request);
    if (!target->window.over(now)) gone_.push_back(std::move(target));
  }
  targets_ = std::move(kept);
}

void ScrapeSource::round() {
  timer_ = loop_.call_after(options_.period, [this] { round(); });
  const TimePoint now = clock_.now();
  std::erase_if(gone_, [&](const auto& target) { return target->window.over(now); });
  for (auto& [id, target] : targets_) {
    if (target->request && now - target->asked_at >= options_.timeout) {
      client_.cancel(*std::exchange(target->request, std::nullopt));
      target->error = fmt::format("no answer within {:.1f} s", to_seconds(options_.timeout));
    }
    if (!target->request && target->asked_for()) ask(*target);
  }
}

void ScrapeSource::ask(Target& target) {
  target.asked_at = clock_.now();
  target.status = 0;
  target.body.clear();
  target.too_long = false;
  http::Request request;
  request.method = "GET";
  request.target = "/metrics";
  request.headers.set("Accept", std::string(kAccept));
  const InstanceId id = target.what.id;
  const std::uint64_t attempt = ++target.attempt;
  // The target may be replaced while the answer is on its way: it is found anew, by its id and attempt.
  const auto with = [weak = std::weak_ptr<ScrapeSource*>(self_), id, attempt](auto&& use) {
    const auto self = weak.lock();
    if (!self) return;
    const auto found = (*self)->targets_.find(id);
    if (found != (*self)->targets_.end() && found->second->attempt == attempt && found->second->request) use(**self, *found->second);
  };
  http::AnswerCallbacks callbacks;
  callbacks.on_head = [with](int status, const http::Headers&) { with([&](ScrapeSource&, Target& found) { found.status = status; }); };
  callbacks.on_body = [with](std::string_view bytes) {
    with([&](ScrapeSource& self, Target& found) {
      found.too_long = found.too_long || found.body.size() + bytes.size() > self.options_.max_answer_bytes;
      if (!found.too_long) found.body += bytes;
    });
  };
  callbacks.on_end = [with, id, attempt] {
    with([&](ScrapeSource& self, Target& found) {
      if (found.too_long)
        return self.took(id, attempt, fail(ErrorCode::kResourceExhausted, "the answer is over {} bytes", self.options_.max_answer_bytes));
      if (found.status != 200) return self.took(id, attempt, fail(ErrorCode::kUnavailable, "GET /metrics answered {}", found.status));
      self.took(id, attempt, std::move(found.body));
    });
  };
  callbacks.on_error = [with, id, attempt](Error error) {
    with([&](ScrapeSource& self, Target&) { self.took(id, attempt, fail(std::move(error))); });
  };
  target.request = client_.send(*target.address, std::move(request), std::move(callbacks));
}

void ScrapeSource::took(const InstanceId& id, std::uint64_t, Result<std::string> body) {
  Target& target = *targets_.find(id)->second;
  target.request.reset();
  const TimePoint now = clock_.now();
  Result<void> taken;
  if (body) {
    taken = take(target, *body, now);
  } else {
    taken = fail(std::move(body.error()));
  }
  const bool failed_before = !target.error.empty();
  target.error = taken ? "" : taken.error().message;
  if (taken) {
    target.answered = now;
  } else if (!failed_before) {
    log::warn("controller: the metrics of {} at {} cannot be had: {}", id, target.what.address, target.error);
  }
}

/// Takes one answer over as a whole, or not at all where a counter is impossible.
Result<void> ScrapeSource::take(Target& target, const std::string& body, TimePoint at) {
  codec::PrometheusTextOptions options;
  options.wanted = [this](std::string_view name) {
    for (const auto& [ours, rule] : options_.rules)
      for (const MetricFormula& formula : rule.formulas)
        if (formula.a.name == name || (formula.b && formula.b->name == name)) return true;
    return false;
  };
  FLEXPERT_ASSIGN(const std::vector<codec::PrometheusSample> samples, codec::decode_prometheus_text(body, options));
  std::vector<std::optional<double>> counters(counters_);
  TimedMap levels;
  std::vector<Reason> invalid;
  for (const auto& [name, rule] : options_.rules) {
    std::size_t index = 0;
    if (const auto known = target.chosen.find(name); known != target.chosen.end()) {
      index = known->second;
    } else {
      while (index < rule.formulas.size() && find(samples, rule.formulas[index].a).count == 0) ++index;
      if (index == rule.formulas.size()) continue;
      target.chosen[name] = index;
    }
    const MetricFormula& formula = rule.formulas[index];
    const Found a = find(samples, formula.a);
    const Found b = formula.b ? find(samples, *formula.b) : Found{};
    if (a.count == 0 || (formula.b && b.count == 0)) continue;
    if (is_level(formula)) {
      const double whole = formula.b ? b.sum : rule.across == MetricAcross::kMean ? static_cast<double>(a.count) : 1;
      put(levels, name, {whole == 0 ? 0 : a.sum / whole, at}, target.what.id.value, invalid);
      continue;
    }
    const std::size_t first = first_counter_.at(name);
    for (const auto& [selector, found, offset] : {std::tuple(&formula.a, a, 0U), std::tuple(formula.b ? &*formula.b : nullptr, b, 1U)}) {
      if (selector == nullptr) continue;
      if (!std::isfinite(found.sum) || found.sum < 0)
        return fail(ErrorCode::kInvalidArgument, "{}: a counter cannot be {}", selector->name, found.sum);
      if (first + offset < counters_) counters[first + offset] = found.sum;
    }
  }
  target.window.take(at, counters, target.began);
  for (auto& [name, value] : levels) target.levels.insert_or_assign(name, value);
  target.invalid = std::move(invalid);
  for (auto& [name, window] : levels_) {
    double sum = 0;
    bool any = false;
    for (const auto& [id, other] : targets_) {
      const auto level = other->levels.find(name);
      if (level == other->levels.end()) continue;
      sum += level->second.value;
      any = true;
    }
    if (any) window.take(at, sum);
  }
  return {};
}

SourceReading ScrapeSource::read() const {
  SourceReading reading;
  const TimePoint now = clock_.now();
  std::optional<TimePoint> oldest;
  read_instances(reading, oldest, now);
  if (!oldest) return reading;  // nobody is ready: who is not there cannot be asked
  read_growth(reading, *oldest, now);
  read_levels(reading, *oldest, now);
  return reading;
}

void ScrapeSource::read_instances(SourceReading& reading, std::optional<TimePoint>& oldest, TimePoint now) const {
  std::vector<std::string> failed;
  std::string error;
  for (const auto& [id, target] : targets_) {
    if (!target->asked_for()) continue;
    TimedMap& values = reading.instances[id];
    values = target->levels;
    for (const auto& [name, first] : first_counter_) {
      const auto from = target->window.covered_from(now);
      const auto growth = target->window.increase(first, now);
      if (!from || !growth || !target->window.last()) continue;
      const MetricRule& rule = options_.rules.at(name);
      const double seconds = to_seconds(*target->window.last() - *from);
      if (rule.across != MetricAcross::kRatio) {
        if (seconds > 0) put(values, name, {*growth / seconds, *target->window.last()}, id.value, reading.conditions);
      } else if (const auto of = target->window.increase(first + 1, now); of && *of > 0) {
        put(values, name, {*growth / *of, *target->window.last()}, id.value, reading.conditions);
      }
    }
    reading.conditions.insert(reading.conditions.end(), target->invalid.begin(), target->invalid.end());
    if (!target->error.empty()) {
      failed.push_back(id.value);
      error = target->error;
    }
    if (target->what.state != InstanceState::kReady) continue;
    const TimePoint seen = target->answered.value_or(target->known_since);
    oldest = oldest ? std::min(*oldest, seen) : seen;
  }
  if (failed.empty()) return;
  reading.conditions.push_back({"scrape_failed",
                                fmt::format("the metrics of {} of {} instances cannot be had ({}): {}", failed.size(), targets_.size(),
                                            fmt::join(failed, ", "), error),
                                {{"failed", static_cast<double>(failed.size())}, {"instances", static_cast<double>(targets_.size())}}});
}

void ScrapeSource::read_growth(SourceReading& reading, TimePoint oldest, TimePoint now) const {
  std::vector<const Target*> all;
  for (const auto& [id, target] : targets_) all.push_back(target.get());
  for (const auto& target : gone_) all.push_back(target.get());
  for (const auto& [name, first] : first_counter_) {
    const MetricRule& rule = options_.rules.at(name);
    double growth = 0;
    double of = 0;
    double mean = 0;
    std::size_t known = 0;
    std::optional<TimePoint> from;
    std::optional<TimePoint> to;
    for (const Target* target : all) {
      const auto a = target->window.increase(first, now);
      const auto began = target->window.covered_from(now);
      const auto last = target->window.last();
      if (!a || !began || !last) continue;
      ++known;
      growth += *a;
      if (rule.across == MetricAcross::kRatio) of += target->window.increase(first + 1, now).value_or(0);
      if (*last > *began) mean += *a / to_seconds(*last - *began);
      from = from ? std::min(*from, *began) : *began;
      to = to ? std::max(*to, *last) : *last;
    }
    if (known == 0 || *to <= *from) continue;
    if (rule.across == MetricAcross::kRatio) {
      if (of > 0) put(reading.pool, name, {growth / of, oldest}, "the pool", reading.conditions);
    } else if (rule.across == MetricAcross::kMean) {
      put(reading.pool, name, {mean / static_cast<double>(known), oldest}, "the pool", reading.conditions);
    } else {
      put(reading.pool, name, {growth / to_seconds(*to - *from), oldest}, "the pool", reading.conditions);
    }
  }
}

void ScrapeSource::read_levels(SourceReading& reading, TimePoint oldest, TimePoint now) const {
  for (const auto& [name, rule] : options_.rules) {
    if (first_counter_.contains(name)) continue;
    double sum = 0;
    std::size_t known = 0;
    TimePoint at = oldest;
    for (const auto& [id, target] : targets_) {
      const auto level = target->levels.find(name);
      if (target->what.state != InstanceState::kReady || level == target->levels.end()) continue;
      sum += level->second.value;
      at = std::min(at, level->second.at);
      ++known;
    }
    if (known == 0) continue;
    double value = rule.across == MetricAcross::kMean ? sum / static_cast<double>(known) : sum;
    if (const auto window = levels_.find(name); window != levels_.end() && name == metric::kInFlight) value = window->second.mean(now).value_or(value);
    put(reading.pool, name, {value, at}, "the pool", reading.conditions);
  }
}

}  // namespace flexpert::controller
