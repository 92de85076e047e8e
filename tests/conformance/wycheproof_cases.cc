#include "conformance/wycheproof_cases.h"

#include <boost/json.hpp>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

#include "crypto/hmac_key.h"
#include "crypto/jwk_set.h"

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

crypto::JwsAlgorithms all_algorithms() {
  crypto::JwsAlgorithms all;
  for (unsigned i = 0; i <= static_cast<unsigned>(crypto::JwsAlgorithm::kEs512); ++i) all.add(static_cast<crypto::JwsAlgorithm>(i));
  return all;
}

}  // namespace

Result<std::vector<WycheproofCase>> read_wycheproof_cases(const std::string& folder, const std::string& suite) {
  std::ifstream file(folder + "/" + suite + ".json");
  std::stringstream text;
  text << file.rdbuf();
  boost::system::error_code error;
  const auto root = boost::json::parse(text.str(), error);
  if (error) return fail(ErrorCode::kInvalidArgument, "not a suite of test cases: {}/{}.json", folder, suite);
  std::vector<WycheproofCase> cases;
  for (const auto& group_value : root.at("testGroups").as_array()) {
    const auto& group = group_value.as_object();
    const std::string keys = text_of(group, group.if_contains("public") != nullptr ? "public" : "private");
    for (const auto& test_value : group.at("tests").as_array()) {
      const auto& test = test_value.as_object();
      const std::string result = text_of(test, "result");
      if (result != "valid" && result != "invalid")
        return fail(ErrorCode::kInvalidArgument, "a result that is neither valid nor invalid: {}", result);
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
  const std::int64_t promised = root.at("numberOfTests").as_int64();
  if (static_cast<std::size_t>(promised) != cases.size())
    return fail(ErrorCode::kInvalidArgument, "{} cases instead of {}", cases.size(), promised);
  return cases;
}

const std::map<int, std::string>& disputed_signatures() {
  static const std::map<int, std::string> disputed = {
      {367, "says invalid of the very bytes that case 357 calls valid (C2SP/wycheproof issue 236)"},
      {370, "says invalid of the very bytes that case 357 calls valid (C2SP/wycheproof issue 236)"},
      {372, "says valid of a '?' in the header, and of a tag that is not that of the bytes received; RFC 7515, 5.2 refuses it"},
      {373, "says valid of a '?' in the payload, and of a tag that is not that of the bytes received; RFC 7515, 5.2 refuses it"},
  };
  return disputed;
}

bool takes_token(const WycheproofCase& test) {
  const auto keys = crypto::JwkSet::parse(test.keys, {.symmetric = true});
  if (!keys) return false;
  const auto jws = crypto::read_jws(test.jws);
  return jws && keys->verify(*jws, all_algorithms()).has_value();
}

bool takes_tag(const WycheproofCase& test) {
  const crypto::HmacKey key(test.key);
  crypto::Digest whole{};
  if (test.tag.size() > whole.size()) return false;
  if (test.tag.size() == whole.size()) {
    std::copy(test.tag.begin(), test.tag.end(), whole.begin());
    return key.verify(test.message, whole);
  }
  const crypto::Digest digest = key.sign(test.message);
  const std::string_view tag(reinterpret_cast<const char*>(digest.data()), test.tag.size());
  return crypto::equal_in_constant_time(tag, test.tag);
}

bool to_be_taken(const WycheproofCase& test) { return test.valid && !test.encrypted; }

}  // namespace flexpert::conformance
