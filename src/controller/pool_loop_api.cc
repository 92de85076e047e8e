#include <boost/json.hpp>

#include "base/log.h"
#include "codec/json_text.h"
#include "codec/scale_plan_json.h"
#include "controller/pool_loop.h"

/// What PoolLoop answers over HTTP.
namespace flexpert::controller {
namespace {

void append_reasons(std::string& out, const std::vector<Reason>& reasons, bool& first) {
  for (const Reason& reason : reasons) {
    out += (first ? "" : ",") + codec::encode(reason);
    first = false;
  }
}

void append_sample(std::string& out, const char* name, const std::optional<MetricSample>& sample, bool& first) {
  if (!sample) return;
  out += fmt::format("{}\"{}\":{{\"value\":", first ? "" : ",", name);
  codec::append_json_number(out, sample->value);
  out += ",\"age_s\":";
  codec::append_json_number(out, sample->age_s);
  out += '}';
  first = false;
}

std::string traffic_json(const PoolTraffic& traffic) {
  std::string out = "{";
  bool first = true;
  append_sample(out, "requests_per_s", traffic.requests_per_s, first);
  append_sample(out, "isl", traffic.isl, first);
  append_sample(out, "osl", traffic.osl, first);
  append_sample(out, "ttft_s", traffic.ttft_s, first);
  append_sample(out, "itl_s", traffic.itl_s, first);
  append_sample(out, "duration_s", traffic.duration_s, first);
  append_sample(out, "in_flight", traffic.in_flight, first);
  append_sample(out, "queued", traffic.queued, first);
  return out + "}";
}

std::string optional_json(std::optional<std::uint32_t> value) { return value ? fmt::to_string(*value) : "null"; }

http::Response refusal(const Error& error) {
  const std::string field = error.message.substr(0, error.message.find(':'));
  return http::openai_error(error.code == ErrorCode::kFailedPrecondition ? 409 : 400, error.message, "invalid_request_error", field);
}

}  // namespace

std::string PoolLoop::status_json() const {
  std::string out = fmt::format("{{\"cycle\":{},\"unix_ms\":{},\"age_s\":{:.3f},\"interval_s\":{},\"dry_run\":{},\"gpu_budget\":{}", cycle_, last_unix_ms_,
                                plan_ ? to_seconds(loop_.now() - cycle_at_) : 0.0, config_.planner.interval_s, options_.dry_run,
                                optional_json(limits_.gpu_budget()));
  out += fmt::format(",\"gpus_held\":{},\"gpus_after\":{},\"conditions\":[", plan_ ? plan_->gpus_held : 0, plan_ ? plan_->gpus_after : 0);
  bool first = true;
  if (plan_) append_reasons(out, plan_->conditions, first);
  if (!journal_error_.empty()) append_reasons(out, {{"journal_failed", journal_error_, {}}}, first);
  out += "],\"pools\":[";
  for (std::size_t i = 0; i < config_.planner.pools.size(); ++i) {
    const scaling::PoolConfig& pool = config_.planner.pools[i];
    const PoolLimits& limits = limits_.of(i);
    out += i > 0 ? ",{\"pool\":" : "{\"pool\":";
    codec::append_json_string(out, pool.id.value);
    out += ",\"model\":";
    codec::append_json_string(out, model_name_of(config_.entries[i].launch, pool.id));
    out += fmt::format(",\"role\":\"{}\",\"gpus_per_instance\":{},\"limits\":{{\"min\":{},\"max\":{},\"manual\":{}}}", name_of(pool.role),
                       pool.gpus_per_instance, limits.min, limits.max, optional_json(limits.manual));
    out += ",\"instances\":{";
    bool any = false;
    for (const InstanceState state : {InstanceState::kStarting, InstanceState::kWarm, InstanceState::kReady, InstanceState::kDraining, InstanceState::kFailed}) {
      out += fmt::format("{}\"{}\":{}", any ? "," : "", name_of(state), fleet_->count(i, state));
      any = true;
    }
    const std::optional<double> startup = fleet_->startup_s(i);
    out += fmt::format("}},\"startup_s\":{}", startup ? fmt::format("{:.3f}", *startup) : "null");
    const PoolPlan* plan = plan_ && i < plan_->pools.size() && plan_->pools[i].pool == pool.id ? &plan_->pools[i] : nullptr;
    out += fmt::format(",\"current\":{},\"ready\":{},\"wanted\":{},\"granted\":{},\"target\":{},\"warm\":{},\"reasons\":[", plan ? plan->current : 0,
                       plan ? plan->ready : 0, plan ? plan->wanted : 0, plan ? plan->granted : 0, plan ? plan->target : 0, plan ? plan->warm : 0);
    first = true;
    if (plan != nullptr) append_reasons(out, plan->reasons, first);
    out += "],\"conditions\":[";
    first = true;
    if (plan != nullptr) append_reasons(out, plan->conditions, first);
    if (i < unseen_.size()) append_reasons(out, unseen_[i], first);
    append_reasons(out, fleet_->conditions(i), first);
    out += "],\"traffic\":";
    out += i < snapshot_.pools.size() ? traffic_json(snapshot_.pools[i].traffic) : "{}";
    out += '}';
  }
  return out + "],\"shadows\":" + shadows_json() + "}";
}

std::string PoolLoop::shadows_json() const {
  const auto score = [](const scaling::ShadowScore& one) {
    return fmt::format("{{\"seconds\":{},\"gpu_s\":{},\"shortfall_s\":{},\"changes\":{},\"reversals\":{}}}", one.seconds, one.gpu_s, one.shortfall_s,
                       one.changes, one.reversals);
  };
  std::string out = "[";
  if (!shadows_) return "[]";
  for (const scaling::ShadowStanding& shadow : shadows_->standings()) {
    out += out.size() > 1 ? ",{\"name\":" : "{\"name\":";
    codec::append_json_string(out, shadow.name);
    out += ",\"pools\":[";
    for (std::size_t i = 0; i < shadow.pools.size(); ++i) {
      const scaling::ShadowPoolStanding& pool = shadow.pools[i];
      out += i > 0 ? ",{\"pool\":" : "{\"pool\":";
      codec::append_json_string(out, pool.pool.value);
      out += fmt::format(",\"count\":{},\"ready\":{},\"score\":{},\"live\":{},\"reasons\":[", pool.count, pool.ready, score(pool.score), score(pool.live));
      bool first = true;
      append_reasons(out, pool.reasons, first);
      out += "]}";
    }
    out += "]}";
  }
  return out + "]";
}

http::Response PoolLoop::newest_plans(std::size_t limit) {
  const auto rows = journal_->newest(limit);
  if (!rows) return http::openai_error(500, rows.error().message, "server_error");
  std::string body;
  for (const store::PlanRow& row : *rows) body += (body.empty() ? "" : ",") + row.plan;
  return http::json_response(200, "[" + body + "]");
}

http::Response PoolLoop::change_limits(std::string_view name, std::string_view body) {
  std::size_t pool = 0;
  while (pool < config_.planner.pools.size() && config_.planner.pools[pool].id.value != name) ++pool;
  if (pool == config_.planner.pools.size())
    return http::openai_error(404, fmt::format("there is no pool of this name: {}", name.substr(0, 100)), "invalid_request_error", "pool");
  if (const auto changed = limits_.change_limits(pool, body); !changed) return refusal(changed.error());
  const PoolLimits& now = limits_.of(pool);
  log::info("controller: limits of {} were changed: min {}, max {}, manual {}", name, now.min, now.max, optional_json(now.manual));
  save_state({});
  cycle_soon();
  return http::json_response(200, fmt::format("{{\"pool\":\"{}\",\"min\":{},\"max\":{},\"manual\":{}}}", name, now.min, now.max, optional_json(now.manual)));
}

http::Response PoolLoop::change_budget(std::string_view body) {
  if (const auto changed = limits_.change_budget(body); !changed) return refusal(changed.error());
  log::info("controller: the GPU budget was changed: {}", optional_json(limits_.gpu_budget()));
  save_state({});
  cycle_soon();
  return http::json_response(200, fmt::format("{{\"gpus\":{}}}", optional_json(limits_.gpu_budget())));
}

http::Response PoolLoop::take_webhook_progress(const http::Request& request) {
  if (webhook_ == nullptr) return http::openai_error(404, "no pool has the backend webhook", "invalid_request_error");
  return webhook_->take_progress(request);
}

std::string PoolLoop::prometheus_targets() const {
  boost::json::array out;
  for (std::size_t i = 0; i < config_.planner.pools.size(); ++i) {
    for (const SensedInstance& instance : fleet_->sensed_instances(i)) {
      if (instance.address.empty() || instance.address.starts_with("unix:") || instance.state == InstanceState::kStarting) continue;
      boost::json::object labels;
      labels["pool"] = config_.planner.pools[i].id.value;
      labels["instance_id"] = instance.id.value;
      out.push_back(boost::json::object{{"targets", boost::json::array{boost::json::string(instance.address)}}, {"labels", std::move(labels)}});
    }
  }
  return boost::json::serialize(out);
}

}  // namespace flexpert::controller
