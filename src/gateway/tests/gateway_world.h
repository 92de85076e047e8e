#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "codec/fleet_json.h"
#include "gateway/gateway.h"
#include "http/client.h"
#include "http/server.h"
#include "net/event_loop.h"
#include "telemetry/metrics.h"

namespace flexpert::gateway {

/// A streaming request, and what servers answer.
inline const std::string kStreamed = R"({"model":"m","stream":true,"messages":[]})";

inline http::Headers event_stream() {
  http::Headers headers;
  headers.add("Content-Type", "text/event-stream");
  return headers;
}

inline void answer_ok(const http::Request&, http::Responder responder) { responder.respond(http::json_response(200, R"({"ok":true})")); }

/// What one client of the gateway has seen so far.
struct Seen {
  int status = 0;
  http::Headers headers;
  std::string body;
  std::vector<std::string> pieces;
  bool ended = false;
  bool failed = false;
  Error error;
  http::Client::RequestId id = 0;

  [[nodiscard]] bool over() const { return ended || failed; }
};

/// A server that a test scripts: it keeps what it was asked, and answers as told or when told.
class FakeServer {
 public:
  using Script = std::function<void(const http::Request&, http::Responder)>;

  FakeServer(net::EventLoop& loop, Script script) : loop_(loop), script_(std::move(script)) { start(*net::Address::parse("127.0.0.1:0")); }

  void stop() { server_.reset(); }
  void restart() { start(address_); }
  [[nodiscard]] std::string address() const { return address_.to_string(); }
  [[nodiscard]] std::size_t connections() const { return server_->open_connections(); }

  std::vector<http::Request> requests;  ///< without health checks and model lists
  bool healthy = true;
  std::string models = R"({"object":"list","data":[{"id":"m"}]})";

 private:
  void start(const net::Address& address) {
    server_ = std::make_unique<http::Server>(loop_, http::ServerLimits{}, [this](const http::Request& request, http::Responder responder) {
      if (request.path() == "/health") return responder.respond(http::json_response(healthy ? 200 : 500, "{}"));
      if (request.path() == "/v1/models") return responder.respond(http::json_response(200, models));
      requests.push_back(request);
      script_(request, std::move(responder));
    });
    auto bound = server_->listen(address);
    ASSERT_TRUE(bound) << bound.error().message;
    address_ = *bound;
  }

  net::EventLoop& loop_;
  Script script_;
  net::Address address_;
  std::unique_ptr<http::Server> server_;
};

/// A controller that streams snapshots to whoever watches.
class FakeController {
 public:
  explicit FakeController(net::EventLoop& loop)
      : server(loop, [this](const http::Request& request, http::Responder responder) {
          if (request.target == "/internal/gateway-report") return responder.respond({204, {}, ""});
          EXPECT_EQ(request.target, "/internal/fleet?watch=1");
          responder.start(200, {});
          responder.write(codec::encode(snapshot) + "\n");
          watchers.push_back(responder);
        }) {}

  void publish() {
    ++snapshot.revision;
    for (auto& watcher : watchers) watcher.write(codec::encode(snapshot) + "\n");
  }

  FleetSnapshot snapshot;
  std::vector<http::Responder> watchers;
  FakeServer server;
};

/// One loop with a gateway, its servers and its clients. The test turns the loop until what it waits for is so.
class GatewayWorld : public ::testing::Test {
 protected:
  ~GatewayWorld() override { gateway.reset(); }

  /// A configuration that lets everybody in.
  static config::FleetConfig open_config() {
    config::FleetConfig config;
    config.gateway.health_interval_s = 0.1;
    config.access.anonymous = config.access.rules.anonymous = true;
    return config;
  }

  config::FleetConfig config_for(const std::vector<FakeServer*>& upstreams) {
    config::FleetConfig config = open_config();
    for (const FakeServer* upstream : upstreams) {
      config::UpstreamConfig entry;
      entry.name = fmt::format("up-{}", config.upstreams.size());
      entry.url = "http://" + upstream->address();
      config.upstreams.push_back(std::move(entry));
    }
    return config;
  }

  void start(const config::FleetConfig& config, GatewayTimings timings = {}) {
    auto created = Gateway::create(loop, config, registry, clock, timings);
    ASSERT_TRUE(created) << created.error().message;
    gateway = std::move(*created);
    auto bound = gateway->listen(*net::Address::parse("127.0.0.1:0"));
    ASSERT_TRUE(bound) << bound.error().message;
    address = *bound;
    auto bound_probes = gateway->listen_for_probes(*net::Address::parse("127.0.0.1:0"));
    ASSERT_TRUE(bound_probes) << bound_probes.error().message;
    probes = *bound_probes;
  }

  void start_and_wait(const config::FleetConfig& config, GatewayTimings timings = {}) {
    start(config, timings);
    ASSERT_TRUE(until([&] { return gateway->ready(); }));
  }

  /// Turns the loop until `condition` holds; false after ten seconds.
  bool until(const std::function<bool()>& condition) {
    const TimePoint give_up = clock.now() + Seconds(10);
    while (!condition()) {
      if (clock.now() > give_up) return false;
      loop.run_once(Milliseconds(20));
    }
    return true;
  }

  std::shared_ptr<Seen> send(const std::string& method, const std::string& target, const std::string& body, const http::Headers& headers = {}) {
    return send_to(address, method, target, body, headers);
  }

  std::shared_ptr<Seen> send_to(const net::Address& to, const std::string& method, const std::string& target, const std::string& body,
                                const http::Headers& headers = {}) {
    auto seen = std::make_shared<Seen>();
    http::Request request;
    request.method = method;
    request.target = target;
    request.headers = headers;
    request.body = body;
    http::AnswerCallbacks callbacks;
    callbacks.on_head = [seen](int status, const http::Headers& head) {
      seen->status = status;
      seen->headers = head;
    };
    callbacks.on_body = [seen](std::string_view bytes) {
      seen->body += bytes;
      seen->pieces.emplace_back(bytes);
    };
    callbacks.on_end = [seen] { seen->ended = true; };
    callbacks.on_error = [seen](Error error) {
      seen->failed = true;
      seen->error = std::move(error);
    };
    seen->id = client.send(to, std::move(request), std::move(callbacks));
    return seen;
  }

  std::shared_ptr<Seen> call(const std::string& method, const std::string& target, const std::string& body = "", const http::Headers& headers = {}) {
    auto seen = send(method, target, body, headers);
    EXPECT_TRUE(until([&] { return seen->over(); })) << method << " " << target << " never ended";
    return seen;
  }

  /// Asks the listener of probes.
  std::shared_ptr<Seen> probe(const std::string& target) {
    auto seen = send_to(probes, "GET", target, "");
    EXPECT_TRUE(until([&] { return seen->over(); })) << target << " never ended";
    return seen;
  }

  [[nodiscard]] double metric(const std::string& line_start) const {
    const std::string text = registry.text();
    const std::size_t at = text.find("\n" + line_start);
    return at == std::string::npos ? -1 : std::stod(text.substr(text.find_first_of(" \n", at + 1 + line_start.size())));
  }

  SystemClock clock;
  net::EventLoop loop;
  telemetry::Registry registry;
  http::Client client{loop, {}};
  std::unique_ptr<Gateway> gateway;
  net::Address address;
  net::Address probes;
};

}  // namespace flexpert::gateway
