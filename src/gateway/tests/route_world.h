#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "crypto/digest.h"
#include "gateway/tests/gateway_world.h"

namespace flexpert::gateway {

/// A fleet of one model server and three expert servers behind a controller, and the shipped example's groups with slots
/// of our own.
class RouteTest : public GatewayWorld {
 protected:
  RouteTest() : model_server(loop, [this](const http::Request& request, http::Responder responder) { run_experts(request,
      std::move(responder)); }) {
    auto loaded = config::load_file(std::string(FLEXPERT_SOURCE_DIR) + "/examples/first-fleet.yaml");
    EXPECT_TRUE(loaded);
    config = std::move(*loaded);
    config.model->groups[0].slots = {{4, 12}, {5, 10}, {5, 7}};
    config.model->groups[1].slots = {{0, 6}, {1, 2}, {2, 11}};
    config.model->groups[2].slots = {{2, 8}, {4, 7}, {5, 17}};
    for (std::size_t i = 0; i < 3; ++i) config.access.rules.groups[i].slots = config.model->groups[i].slots;
    config.gateway.controller = controller.server.address();
    FleetSnapshot& fleet = controller.snapshot;
    fleet.model = "flexpert-tiny-moe";
    fleet.instances.push_back({.id = {"model-0"}, .role = InstanceRole::kModelServer, .state = InstanceState::kReady, .model = fleet.model,
                               .address = model_server.address(), .pid = 1, .last_error = {}});
    RoutingTable table{.epoch = 1, .geometry = {6, 32}, .endpoints = {}, .replicas = {}};
    table.replicas.resize(table.geometry.size());
    for (int i = 0; i < 3; ++i) {
      const std::string id = fmt::format("expert-{}", i);
      fleet.instances.push_back({.id = {id}, .role = InstanceRole::kExpertServer, .state = InstanceState::kReady, .model = fleet.model,
                                 .address = "unix:/run/" + id, .pid = 10 + i, .last_error = {}});
      table.endpoints.push_back({{id}, "unix:/run/" + id});
    }
    // Group i lives on expert-i; expert-2 holds B as well.
    for (std::uint16_t group = 0; group < 3; ++group)
      for (const ExpertSlot slot : config.model->groups[group].slots) table.replicas[table.geometry.index(slot)] = {group};
    for (const ExpertSlot slot : config.model->groups[1].slots) table.replicas[table.geometry.index(slot)] = {1, 2};
    fleet.routing = table;
    for (std::size_t i = 0; i < table.geometry.size(); ++i)
      fleet.experts.push_back({.slot = table.geometry.slot(i), .rows_per_s = 0, .utilisation = 0, .replicas = 1});
  }

  void begin(GatewayTimings timings = {}) { start_and_wait(config, timings); }

  static http::Headers json_headers(const std::string& token = "") {
    http::Headers headers;
    headers.add("Content-Type", "application/json");
    if (!token.empty()) headers.add("X-Expert-Access-Token", token);
    return headers;
  }
  std::shared_ptr<Seen> route(const std::string& body, const std::string& token = "") { return call("POST", "/route", body,
      json_headers(token)); }
  static boost::json::object object_of(const Seen& seen) { return boost::json::parse(seen.body).as_object(); }
  static std::string text(const boost::json::object& object,
      std::string_view key) { return boost::json::value_to<std::string>(object.at({key.data(), key.size()})); }

  void run_experts(const http::Request& request, http::Responder responder) {
    EXPECT_EQ(request.path(), "/internal/experts");
    grants.emplace_back(request.headers.find("X-Flexpert-Grant").value_or(""));
    asked.push_back(boost::json::parse(request.body).as_object());
    if (hold) return held.push_back(responder);
    if (fail_status != 0) return responder.respond(http::openai_error(fail_status, "it failed", "server_error", {}, fail_code));
    answer(asked.back(), std::move(responder));
  }
  static void answer(const boost::json::object& question, http::Responder responder) {
    boost::json::array calls;
    for (const boost::json::value& call : question.at("calls").as_array())
      calls.push_back({{"name", call.at("name")}, {"instance", call.at("instance")}, {"latency_ms", 0.5}});
    const boost::json::value body{{"input_token_id", question.at("token_id")}, {"calls", calls}, {"output_digest",
        crypto::sha256_hex("x")}};
    responder.respond(http::json_response(200, boost::json::serialize(body)));
  }

  config::FleetConfig config;
  FakeController controller{loop};
  std::vector<boost::json::object> asked;
  std::vector<std::string> grants;  ///< alongside; empty: none came
  std::vector<http::Responder> held;
  bool hold = false;
  int fail_status = 0;
  std::string fail_code;
  FakeServer model_server;
};

}  // namespace flexpert::gateway
