#pragma once

#include <string>
#include <vector>

namespace flexpert::conformance {

/// One case of a suite of data/conformance/wycheproof, as text.
struct WycheproofCase {
  int id = 0;
  std::string comment;
  bool valid = false;
  std::string jws;  ///< compact, or a JSON text where the case has an object
  std::string keys; ///< JSON of the key or key set that verifies: `public` where there is one, else `private`
  bool encrypted = false;  ///< a JWE
  // HMAC:
  std::string key;
  std::string message;
  std::string tag;
};

/// Reads every case of "hmac_sha256_test" and the like. Fails the running test if the file is missing or has other results than
/// valid and invalid.
std::vector<WycheproofCase> wycheproof_cases(const std::string& suite);

}  // namespace flexpert::conformance
