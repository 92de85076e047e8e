#include "gateway/fleet_follower.h"

#include <algorithm>

#include "base/log.h"
#include "codec/fleet_json.h"

namespace flexpert::gateway {
namespace {

constexpr Duration kFirstBackoff = Milliseconds(100);
constexpr Duration kLongestBackoff = Seconds(2);
constexpr std::size_t kLongestLine = 16 * 1024 * 1024;

}  // namespace

FleetFollower::FleetFollower(net::EventLoop& loop, net::Address controller, Listener on_snapshot, std::function<void(bool)> on_connected)
    : loop_(loop),
      controller_(std::move(controller)),
      on_snapshot_(std::move(on_snapshot)),
      on_connected_(std::move(on_connected)),
      backoff_(kFirstBackoff),
      // A snapshot comes at least every second: silence for longer means that the controller is gone.
      client_(std::make_unique<http::Client>(
          loop, http::ClientOptions{.connect_timeout = Seconds(2), .head_timeout = Seconds(5), .idle_timeout = Seconds(10)})) {
  connect();
}

FleetFollower::~FleetFollower() { loop_.cancel(timer_); }

void FleetFollower::connect() {
  timer_ = 0;
  line_.clear();
  http::Request request;
  request.method = "GET";
  request.target = "/internal/fleet?watch=1";
  http::AnswerCallbacks callbacks;
  callbacks.on_head = [this](int status, const http::Headers&) {
    connected_ = status == 200;
    if (!connected_) return;
    backoff_ = kFirstBackoff;
    complained_ = ending_;
    on_connected_(true);
    log::info("following the fleet of the controller at {}", controller_.to_string());
  };
  callbacks.on_body = [this](std::string_view bytes) {
    if (connected_) take(bytes);
  };
  callbacks.on_end = [this] { reconnect_later("the stream ended"); };
  callbacks.on_error = [this](const Error& error) { reconnect_later(error.message); };
  client_->send(controller_, std::move(request), std::move(callbacks));
}

void FleetFollower::reconnect_later(const std::string& why) {
  if (connected_) on_connected_(false);
  connected_ = false;
  if (!complained_) log::warn("the controller at {} is away, going on with what is known: {}", controller_.to_string(), why);
  complained_ = true;
  timer_ = loop_.call_after(backoff_, [this] { connect(); });
  backoff_ = std::min(backoff_ * 2, kLongestBackoff);
}

void FleetFollower::take(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() > kLongestLine) {
      log::error("a snapshot of the controller is over {} bytes and is ignored", kLongestLine);
      line_.clear();
      line_.shrink_to_fit();
    } else {
      line_ += part;
    }
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    if (!line_.empty()) {
      auto snapshot = codec::decode_fleet_snapshot(line_);
      line_.clear();
      if (snapshot) on_snapshot_(std::make_shared<const FleetSnapshot>(std::move(*snapshot)));
      else log::error("a snapshot of the controller cannot be read and is ignored: {}", snapshot.error().message);
    }
  }
}

}  // namespace flexpert::gateway
