#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "flexpert/place_options.h"

/// Values of the command line. Each parser stores the value and returns "", or what is wrong with it.
namespace flexpert::app {

std::string parse_number(const std::string& text, double least, double most, bool whole, double& value);
/// "3,5,7": at most 65,536 whole numbers.
std::string parse_whole_list(const std::string& text, double least, double most, std::vector<std::uint32_t>& values);
/// "1,1,0.5" (every device) or "3:0.5,7:0.8" (single ones).
std::string parse_speeds(const std::string& text, PlaceClusterOptions& cluster);
/// "12345", "44MB", "1.5GiB".
std::string parse_bytes(const std::string& text, std::uint64_t& bytes);
/// "NAME=SOURCE" or "NAME=SOURCE:WEIGHT".
std::string parse_case(const std::string& text, PlaceCase& out);
/// One of `known`.
std::string parse_choice(const std::string& text, const std::vector<std::string>& known, std::string& value);

}  // namespace flexpert::app
