#include "conformance/json_cases.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace flexpert::conformance {

std::vector<JsonCase> read_json_cases(const std::string& folder) {
  std::vector<JsonCase> cases;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() < 2 || name[1] != '_') continue;
    std::ifstream file(entry.path(), std::ios::binary);
    cases.push_back({name, std::string(std::istreambuf_iterator<char>(file), {}), name[0]});
  }
  std::sort(cases.begin(), cases.end(), [](const JsonCase& a, const JsonCase& b) { return a.name < b.name; });
  return cases;
}

std::string as_request(const JsonCase& json_case) {
  return "{\"model\":\"m\",\"messages\":[],\"metadata\":" + json_case.text + "}";
}

bool gateway_takes(gateway::RequestScanner& scanner, const JsonCase& json_case) {
  std::string body = as_request(json_case);
  body.reserve(body.size() + 64);  // as connections keep bodies: readable bytes behind them
  gateway::ScannedRequest scanned;
  return !scanner.scan(body, scanned);
}

}  // namespace flexpert::conformance
