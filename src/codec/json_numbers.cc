#include "codec/json_numbers.h"

#include <charconv>

#include "codec/json_array.h"

namespace flexpert::codec::json_numbers {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

const char* name_of(element_type type) {
  switch (type) {
    case element_type::ARRAY: return "an array";
    case element_type::OBJECT: return "an object";
    case element_type::STRING: return "a string";
    case element_type::BOOL: return "true or false";
    case element_type::NULL_VALUE: return "null";
    default: return "a number";
  }
}

/// Walks the nesting; knows the extent of a level from its first row.
class Flattener {
 public:
  explicit Flattener(std::string_view what) : what_(what) {}

  Result<void> take(element item, std::size_t level) {
    simdjson::dom::array row;
    if (item.get(row) == simdjson::SUCCESS) return take_row(row, level);
    double value = 0;
    if (item.get(value) != simdjson::SUCCESS)
      return fail(ErrorCode::kInvalidArgument, "{}: must be a number, is {}", place(level), name_of(item.type()));
    if (!leaf_seen_) {
      leaf_seen_ = true;
      leaf_level_ = level;
    }
    if (leaf_level_ != level)
      return fail(ErrorCode::kInvalidArgument, "{}: wrong nesting: a number where the rows before have an array", place(level));
    if (array_.values.size() == kMaxArrayElements)
      return fail(ErrorCode::kResourceExhausted, "{}: too large: more than {} numbers", what_, kMaxArrayElements);
    array_.values.push_back(value);
    return {};
  }

  NumberArray done() { return std::move(array_); }

 private:
  Result<void> take_row(simdjson::dom::array row, std::size_t level) {
    if (leaf_seen_ && level >= leaf_level_)
      return fail(ErrorCode::kInvalidArgument, "{}: wrong nesting: an array where the rows before have a number", place(level));
    if (level == kMaxArrayRank) return fail(ErrorCode::kInvalidArgument, "{}: nested deeper than {} levels", what_, kMaxArrayRank);
    const bool first = array_.shape.size() == level;
    if (first) {
      array_.shape.push_back(0);
      at_.push_back(0);
    }
    std::uint64_t extent = 0;
    for (const element item : row) {
      at_[level] = extent++;
      FLEXPERT_TRY(take(item, level + 1));
    }
    if (known_.size() <= level) known_.resize(level + 1, false);
    if (!known_[level]) {
      known_[level] = true;
      array_.shape[level] = extent;
    } else if (array_.shape[level] != extent) {
      return fail(ErrorCode::kInvalidArgument, "{}: ragged: has {} entries, the rows before have {}", place(level), extent,
                  array_.shape[level]);
    }
    return {};
  }

  [[nodiscard]] std::string place(std::size_t level) const {
    std::string out(what_);
    for (std::size_t i = 0; i < level; ++i) out += fmt::format("[{}]", at_[i]);
    return out;
  }

  std::string_view what_;
  NumberArray array_;
  std::vector<std::uint64_t> at_;
  std::vector<bool> known_;
  std::size_t leaf_level_ = 0;
  bool leaf_seen_ = false;
};

std::string keys_of(simdjson::dom::object object) {
  constexpr std::size_t kShown = 40;
  std::string out;
  std::size_t count = 0;
  for (const auto field : object) {
    if (count++ == kShown) return out + ", ...";
    if (!out.empty()) out += ", ";
    out += shown(field.key);
  }
  return out.empty() ? "nothing" : out;
}

Result<element> child(element parent, std::string_view key, std::string_view before) {
  const std::string where = before.empty() ? "the file" : fmt::format("'{}'", shown(before));
  simdjson::dom::object object;
  if (parent.get(object) != simdjson::SUCCESS)
    return fail(ErrorCode::kNotFound, "select: {} is {} and has no '{}'", where, name_of(parent.type()), shown(key));
  element found;
  if (object.at_key(key).get(found) != simdjson::SUCCESS)
    return fail(ErrorCode::kNotFound, "select: {} has no '{}'; it has: {}", where, shown(key), keys_of(object));
  return found;
}

Result<element> item_at(element parent, std::string_view digits, std::string_view before) {
  simdjson::dom::array array;
  if (parent.get(array) != simdjson::SUCCESS)
    return fail(ErrorCode::kNotFound, "select: '{}' is {} and has no [{}]", shown(before), name_of(parent.type()), shown(digits));
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc{} || end != digits.data() + digits.size())
    return fail(ErrorCode::kInvalidArgument, "select: '[{}]' is no index; write a path as tasks.law or domains[3]", shown(digits));
  std::uint64_t at = 0;
  for (const element item : array)
    if (at++ == index) return item;
  return fail(ErrorCode::kNotFound, "select: '{}' has no [{}]; it has {} entries", shown(before), index, at);
}

}  // namespace

