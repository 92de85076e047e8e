#include "gateway/relay.h"

#include <algorithm>

#include "base/log.h"

namespace flexpert::gateway {
namespace {

constexpr Duration kLongestBeat = Seconds(1);
constexpr Duration kShortestBeat = Milliseconds(10);

std::uint64_t seed_of(const Clock& clock) {
  return static_cast<std::uint64_t>(clock.unix_ms()) * 0x9e3779b97f4a7c15ULL ^ static_cast<std::uint64_t>(clock.now().time_since_epoch().count());
}

}  // namespace

http::Response unavailable(std::string_view message, std::string_view code, int retry_after_s) {
  http::Response response = http::openai_error(503, message, "overloaded_error", {}, code);
  response.headers.set("Retry-After", std::to_string(retry_after_s));
  return response;
}

void Relay::List::add(Exchange& exchange) {
  exchange.previous = nullptr;
  exchange.next = first;
  if (first != nullptr) first->previous = &exchange;
  first = &exchange;
}

void Relay::List::remove(Exchange& exchange) {
  (exchange.previous != nullptr ? exchange.previous->next : first) = exchange.next;
  if (exchange.next != nullptr) exchange.next->previous = exchange.previous;
  exchange.next = exchange.previous = nullptr;
}

Relay::Relay(RelayParts parts, RelayOptions options)
    : parts_(parts), options_(options), rng_(seed_of(parts.clock)), started_unix_s_(parts.clock.unix_ms() / 1000) {
  if (options_.heartbeat > Duration::zero()) beat();
}

Relay::~Relay() {
  parts_.loop.cancel(beat_timer_);
  for (const auto& exchange : exchanges_)
    if (exchange->active()) exchange->drop();
}

void Relay::on_head(http::InboundExchange& client) {
  // Without a body the whole request follows at once.
  if (client.head().framing == codec::Http1Framing::kNone) return;
  Exchange& exchange = take();
  awaiting_body_.push_back(&exchange);
  exchange.begin(client);
}

void Relay::on_request(http::InboundExchange& client) {
  // Almost always the one that came last.
  const auto found = std::find_if(awaiting_body_.rbegin(), awaiting_body_.rend(), [&](const Exchange* exchange) { return exchange->client() == &client; });
  if (found != awaiting_body_.rend()) {
    Exchange& exchange = **found;
    *found = awaiting_body_.back();
    awaiting_body_.pop_back();
    return exchange.take_request();
  }
  Exchange& exchange = take();
  awaiting_body_.push_back(&exchange);
  exchange.begin(client);
  if (!exchange.awaits_body() || exchange.client() != &client) return;
  std::erase(awaiting_body_, &exchange);
  exchange.take_request();
}

void Relay::on_refused(int status, std::string_view peer, std::string_view why) {
  parts_.metrics.count_malformed(status);
  log::debug("refused a message of {} with {}: {}", peer, status, why);
}

void Relay::servers_changed() {
  for (std::size_t i = 0; i < exchanges_.size(); ++i) exchanges_[i]->look_again();
}

Exchange& Relay::take() {
  ++active_;
  if (free_.empty()) {
    exchanges_.push_back(std::make_unique<Exchange>(*this));
    return *exchanges_.back();
  }
  Exchange& exchange = *free_.back();
  free_.pop_back();
  return exchange;
}

void Relay::give_back(Exchange& exchange) {
  --active_;
  free_.push_back(&exchange);
}

void Relay::lost(const std::string& server) {
  parts_.directory.mark_lost(server, parts_.loop.now());
  models_changed();
  if (on_lost_) on_lost_(server);
}

void Relay::beat() {
  const TimePoint now = parts_.loop.now();
  for (Exchange* exchange = streams_.first; exchange != nullptr; exchange = exchange->next) exchange->beat(now, options_.heartbeat);
  beat_timer_ = parts_.loop.call_after(std::clamp<Duration>(options_.heartbeat / 4, kShortestBeat, kLongestBeat), [this] { beat(); });
}

}  // namespace flexpert::gateway
