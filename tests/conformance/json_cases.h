#pragma once

#include <string>
#include <vector>

#include "gateway/request_scan.h"

namespace flexpert::conformance {

/// One file of JSONTestSuite.
struct JsonCase {
  std::string name;
  std::string text;
  char kind = 'i';  ///< 'y': must be taken, 'n': must be refused, 'i': either
};

/// Reads the files of `folder` (data/conformance/json/test_parsing). Empty if there are none.
std::vector<JsonCase> read_json_cases(const std::string& folder);

/// Returns a chat request that has the case's text as the value of a field which the gateway does not look at.
std::string as_request(const JsonCase& json_case);

/// Tells whether the gateway would forward that request.
bool gateway_takes(gateway::RequestScanner& scanner, const JsonCase& json_case);

}  // namespace flexpert::conformance
