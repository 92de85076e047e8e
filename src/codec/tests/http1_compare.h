#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "codec/tests/http1_messages.h"
#include "codec/tests/http1_reference_heads.h"

/// Describes what a reader of messages makes of some bytes, in the same words for Http1Messages and for the reference parser.
namespace flexpert::codec {

inline std::string http1_start_of(const Http1RequestView& head) {
  FLEXPERT_CHECK(!head.method.empty() && !head.target.empty(), "a head without method or target");
  FLEXPERT_CHECK(head.framing != Http1Framing::kUntilClose, "a request until close");
  return std::string(head.method) + " " + std::string(head.target) + (head.expects_continue ? " expects" : "");
}
inline std::string http1_start_of(const reference::Http1RequestHead& head) {
  return head.method + " " + head.target + (head.expects_continue ? " expects" : "");
}
inline std::string http1_start_of(const Http1ResponseView& head) {
  FLEXPERT_CHECK(head.status >= 100 && head.status <= 599, "a status that is none");
  return std::to_string(head.status);
}
inline std::string http1_start_of(const reference::Http1ResponseHead& head) { return std::to_string(head.status); }

inline std::string http1_fields_of(const Http1HeadView& head) {
  std::string text;
  for (const Http1FieldView& field : head.fields) {
    FLEXPERT_CHECK(http1_is_token(field.name), "a field name that is no token");
    FLEXPERT_CHECK(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos, "a line end in a value");
    FLEXPERT_CHECK(field.known == http1_known_field(field.name), "a field taken for another");
    if (field.known != Http1KnownField::kOther && head.find(field.known).data() != field.value.data())
      FLEXPERT_CHECK(head.find(field.known).data() < field.value.data(), "find() does not give the first of its kind");
    text.append(field.name).append(":").append(field.value).append("\n");
  }
  return text;
}
inline std::string http1_fields_of(const reference::Http1Head& head) {
  std::string text;
  for (const auto& [name, value] : head.fields) text.append(name).append(":").append(value).append("\n");
  return text;
}

template <class Messages>
const auto& http1_head_of(Messages& messages) {
  if constexpr (requires { messages.request(); }) return messages.request();
  else if constexpr (requires { messages.response(); }) return messages.response();
  else return messages.head();
}

/// `piece` says how many bytes are given next.
template <class Messages, class Piece>
std::string http1_outcome(Messages& messages, std::string_view input, Piece piece) {
  std::string events;
  std::string body;
  while (!input.empty()) {
    std::string_view part = input.substr(0, piece());
    input.remove_prefix(part.size());
    while (true) {
      const Http1Step step = messages.next(part);
      FLEXPERT_CHECK(step.consumed <= part.size(), "consumed more than there was");
      part.remove_prefix(step.consumed);
      if (step.event == Http1Event::kNeedMore) {
        FLEXPERT_CHECK(part.empty(), "asks for more with input left");
        break;
      }
      if (step.event == Http1Event::kError) {
        FLEXPERT_CHECK(messages.error().status >= 400 && !messages.error().message.empty(), "an error without a reason");
        return events + "error " + std::to_string(messages.error().status) + " " + messages.error().message + "\n" + body;
      }
      if (step.event == Http1Event::kHead) {
        const auto& head = http1_head_of(messages);
        events += "head " + http1_start_of(head) + " 1." + std::to_string(head.minor_version) + (head.keep_alive ? " keep" : " close") + " framing " +
                  std::to_string(static_cast<int>(head.framing)) + " " + std::to_string(head.content_length) + "\n" + http1_fields_of(head);
      }
      if (step.event == Http1Event::kBody) {
        FLEXPERT_CHECK(!step.bytes.empty(), "an empty piece of body");
        body += step.bytes;
      }
      if (step.event == Http1Event::kEnd) events += "end " + std::to_string(body.size()) + "\n";
    }
  }
  events += messages.in_message() ? "inside" : "between";
  return events + std::to_string(static_cast<int>(messages.finish())) + "\n" + body;
}

}  // namespace flexpert::codec
