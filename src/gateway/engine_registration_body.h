#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/address.h"

namespace flexpert::gateway {

/// What an engine says of itself.
struct RegistrationBody {
  std::string url;                  ///< as it was given, without a slash at the end
  bool tls = false;
  net::Address address;             ///< of the URL; may be a name
  std::vector<std::string> models;  ///< empty: all that it lists
  double weight = 1;
};

/// Reads {"url": "http://HOST:PORT", "models": ["NAME", ...], "weight": 1}; unknown members are errors. `url_only`: for DELETE.
/// Errors: kInvalidArgument naming the member.
Result<RegistrationBody> parse_registration(std::string_view body, bool url_only);

}  // namespace flexpert::gateway
