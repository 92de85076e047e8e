#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "engine/serve/grant_check.h"
#include "engine/serve/internal_routes.h"
#include "engine/serve/openai_routes.h"
#include "engine/serve/recording_routes.h"
#include "engine/serve/reply.h"
#include "engine/serve/served_model.h"
#include "http/server.h"
#include "net/event_loop.h"

namespace flexpert::engine {

/// The HTTP side of a model server: routes, health, metrics, drain. Belongs to the loop's thread.
class HttpFront {
 public:
  HttpFront(net::EventLoop& loop, ServedModel model, http::ServerLimits limits);
  ~HttpFront();

  Result<net::Address> listen(const net::Address& address) { return server_->listen(address); }
  /// See ModelServer::drain().
  void drain(Duration deadline, std::move_only_function<void()> done);
  /// Tells that this server's own placement has taken effect. The loop's thread.
  void adopt(std::shared_ptr<const RoutingTable> table) { internal_->adopt(std::move(table)); }

 private:
  using Handler = void (HttpFront::*)(const http::Request&, const RequestRights&, Reply);
  struct Route {
    std::string_view path;
    std::string_view method;
    GrantScope scope;
    Handler handler;
  };
  static const std::array<Route, 21> kRoutes;  // in http_front.cc

  void handle(const http::Request& request, http::Responder responder);
  void health(const http::Request& request, const RequestRights& rights, Reply reply);
  void ready(const http::Request& request, const RequestRights& rights, Reply reply);
  void metrics(const http::Request& request, const RequestRights& rights, Reply reply);
  void models(const http::Request& request, const RequestRights& rights, Reply reply);
  void model(const http::Request& request, const RequestRights& rights, Reply reply);
  void chat_completion(const http::Request& request, const RequestRights& rights, Reply reply);
  void completion(const http::Request& request, const RequestRights& rights, Reply reply);
  void tokenize(const http::Request& request, const RequestRights& rights, Reply reply);
  void status(const http::Request& request, const RequestRights& rights, Reply reply);
  void expert_loads(const http::Request& request, const RequestRights& rights, Reply reply);
  void routing_table(const http::Request& request, const RequestRights& rights, Reply reply);
  void set_routing_table(const http::Request& request, const RequestRights& rights, Reply reply);
  void run_experts(const http::Request& request, const RequestRights& rights, Reply reply);
  void resources(const http::Request& request, const RequestRights& rights, Reply reply);
  void set_resources(const http::Request& request, const RequestRights& rights, Reply reply);
  void start_recording(const http::Request& request, const RequestRights& rights, Reply reply);
  void stop_recording(const http::Request& request, const RequestRights& rights, Reply reply);
  void dump_recording(const http::Request& request, const RequestRights& rights, Reply reply);
  /// Refuses new work while draining; returns whether it did.
  bool refused(Reply& reply) const;

  net::EventLoop& loop_;
  ServedModel model_;
  RouteMetrics route_metrics_;
  GrantCheck grants_;
  bool draining_ = false;
  std::shared_ptr<OpenAiRoutes> openai_;
  std::shared_ptr<InternalRoutes> internal_;
  std::shared_ptr<RecordingRoutes> recording_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace flexpert::engine
