#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flexpert::crypto {

/// The claims of a JSON Web Token (RFC 7519), read by name and type. A name is a member of the payload, or a path of members
/// with dots ("realm_access.roles"); a member that has dots in its name comes first. Immutable.
class JwtPayload {
 public:
  /// Errors: kInvalidArgument for a payload that is not one JSON object in UTF-8 with each member once.
  static Result<JwtPayload> parse(std::string_view json);

  /// Returns a text, or nothing where the claim is missing. Errors of these: kInvalidArgument for a claim of another type.
  [[nodiscard]] Result<std::optional<std::string>> text(std::string_view name) const;
  /// The same for a number.
  [[nodiscard]] Result<std::optional<double>> number(std::string_view name) const;
  /// The same for a list of texts, or one text alone; none where the claim is missing.
  [[nodiscard]] Result<std::vector<std::string>> texts(std::string_view name) const;

 private:
  struct Json;
  explicit JwtPayload(std::shared_ptr<const Json> json) : json_(std::move(json)) {}
  std::shared_ptr<const Json> json_;
};

}  // namespace flexpert::crypto
