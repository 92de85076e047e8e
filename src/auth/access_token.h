#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace flexpert::auth {

/// Who is asking. Without a name it is everybody.
struct Principal {
  std::string name;
  std::vector<std::string> groups;  ///< the expert groups of high security that it may use

  [[nodiscard]] bool anonymous() const { return name.empty(); }
};

/// A token as it is stored: by its digest alone.
struct AccessToken {
  std::string name;
  std::string sha256_hex;  ///< 64 lower-case hex digits over the token's bytes
  std::vector<std::string> groups;
};

/// Compares two digests of equal length in a time that does not depend on where they differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);

/// The access tokens of one configuration. Immutable; safe from any thread.
class AccessTokens {
 public:
  explicit AccessTokens(std::vector<AccessToken> tokens) : tokens_(std::move(tokens)) {}

  /// Returns whose digest this is; a digest that nobody has gives the anonymous principal, as no token does. Every
  /// stored digest is compared, so the time tells neither whether one matched nor which.
  [[nodiscard]] Principal identify(std::string_view sha256_hex) const;

 private:
  std::vector<AccessToken> tokens_;
};

}  // namespace flexpert::auth
