#include "controller/prometheus_source.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "base/log.h"

namespace flexpert::controller {
namespace {

constexpr std::size_t kMostAtOnce = 16;
constexpr std::size_t kMostAnswerBytes = 8 << 20;

std::string form_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Result<std::string> token_in(const std::string& file) {
  std::ifstream in(file);
  std::string token;
  if (!in || !std::getline(in, token))
    return fail(ErrorCode::kInvalidArgument, "planner.prometheus.bearer_token_file: cannot be read, or is empty: {}", file);
  while (!token.empty() && (token.back() == '\r' || token.back() == ' ')) token.pop_back();
  if (token.empty() || std::any_of(token.begin(), token.end(), [](char c) { return c < 0x21 || c > 0x7e; }))
    return fail(ErrorCode::kInvalidArgument, "planner.prometheus.bearer_token_file: must hold one line of printable text: {}", file);
  return token;
}

/// PromQL's duration of an interval.
std::string promql_duration(Duration interval) {
  return fmt::format("{}ms", std::max<std::int64_t>(1, std::chrono::round<Milliseconds>(interval).count()));
}

bool by_instance(const MetricRule& rule) { return rule.across != MetricAcross::kRatio; }

}  // namespace

/// One metric of one pool: what is asked, and what came.
struct PrometheusSource::Metric {
  std::string name;
  std::string value_query;
  std::string age_query;      ///< empty: the value is of when it was asked for
  MetricAcross across = MetricAcross::kSum;
  bool by_instance = false;
  bool custom = false;

