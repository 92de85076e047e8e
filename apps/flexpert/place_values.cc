#include "flexpert/place_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace flexpert::app {

namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == separator)
      parts.emplace_back();
    else
      parts.back().push_back(c);
  }
  return parts;
}

}  // namespace

std::string parse_number(const std::string& text, double least, double most, bool whole, double& value) {
  double parsed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc() || end != text.data() + text.size() || !(parsed >= least && parsed <= most) ||
      (whole && parsed != std::floor(parsed)))
    return fmt::format("needs a {} from {:.15g} to {:.15g}, not \"{}\"", whole ? "whole number" : "number", least, most, text);
  value = parsed;
  return {};
}

std::string parse_whole_list(const std::string& text, double least, double most, std::vector<std::uint32_t>& values) {
  std::vector<std::uint32_t> list;
  for (const std::string& part : split(text, ',')) {
    double value = 0;
    if (std::string wrong = parse_number(part, least, most, true, value); !wrong.empty())
      return "needs numbers with commas between them: " + wrong;
    list.push_back(static_cast<std::uint32_t>(value));
    if (list.size() > 65536) return "has more than 65,536 numbers";
  }
  values = std::move(list);
  return {};
}

std::string parse_speeds(const std::string& text, PlaceClusterOptions& cluster) {
  cluster.speeds.clear();
  cluster.speed_of.clear();
  const bool pairs = text.find(':') != std::string::npos;
  for (const std::string& part : split(text, ',')) {
    const std::size_t colon = part.find(':');
    if (pairs != (colon != std::string::npos))
      return fmt::format("needs either a speed for every device (1,1,0.5) or DEVICE:SPEED pairs (3:0.5), not both: \"{}\"", part);
    double speed = 0;
    double device = 0;
    if (std::string wrong = parse_number(pairs ? part.substr(colon + 1) : part, 1e-6, 1e6, false, speed); !wrong.empty()) return wrong;
    if (pairs)
      if (std::string wrong = parse_number(part.substr(0, colon), 0, 65535, true, device); !wrong.empty()) return "device " + wrong;
    if (pairs)
      cluster.speed_of.emplace_back(static_cast<std::uint32_t>(device), speed);
    else
      cluster.speeds.push_back(speed);
  }
  return {};
}

std::string parse_bytes(const std::string& text, std::uint64_t& bytes) {
  struct Unit {
    const char* name;
    double factor;
  };
  static constexpr Unit kUnits[] = {{"", 1},      {"B", 1},        {"KB", 1e3},     {"MB", 1e6},     {"GB", 1e9},
                                    {"TB", 1e12}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  const std::size_t letters = std::min(text.find_first_not_of("0123456789.+-"), text.size());
  for (const Unit& unit : kUnits) {
    if (text.substr(letters) != unit.name) continue;
    double value = 0;
    if (std::string wrong = parse_number(text.substr(0, letters), 0, 1e18, false, value); !wrong.empty()) break;
    if (value * unit.factor > 1e18) break;
    bytes = static_cast<std::uint64_t>(value * unit.factor);
    return {};
  }
  return fmt::format("needs bytes such as 46137344, 44MiB or 1.5GB, not \"{}\"", text);
}

std::string parse_case(const std::string& text, PlaceCase& out) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == text.size())
    return fmt::format("needs NAME=FILE or NAME=FILE:WEIGHT, not \"{}\"", text);
  out = {text.substr(0, equals), text.substr(equals + 1), 1};
  const std::size_t colon = out.source.rfind(':');
  if (colon == std::string::npos || colon == 0 || out.source.front() == '{') return {};
  const std::string last = out.source.substr(colon + 1);
  // What follows the last colon of a URL is a port or a path.
  if (out.source.starts_with("http://") || out.source.starts_with("unix:")) return {};
  if (std::string wrong = parse_number(last, 1e-9, 1e9, false, out.weight); !wrong.empty())
    return "weight of case " + out.name + " " + wrong;
  out.source.resize(colon);
  return {};
}

std::string parse_choice(const std::string& text, const std::vector<std::string>& known, std::string& value) {
  if (std::find(known.begin(), known.end(), text) == known.end())
    return fmt::format("needs one of {}, not \"{}\"", fmt::join(known, ", "), text);
  value = text;
  return {};
}

}  // namespace flexpert::app
