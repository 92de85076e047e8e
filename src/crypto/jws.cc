#include "crypto/jws.h"

#include <algorithm>
#include <array>

#include "base/base64url.h"
#include "crypto/json_object.h"

namespace flexpert::crypto {
namespace {

constexpr std::size_t kLongestHeader = 4 * 1024;
constexpr std::size_t kLongestKid = 256;

constexpr std::array<std::string_view, 12> kNames = {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
                                                     "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"};

std::string plain_type(std::string_view typ) {
  std::string lower(typ);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  constexpr std::string_view kPrefix = "application/";
  return lower.starts_with(kPrefix) ? lower.substr(kPrefix.size()) : lower;
}

Result<void> read_header(std::string_view text, UnverifiedJws& jws) {
  const JsonPtr header = parse_json_object(text);
  if (header == nullptr) return fail(ErrorCode::kInvalidArgument, "the token's header is no JSON object with each member once");
  for (const char* refused : {"crit", "b64"})
    if (json_object_get(header.get(), refused) != nullptr)
      return fail(ErrorCode::kInvalidArgument, "the token's header has an extension that is not supported: {}", refused);
  const auto algorithm = jws_algorithm(text_member(header.get(), "alg"));
  if (!algorithm) return fail(ErrorCode::kInvalidArgument, "the token's header names no signature algorithm that is supported");
  jws.algorithm = *algorithm;
  if (const json_t* const kid = json_object_get(header.get(), "kid"); kid != nullptr) {
    if (!json_is_string(kid) || json_string_length(kid) > kLongestKid)
      return fail(ErrorCode::kInvalidArgument, "the token's kid is no text of at most {} bytes", kLongestKid);
    jws.kid.emplace(json_string_value(kid), json_string_length(kid));
  }
  if (const json_t* const typ = json_object_get(header.get(), "typ"); typ != nullptr) {
    if (!json_is_string(typ)) return fail(ErrorCode::kInvalidArgument, "the token's typ is no text");
    jws.typ = plain_type(text_member(header.get(), "typ"));
  }
  return {};
}

}  // namespace

std::optional<JwsAlgorithm> jws_algorithm(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<JwsAlgorithm>(found - kNames.begin());
}

std::string_view name_of(JwsAlgorithm algorithm) { return kNames[static_cast<std::size_t>(algorithm)]; }

Result<UnverifiedJws> read_jws(std::string_view compact) {
  if (compact.size() > kLongestJws) return fail(ErrorCode::kInvalidArgument, "the token is longer than {} bytes", kLongestJws);
  const std::size_t first = compact.find('.');
  const std::size_t second = first == std::string_view::npos ? first : compact.find('.', first + 1);
  if (second == std::string_view::npos || compact.find('.', second + 1) != std::string_view::npos)
    return fail(ErrorCode::kInvalidArgument, "the token has not three parts");
  if (first > kLongestHeader) return fail(ErrorCode::kInvalidArgument, "the token's header is longer than {} bytes", kLongestHeader);
  const auto header = from_base64url(compact.substr(0, first));
  auto payload = from_base64url(compact.substr(first + 1, second - first - 1));
  auto signature = from_base64url(compact.substr(second + 1));
  if (!header || !payload || !signature) return fail(ErrorCode::kInvalidArgument, "a part of the token is not base64url without padding");
  UnverifiedJws jws;
  jws.compact = compact;
  FLEXPERT_TRY(read_header(*header, jws));
  jws.payload = std::move(*payload);
  jws.signature = std::move(*signature);
  return jws;
}

}  // namespace flexpert::crypto
