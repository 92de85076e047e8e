#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

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

/// Reads every case of FOLDER/"hmac_sha256_test".json and the like. Fails if the file is missing, is not whole, or has other results than
/// valid and invalid.
Result<std::vector<WycheproofCase>> read_wycheproof_cases(const std::string& folder, const std::string& suite);

/// Cases of json_web_signature_test whose result no verifier can or may follow, with the reason: they contradict the suite itself.
const std::map<int, std::string>& disputed_signatures();

/// Tells whether our code, with the key of the case, takes the token; of an encrypted one, never.
bool takes_token(const WycheproofCase& test);

/// Tells whether our HMAC-SHA-256 of the message is the tag, or begins with it where the tag is a short one.
bool takes_tag(const WycheproofCase& test);

/// Tells what our code has to say of a case: its result, but for encrypted tokens, which we refuse whatever they hold.
bool to_be_taken(const WycheproofCase& test);

}  // namespace flexpert::conformance