std::string shown(std::string_view key) {
  std::string text;
  for (const char c : key.substr(0, 60)) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  if (key.size() > 60) text += "...";
  return text;
}

Result<element> parse(simdjson::dom::parser& parser, std::string_view text, std::string_view what) {
  if (text.size() > kMaxTextBytes)
    return fail(ErrorCode::kResourceExhausted, "{}: the text has {} bytes; at most {} are read as JSON; give it as .npy or .pt", what,
                text.size(), kMaxTextBytes);
  element root;
  if (const auto error = parser.parse(text.data(), text.size(), true).get(root); error != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidArgument, "{}: not JSON: {}", what, simdjson::error_message(error));
  return root;
}

Result<element> unique_field(const simdjson::dom::object& object, std::string_view key, std::string_view what) {
  element found;
  bool seen = false;
  for (const auto field : object) {
    if (field.key != key) continue;
    if (seen) return fail(ErrorCode::kInvalidArgument, "{}: the key '{}' is there twice; keep one", what, key);
    found = field.value;
    seen = true;
  }
  if (!seen) return fail(ErrorCode::kNotFound, "{}: the key '{}' is missing; it has: {}", what, key, keys_of(object));
  return found;
}

Result<NumberArray> number_array(element item, std::string_view what) {
  if (item.type() != element_type::ARRAY)
    return fail(ErrorCode::kInvalidArgument, "{}: must be nested arrays of numbers, is {}", what, name_of(item.type()));
  Flattener flattener(what);
  FLEXPERT_TRY(flattener.take(item, 0));
  return flattener.done();
}

Result<element> select(element root, std::string_view path) {
  element at = root;
  std::size_t begin = 0;
  while (begin < path.size()) {
    const std::string_view before = path.substr(0, begin);
    if (path[begin] == '[') {
      const std::size_t end = path.find(']', begin);
      if (end == std::string_view::npos)
        return fail(ErrorCode::kInvalidArgument, "select: '{}' has a '[' without ']'; write a path as tasks.law or domains[3]",
                    shown(path));
      FLEXPERT_ASSIGN(at, item_at(at, path.substr(begin + 1, end - begin - 1), before));
      begin = end + 1;
      continue;
    }
    if (path[begin] == '.' && begin > 0) ++begin;
    const std::size_t end = std::min(path.find_first_of(".[", begin), path.size());
    if (end == begin)
      return fail(ErrorCode::kInvalidArgument, "select: '{}' has an empty step; write a path as tasks.law or domains[3]", shown(path));
    FLEXPERT_ASSIGN(at, child(at, path.substr(begin, end - begin), before));
    begin = end;
  }
  return at;
}

}  // namespace flexpert::codec::json_numbers

namespace flexpert::codec {

Result<NumberArray> parse_json_array(std::string_view text, std::string_view what) {
  simdjson::dom::parser parser;
  FLEXPERT_ASSIGN(const auto root, json_numbers::parse(parser, text, what));
  return json_numbers::number_array(root, what);
}

}  // namespace flexpert::codec
