#include "flexpert/fleet_watch.h"

#include <algorithm>
#include <memory>

#include "base/log.h"
#include "report/fleet_tables.h"

namespace flexpert::app {

FleetWatch::FleetWatch(net::EventLoop& loop, net::Address controller) : loop_(loop), controller_(std::move(controller)), client_(loop, {}) {}

FleetWatch::~FleetWatch() { stop(); }

void FleetWatch::start(std::function<void(const Decision&)> on_decision) {
  on_decision_ = std::move(on_decision);
  ask();
}

void FleetWatch::stop() {
  loop_.cancel(timer_);
  timer_ = 0;
}

void FleetWatch::ask() {
  request("/api/v1/status", [this](const std::string& body) { take_status(body); });
  request("/api/v1/decisions?limit=50", [this](const std::string& body) { take_decisions(body); });
  timer_ = loop_.call_after(Milliseconds(500), [this] { ask(); });
}

void FleetWatch::request(const std::string& target, std::function<void(const std::string& body)> on_body) {
  auto body = std::make_shared<std::string>();
  auto status = std::make_shared<int>(0);
  client_.send(controller_, get(target),
               {.on_head = [status](int code, const http::Headers&) { *status = code; },
                .on_body = [body](std::string_view bytes) { *body += bytes; },
                .on_end = [body, status, on_body = std::move(on_body)] { if (*status == 200) on_body(*body); },
                // The next round asks again; what is shown stays what was last known.
                .on_error = [](const Error& error) { log::debug("controller did not answer: {}", error.message); }});
}

void FleetWatch::take_status(const std::string& body) {
  auto status = parse_status(body);
  if (!status) return log::warn("{}", status.error().message);
  status_ = std::move(*status);
  most_expert_servers_ = std::max(most_expert_servers_, report::count_instances(status_.snapshot, InstanceRole::kExpertServer, InstanceState::kReady));
}

void FleetWatch::take_decisions(const std::string& body) {
  auto newest_first = parse_decisions(body);
  if (!newest_first) return log::warn("{}", newest_first.error().message);
  const std::uint64_t seen = decisions_.empty() ? 0 : decisions_.back().cycle;
  for (auto decision = newest_first->rbegin(); decision != newest_first->rend(); ++decision) {
    if (decision->cycle <= seen) continue;
    decisions_.push_back(*decision);
    if (on_decision_) on_decision_(decisions_.back());
  }
}

}  // namespace flexpert::app
