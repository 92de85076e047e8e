#include "controller/api.h"

#include <charconv>

#include <boost/json.hpp>

#include "codec/fleet_json.h"
#include "controller/pool_loop.h"

namespace flexpert::controller {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostDecisions = 1000;
constexpr std::string_view kRebalance = "/api/v1/placement/rebalance";

/// Returns the value of `name` in the query of `target`.
std::optional<std::string_view> query_value(std::string_view target, std::string_view name) {
  const std::size_t mark = target.find('?');
  if (mark == std::string_view::npos) return std::nullopt;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) == name) return equals < pair.size() ? pair.substr(equals + 1) : std::string_view{};
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return std::nullopt;
}

}  // namespace

Api::Api(net::EventLoop& loop, Sources sources)
    : loop_(loop), sources_(std::move(sources)), server_(loop, {}, [this](const http::Request& request, http::Responder responder) {
        handle(request, std::move(responder));
      }) {}

Api::~Api() {
  loop_.cancel(soon_);
  loop_.cancel(every_second_);
}

Result<void> Api::listen(const net::Address& address) {
  FLEXPERT_ASSIGN(address_, server_.listen(address));
  return {};
}

void Api::handle(const http::Request& request, http::Responder responder) {
  const std::string_view path = request.path();
  if (handle_pools(request, responder)) return;
  const bool known = path == "/internal/fleet" || path == "/api/v1/status" || path == "/api/v1/decisions" || path == "/health" ||
                     path == "/ready" || path == "/metrics" || path == "/api/v1/placement" || path == kRebalance;
  if (!known) return responder.respond(http::openai_error(404, fmt::format("no such path: {}", path), "invalid_request_error"));
  const std::string_view allowed = path == kRebalance ? "POST" : "GET";
  if (request.method != allowed)
    return responder.respond(http::openai_error(405, fmt::format("only {} is allowed here: {}", allowed, request.method), "invalid_request_error"));
  if (path == kRebalance) return rebalance(request, std::move(responder));
  if (path == "/api/v1/placement") return responder.respond(sources_.placement());
  if (path == "/internal/fleet") {
    if (query_value(request.target, "watch") == "1") return watch(std::move(responder));
    return responder.respond(http::json_response(200, codec::encode(sources_.snapshot())));
  }
  if (path == "/api/v1/status") return responder.respond(status());
  if (path == "/api/v1/decisions") return responder.respond(decisions(request.target));
  if (path == "/health") return responder.respond(http::json_response(200, R"({"status":"ok"})"));
  if (path == "/ready") return responder.respond(readiness());
  sources_.before_metrics();
  http::Response metrics;
  metrics.headers.set("Content-Type", "text/plain; version=0.0.4");
  metrics.body = sources_.registry->text();
  responder.respond(std::move(metrics));
}

void Api::watch(http::Responder responder) {
  if (draining_) return responder.respond(http::openai_error(503, "the controller is draining", "server_error"));
  http::Headers headers;
  headers.set("Content-Type", "application/x-ndjson");
  responder.start(200, std::move(headers));
  responder.write(codec::encode(sources_.snapshot()) + "\n");
  watchers_.push_back(std::move(responder));
  if (every_second_ == 0) every_second_ = loop_.call_after(Seconds(1), [this] { broadcast(); });
}

void Api::changed() {
  if (soon_ == 0 && !watchers_.empty()) soon_ = loop_.call_after(Duration::zero(), [this] { broadcast(); });
}

void Api::broadcast() {
  loop_.cancel(std::exchange(soon_, 0));
  loop_.cancel(std::exchange(every_second_, 0));
  std::erase_if(watchers_, [](const http::Responder& watcher) { return watcher.gone(); });
  if (watchers_.empty()) return;
  const std::string line = codec::encode(sources_.snapshot()) + "\n";
  for (http::Responder& watcher : watchers_) watcher.write(line);
  every_second_ = loop_.call_after(Seconds(1), [this] { broadcast(); });
}

http::Response Api::status() {
  const StatusExtras extras = sources_.extras();
  json::value value = json::parse(codec::encode(sources_.snapshot()));
  json::object& object = value.as_object();
  object["ready"] = extras.ready;
  object["dry_run"] = extras.dry_run;
  object["paced"] = extras.paced;
  object["last_decision"] = extras.last_decision ? json::parse(codec::encode(*extras.last_decision)) : json::value(nullptr);
  std::string body = json::serialize(value);
  if (const PoolLoop* pools = sources_.pools()) {
    body.pop_back();
    body += ",\"planner\":" + pools->status_json() + "}";
  }
  return http::json_response(200, std::move(body));
}

http::Response Api::decisions(std::string_view target) {
  std::size_t limit = 50;
  if (const auto text = query_value(target, "limit")) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
    if (error != std::errc{} || end != text->data() + text->size() || limit > kMostDecisions)
      return http::openai_error(400, fmt::format("limit must be a number from 0 to {}: {}", kMostDecisions, *text), "invalid_request_error", "limit");
  }
  const auto rows = sources_.journal->newest(limit);
  if (!rows) return http::openai_error(500, rows.error().message, "server_error");
  std::string body = R"({"decisions":[)";
  for (std::size_t i = 0; i < rows->size(); ++i) body += (i > 0 ? "," : "") + (*rows)[i];
  body += "]";
  if (PoolLoop* pools = sources_.pools()) {
    http::Response plans = pools->newest_plans(limit);
    if (plans.status != 200) return plans;
    body += ",\"plans\":" + plans.body;
  }
  return http::json_response(200, body + "}");
}

void Api::rebalance(const http::Request& request, http::Responder responder) {
  const auto dry_run = query_value(request.target, "dry_run");
  if (dry_run && *dry_run != "0" && *dry_run != "1")
    return responder.respond(http::openai_error(400, fmt::format("dry_run must be 0 or 1: {}", *dry_run), "invalid_request_error", "dry_run"));
  if (draining_) return responder.respond(http::openai_error(503, "the controller is draining", "server_error"));
  responder.respond(sources_.rebalance(dry_run == "1"));
}

http::Response Api::readiness() {
  if (!draining_ && sources_.extras().ready) return http::json_response(200, R"({"status":"ready"})");
  return http::openai_error(503, draining_ ? "draining" : "no model server is ready with a routing table yet", "server_error");
}

void Api::drain(Duration deadline, std::move_only_function<void()> done) {
  draining_ = true;
  broadcast();
  loop_.cancel(std::exchange(every_second_, 0));
  for (http::Responder& watcher : watchers_) watcher.finish();
  watchers_.clear();
  server_.drain(deadline, std::move(done));
}

}  // namespace flexpert::controller
