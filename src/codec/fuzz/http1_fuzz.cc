// Feeds arbitrary bytes to the readers of requests and of responses, whole and cut at points that the input itself chooses: the
// events, heads, bodies and verdicts must be the same, and the same as those of the reference parser.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/check.h"
#include "codec/tests/http1_compare.h"

namespace {

using namespace flexpert::codec;

constexpr Http1Limits kLimits{.max_head_bytes = 2048, .max_fields = 16};

/// `cuts` decides the sizes of the pieces; empty: one piece.
template <class Messages>
std::string run(std::string_view input, std::string_view cuts, bool answers_head = false) {
  Messages messages(kLimits);
  if constexpr (requires { messages.set_answers_head(true); }) messages.set_answers_head(answers_head);
  std::size_t turn = 0;
  return http1_outcome(messages, input, [&] {
    return cuts.empty() ? input.size() : std::size_t{1} + static_cast<unsigned char>(cuts[turn++ % cuts.size()]) % 16;
  });
}

template <class Messages, class Reference>
void check_cuts(std::string_view input, std::string_view cuts, bool answers_head = false) {
  const std::string whole = run<Messages>(input, {}, answers_head);
  FLEXPERT_CHECK(whole == run<Messages>(input, cuts, answers_head), "the outcome depends on how the bytes are cut");
  FLEXPERT_CHECK(whole == run<Messages>(input, std::string_view("\0", 1), answers_head), "the outcome depends on how the bytes are cut");
  FLEXPERT_CHECK(whole == run<Reference>(input, {}, answers_head), "the outcome is not the reference parser's");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view cuts = input.substr(input.size() - input.size() / 4);
  check_cuts<Http1RequestMessages, reference::Http1RequestParser>(input, cuts);
  check_cuts<Http1ResponseMessages, reference::Http1ResponseParser>(input, cuts);
  check_cuts<Http1ResponseMessages, reference::Http1ResponseParser>(input, cuts, true);
  return 0;
}
