#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/fleet_json_reader.h"
#include "fleet/placement_plan.h"

/// Balance, moves and reasons in placement_json.cc's file. Private to it.
namespace flexpert::codec::placement_json {

namespace json = boost::json;
using fleet_json::Reader;

/// Returns the object under `field`, or null after noting that it is none.
const json::object* object_of(Reader& reader, std::string_view field);

void append(std::string& out, const Balance& balance);
void append(std::string& out, const std::vector<Reason>& reasons);
void append(std::string& out, const MoveList& moves);

Balance read_balance(Reader& root, std::string_view field);
std::vector<Reason> read_reasons(Reader& root, std::string_view field);
MoveList read_moves(Reader& root, std::string_view field);

}  // namespace flexpert::codec::placement_json
