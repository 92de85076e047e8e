#include "auth/access_token.h"

#include <cstddef>

namespace flexpert::auth {

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  // Through volatile, so that the compiler cannot leave the loop early.
  const volatile char* left = a.data();
  const volatile char* right = b.data();
  for (std::size_t i = 0; i < a.size(); ++i)
    difference = static_cast<unsigned char>(difference | (static_cast<unsigned char>(left[i]) ^ static_cast<unsigned char>(right[i])));
  return difference == 0;
}

Principal AccessTokens::identify(std::string_view sha256_hex) const {
  std::size_t match = tokens_.size();
  for (std::size_t i = 0; i < tokens_.size(); ++i)
    if (equal_in_constant_time(tokens_[i].sha256_hex, sha256_hex)) match = i;
  if (match == tokens_.size()) return {};
  return {tokens_[match].name, tokens_[match].groups};
}

}  // namespace flexpert::auth
