// Feeds arbitrary bytes to the scan of request bodies, and to another JSON parser: what the scan takes the other must take, and both must
// find the same model, stream and limits at the top, however the text is written.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "base/check.h"
#include "gateway/request_scan.h"

namespace {

namespace json = boost::json;
using flexpert::gateway::JsonRange;
using flexpert::gateway::Refusal;
using flexpert::gateway::RequestScanner;
using flexpert::gateway::ScannedRequest;
using flexpert::gateway::StringReading;
using flexpert::gateway::can_read_strings;

json::value parse(std::string_view text, boost::system::error_code& error) {
  json::parse_options options;
  options.max_depth = RequestScanner::kMaxDepth + 1;
  return json::parse(text, error, {}, options);
}

/// Makes a plain character of every escaped half of a surrogate pair.
std::string without_surrogates(std::string_view text) {
  std::string out(text);
  for (std::size_t i = 0; i + 5 < out.size(); ++i) {
    if (out[i] != '\\') continue;
    ++i;
    if (out[i] == 'u' && (out[i + 1] | 0x20) == 'd' && std::string_view("89abcdefABCDEF").find(out[i + 2]) != std::string_view::npos) out.replace(i + 1, 4, "0041");
  }
  return out;
}

void check_range(std::string_view body, JsonRange range, const json::object& object, std::string_view name) {
  const json::value* there = object.if_contains(name);
  FLEXPERT_CHECK(range.there() == (there != nullptr), "the scan and the parser do not agree on which fields there are");
  if (!range.there()) return;
  FLEXPERT_CHECK(range.end <= body.size(), "a value stands outside the body");
  boost::system::error_code error;
  const json::value value = parse(range.in(body), error);
  FLEXPERT_CHECK(!error && value == *there, "a value's place is wrong");
}

/// The scan must say the same however strings are read, and never look behind the body.
void check_other_ways(std::string_view body, const std::optional<Refusal>& refused, const ScannedRequest& scanned) {
  static RequestScanner plain(StringReading::kPlain);
  static RequestScanner in_blocks(can_read_strings(StringReading::kAvx2) ? StringReading::kAvx2 : StringReading::kPlain);
  for (RequestScanner* scanner : {&plain, &in_blocks}) {
    ScannedRequest other;
    const auto refused_too = scanner->scan(body, other);
    FLEXPERT_CHECK(refused.has_value() == refused_too.has_value(), "two ways of reading strings do not agree");
    if (refused) FLEXPERT_CHECK(refused->message == refused_too->message, "two ways of reading strings give other reasons");
    else FLEXPERT_CHECK(scanned.model == other.model && scanned.prompt_at.end == other.prompt_at.end, "two ways of reading find other fields");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static RequestScanner scanner;
  // In memory of its own, behind which there is nothing to read.
  const auto copy = std::make_unique<char[]>(size);
  std::copy_n(data, size, copy.get());
  const std::string_view body(copy.get(), size);
  ScannedRequest scanned;
  const auto refused = scanner.scan(body, scanned);
  check_other_ways(body, refused, scanned);
  if (refused) return 0;
  boost::system::error_code error;
  const json::value root = parse(body, error);
  // By the grammar (RFC 8259, 6) an exponent may have any number of digits; what becomes of such a number is the engine's to say.
  if (error == json::error::exponent_overflow) return 0;
  if (error) {
    // Half a surrogate pair is good by the grammar (RFC 8259, 8.2) and the engine's to judge, where it is not in what the gateway reads.
    parse(without_surrogates(body), error);
    FLEXPERT_CHECK(!error || error == json::error::exponent_overflow, "the scan took what is no JSON");
    return 0;
  }
  FLEXPERT_CHECK(!error && root.is_object(), "the scan took what is no JSON object");
  const json::object& object = root.get_object();
  const json::value* model = object.if_contains("model");
  FLEXPERT_CHECK(model != nullptr && model->is_string() && std::string_view(model->get_string()) == scanned.model, "another model was found");
  const json::value* stream = object.if_contains("stream");
  FLEXPERT_CHECK(scanned.stream == (stream != nullptr && stream->is_bool() && stream->get_bool()), "another stream was found");
  check_range(body, scanned.model_at, object, "model");
  check_range(body, scanned.stream_at, object, "stream");
  check_range(body, scanned.max_tokens_at, object, "max_tokens");
  check_range(body, scanned.max_completion_tokens_at, object, "max_completion_tokens");
  return 0;
}
