#pragma once

#include "codec/fleet_json_reader.h"
#include "fleet/routing_table.h"

/// The routing table's JSON form, alone and inside a snapshot. Private to fleet_json*.cc.
namespace flexpert::codec::fleet_json {

json::object routing_object(const RoutingTable& table);
/// Reads and validates a table; the message names the field, or the layer and expert at fault.
Result<RoutingTable> read_routing(Reader& reader);

}  // namespace flexpert::codec::fleet_json
