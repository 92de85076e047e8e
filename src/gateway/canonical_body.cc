#include "gateway/canonical_body.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include <simdjson.h>

namespace flexpert::gateway {
namespace {

namespace dom = simdjson::dom;

using Members = std::vector<std::pair<std::string_view, dom::element>>;

/// Fields with which a request does more than to compute an answer.
constexpr std::string_view kWithEffects[] = {"tools",      "functions",    "web_search_options",  "audio",
                                             "background", "conversation", "previous_response_id"};

template <class Number>
void append_number(std::string& out, Number number) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, number);
  out.append(digits, end.ptr);
}

void append_text(std::string& out, std::string_view text) {
  append_number(out, text.size());
  out += ':';
  out += text;
}

/// Returns the members in the order of their keys; nothing if a key is there twice.
std::optional<Members> sorted(dom::object object) {
  Members members;
  for (const dom::key_value_pair member : object) members.emplace_back(member.key, member.value);
  const auto by_key = [](const auto& a, const auto& b) { return a.first < b.first; };
  std::sort(members.begin(), members.end(), by_key);
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  if (std::adjacent_find(members.begin(), members.end(), same) != members.end()) return std::nullopt;
  return members;
}

/// False: a key twice, or nested too deeply.
bool append_value(std::string& out, dom::element value, int depth);

bool append_members(std::string& out, const Members& members, int depth) {
  out += '{';
  append_number(out, members.size());
  out += ':';
  for (const auto& [key, value] : members) {
    append_text(out, key);
    if (!append_value(out, value, depth + 1)) return false;
  }
  return true;
}

bool append_value(std::string& out, dom::element value, int depth) {
  if (depth > CanonicalBody::kMaxDepth) return false;
  switch (value.type()) {
    case dom::element_type::OBJECT: {
      dom::object object;
      const auto members = value.get(object) == simdjson::SUCCESS ? sorted(object) : std::nullopt;
      return members && append_members(out, *members, depth);
    }
    case dom::element_type::ARRAY: {
      dom::array items;
      if (value.get(items) != simdjson::SUCCESS) return false;
      out += '[';
      for (const dom::element item : items)
        if (!append_value(out, item, depth + 1)) return false;
      out += ']';
      return true;
    }
    case dom::element_type::STRING:
      out += 's';
      append_text(out, value.get_string().value_unsafe());
      return true;
    case dom::element_type::INT64:
      out += 'i';
      append_number(out, value.get_int64().value_unsafe());
      break;
    case dom::element_type::UINT64:
      out += 'i';
      append_number(out, value.get_uint64().value_unsafe());
      break;
    case dom::element_type::DOUBLE:
      out += 'd';
      append_number(out, value.get_double().value_unsafe());
      break;
    case dom::element_type::BOOL: out += value.get_bool().value_unsafe() ? 't' : 'f'; return true;
    case dom::element_type::NULL_VALUE: out += 'n'; return true;
  }
  out += ';';
  return true;
}

bool is_one(dom::element value) {
  std::uint64_t number = 0;
  return value.is_null() || (value.get(number) == simdjson::SUCCESS && number == 1);
}

bool is_false(dom::element value) {
  bool flag = true;
  return value.get(flag) == simdjson::SUCCESS && !flag;
}

bool only_texts(dom::element value) {
  dom::object object;
  if (value.get(object) != simdjson::SUCCESS) return false;
  return std::all_of(object.begin(), object.end(), [](const dom::key_value_pair member) { return member.value.is_string(); });
}

bool changes_nothing(std::string_view key, dom::element value) {
  if (key == "user") return value.is_string();
  if (key == "metadata") return only_texts(value);
  return key == "stream" && is_false(value);
}

/// Returns why `key` keeps an answer from being shared; empty if it does not.
std::string_view obstacle(std::string_view key, dom::element value) {
  if (key == "stream") return is_false(value) || value.is_null() ? "" : "streamed";
  if (key == "n" || key == "best_of") return is_one(value) ? "" : "several choices";
  if (key == "store") return is_false(value) || value.is_null() ? "" : "has effects";
  if (std::find(std::begin(kWithEffects), std::end(kWithEffects), key) != std::end(kWithEffects))
    return value.is_null() ? "" : "has effects";
  return "";
}

}  // namespace

struct CanonicalBody::Impl {
  dom::parser parser;
};

CanonicalBody::CanonicalBody() : impl_(std::make_unique<Impl>()) {}
CanonicalBody::~CanonicalBody() = default;

std::string_view CanonicalBody::write(std::string_view path, std::string_view body, std::string& out) {
  out.clear();
  const bool embeddings = path == "/v1/embeddings";
  if (!embeddings && path != "/v1/chat/completions" && path != "/v1/completions") return "not a completion";
  dom::element root;
  dom::object object;
  if (impl_->parser.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS || root.get(object) != simdjson::SUCCESS)
    return "not JSON";
  auto members = sorted(object);
  if (!members) return "a key twice";
  bool greedy = embeddings;
  for (const auto& [key, value] : *members) {
    if (const auto why = obstacle(key, value); !why.empty()) return why;
    double temperature = 1;
    if (key == "temperature") greedy = value.get(temperature) == simdjson::SUCCESS && temperature == 0;
  }
  if (!greedy) return "not greedy";
  std::erase_if(*members, [](const auto& member) { return changes_nothing(member.first, member.second); });
  return append_members(out, *members, 1) ? "" : "a key twice, or nested too deeply";
}

}  // namespace flexpert::gateway
