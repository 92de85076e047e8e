// Feeds arbitrary bytes to the parser of server-sent events, whole and cut at points that the input itself chooses: the
// events and the verdict must be the same. What it has read must come back the same once it is written and read again.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "codec/sse.h"

namespace {

using namespace flexpert::codec;

constexpr std::size_t kMaxEventBytes = 4096;

struct Outcome {
  std::vector<SseEvent> events;
  bool good = true;
};

/// `cuts` decides the sizes of the pieces; empty: one piece.
Outcome run(std::string_view input, std::string_view cuts) {
  SseParser parser(kMaxEventBytes);
  Outcome outcome;
  for (std::size_t turn = 0; !input.empty() && outcome.good; ++turn) {
    const std::size_t size = cuts.empty() ? input.size() : 1 + static_cast<unsigned char>(cuts[turn % cuts.size()]) % 16;
    const std::string_view part = input.substr(0, size);
    input.remove_prefix(part.size());
    outcome.good = parser.feed(part, outcome.events).has_value();
  }
  if (!outcome.good) FLEXPERT_CHECK(!parser.feed("data: x\n\n", outcome.events), "a parser that has failed goes on");
  return outcome;
}

void check_same(const Outcome& whole, const Outcome& cut) {
  FLEXPERT_CHECK(whole.good == cut.good, "the verdict depends on how the bytes are cut");
  FLEXPERT_CHECK(whole.events.size() == cut.events.size(), "the number of events depends on how the bytes are cut");
  for (std::size_t i = 0; i < whole.events.size(); ++i) {
    const SseEvent& a = whole.events[i];
    const SseEvent& b = cut.events[i];
    FLEXPERT_CHECK(a.type == b.type && a.data == b.data && a.id == b.id && a.retry_ms == b.retry_ms, "an event depends on how the bytes are cut");
  }
}

void check_written(const SseEvent& event) {
  FLEXPERT_CHECK(!event.type.empty() && event.data.find('\r') == std::string::npos, "an event without a type, or with a CR");
  if (event.type.find('\0') != std::string::npos) return;  // the writer leaves it out
  std::string text;
  append_sse_comment(text, event.data);
  append_sse_event(text, event.data, event.type, event.id);
  SseParser parser(text.size());
  std::vector<SseEvent> again;
  FLEXPERT_CHECK(parser.feed(text, again).has_value() && again.size() == 1, "what was written is not one event");
  FLEXPERT_CHECK(again[0].data == event.data && again[0].type == event.type && again[0].id == event.id, "an event changes on its way");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const Outcome whole = run(input, {});
  check_same(whole, run(input, input.substr(input.size() - input.size() / 4)));
  check_same(whole, run(input, std::string_view("\0", 1)));
  for (const SseEvent& event : whole.events) check_written(event);
  return 0;
}
