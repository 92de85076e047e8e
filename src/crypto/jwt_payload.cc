#include "crypto/jwt_payload.h"

#include "crypto/json_object.h"

namespace flexpert::crypto {
namespace {

const json_t* find(const json_t* object, std::string_view name) {
  if (const json_t* const member = json_object_get(object, std::string(name).c_str()); member != nullptr) return member;
  const json_t* at = object;
  while (at != nullptr) {
    const std::size_t dot = name.find('.');
    at = json_object_get(at, std::string(name.substr(0, dot)).c_str());  // null for what is no object
    if (dot == std::string_view::npos) return at;
    name.remove_prefix(dot + 1);
  }
  return nullptr;
}

std::string string_of(const json_t* value) { return {json_string_value(value), json_string_length(value)}; }

}  // namespace

struct JwtPayload::Json {
  JsonPtr root;
};

Result<JwtPayload> JwtPayload::parse(std::string_view json) {
  auto root = parse_json_object(json);
  if (root == nullptr) return fail(ErrorCode::kInvalidArgument, "the token's payload is no JSON object with each member once");
  return JwtPayload(std::make_shared<const Json>(std::move(root)));
}

Result<std::optional<std::string>> JwtPayload::text(std::string_view name) const {
  const json_t* const value = find(json_->root.get(), name);
  if (value == nullptr) return std::optional<std::string>();
  if (!json_is_string(value)) return fail(ErrorCode::kInvalidArgument, "a claim of the token is no text: {}", name);
  return std::optional(string_of(value));
}

Result<std::optional<double>> JwtPayload::number(std::string_view name) const {
  const json_t* const value = find(json_->root.get(), name);
  if (value == nullptr) return std::optional<double>();
  if (!json_is_number(value)) return fail(ErrorCode::kInvalidArgument, "a claim of the token is no number: {}", name);
  return std::optional(json_number_value(value));
}

Result<std::vector<std::string>> JwtPayload::texts(std::string_view name) const {
  std::vector<std::string> texts;
  const json_t* const value = find(json_->root.get(), name);
  if (value == nullptr) return texts;
  if (json_is_string(value)) {
    texts.push_back(string_of(value));
    return texts;
  }
  if (!json_is_array(value)) return fail(ErrorCode::kInvalidArgument, "a claim of the token is neither text nor a list of texts: {}", name);
  for (std::size_t i = 0; i < json_array_size(value); ++i) {
    const json_t* const element = json_array_get(value, i);
    if (!json_is_string(element))
      return fail(ErrorCode::kInvalidArgument, "a claim of the token is neither text nor a list of texts: {}", name);
    texts.push_back(string_of(element));
  }
  return texts;
}

}  // namespace flexpert::crypto
