#include "workload/answer_stream.h"

#include <algorithm>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace flexpert::workload {

namespace json = boost::json;

namespace {

constexpr std::size_t kLongestLine = 1024 * 1024;

const json::value* member(const json::value* value, std::string_view name) {
  const json::object* object = value == nullptr ? nullptr : value->if_object();
  return object == nullptr ? nullptr : object->if_contains(json::string_view(name.data(), name.size()));
}

std::string_view text_of(const json::value* value) {
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string_view() : std::string_view(text->data(), text->size());
}

}  // namespace

void AnswerStream::feed(std::string_view bytes, const OnText& on_text) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      partial_line_ += bytes;
      if (partial_line_.size() > kLongestLine) {
        error_ = "a line of the stream is longer than 1 MiB";
        partial_line_.clear();
      }
      return;
    }
    partial_line_ += bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (!partial_line_.empty() && partial_line_.back() == '\r') partial_line_.pop_back();
    const std::string line = std::move(partial_line_);
    partial_line_.clear();
    on_line(line, on_text);
  }
}

void AnswerStream::on_line(std::string_view line, const OnText& on_text) {
  if (!line.starts_with("data:")) return;  // blank lines, comments, other fields
  line.remove_prefix(5);
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (done_) {
    error_ = "the stream went on after [DONE]";
  } else if (line == "[DONE]") {
    done_ = true;
  } else {
    on_chunk(line, on_text);
  }
}

void AnswerStream::on_chunk(std::string_view text, const OnText& on_text) {
  boost::system::error_code failure;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), failure);
  if (failure || !root.is_object()) {
    error_ = "a chunk of the stream is not a JSON object";
    return;
  }
  if (const json::value* error = member(&root, "error"); error != nullptr && !error->is_null()) {
    const std::string_view message = text_of(member(error, "message"));
    error_ = fmt::format("the server reported: {}", message.empty() ? "an error" : message);
    return;
  }
  if (const json::value* tokens = member(member(&root, "usage"), "completion_tokens"); tokens != nullptr && tokens->is_int64())
    reported_tokens_ = static_cast<std::uint64_t>(std::max<std::int64_t>(0, tokens->get_int64()));
  if (const json::value* tokens = member(member(&root, "usage"), "prompt_tokens"); tokens != nullptr && tokens->is_int64())
    prompt_tokens_ = static_cast<std::uint64_t>(std::max<std::int64_t>(0, tokens->get_int64()));
  const json::value* choices = member(&root, "choices");
  if (choices == nullptr || !choices->is_array() || choices->get_array().empty()) return;
  const json::value& choice = choices->get_array().front();
  std::string_view piece = text_of(member(member(&choice, "delta"), "content"));
  if (piece.empty()) piece = text_of(member(&choice, "text"));
  if (!piece.empty()) {
    ++pieces_;
    text_ += piece;
    on_text(piece);
  }
  if (const std::string_view reason = text_of(member(&choice, "finish_reason")); !reason.empty()) finish_reason_ = reason;
}

std::string AnswerStream::problem() const {
  if (!error_.empty()) return error_;
  if (finish_reason_.empty()) return "the stream ended without a finish_reason";
  if (finish_reason_ != "stop" && finish_reason_ != "length") return "the stream ended with finish_reason " + finish_reason_;
  if (!done_) return "the stream ended without [DONE]";
  return {};
}

}  // namespace flexpert::workload
