#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace flexpert::app {

/// Writes JSON for people and line-based tools: one member a line, and numbers as they are usually written (Boost writes 1.5
/// as 1.5E0).
std::string pretty_json(const boost::json::value& value);

}  // namespace flexpert::app
