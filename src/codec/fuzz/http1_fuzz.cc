// Feeds arbitrary bytes to both HTTP/1.1 parsers, whole and cut at points that the input itself chooses: the events, the
// bodies and the verdicts must be the same, and what a request parser accepts must have the parts that it promises.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/check.h"
#include "codec/http1.h"

namespace {

using namespace flexpert::codec;

constexpr Http1Limits kLimits{.max_head_bytes = 2048, .max_fields = 16};

struct Outcome {
  std::string events;
  std::string body;
  bool operator==(const Outcome&) const = default;
};

void check_head(Http1RequestParser& parser, Outcome& outcome) {
  const Http1RequestHead& head = parser.request();
  FLEXPERT_CHECK(!head.method.empty() && !head.target.empty(), "a head without method or target");
  FLEXPERT_CHECK(head.framing != Http1Framing::kUntilClose, "a request until close");
  outcome.events += head.method + " " + head.target + "\n";
}

void check_head(Http1ResponseParser& parser, Outcome& outcome) {
  const Http1ResponseHead& head = parser.response();
  FLEXPERT_CHECK(head.status >= 100 && head.status <= 599, "a status that is none");
  outcome.events += std::to_string(head.status) + "\n";
}

void check_fields(const Http1Fields& fields, Outcome& outcome) {
  FLEXPERT_CHECK(fields.size() <= kLimits.max_fields, "too many fields");
  for (const auto& [name, value] : fields) {
    FLEXPERT_CHECK(http1_is_token(name), "a field name that is no token");
    FLEXPERT_CHECK(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos, "a line end in a value");
    outcome.events += name + ":" + value + "\n";
  }
}

const Http1Fields& fields_of(Http1RequestParser& parser) { return parser.request().fields; }
const Http1Fields& fields_of(Http1ResponseParser& parser) { return parser.response().fields; }

/// `cuts` decides the sizes of the pieces; empty: one piece.
template <class Parser>
Outcome run(std::string_view input, std::string_view cuts) {
  Parser parser(kLimits);
  Outcome outcome;
  for (std::size_t turn = 0; !input.empty(); ++turn) {
    const std::size_t size = cuts.empty() ? input.size() : 1 + static_cast<unsigned char>(cuts[turn % cuts.size()]) % 16;
    std::string_view part = input.substr(0, size);
    input.remove_prefix(part.size());
    while (true) {
      const Http1Step step = parser.next(part);
      FLEXPERT_CHECK(step.consumed <= part.size(), "consumed more than there was");
      part.remove_prefix(step.consumed);
      if (step.event == Http1Event::kNeedMore) {
        FLEXPERT_CHECK(part.empty(), "asks for more with input left");
        break;
      }
      if (step.event == Http1Event::kError) {
        FLEXPERT_CHECK(parser.error().status >= 400 && !parser.error().message.empty(), "an error without a reason");
        outcome.events += "error " + std::to_string(parser.error().status) + " " + parser.error().message;
        return outcome;
      }
      if (step.event == Http1Event::kHead) {
        check_head(parser, outcome);
        check_fields(fields_of(parser), outcome);
      }
      if (step.event == Http1Event::kBody) {
        FLEXPERT_CHECK(!step.bytes.empty(), "an empty piece of body");
        outcome.body += step.bytes;
      }
      if (step.event == Http1Event::kEnd) outcome.events += "end\n";
    }
  }
  outcome.events += parser.in_message() ? "inside" : "between";
  outcome.events += std::to_string(static_cast<int>(parser.finish()));
  return outcome;
}

template <class Parser>
void check_cuts(std::string_view input, std::string_view cuts) {
  const Outcome whole = run<Parser>(input, {});
  FLEXPERT_CHECK(whole == run<Parser>(input, cuts), "the outcome depends on how the bytes are cut");
  FLEXPERT_CHECK(whole == run<Parser>(input, std::string_view("\0", 1)), "the outcome depends on how the bytes are cut");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view cuts = input.substr(input.size() - input.size() / 4);
  check_cuts<Http1RequestParser>(input, cuts);
  check_cuts<Http1ResponseParser>(input, cuts);
  return 0;
}
