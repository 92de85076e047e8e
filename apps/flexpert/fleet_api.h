#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fleet/decision.h"
#include "fleet/fleet_snapshot.h"
#include "http/message.h"
#include "net/address.h"

namespace flexpert::app {

/// What a controller says at /api/v1/status.
struct FleetStatus {
  FleetSnapshot snapshot;
  bool dry_run = false;
};

Result<FleetStatus> parse_status(std::string_view body);
/// Reads the answer of /api/v1/decisions: newest first.
Result<std::vector<Decision>> parse_decisions(std::string_view body);

/// Makes a GET request.
http::Request get(std::string target);
/// Sends a GET and returns the body of a 200; any other answer is an error that names the status.
Result<std::string> fetch_body(const net::Address& address, std::string target);

}  // namespace flexpert::app
