#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// What a gateway tells the controller at /internal/gateway-report (docs/reference/internal-api.md). Pure.
namespace flexpert::codec {

/// A sum and of how many it is: both only grow.
struct GatewaySum {
  double sum = 0;
  std::uint64_t count = 0;

  void add(double value, std::uint64_t of = 1) {
    sum += value;
    count += of;
  }
  bool operator==(const GatewaySum&) const = default;
};

/// One model's requests as one gateway saw them since it started. Everything but `in_flight` and `held` only grows, so that
/// a report that is lost costs nothing.
struct GatewayModelLoad {
  std::string model;
  std::uint64_t offered = 0;        ///< arrived, whatever became of them
  std::uint64_t finished = 0;       ///< answered to the end by a server
  std::uint64_t failed = 0;         ///< refused, broken off, timed out; neither counts a client that went away
  GatewaySum isl;                   ///< tokens of prompts, of finished requests
  std::uint64_t isl_estimated = 0;  ///< how many of them were estimated from the prompt's bytes
  GatewaySum osl;                   ///< tokens of answers
  GatewaySum ttft_s;                ///< from being sent to a server to the first piece; streams only
  GatewaySum itl_s;                 ///< between two tokens; streams only
  GatewaySum duration_s;            ///< from being sent to a server to the answer's end
  double in_flight_s = 0;           ///< integral of `in_flight` over time
  std::uint32_t in_flight = 0;      ///< on servers now
  std::uint32_t held = 0;           ///< waiting at the gateway now, because no server can take them

  bool operator==(const GatewayModelLoad&) const = default;
};

/// One server as one gateway sees it now.
struct GatewayServerLoad {
  std::string id;
  std::uint32_t in_flight = 0;   ///< requests of this gateway on it
  double remaining_tokens = 0;   ///< still to be produced for them, estimated

  bool operator==(const GatewayServerLoad&) const = default;
};

struct GatewayReport {
  std::string gateway;           ///< a name of its own: tells gateways apart
  std::uint64_t boot = 0;        ///< another one after each start: the counters began at zero
  std::uint64_t sequence = 0;    ///< grows with every report of a boot
  double uptime_s = 0;           ///< that the counters cover
  std::uint32_t connections = 0; ///< of clients, open now
  double cpu_s = 0;              ///< CPU time of the process since it started; only grows
  bool leaving = false;          ///< it drains: silence from now on is its end, not a fault
  std::vector<GatewayModelLoad> models;
  std::vector<GatewayServerLoad> servers;

  bool operator==(const GatewayReport&) const = default;
};

std::string encode(const GatewayReport& report);
/// Errors: kInvalidArgument naming the field. At most 1,000 models and 10,000 servers, each once, with names of at most
/// 512 bytes; numbers are finite and not negative.
Result<GatewayReport> decode_gateway_report(std::string_view json);

}  // namespace flexpert::codec
