#pragma once

#include "codec/fleet_json_reader.h"
#include "fleet/decision.h"

/// The JSON form of a Reason: {"code", "text", "numbers": {...}}; a number that JSON has not is null there, and read as absent.
namespace flexpert::codec::fleet_json {

json::object reason_object(const Reason& reason);
Reason read_reason(Reader& reader);

}  // namespace flexpert::codec::fleet_json
