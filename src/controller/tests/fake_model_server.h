#pragma once

#include <map>
#include <string>
#include <vector>

#include "codec/fleet_json.h"
#include "codec/internal_grant.h"
#include "http/server.h"

namespace flexpert::controller {

/// Answers the calls of a controller as a model server does, with counters that a test sets. Runs on the test's loop.
class FakeModelServer {
 public:
  FakeModelServer(net::EventLoop& loop, const std::string& address, ExpertGeometry geometry)
      : server_(loop, {}, [this](const http::Request& request, http::Responder responder) { handle(request, std::move(responder)); }) {
    loads.model = "fake";
    loads.geometry = geometry;
    loads.rows.assign(geometry.size(), 0);
    listening = server_.listen(*net::Address::parse(address)).has_value();
  }

  bool listening = false;
  codec::ExpertLoadReport loads;
  std::optional<RoutingTable> table;
  std::vector<RoutingTable> tables;     ///< every one that was taken, in order
  double experts_latency_ms = 1;        ///< of each /internal/experts call
  int experts_calls = 0;
  std::string experts_body, experts_grant;  ///< of the last of them
  int running = 3;
  int queued = 4;
  bool refuse_tables = false;           ///< answer 503 to the next tables
  std::size_t hold_below_servers = 0;   ///< tables of fewer servers are taken, and answered only at release_tables()
  void release_tables() {
    hold_below_servers = 0;
    for (auto& [responder, answer] : held_) responder.respond(http::json_response(200, answer));
    held_.clear();
  }

 private:
  void handle(const http::Request& request, http::Responder responder) {
    const std::string_view path = request.path();
    if (path == "/ready") return responder.respond(http::json_response(200, R"({"status":"ready"})"));
    if (path == "/internal/status") {
      return responder.respond(http::json_response(
          200, fmt::format(R"({{"model":"fake","fingerprint":"f","epoch":{},"running":{},"queued":{},"kv_blocks_used":0,"kv_blocks_total":1,)"
                           R"("paced":false,"max_context":512}})",
                           table ? table->epoch : 0, running, queued)));
    }
    if (path == "/internal/expert-loads") return responder.respond(http::json_response(200, codec::encode(loads)));
    if (path == "/internal/experts") {
      ++experts_calls;
      experts_body = request.body;
      experts_grant = request.headers.find(codec::kInternalGrantField).value_or("");
      return responder.respond(http::json_response(
          200, fmt::format(R"({{"input_token_id":1,"calls":[{{"name":"capacity","instance":"x","latency_ms":{}}}],"output_digest":"00"}})",
                           experts_latency_ms)));
    }
    if (path == "/internal/routing-table" && request.method == "PUT") {
      if (refuse_tables) return responder.respond(http::openai_error(503, "not now", "server_error"));
      auto decoded = codec::decode_routing_table(request.body);
      if (!decoded) return responder.respond(http::openai_error(400, decoded.error().message, "invalid_request_error"));
      if (table && decoded->epoch < table->epoch) return responder.respond(http::openai_error(409, "older epoch", "invalid_request_error"));
      const std::string answer = fmt::format(R"({{"epoch":{}}})", decoded->epoch);
      const bool hold = decoded->endpoints.size() < hold_below_servers;
      table = *decoded;
      tables.push_back(std::move(*decoded));
      if (!hold) return responder.respond(http::json_response(200, answer));
      held_.emplace_back(std::move(responder), answer);
      return;
    }
    responder.respond(http::openai_error(404, "no such path", "invalid_request_error"));
  }

  std::vector<std::pair<http::Responder, std::string>> held_;
  http::Server server_;
};

}  // namespace flexpert::controller
