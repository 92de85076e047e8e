// Feeds arbitrary bytes to the reader of chunked bodies, whole and cut at points that the input itself chooses: body, end and verdict must be
// the same, and a body that was taken must come out the same when it is framed anew.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "codec/http1.h"
#include "codec/http1_view.h"

namespace {

using namespace flexpert::codec;

struct Outcome {
  std::string body;
  bool ended = false;
  bool failed = false;
  std::size_t used = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome read(std::string_view input, std::string_view cuts) {
  Http1BodyReader reader;
  reader.begin(Http1Framing::kChunked, 0);
  Outcome out;
  std::size_t turn = 0;
  while (!out.ended && !out.failed && out.used < input.size()) {
    const std::size_t piece = cuts.empty() ? input.size() : std::size_t{1} + static_cast<unsigned char>(cuts[turn++ % cuts.size()]) % 8;
    std::string_view left = input.substr(out.used, piece);
    for (;;) {
      const Http1Step step = reader.next(left);
      FLEXPERT_CHECK(step.consumed <= left.size(), "more was consumed than there is");
      left.remove_prefix(step.consumed);
      out.used += step.consumed;
      if (step.event == Http1Event::kBody) out.body += step.bytes;
      out.ended = step.event == Http1Event::kEnd;
      out.failed = step.event == Http1Event::kError;
      if (out.ended || out.failed || step.event == Http1Event::kNeedMore) break;
    }
  }
  if (out.failed) out.used = 0;  // how far it looked may depend on the pieces
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const Outcome whole = read(input, {});
  FLEXPERT_CHECK(whole == read(input, input.substr(size - size / 4)), "the outcome depends on how the bytes are cut");
  FLEXPERT_CHECK(whole == read(input, std::string_view("\0", 1)), "the outcome depends on how the bytes are cut");
  if (!whole.ended) return 0;
  std::string framed;
  for (std::size_t at = 0; at < whole.body.size(); at += 1000) {
    const std::string_view piece = std::string_view(whole.body).substr(at, 1000);
    framed += http1_chunk_prefix(piece.size());
    framed += piece;
    framed += "\r\n";
  }
  framed += kHttp1LastChunk;
  const Outcome again = read(framed, {});
  FLEXPERT_CHECK(again.ended && again.body == whole.body && again.used == framed.size(), "a body framed anew is another one");
  return 0;
}