  // Of the round under way:
  std::optional<Result<codec::PrometheusAnswer>> value;
  std::optional<Result<codec::PrometheusAnswer>> age;
  // What is known:
  std::optional<TimedValue> whole;
  std::map<std::string, TimedValue> instances;   ///< by the label `instance`
  std::string error;                             ///< of the newest answer
  bool missing = false;                          ///< the newest answer was empty
  std::optional<double> invalid;                 ///< what the newest answer was and cannot be
};

struct PrometheusSource::PoolState {
  PoolId id;
  std::vector<Metric> metrics;
  std::vector<SensedInstance> instances;
  std::map<InstanceId, TimePoint> ready_since;
};

PrometheusSource::PrometheusSource(net::EventLoop& loop, const Clock& clock, web_client::WebClient& client, Options options)
    : loop_(loop), clock_(clock), client_(client), options_(std::move(options)) {}

Result<std::unique_ptr<PrometheusSource>> PrometheusSource::create(net::EventLoop& loop, const Clock& clock, web_client::WebClient& client,
                                                                   Options options) {
  std::string url = options.server.url;
  while (url.ends_with('/')) url.pop_back();
  const std::size_t host = url.find("://");
  if ((!url.starts_with("http://") && !url.starts_with("https://")) || host + 3 >= url.size() || url.find_first_of(" \t\r\n?#") != std::string::npos)
    return fail(ErrorCode::kInvalidArgument, "planner.prometheus.url: must be http(s)://HOST:PORT[/PREFIX]: \"{}\"", options.server.url);
  auto source = std::unique_ptr<PrometheusSource>(new PrometheusSource(loop, clock, client, std::move(options)));
  const config::PrometheusConfig& server = source->options_.server;
  if (!server.bearer_token_file.empty()) {
    FLEXPERT_ASSIGN(source->token_, token_in(server.bearer_token_file));
  }
  source->url_ = url + "/api/v1/query";
  const std::string window = promql_duration(source->options_.interval);
  for (const Pool& pool : source->options_.pools) {
    auto state = std::make_unique<PoolState>();
    state->id = pool.id;
    for (const auto& [name, rule] : pool.rules) {
      if (pool.queries.contains(name)) continue;
      const MetricQuery query = promql_for(rule, pool.selector, window, by_instance(rule));
      Metric metric;
      metric.name = name;
      metric.value_query = query.value;
      metric.age_query = query.age;
      metric.across = rule.across;
      metric.by_instance = by_instance(rule);
      state->metrics.push_back(std::move(metric));
    }
    for (const auto& [name, text] : pool.queries) {
      if (text.empty()) continue;
      Metric metric;
      metric.name = name;
      metric.value_query = text;
      metric.custom = true;
      state->metrics.push_back(std::move(metric));
    }
    source->pools_.push_back(std::move(state));
  }
  PrometheusSource* self = source.get();
  source->timer_ = loop.call_after(Duration::zero(), [self] { self->round(); });
  return source;
}

PrometheusSource::~PrometheusSource() {
  loop_.cancel(timer_);
  for (const auto& [id, unused] : under_way_) client_.cancel(id);
}

void PrometheusSource::set_instances(const PoolId& pool, const std::vector<SensedInstance>& instances) {
  const TimePoint now = clock_.now();
  for (const auto& state : pools_) {
    if (state->id != pool) continue;
    std::map<InstanceId, TimePoint> since;
    for (const SensedInstance& instance : instances) {
      if (instance.state != InstanceState::kReady) continue;
      const auto known = state->ready_since.find(instance.id);
      since[instance.id] = known == state->ready_since.end() ? now : known->second;
    }
    state->ready_since = std::move(since);
    state->instances = instances;
  }
}

void PrometheusSource::round() {
  timer_ = loop_.call_after(options_.period, [this] { round(); });
  if (!waiting_.empty() || !under_way_.empty()) return;  // it is slow: no more at once
  if (!options_.server.bearer_token_file.empty())
    if (auto token = token_in(options_.server.bearer_token_file)) token_ = std::move(*token);
  for (const auto& pool : pools_) {
    for (std::size_t i = 0; i < pool->metrics.size(); ++i) {
      pool->metrics[i].value.reset();
      pool->metrics[i].age.reset();
      waiting_.push_back({pool.get(), i, false});
      if (!pool->metrics[i].age_query.empty()) waiting_.push_back({pool.get(), i, true});
    }
  }
  pump();
}

void PrometheusSource::pump() {
  while (!waiting_.empty() && under_way_.size() < kMostAtOnce) {
    const Job job = waiting_.front();
    waiting_.pop_front();
    const Metric& metric = job.pool->metrics[job.metric];
    web_client::WebRequest request;
    request.method = "POST";
    request.url = url_;
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
    if (!token_.empty()) request.headers.emplace_back("Authorization", "Bearer " + token_);
    request.body = "query=" + form_encoded(job.age ? metric.age_query : metric.value_query);
    request.timeout = from_seconds(options_.server.timeout_s);
    request.max_answer_bytes = kMostAnswerBytes;
    const auto id = std::make_shared<web_client::WebClient::RequestId>(0);
    *id = client_.send(std::move(request), [this, job, id](Result<web_client::WebAnswer> answer) {
      under_way_.erase(*id);
      took(job, std::move(answer));
      pump();
    });
    under_way_[*id] = true;
  }
}

void PrometheusSource::took(const Job& job, Result<web_client::WebAnswer> answer) {
  Metric& metric = job.pool->metrics[job.metric];
  Result<codec::PrometheusAnswer> decoded;
  const bool away = !answer || answer->status == 502 || answer->status == 503 || answer->status == 504;
  if (away) {
    const std::string why = answer ? fmt::format("it answered {}", answer->status) : answer.error().message;
    if (unreachable_.empty()) log::warn("controller: Prometheus at {} cannot be reached: {}", options_.server.url, why);
    unreachable_ = why;
    waiting_.clear();  // the rest would fare alike: the next round tries again
    return;
  }
  if (!unreachable_.empty()) log::info("controller: Prometheus at {} answers again", options_.server.url);
  unreachable_.clear();
  reached_ = clock_.now();
  decoded = codec::decode_prometheus_answer(answer->body);
  if (!decoded && answer->status != 200 && decoded.error().code == ErrorCode::kInvalidArgument)
    decoded = fail(ErrorCode::kFailedPrecondition, "Prometheus answered {}", answer->status);
  (job.age ? metric.age : metric.value) = std::move(decoded);
  if (metric.value && (metric.age || metric.age_query.empty())) settle(metric, clock_.now());
}

/// Makes of a value and its age what is known from now on.
void PrometheusSource::settle(Metric& metric, TimePoint now) {
  metric.missing = false;
  metric.invalid.reset();
  metric.error = !*metric.value ? metric.value->error().message : metric.age && !*metric.age ? metric.age->error().message : "";
  if (!metric.error.empty()) return;
  const codec::PrometheusAnswer& answer = **metric.value;
  if (answer.kind == codec::PrometheusAnswer::Kind::kMatrix) {
    metric.error = "the query gives a range of values; take the newest, as with last_over_time()";
    return;
  }
  std::map<std::string, double> ages;
  if (metric.age)
    for (const codec::PrometheusSeries& series : (*metric.age)->series) {
      const std::string* instance = series.label("instance");
      ages[instance != nullptr ? *instance : ""] = std::max(0.0, series.points[0].value);
    }
  double sum = 0;
  std::size_t known = 0;
  std::optional<TimePoint> oldest;
  std::map<std::string, TimedValue> instances;
  for (const codec::PrometheusSeries& series : answer.series) {
    const double value = series.points[0].value;
    const std::string* instance = series.label("instance");
    if (answer.series.size() > 1 && instance == nullptr) {
      metric.error = fmt::format("the query gives {} values without a label \"instance\" to tell them apart; aggregate them, as with sum()",
                                 answer.series.size());
      return;
    }
    if (!std::isfinite(value) || value < 0) {
      // A mean over no events is 0 / 0: nothing to say, and nothing wrong.
      if (!(metric.across == MetricAcross::kRatio && std::isnan(value))) metric.invalid = value;
      continue;
    }
    const auto age = ages.find(instance != nullptr ? *instance : "");
    if (metric.age && (age == ages.end() || !std::isfinite(age->second))) continue;  // no sample behind it any more
    const TimePoint at = metric.age ? now - from_seconds(std::min(age->second, 1e6)) : now;
    sum += value;
    ++known;
    oldest = oldest ? std::min(*oldest, at) : at;
    if (instance != nullptr) instances[*instance] = {value, at};
  }
  metric.missing = answer.series.empty();
  if (known == 0) {
    if (metric.across == MetricAcross::kRatio && !metric.invalid && !answer.series.empty()) metric.whole.reset();
    return;
  }
  metric.whole = TimedValue{metric.across == MetricAcross::kMean ? sum / static_cast<double>(known) : sum, *oldest};
  metric.instances = std::move(instances);
}

SourceReading PrometheusSource::read(const PoolId& pool) const {
  SourceReading reading;
  const auto state = std::find_if(pools_.begin(), pools_.end(), [&](const auto& known) { return known->id == pool; });
  if (state == pools_.end()) return reading;
  if (!unreachable_.empty()) {
    const double for_s = reached_ ? to_seconds(clock_.now() - *reached_) : 0;
    reading.conditions.push_back({"prometheus_unreachable",
                                  reached_ ? fmt::format("Prometheus at {} has not answered for {:.0f} s: {}", options_.server.url, for_s, unreachable_)
                                           : fmt::format("Prometheus at {} has never answered: {}", options_.server.url, unreachable_),
                                  {{"age_s", for_s}}});
  }
  std::vector<std::string> missing;
  for (const Metric& metric : (*state)->metrics) {
    read_metric(**state, metric, reading);
    if (metric.missing) missing.push_back(metric.name);
  }
  if (!missing.empty())
    reading.conditions.push_back({"metric_missing",
                                  fmt::format("Prometheus has no series for {}; is the engine right, and is the interval at least two scrapes long?",
                                              fmt::join(missing, ", ")),
                                  {{"metrics", static_cast<double>(missing.size())}}});
  return reading;
}

void PrometheusSource::read_metric(const PoolState& pool, const Metric& metric, SourceReading& reading) const {
  if (!metric.error.empty())
    reading.conditions.push_back({"prometheus_query_failed", fmt::format("{}: {}", metric.name, metric.error), {}});
  if (metric.invalid)
    reading.conditions.push_back({"metric_invalid", fmt::format("{} cannot be {} and is left out", metric.name, *metric.invalid), {}});
  if (!metric.whole) return;
  TimedValue whole = *metric.whole;
  bool any_of_ours = false;
  std::optional<TimePoint> lacking_since;
  for (const SensedInstance& instance : pool.instances) {
    const auto found = metric.instances.find(instance.address);
    if (found != metric.instances.end()) {
      any_of_ours = true;
      put(reading.instances[instance.id], metric.name, found->second, instance.id.value, reading.conditions);
    } else if (const auto since = pool.ready_since.find(instance.id); since != pool.ready_since.end()) {
      lacking_since = lacking_since ? std::min(*lacking_since, since->second) : since->second;
    }
  }
  // Where the labels name our instances, one that is ready and not among them makes the sum too small: as old as that.
  if (any_of_ours && lacking_since) whole.at = std::min(whole.at, *lacking_since);
  put(reading.pool, metric.name, whole, "the pool", reading.conditions);
}

}  // namespace flexpert::controller
