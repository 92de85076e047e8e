#include "gateway/load_report.h"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "telemetry/process_usage.h"

namespace flexpert::gateway {
namespace {

/// Until answers have told how many bytes of a request make a token of its prompt.
constexpr double kBytesPerToken = 4;
/// Until answers have told how long they get, for requests that do not limit them.
constexpr double kAnswerTokens = 256;

const std::vector<double>& token_bounds() {
  static const std::vector<double> kBounds{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144};
  return kBounds;
}

}  // namespace

LoadReport::LoadReport(telemetry::Registry& registry, const Clock& clock, std::string name)
    : registry_(registry),
      clock_(clock),
      name_(std::move(name)),
      began_(clock.now()),
      // Another one after each start, on one machine and over many.
      boot_(static_cast<std::uint64_t>(clock.unix_ms()) << 20 ^ static_cast<std::uint64_t>(::getpid())) {}

LoadReport::Model& LoadReport::model(std::string_view name) {
  if (last_ != nullptr && last_->counts.model == name) return *last_;
  const auto found = models_.find(name);
  if (found != models_.end()) return *(last_ = &found->second);
  Model& made = models_[std::string(name)];
  made.counts.model = name;
  made.changed = clock_.now();
  const telemetry::Labels labels{{"model", made.counts.model}};
  made.offered = registry_.counter("flexpert_gateway_offered_total", "Requests that arrived, by model", labels);
  made.held = registry_.gauge("flexpert_gateway_held", "Requests that wait for a server that has still to come, by model", labels);
  made.isl = registry_.histogram("flexpert_gateway_isl_tokens", "Tokens of prompts, estimated where servers do not tell", token_bounds(), labels);
  made.osl = registry_.histogram("flexpert_gateway_osl_tokens", "Tokens of answers", token_bounds(), labels);
  made.duration = registry_.histogram("flexpert_gateway_duration_seconds", "From being sent to a server to the answer's end",
                                      telemetry::latency_bounds_s(), labels);
  return made;
}

void LoadReport::settle(Model& model, TimePoint now) const {
  model.counts.in_flight_s += model.counts.in_flight * to_seconds(now - model.changed);
  model.changed = now;
}

std::uint64_t LoadReport::held() const {
  std::uint64_t sum = 0;
  for (const auto& [name, model] : models_) sum += model.counts.held;
  return sum;
}

codec::GatewayReport LoadReport::report(std::size_t connections) {
  const TimePoint now = clock_.now();
  codec::GatewayReport out;
  out.gateway = name_;
  out.boot = boot_;
  out.sequence = ++sequence_;
  out.uptime_s = to_seconds(now - began_);
  out.connections = static_cast<std::uint32_t>(connections);
  out.cpu_s = telemetry::read_process_usage().cpu_seconds;
  out.leaving = leaving_;
  for (auto& [name, model] : models_) {
    settle(model, now);
    out.models.push_back(model.counts);
  }
  std::map<std::string, codec::GatewayServerLoad> servers;
  for (const RequestLoad* request = first_; request != nullptr; request = request->next_) {
    if (!request->in_flight()) continue;
    codec::GatewayServerLoad& server = servers[request->server()];
    ++server.in_flight;
    server.remaining_tokens += request->remaining_tokens();
  }
  for (auto& [id, server] : servers) {
    server.id = id;
    out.servers.push_back(std::move(server));
  }
  return out;
}

RequestLoad::RequestLoad(LoadReport& report, std::string_view model, std::size_t body_bytes, std::optional<std::uint64_t> max_tokens)
    : report_(report), model_(report.model(model)), next_(std::exchange(report.first_, this)), body_bytes_(body_bytes), max_tokens_(max_tokens) {
  if (next_ != nullptr) next_->previous_ = this;
  ++model_.counts.offered;
  model_.offered.add_alone();
}

RequestLoad::~RequestLoad() {
  let_go();
  (previous_ != nullptr ? previous_->next_ : report_.first_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

void RequestLoad::leave() {
  if (std::exchange(held_, false)) {
    report_.held_bytes_ -= body_bytes_;
    model_.held.set(--model_.counts.held);
  }
  if (std::exchange(in_flight_, false)) {
    report_.settle(model_, report_.clock_.now());
    --model_.counts.in_flight;
  }
}

void RequestLoad::hold() {
  if (held_) return;
  let_go();
  held_ = true;
  report_.held_bytes_ += body_bytes_;
  model_.held.set(++model_.counts.held);
  if (model_.counts.held == 1 && report_.on_demand_) report_.on_demand_();
}

void RequestLoad::sent(std::string_view server, TimePoint now) {
  let_go();
  server_ = server;
  sent_ = now;
  began_ = false;
  meter_ = {};
  report_.settle(model_, now);
  in_flight_ = true;
  ++model_.counts.in_flight;
}

void RequestLoad::returned(TimePoint) { let_go(); }

void RequestLoad::piece(std::string_view bytes, TimePoint now) {
  meter_.feed(bytes);
  last_ = now;
  if (began_) return;
  began_ = true;
  first_ = now;
}

void RequestLoad::finish(int status, TimePoint now) {
  if (status >= 500) return fail();
  if (counted_) return;
  counted_ = true;
  let_go();
  codec::GatewayModelLoad& counts = model_.counts;
  ++counts.finished;
  if (status >= 400) return;  // what servers refuse says nothing of what they can do
  counts.duration_s.add(to_seconds(now - sent_));
  model_.duration.observe_alone(to_seconds(now - sent_));
  if (const auto tokens = meter_.prompt_tokens()) {
    model_.prompt_bytes += static_cast<double>(body_bytes_);
    model_.prompt_tokens += static_cast<double>(*tokens);
    counts.isl.add(static_cast<double>(*tokens));
    model_.isl.observe_alone(static_cast<double>(*tokens));
  } else {
    const double estimate = prompt_estimate();
    counts.isl.add(estimate);
    ++counts.isl_estimated;
    model_.isl.observe_alone(estimate);
  }
  const double produced = static_cast<double>(meter_.completion_tokens().value_or(meter_.pieces()));
  if (meter_.completion_tokens() || began_) {
    counts.osl.add(produced);
    model_.osl.observe_alone(produced);
  }
  if (!began_) return;
  counts.ttft_s.add(to_seconds(first_ - sent_));
  if (produced >= 2 && last_ > first_) counts.itl_s.add(to_seconds(last_ - first_), static_cast<std::uint64_t>(produced) - 1);
}

double RequestLoad::prompt_estimate() const {
  const double per_token = model_.prompt_tokens > 0 ? model_.prompt_bytes / model_.prompt_tokens : kBytesPerToken;
  return std::max(1.0, static_cast<double>(body_bytes_) / per_token);
}

void RequestLoad::fail() {
  let_go();
  if (std::exchange(counted_, true)) return;
  ++model_.counts.failed;
}

double RequestLoad::remaining_tokens() const {
  const codec::GatewaySum& osl = model_.counts.osl;
  double expected = osl.count > 0 ? osl.sum / static_cast<double>(osl.count) : static_cast<double>(max_tokens_.value_or(kAnswerTokens));
  if (max_tokens_) expected = std::min(expected, static_cast<double>(*max_tokens_));
  return std::max(1.0, expected - static_cast<double>(meter_.pieces()));
}

}  // namespace flexpert::gateway
