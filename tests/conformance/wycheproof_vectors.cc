#include "conformance/wycheproof_vectors.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include <fstream>
#include <sstream>

namespace flexpert::conformance {
namespace {

std::string text_of(const boost::json::object& object, const char* name) {
  const auto* const value = object.if_contains(name);
  if (value == nullptr) return {};
  return value->is_string() ? std::string(value->as_string()) : boost::json::serialize(*value);
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

}  // namespace

std::vector<WycheproofCase> wycheproof_cases(const std::string& suite) {
  std::ifstream file(std::string(FLEXPERT_SOURCE_DIR) + "/data/conformance/wycheproof/" + suite + ".json");
  std::stringstream text;
  text << file.rdbuf();
  boost::system::error_code error;
  const auto root = boost::json::parse(text.str(), error);
  std::vector<WycheproofCase> cases;
  if (error) {
    ADD_FAILURE() << suite << " is missing or malformed";
    return cases;
  }
  for (const auto& group_value : root.at("testGroups").as_array()) {
    const auto& group = group_value.as_object();
    const std::string keys = text_of(group, group.if_contains("public") != nullptr ? "public" : "private");
    for (const auto& test_value : group.at("tests").as_array()) {
      const auto& test = test_value.as_object();
      const std::string result = text_of(test, "result");
      EXPECT_TRUE(result == "valid" || result == "invalid") << suite << ": " << result;
      cases.push_back({.id = static_cast<int>(test.at("tcId").as_int64()),
                       .comment = text_of(test, "comment"),
                       .valid = result == "valid",
                       .jws = text_of(test, test.if_contains("jwe") != nullptr ? "jwe" : "jws"),
                       .keys = keys,
                       .encrypted = test.if_contains("jwe") != nullptr,
                       .key = from_hex(text_of(test, "key")),
                       .message = from_hex(text_of(test, "msg")),
                       .tag = from_hex(text_of(test, "tag"))});
    }
  }
  EXPECT_EQ(cases.size(), static_cast<std::size_t>(root.at("numberOfTests").as_int64())) << suite;
  return cases;
}

}  // namespace flexpert::conformance
