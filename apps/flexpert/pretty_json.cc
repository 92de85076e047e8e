#include "flexpert/pretty_json.h"

#include <boost/json.hpp>

#include "codec/json_text.h"

namespace flexpert::app {

namespace json = boost::json;

namespace {

void append(std::string& out, const json::value& value, std::size_t depth);

void begin_line(std::string& out, std::size_t depth) {
  out += '\n';
  out.append(2 * depth, ' ');
}

void append_object(std::string& out, const json::object& object, std::size_t depth) {
  out += '{';
  bool first = true;
  for (const auto& member : object) {
    if (!std::exchange(first, false)) out += ',';
    begin_line(out, depth + 1);
    codec::append_json_string(out, {member.key().data(), member.key().size()});
    out += ": ";
    append(out, member.value(), depth + 1);
  }
  if (!first) begin_line(out, depth);
  out += '}';
}

void append_array(std::string& out, const json::array& array, std::size_t depth) {
  out += '[';
  bool first = true;
  for (const json::value& element : array) {
    if (!std::exchange(first, false)) out += ',';
    begin_line(out, depth + 1);
    append(out, element, depth + 1);
  }
  if (!first) begin_line(out, depth);
  out += ']';
}

void append(std::string& out, const json::value& value, std::size_t depth) {
  if (value.is_object()) return append_object(out, value.get_object(), depth);
  if (value.is_array()) return append_array(out, value.get_array(), depth);
  if (value.is_double()) return codec::append_json_number(out, value.get_double());
  out += json::serialize(value);
}

}  // namespace

std::string pretty_json(const json::value& value) {
  std::string out;
  append(out, value, 0);
  return out;
}

}  // namespace flexpert::app
