// Feeds arbitrary bodies to the scanner of requests and splices them. What is taken has its ranges inside the body, and taken again with a cap and
// another model spliced in, has exactly those; scanning depends on nothing but the body.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "gateway/body_splice.h"
#include "gateway/request_scan.h"

namespace {

using namespace flexpert::gateway;

constexpr std::uint64_t kCap = 7;
constexpr std::string_view kModel = "other \"model\"\n";

void check_range(JsonRange range, std::string_view body) {
  FLEXPERT_CHECK(range.begin <= range.end && range.end <= body.size(), "a range outside of the body");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static RequestScanner scanner;
  const std::string body(reinterpret_cast<const char*>(data), size);
  ScannedRequest fields;
  const auto refused = scanner.scan(body, fields);
  RequestScanner fresh;
  ScannedRequest again;
  const auto refused_again = fresh.scan(body, again);
  FLEXPERT_CHECK(refused.has_value() == refused_again.has_value(), "the verdict depends on what was scanned before");
  if (refused) {
    FLEXPERT_CHECK(refused->status == 400 && refused->message == refused_again->message, "a refusal without a reason of its own");
    return 0;
  }
  FLEXPERT_CHECK(fields.model == again.model && !fields.model.empty(), "the model depends on what was scanned before");
  for (const JsonRange range : {fields.model_at, fields.stream_at, fields.stream_options_at, fields.max_tokens_at, fields.max_completion_tokens_at,
                                fields.temperature_at, fields.seed_at, fields.n_at, fields.user_at, fields.prompt_at})
    check_range(range, body);
  BodySplice splice;
  splice.reset(body);
  splice.cap_max_tokens(fields, kCap);
  splice.replace_model(fields, kModel);
  std::string spliced;
  for (const std::string_view part : splice.parts()) spliced += part;
  FLEXPERT_CHECK(spliced.size() == splice.size(), "a splice of another length than it says");
  ScannedRequest after;
  FLEXPERT_CHECK(!fresh.scan(spliced, after), "a splice makes a body that is refused");
  FLEXPERT_CHECK(after.model == kModel && after.max_tokens && *after.max_tokens <= kCap, "a splice that is not read");
  FLEXPERT_CHECK(after.stream == fields.stream && after.include_usage == fields.include_usage, "a splice changes something else");
  return 0;
}
