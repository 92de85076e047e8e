#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/route_handler.h"

/// Private to RouteHandler: what its two files share.
namespace flexpert::gateway {

/// One call of /route from its authorisation to its answer.
struct RouteHandler::Call {
  std::uint64_t id = 0;
  std::unique_ptr<Answer> answer;
  RouteCaller who;
  TimePoint arrived;
  std::uint32_t token_id = 0;
  RouteMode mode = RouteMode::kAny;
  std::vector<std::pair<std::string, double>> allowed;  // group and gate weight
  std::string downgraded;                               // groups left out, for the header
  int attempts = 0;
  std::vector<const routing::Endpoint*> failed_servers;  // only to be told apart from others
  std::vector<std::string> stale_instances;  // the model server does not know them any more

  // Of the current try:
  std::vector<Share> shares;
  std::string server;
  routing::LoadTicket server_load;
  std::vector<routing::LoadCounts::Ticket> tickets;
  std::optional<http::Client::RequestId> sent;
  int status = 0;
  std::string body;
};

}  // namespace flexpert::gateway
