#pragma once

#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "fleet/placement_plan.h"

/// What the verbs of `flexpert place` print with --json.
namespace flexpert::app {

/// Balancedness, worst layer, bound, gap, duplicates; `layers`: one object a layer too.
boost::json::object balance_json(const Balance& balance, bool layers);
/// Slots by kind, bytes, and the moves in order.
boost::json::object moves_json(const MoveList& moves, const ExpertLayout& layout);
boost::json::array reasons_json(const std::vector<Reason>& reasons);

/// Prints JSON on stdout: members of the outer object and elements of its arrays a line each, what is deeper on one line.
void print_json(const boost::json::object& value);

}  // namespace flexpert::app
