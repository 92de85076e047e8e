#pragma once

#include "config/fleet_config.h"
#include "config/section_reader.h"

namespace flexpert::config {

/// Reads the section `gateway:`.
void read_gateway(SectionReader& file, ProblemList& problems, GatewayConfig& out);

/// Reads `gateway.routing` with its `models[]`.
void read_routing(SectionReader& gateway, ProblemList& problems, GatewayConfig& out);
/// Reads `gateway.admission` and `gateway.degradation[]`.
void read_admission(SectionReader& gateway, ProblemList& problems, AdmissionConfig& out);

/// Tells whether `text` is http(s)://HOST[:PORT] with a path or none: an address to call, not to listen on.
bool is_http_url(std::string_view text);

}  // namespace flexpert::config
